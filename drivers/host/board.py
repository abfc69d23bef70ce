"""Which board a machine has: learned once, found again by it, compared at each connection."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from drivers.identity import Identity, differences
from drivers.ports import identity_of, locate

log = logging.getLogger(__name__)


class Board:
    """What is known of one machine's board, in a file of its state folder.

    The first board that answers is the machine's own; any other waits for a person's word.

    :param port: where it is configured to be.
    :param root: the folder that holds `dev` and `sys`.
    """

    def __init__(self, port: str, state_dir: Path, root: Path) -> None:
        self._port = port
        self._root = root
        self._file = state_dir / "board.json"
        self._known = self._read()
        self._usb = Identity()
        self._seen: Identity | None = None
        self.port = port  # where it is today
        self.differs: tuple[str, ...] = ()  # what speaks against the board that is there

    @property
    def seen(self) -> Mapping[str, str]:
        """Return what the board that is there now says of itself."""
        return (self._seen or self._usb).to_json()

    def find(self) -> str:
        """Return the port to open; "" if another board is in the place of ours.

        An unknown board is not opened: that may reset it in the middle of somebody's work.
        """
        self._seen = None
        if self._port.startswith("socket://"):
            return self._port
        found = locate(self._port, self._known, self._root)
        self._usb = identity_of(found or self._port, self._root)
        if not found:
            known = (self._known or Identity()).with_board({})
            self.differs = differences(known, self._usb) or ("position",)
            return ""
        if found != self.port:
            log.warning("the board of %s is at %s now", self._port, found)
        self.port = found
        self.differs = ()
        return found

    def meet(self, told: Mapping[str, str]) -> None:
        """Compare with the board that has answered; the first one is learned.

        :param told: what its firmware says of itself; empty: it could not be asked.
        """
        seen = self._usb.with_board(told)
        if seen == self._seen:
            return
        self._seen = seen
        if self._known is None:
            self._learn(seen)
            return
        # What one of the two has never told says nothing.
        ours = self._known if told else self._known.with_board({})
        if told and not _says(self._known):
            ours = ours.with_board(told)
        self.differs = differences(ours, seen)
        if self.differs:
            log.error("another board than before: %s", ", ".join(self.differs))
        elif told and ours != self._known:
            self._learn(seen)

    def confirm(self) -> None:
        """Take the board that is there for the machine's own from now on: a person said so."""
        if self._seen is not None:
            self._learn(self._seen)
        else:
            self._known = None  # it was not opened; it is learned when it answers
            with contextlib.suppress(OSError):
                self._file.unlink()
        self.differs = ()

    def _learn(self, identity: Identity) -> None:
        self._known = identity
        beside = self._file.with_suffix(".new")
        try:
            beside.write_text(json.dumps(identity.to_json(), indent=2) + "\n", "utf-8")
            beside.replace(self._file)
        except OSError:
            log.exception("what was learned of the board cannot be written")

    def _read(self) -> Identity | None:
        try:
            values = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return Identity.from_json(values) if isinstance(values, dict) else None


def _says(identity: Identity) -> bool:
    return bool(identity.uuid or identity.machine_type or identity.info)
