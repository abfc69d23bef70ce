"""What a machine is watched for between runs: that it has its own board, and other hands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from drivers.errors import HostError, PortError
from drivers.host.board import Board
from drivers.host.config import HostConfig
from drivers.host.hands import Hands
from drivers.snapshot import Phase, Snapshot

LOOK_EVERY_S = 5.0  # between two questions where an idle machine stands
LOOK_IN_USE_S = 60.0  # the same, of a machine that somebody uses

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Who takes a line between program lines."""

    def command(self, line: bytes, now: float) -> bool: ...


class Watching:
    """The board and the hands of one machine.

    :param tell: hears `in_use` with why, and `in_use_over`.
    """

    def __init__(
        self, config: HostConfig, tell: Callable[[str, Mapping[str, object]], None]
    ) -> None:
        self._config = config
        self._tell = tell
        self._board = Board(config.port, config.state_dir, config.devices)
        # A file, because a restarted host must not take a used machine for a free one.
        self._file = config.state_dir / "in-use"
        self._hands = Hands(_word(self._file))
        self._booted = False
        self._ask_at = 0.0

    @property
    def has_own_board(self) -> bool:
        """Tell whether nothing speaks against the board that is there."""
        return not self._board.differs

    def is_left_alone(self, now: float) -> bool:
        """Tell whether heat is none of our business: another board, or hands at work."""
        return bool(self._board.differs) or self._hands.are_at_work(now)

    def refuse(self) -> None:
        """Say why nothing may start.

        :raises HostError: `host.other_board` or `host.in_use`.
        """
        machine = self._config.machine
        if self._board.differs:
            what = ", ".join(self._board.differs)
            raise HostError("host.other_board", machine=machine, what=what)
        if self._hands.reason:
            raise HostError("host.in_use", machine=machine, why=self._hands.reason)

    def dress(self, state: Snapshot) -> Snapshot:
        """Return *state* with what is known of board and hands."""
        return replace(
            state,
            identity=self._board.seen,
            differs=self._board.differs,
            in_use=self._hands.reason,
        )

    def find_port(self, now: float) -> str:
        """Return where the machine's board is, before it is opened.

        :raises PortError: `port.other_board` if another one is in its place.
        """
        port = self._board.find()
        if not port:
            what = ", ".join(self._board.differs)
            raise PortError("port.other_board", port=self._config.port, what=what)
        self._hands.forget()
        self._ask_at = now + LOOK_EVERY_S
        return port

    def look(self, session: Listener, state: Snapshot, now: float, *, is_due: bool) -> None:
        """Judge one state of the machine.

        :param state: with the open run in it.
        :param is_due: an interrupted run of ours has not been switched off yet.
        """
        before = self._hands.reason
        if is_due:
            self._hands.ours(now)
        booted, self._booted = self._booted, False
        if booted:
            self._hands.booted(now)
        if state.connected and state.phase is Phase.IDLE:
            self._board.meet(state.board)
            if not state.run and not is_due:
                self._ask_place(session, now)
        self._hands.look(state, now)
        self._note(before)

    def own_board(self, by: str) -> None:
        """Take the board that is there for the machine's own: a person has looked."""
        log.warning("%s: %s says that the board is its own", self._config.machine, by)
        self._board.confirm()

    def release(self, by: str, now: float) -> None:
        """Take a person's word that nobody uses the machine by hand."""
        log.warning("%s: %s says that nobody uses it", self._config.machine, by)
        before = self._hands.reason
        self._hands.release(now)
        self._note(before)

    def ours(self, now: float) -> None:
        """Note that what the machine does next was asked for through us."""
        self._hands.ours(now)

    def booted(self) -> None:
        """Note that the board has restarted by itself."""
        self._booted = True

    def _ask_place(self, session: Listener, now: float) -> None:
        """Ask an idle machine where it stands: some are moved from their own display."""
        ask = self._config.profile.ask_position
        if ask and now >= self._ask_at:
            session.command(ask.encode("ascii", "replace"), now)
            # Older Marlins finish every planned move before they answer: a print from their own
            # card would halt at each question.
            self._ask_at = now + (LOOK_IN_USE_S if self._hands.reason else LOOK_EVERY_S)

    def _note(self, before: str) -> None:
        """Write down and tell that somebody began or ended to use the machine by hand."""
        reason = self._hands.reason
        if reason == before:
            return
        try:
            if reason:
                self._file.write_text(reason, "ascii")
            else:
                self._file.unlink(missing_ok=True)
        except OSError:
            log.exception("%s: cannot note that it is in use", self._config.machine)
        log.warning("%s: in use by hand: %s", self._config.machine, reason or "over")
        if reason:
            self._tell("in_use", {"why": reason})
        else:
            self._tell("in_use_over", {})


def _word(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()[:16]
    except OSError:
        return ""
