"""Have a board asked by a unit of its own: under systemd the node itself may open no port."""

from __future__ import annotations

import json
import threading
import time
import uuid
from pathlib import Path

from drivers.errors import PortError
from drivers.probe import Probed
from drivers.probing import PATIENCE_S, understood

_LOOK_S = 0.2


class BoardAsker:
    """Writes a wish that `fabnode-probe.path` sees, and waits for the answer beside it.

    :param run: folder of the wish and the answer.
    :param patience: until the unit counts as absent [s].
    """

    def __init__(self, run: Path, patience: float = PATIENCE_S) -> None:
        self._wanted = run / "probe.wanted"
        self._answer = run / "probe.answer"
        self._patience = patience
        self._lock = threading.Lock()

    def __call__(self, port: str) -> Probed:
        """Return what the board at *port* says of itself; one at a time.

        :raises PortError: what the asking gave, or `port.probe_hung`.
        """
        with self._lock:
            wish = {"port": port, "id": uuid.uuid4().hex}
            self._answer.unlink(missing_ok=True)
            beside = self._wanted.with_suffix(".new")
            beside.write_text(json.dumps(wish), encoding="utf-8")
            beside.replace(self._wanted)
            until = time.monotonic() + self._patience
            while time.monotonic() < until:
                if (text := self._answer_to(wish["id"])) is not None:
                    return understood(text, port)
                time.sleep(_LOOK_S)
            self._wanted.unlink(missing_ok=True)
        raise PortError("port.probe_hung", port=port)

    def _answer_to(self, wish: str) -> bytes | None:
        try:
            text = self._answer.read_bytes()
            return text if json.loads(text)["id"] == wish else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
