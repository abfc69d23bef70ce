"""A printer's pause and what it asks: park, keep the heat, come back exactly; prompts, actions."""

from __future__ import annotations

from drivers.dialects import marlin
from drivers.dialects.actions import Action, halt_text
from drivers.engine.bookmark import Bookmark
from drivers.engine.marlin_acts import MarlinActs
from drivers.engine.marlin_wire import ASK, Goal
from drivers.engine.parking import Plan, cooling, heating, plan_of
from drivers.engine.prompting import TEXT_MAX
from drivers.flow import Line, Part
from drivers.profile import FirmwareProfile
from drivers.snapshot import Paused, PauseStep, Phase, Prompt, Prompted, Replied, Resumed, Said

WAITS = "machine.waits_for_person"
_STALE = 3.0  # "busy: paused for user" comes every two seconds [s]


class MarlinPausing(MarlinActs):
    """Acts on pause and resume, and on what the machine asks its host and the person beside it."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self._mark = Bookmark()
        self._plan: Plan | None = None
        self._pulled = False  # the filament is retracted, or will be by what is on the wire
        self._cooled = False
        self._reason = ""
        self._quiet_until = now  # words of a wait that is over may still be on their way

    # -- commands -----------------------------------------------------------------------------

    def pause(self, now: float) -> bool:
        """Come to a standstill between two moves, and park."""
        if not super().pause(now):
            return False
        self._reason = ""
        return True

    def resume(self, now: float) -> bool:
        """Go on after a pause; also answers a machine that waits for its button."""
        prompt = self._prompting.open
        waits = self._phase is Phase.STREAMING or self._pause_step == PauseStep.AT_MACHINE
        if prompt is not None and waits:
            # Which of several answers means "go on" only a person can read.
            is_plain = len(prompt.choices) < 2 and not prompt.commands
            return is_plain and self.answer(prompt.number, 0, now)
        returns = self._pause_step in (PauseStep.HEATING, PauseStep.RETURNING)
        if self._phase is not Phase.PAUSED or returns:
            return False
        self._message = ""
        self._forget_halt()
        for timer in ("park", "cool"):
            self._timers.pop(timer, None)
        plan = self._plan
        if plan is None:
            self._gone_on(now)
            return True
        heat = self._lines(heating(plan, self._temperatures, cooled=self._cooled))
        back = self._lines(plan.back(pulled=self._pulled))
        self._pause_step = PauseStep.HEATING if heat else PauseStep.RETURNING
        lasts = self._profile.pause.park_s + (self._profile.pause.heat_s if heat else 0.0)
        self._procedure(Goal.RETURN, [*heat, *back], now)
        self._after("return", lasts, now)
        return True

    def answer(self, number: int, choice: int, now: float) -> bool:
        """Carry a person's answer to the machine; False if that prompt is not open."""
        prompt = self._prompting.open
        if prompt is None or prompt.number != number or not self._connected:
            return False
        if choice < 0 or choice >= max(len(prompt.choices), 1):
            return False
        if self._profile.button_commands:
            return self._press(prompt, choice)
        word = b"M876 S%d" % choice if self._prompting.has_words and prompt.choices else b"M108"
        oldest = self._window.oldest
        if self._message == WAITS or (oldest is not None and oldest.alone):
            # Raw and beside the window: the line that waits holds up all numbered ones. The M105
            # behind it keeps the surplus answer from being counted for a line of the program.
            self._raw += self._aside(b"\n" + word + b"\n")
            self._extras.appendleft(self._token() if self._echoes else ASK)
        else:
            self._extras.appendleft(self._line(word, Part.EXTRA))
        answer = prompt.choices[choice] if prompt.choices else ""
        self._events.append(Replied(prompt.number, prompt.text, answer))
        self._message = ""
        self._quiet_until = now + _STALE
        self._prompting.close()
        return True

    def _press(self, prompt: Prompt, choice: int) -> bool:
        """Send the command of a button; where there is none the prompt was just to be read."""
        answer = ""
        if prompt.commands:
            if self._stopped:
                return False  # it may move, and nobody has looked
            label, command = prompt.choices[choice], prompt.commands[choice]
            self._extras.appendleft(self._line(command.encode("ascii"), Part.EXTRA))
            answer = label if label == command else f"{label} ({command})"
        self._events.append(Replied(prompt.number, prompt.text, answer))
        self._prompting.close()
        return True

    # -- the seams of the engine ----------------------------------------------------------------

    def _begin(self, now: float) -> None:  # noqa: ARG002 (the seam's shape)
        self._mark.begin()
        self._forget_pause()

    def _note_taken(self, line: Line) -> None:
        if self._program is not None:
            self._mark.take(line.place, line.text, self._program)
        if line.alone and (text := halt_text(line.text)):
            # Not every firmware says that it waits, and few say for what.
            self._notice = text[:TEXT_MAX]

    def _halt(self, now: float) -> None:
        self._pause_step = PauseStep.HALTING
        self._plan = None
        self._pulled = self._cooled = False
        self._position = {}  # an older pause's would be taken for this one's, if M114 is lost
        self._procedure(Goal.PAUSE, self._lines(["M400", "M114"]), now)
        # What is on the wire may take its time, a heat-up above all.
        lasts = self._profile.pause.park_s + self._expected_time(self._window.oldest)
        self._after("park", lasts, now)

    def _halted_for_pause(self, now: float) -> None:
        """All that was sent is made: now the place is known, and the head may leave it."""
        assert self._program is not None
        said = dict(self._mark.settle(self._program, self._cursor))
        self._plan = plan_of(
            self._mark, said, self._position, self._temperatures, self._profile.pause, self.reach
        )
        if not self._plan.park:
            self._parked(now)
            return
        self._pause_step = PauseStep.PARKING
        self._pulled = bool(self._plan.pull)
        self._procedure(Goal.PARK, self._lines([*self._plan.park, "M400"]), now)

    def _parked(self, now: float) -> None:
        self._goal = Goal.PARK
        if self._pause_step not in (PauseStep.HALTING, PauseStep.PARKING):
            return  # told late, after the time for it had run out
        self._timers.pop("park", None)
        self._pause_step = PauseStep.PARKED
        if self._plan is not None and cooling(self._plan) and self._profile.pause.cool_after_s:
            self._after("cool", self._profile.pause.cool_after_s, now)
        self._events.append(Paused(self._reason))

    def _gone_on(self, now: float) -> None:  # noqa: ARG002 (the seam's shape)
        self._forget_pause()
        self._goal = Goal.NOTHING
        self._phase = Phase.STREAMING
        self._events.append(Resumed())

    def _forget_halt(self) -> None:
        """Take back what of a pause is not on the wire yet."""
        if self._pause_step not in (PauseStep.HALTING, PauseStep.PARKING):
            return
        park = list(self._plan.park) if self._plan is not None else []
        unsent = [line.text.decode("ascii", "replace") for line in self._extras]
        if not park or unsent[: len(park)] == park:
            self._plan = None  # the head has not left
        elif self._plan is not None:
            self._pulled = self._pulled and self._plan.pull not in unsent
        self._extras.clear()
        self._goal = Goal.NOTHING

    def _forget_pause(self) -> None:
        self._plan = None
        self._pause_step = self._reason = ""
        self._pulled = self._cooled = False
        for timer in ("park", "cool", "return"):
            self._timers.pop(timer, None)

    def _program_over(self) -> None:
        self._forget_pause()
        # Buttons with commands belong to no program: often the last line asks what comes next.
        if not self._profile.button_commands or self._stopped:
            self._prompting.close()
        super()._program_over()

    def _note_done(self, line: Line) -> None:
        is_wait = self._prompting.open is not None and not self._profile.button_commands
        if is_wait and (line.alone or (line.place >= 0 and not self._prompting.has_words)):
            self._answered_elsewhere()
        if self._notice and line.alone and self._notice == halt_text(line.text)[:TEXT_MAX]:
            self._notice = ""
        if self._pause_step == PauseStep.HEATING and line.text == b"G21":
            self._pause_step = PauseStep.RETURNING
        if self._plan is not None and line.text == self._plan.push.encode():
            self._pulled = False
        super()._note_done(line)

    def _answered_elsewhere(self) -> None:
        """What waited goes on: somebody pressed the machine's own button."""
        self._prompting.close()
        if self._message == WAITS:
            self._message = ""

    # -- what the machine says ----------------------------------------------------------------

    def _busy(self, reply: marlin.Busy, now: float) -> None:
        if reply.for_person and now < self._quiet_until:
            reply = marlin.Busy()
        super()._busy(reply, now)
        if reply.for_person:
            oldest = self._window.oldest
            self._ask(self._prompting.waits(halt_text(oldest.text) if oldest else ""))

    def _started(self, now: float) -> None:
        self._mark = Bookmark()
        self._prompting.close()
        self._notice = ""
        super()._started(now)

    def _ask(self, prompt: Prompt | None) -> None:
        if prompt is not None:
            # Where buttons send commands, a prompt holds up nothing.
            self._message = self._message if self._profile.button_commands else WAITS
            self._notice = "" if self._notice == prompt.text else self._notice
            self._events.append(Prompted(prompt))

    def _asked_by_machine(self, action: Action, now: float) -> None:
        match action.word:
            case "pause":
                if self.pause(now):
                    self._reason = "machine"
            case "paused":
                self._paused_by_itself()
            case "resume":
                self.resume(now)
            case "resumed":
                if self._pause_step == PauseStep.AT_MACHINE:
                    self._gone_on(now)
            case "cancel":
                if self.cancel(now):
                    self._note("machine.asks_cancel")
            case "start":
                self._note_once("machine.asks_start")
            case "disconnect":
                self._note("machine.asks_disconnect")
            case "shutdown":
                self._shut_down(now)
            case "notification":
                self._notice = action.text[:400]
                self._events.append(Said(action.text[:400]))
            case word if word.startswith("prompt_"):
                self._ask(self._prompting.hear(action, self._profile))
                if self._prompting.open is None and self._message == WAITS:
                    self._message = ""
            case _:
                self._events.append(Said(f"//action:{action.word} {action.text}".strip()))

    def _paused_by_itself(self) -> None:
        if self._phase is not Phase.STREAMING:
            return
        self._phase = Phase.PAUSED
        self._pause_step = PauseStep.AT_MACHINE
        self._events.append(Paused("machine"))

    def _shut_down(self, now: float) -> None:
        if not self._profile.obeys_shutdown:
            self._note_once("machine.shutdown_ignored")
            return
        self._note("machine.shuts_down")
        self.cancel(now)

    def _note_once(self, code: str) -> None:
        if self._message != code:
            self._message = code
            self._note(code)

    # -- time -----------------------------------------------------------------------------------

    def _ring_pause(self, name: str, now: float) -> bool:
        """Act on a timer of a pause; False if it is another one."""
        match name:
            case "park":
                # It stands somewhere on the way: say so, rather than be "pausing" for ever.
                self._note("machine.pause_late")
                step = self._pause_step
                self._forget_halt()
                self._pause_step = step
                self._parked(now)
            case "cool":
                if self._plan is not None and self._phase is Phase.PAUSED:
                    self._extras.extend(self._lines(cooling(self._plan)))
                    self._cooled = True
                    self._pause_step = PauseStep.COOLED
                    self._note("machine.nozzle_cooled")
            case "return":
                self._break_wait()
                self._extras.clear()
                self._goal = Goal.PARK
                self._pause_step = PauseStep.PARKED
                self._cooled = True
                self._note("machine.resume_late")
                if self._plan is not None:
                    self._extras.extend(self._lines(cooling(self._plan)))
            case _:
                return False
        return True
