"""The person at the terminal while a file is sent: what the machine asks, and the keys that answer.

Nothing is answered by itself. Where nobody can press a key, that is said once, and the program ends
in good order when nobody has answered at the machine itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from drivers.acts import Act, Order, Reach
from drivers.snapshot import LOCKED, PauseStep, Phase, Snapshot
from node.cli.words import text

NOBODY_S: Final = 600.0  # for an answer at the machine itself, where no key can be pressed
_STEPS: Final = (0.1, 1.0, 10.0)  # of a jog [mm]
_FEEDRATE: Final = 10.0  # of a jog [mm/s]
_GO_ON: Final = "g"
_HELD: Final = ("machine.held", "machine.tool_change")


class Conversation(Protocol):
    """What of a session is asked for here."""

    def resume(self, now: float) -> bool: ...

    def answer(self, number: int, choice: int, now: float) -> bool: ...

    def act(self, order: Order, reach: Reach, now: float) -> str: ...


@dataclass(frozen=True, slots=True)
class _Question:
    """Something that only a person can answer.

    :param about: what makes it another question.
    :param said: sentences, shown once.
    :param keys: what each key does; it returns the code of a "no", "" if it was taken.
    :param is_for_host: no button of the machine can answer it.
    """

    about: str
    said: Sequence[str]
    keys: Mapping[str, Callable[[], str]]
    is_for_host: bool = False


class Attendant:
    """Shows each question once and carries out the key that answers it.

    :param tell: shows one line.
    :param key: returns a key that was pressed, "" for none; None: nobody can press any.
    :param patience: for an answer at the machine, where there are no keys [s].
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        key: Callable[[], str] | None,
        patience: float = NOBODY_S,
    ) -> None:
        self._tell = tell
        self._key = key
        self._patience = patience
        self._about = ""
        self._since = 0.0
        self._step = 1

    def look(self, state: Snapshot, session: Conversation, now: float) -> str:
        """Look at one state; return the code of why the program must end, "" to go on."""
        question = self._question(state, session, now)
        if question is None:
            self._about = ""
            return ""
        if question.about != self._about:
            self._about, self._since = question.about, now
            for sentence in question.said:
                self._tell(sentence)
            if self._key is None and not question.is_for_host:
                self._tell(text("cli.ask-nobody", minutes=round(self._patience / 60)))
        if self._key is None:
            late = now - self._since >= self._patience
            return "machine.nobody_answered" if late or question.is_for_host else ""
        # One key a look: the next one is for what the machine is like then.
        if (act := question.keys.get(self._key())) is not None and (code := act()):
            self._tell(text(f"error.{code}"))
        return ""

    def _question(self, state: Snapshot, session: Conversation, now: float) -> _Question | None:
        if state.prompt is not None:
            return _prompt(state, session, now)
        if state.phase is Phase.IDLE and state.controller == LOCKED:
            keys = {"u": lambda: session.act(Order(Act.UNLOCK), {}, now)}
            return _Question("locked", [text("error.machine.locked"), text("cli.ask-unlock")], keys)
        if state.phase is Phase.PAUSED and state.step == PauseStep.TOOL_CHANGE:
            return self._tool(state, session, now)
        may_resume = state.step in ("", PauseStep.PARKED, PauseStep.COOLED)
        if state.phase is Phase.PAUSED and may_resume:
            said = [text("cli.ask-paused"), text("cli.ask-go-on", key=_GO_ON)]
            return _Question("paused", said, {_GO_ON: lambda: _resumed(state, session, now)})
        if state.phase is Phase.STREAMING and state.message in _HELD and Act.RESUME in state.acts:
            said = [text(f"error.{state.message}"), text("cli.ask-go-on", key=_GO_ON)]
            keys = {_GO_ON: lambda: session.act(Order(Act.RESUME), {}, now)}
            return _Question(state.message, said, keys)
        return None

    def _tool(self, state: Snapshot, session: Conversation, now: float) -> _Question:
        said = [text("cli.ask-tool", tool=state.tool), text("cli.ask-tool-keys")]
        keys: dict[str, Callable[[], str]] = {
            _GO_ON: lambda: self._go_on(state, session, now),
            "s": self._next_step,
            "0": lambda: session.act(Order(Act.ZERO, axes={"Z": 0.0}), {}, now),
        }
        for axis in "XYZ":
            keys[axis] = partial(self._jog, session, axis, 1.0, now)
            keys[axis.lower()] = partial(self._jog, session, axis, -1.0, now)
        return _Question(f"tool {state.tool}", said, keys, is_for_host=True)

    def _go_on(self, state: Snapshot, session: Conversation, now: float) -> str:
        for axis, by in state.back.items():
            self._tell(text("cli.ask-back", axis=axis, by_mm=f"{by:+.2f}"))
        return _resumed(state, session, now)

    def _next_step(self) -> str:
        self._step = (self._step + 1) % len(_STEPS)
        self._tell(text("cli.ask-step", step_mm=f"{_STEPS[self._step]:g}"))
        return ""

    def _jog(self, session: Conversation, axis: str, way: float, now: float) -> str:
        jog = Order(Act.JOG, axes={axis: way * _STEPS[self._step]}, feedrate=_FEEDRATE)
        return session.act(jog, {}, now)


def _prompt(state: Snapshot, session: Conversation, now: float) -> _Question:
    prompt = state.prompt
    assert prompt is not None

    def answer(choice: int) -> str:
        return "" if session.answer(prompt.number, choice, now) else "host.not_now"

    asks = text("cli.ask-prompt", text=prompt.text) if prompt.text else text("cli.ask-waits")
    said: list[str] = [asks]
    keys: dict[str, Callable[[], str]] = {}
    for number, choice in enumerate(prompt.choices):
        if prompt.commands:
            command = prompt.commands[number]
            said.append(text("cli.ask-command", key=number + 1, choice=choice, command=command))
        else:
            said.append(text("cli.ask-choice", key=number + 1, choice=choice))
        keys[str(number + 1)] = partial(answer, number)
    if not prompt.choices:
        said.append(text("cli.ask-go-on", key=_GO_ON))
        keys[_GO_ON] = partial(answer, 0)
    return _Question(f"prompt {prompt.number}", said, keys)


def _resumed(state: Snapshot, session: Conversation, now: float) -> str:
    if session.resume(now):
        return ""
    return "host.not_at_place" if state.back else "host.not_now"


@contextlib.contextmanager
def keys_of(stream: int) -> Iterator[Callable[[], str]]:
    """Let each key of a terminal be read as it is pressed, without its Enter.

    Only while we are in the foreground: a job that a shell has put behind must neither take keys
    nor change the terminal, or it would be stopped with the heat on.
    """
    before = None

    def key() -> str:
        nonlocal before
        try:
            if os.tcgetpgrp(stream) != os.getpgrp():
                return ""
            if before is None:
                before = termios.tcgetattr(stream)
                tty.setcbreak(stream)
            if not select.select([stream], [], [], 0.0)[0]:
                return ""
            return os.read(stream, 1).decode("ascii", "replace")
        except (OSError, termios.error):
            return ""  # it has gone away: whoever sent us hears of that by a signal

    try:
        yield key
    finally:
        with contextlib.suppress(OSError, termios.error):
            if before is not None and os.tcgetpgrp(stream) == os.getpgrp():
                termios.tcsetattr(stream, termios.TCSADRAIN, before)


def is_attended(*, as_json: bool) -> bool:
    """Tell whether a person can press keys here; a program reads JSON, and presses none."""
    return not as_json and sys.stdin is not None and sys.stdin.isatty()
