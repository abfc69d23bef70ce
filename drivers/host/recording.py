"""Keeps a wire log of each run of one machine."""

from __future__ import annotations

import logging
from pathlib import Path

from drivers.host.seam import MachineSession
from drivers.wirelog import WireLog

TAIL_S = 5.0  # of what is said after a run has ended

log = logging.getLogger(__name__)


class Recorder:
    """Begins a log with each run and ends it a little after its end.

    :param folder: of the machine's logs.
    """

    def __init__(self, machine: str, folder: Path) -> None:
        self._machine = machine
        self._folder = folder
        self._log: WireLog | None = None
        self._end_at: float | None = None

    def begin(self, run: str, session: MachineSession) -> None:
        """Have *session* note every byte; a disk that refuses costs the log, not the run."""
        self.end(session)
        try:
            self._log = WireLog(self._folder, run)
        except OSError:
            log.exception("%s: no wire log of run %s", self._machine, run)
            return
        self._end_at = None
        session.record(self._log)

    def tick(self, session: MachineSession, now: float, *, is_running: bool) -> None:
        """Write what is due; end the log when its run is over."""
        if self._log is None:
            return
        self._log.flush(now)
        if is_running:
            return
        if self._end_at is None:
            self._end_at = now + TAIL_S
        elif now >= self._end_at:
            self.end(session)

    def end(self, session: MachineSession | None) -> None:
        """End the log, if there is one."""
        if self._log is None:
            return
        if session is not None:
            session.record(None)
        ended, self._log = self._log, None
        try:
            ended.close()
        except OSError:
            log.exception("%s: the end of a wire log is lost", self._machine)
