"""The neutral link as a process, and the limit that its wire sets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent
RX_BYTES = 127
ANSWER_BYTES = 3  # "ok" and its newline


@dataclass(frozen=True, slots=True)
class Speed:
    """A cable.

    :param baud: 0 for one without limit.
    :param latency_ms: one way.
    """

    baud: int
    latency_ms: float

    def limit(self, line_bytes: float) -> float:
        """Return how many lines a second wire and ring allow, with one ring full under way."""
        wire = self.baud / 10.0 / line_bytes
        trip = 10.0 * (line_bytes + ANSWER_BYTES) / self.baud + 2.0 * self.latency_ms / 1000.0
        return min(wire, RX_BYTES // line_bytes / trip)


class Link:
    """A running cable; `port` is the host's end."""

    def __init__(self, folder: Path, speed: Speed, *, advanced: bool = False) -> None:
        self.port = folder / "port"
        command = [sys.executable, str(HERE / "model.py"), str(self.port)]
        command += ["--baud", str(speed.baud), "--latency-ms", str(speed.latency_ms)]
        command += ["--advanced"] if advanced else []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._report: dict[str, object] = {}

    def __enter__(self) -> Self:
        until = time.monotonic() + 10.0
        while not self.port.is_symlink():
            if time.monotonic() > until:
                raise TimeoutError("the link model did not start")
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        said, _ = self._process.communicate(timeout=10.0)
        self._report = json.loads(said) if said else {}

    def report(self) -> dict[str, object]:
        """Return what the board saw, once the link has ended."""
        return self._report
