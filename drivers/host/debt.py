"""Heat and spindle that are to be switched off as soon as the machine can be reached."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


class Debt:
    """Whether switching off is owed: in a file, for it may have to wait longer than we live."""

    def __init__(self, machine: str, state_dir: Path) -> None:
        self._machine = machine
        self._file = state_dir / "switch-off-due"
        self.is_due = self._file.exists()

    def owe(self) -> None:
        """Note that it is owed from now on."""
        self.is_due = True
        try:
            self._file.touch()
        except OSError:
            log.exception("%s: cannot note that heat is to be switched off", self._machine)

    def pay(self) -> None:
        """Note that it has been done."""
        self.is_due = False
        self._file.unlink(missing_ok=True)
