"""What becomes of a machine's runs: written down in the journal, and told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from drivers.dialects import DIALECTS
from drivers.errors import HostError
from drivers.host.config import HostConfig
from drivers.host.programs import StoredProgram
from drivers.journal import Journal
from drivers.mark import Progress, Word
from drivers.snapshot import Snapshot
from drivers.wire import HostEvent

REPLAY_S = 1.0  # for the modal state of an interrupted run; heat waits as long for its end
TALK_PER_S = 20  # of the machine's own texts

log = logging.getLogger(__name__)


class Account:
    """The journal of one machine, kept true.

    :param tell: hears every event once; facts carry their number.
    :param clock_us: wall time [µs since 1970, UTC].
    """

    def __init__(
        self,
        config: HostConfig,
        journal: Journal,
        tell: Callable[[HostEvent], None],
        clock_us: Callable[[], int],
    ) -> None:
        self._config = config
        self._journal = journal
        self._tell = tell
        self._clock_us = clock_us
        self.program: StoredProgram | None = None  # of the open run
        self._total = 0  # lines of the program
        self._talk_second = self._talked = 0

    @property
    def run(self) -> str:
        """The open run, "" if there is none."""
        return self._journal.open_run.run if self._journal.open_run is not None else ""

    def begin(self, run: str, program: StoredProgram, fields: Mapping[str, object]) -> None:
        """Open a run, on disk before this returns.

        :raises HostError: `host.no_journal` if it cannot be written down; it does not begin then.
        """
        try:
            fact = self._journal.begin(run, "run_started", fields, self._clock_us())
        except (OSError, ValueError) as error:
            raise HostError("host.no_journal", reason=str(error)) from error
        log.info("%s: run %s starts, %d lines", self._config.machine, run, len(program))
        self._tell(fact)
        self.program = program
        self._total = len(program)

    def fact(self, kind: str, fields: Mapping[str, object], *, ends: bool) -> None:
        """Keep a fact of the open run and tell it; outside a run it is told alone."""
        at_us = self._clock_us()
        fact = HostEvent(self.run, 0, at_us, kind, fields)
        try:
            fact = self._journal.record(kind, fields, at_us, ends=ends) or fact
        except OSError:
            # The machine goes on: a full disk must not cost the job as well. The fact is
            # kept in memory and told; only a crash before its acknowledgement loses it.
            log.exception("%s: the journal cannot be written", self._config.machine)
        if ends:
            self.program = None
        self._tell(fact)

    def say(self, kind: str, fields: Mapping[str, object], *, of_run: bool = False) -> None:
        """Tell what is not kept."""
        self._tell(HostEvent(self.run if of_run else "", 0, self._clock_us(), kind, fields))

    def may_repeat(self) -> bool:
        """Tell whether the machine's own words may be told now: some talk at every line."""
        second = self._clock_us() // 1_000_000
        if second != self._talk_second:
            self._talk_second, self._talked = second, 0
        self._talked += 1
        return self._talked <= TALK_PER_S

    def note_progress(self, acked: int, sent: int) -> None:
        """Write down how far the open run has come, if that has changed."""
        noted = self._journal.progress
        if self.program is None or noted is None:
            return
        done = min(acked, self._total)
        if noted.total and (noted.acked, noted.sent) == (done, sent):
            return
        line, offset = self.program.places(done, 1)[0]
        progress = Progress(noted.run, done, sent, self._total, line, offset)
        try:
            self._journal.advance(progress)
        except OSError:
            log.exception("%s: progress cannot be written", self._config.machine)

    def expect(self, reach: Sequence[tuple[int, int]]) -> tuple[Word, int] | None:
        """Write down the first of *reach*, and say where to note that the others have come.

        :param reach: lines done and sent, now and after each of the next answers.
        :returns: as `Journal.expect` does; None outside a run, too.
        """
        if self.program is None or not self.run:
            return None
        first = reach[0][0]
        places = self.program.places(first, reach[-1][0] + 1 - first)
        steps = [(done, sent, *places[done - first]) for done, sent in reach]
        return self._journal.expect(self.run, self._total, steps)

    def end_fields(self, last: Snapshot) -> dict[str, object]:
        """Return what every end of a run says; nothing outside a run.

        :param last: state of the machine when it ended.
        """
        progress = self._journal.progress
        if progress is None:
            return {}
        return {
            **_extent(progress),
            "resends": last.resends,
            "starvation_s": round(last.starvation_s, 3),
            "damaged": last.damaged,
            "lost_answers": last.lost,
            "narrow_s": round(last.narrow_s, 1),
            "quality": last.quality,
        }

    def interrupt(self, reason: str, program: StoredProgram | None) -> None:
        """Record that nobody can say how far the open run came.

        :param program: to read the modal state from; None while a machine needs watching,
            for that reading takes its time.
        """
        progress = self._journal.progress
        if progress is None:
            return
        log.error("%s: run %s is interrupted: %s", self._config.machine, progress.run, reason)
        fields: dict[str, object] = {**_extent(progress), "reason": reason}
        # So many acknowledged moves may not have been made: what is said is a lower bound.
        fields["planner_blocks"] = self._config.profile.planner_blocks
        lines = program or self.program
        if lines is not None and progress.sent:
            fields["sent_line"] = lines.source_line(min(progress.sent, len(lines)) - 1)
        if program is not None and DIALECTS[self._config.profile.dialect].is_gcode:
            modal = program.modal_after(progress.acked, REPLAY_S)
            if modal is not None:
                fields["modal"] = modal.to_json()
        self.fact("interrupted", fields, ends=True)


def _extent(progress: Progress) -> dict[str, object]:
    return {
        "acked": progress.acked,
        "sent": progress.sent,
        "total": progress.total,
        "source_line": progress.source_line,
        "offset_bytes": progress.offset_bytes,
    }
