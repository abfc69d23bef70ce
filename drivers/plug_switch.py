"""One plug under our hand: on when a person says so, kept on while we live, off until it is off.

Whoever holds a `PlugSwitch` calls `tick` when `deadline` has come; nothing here waits. It knows
no machine and no host, so that whatever else switches by plug can hold one as well.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum

from drivers.errors import HostError
from drivers.mqtt import Broker
from drivers.plug import Ask, Plug, Told, path_of, read_answer
from drivers.plug_http import STEP_S, Keys, Question
from drivers.plug_login import Login
from drivers.plug_mqtt import MqttQuestion

HOLD_S = 10  # a plug goes off so long after it was last renewed: three are missed before [s]
RENEW_S = 3.0
LOOK_S = 5.0  # from one question how it stands to the next, where nothing is to be renewed
RETRY_S = 1.0
RETRIES = 30  # as often in a row; then `LOOK_S` is patience enough, and somebody must look
METER_S = 10.0  # between two looks at what it measures, where that is a question of its own
_NO_METER = 3  # answers without figures: it has none
RAW_MOST = 160  # characters that are kept of an answer
# Longer than one question lives: what was on its way when it was switched off has arrived by then.
LOOK_AGAIN_S = 2.5
_LOOKS = 2  # that must find it off


class PlugWord(StrEnum):
    """How a plug stands, as far as it has said."""

    ON = "on"
    OFF = "off"  # it says so itself
    TURNING_ON = "turning-on"
    TURNING_OFF = "turning-off"
    NOT_OFF = "not-off"  # asked to go off, and it does not answer or says that it is on
    UNKNOWN = "unknown"  # it does not answer


@dataclass(frozen=True, slots=True)
class PlugSaid:
    """What a plug said last, as it said it.

    :param raw: its newest answer, or what came instead of one; `at`: when [s].
    :param watts: of what hangs on it; None if it has not said, or does not measure.
    :param wh: by its own counter; `watts_at`: when both were said [s].
    """

    raw: str = ""
    at: float = float("-inf")
    watts: float | None = None
    wh: float | None = None
    watts_at: float = float("-inf")


class PlugSwitch:
    """One relay.

    :param holds: it goes off by itself unless it is renewed: a dead man's switch.
    :param login: of a plug with a password.
    :param broker: for a plug that is asked through one.
    """

    def __init__(
        self,
        plug: Plug,
        login: Login | None = None,
        *,
        holds: bool,
        broker: Broker | None = None,
    ) -> None:
        self._plug = plug
        self._keys = Keys(plug, login)
        self._holds = holds
        self._is_on: bool | None = None  # as it last said; None: not heard
        self._wanted: bool | None = None  # None: only looked at
        self._is_rising = False
        self._is_refused = False  # at least one request to go off has failed
        self._looks = 0
        self._steps: deque[Ask] = deque()
        self._broker = broker
        self._misses = 0  # in a row
        self._meter_at = 0.0  # when to ask what it measures; inf: it does not
        self._meterless = 0
        self.said = PlugSaid()
        self._question: Question | MqttQuestion | None = None
        self._ask = Ask.STATE
        self._asked_at = 0.0
        self._next_at = float("-inf")
        self._held_until = float("inf")
        self._lost: HostError | None = None
        self.trouble: HostError | None = None  # of the last question

    @property
    def is_on(self) -> bool:
        """Tell whether it is on because a person wanted it, and has said so itself."""
        return self._wanted is True and self._is_on is True and not self._is_rising

    @property
    def is_closed(self) -> bool | None:
        """Tell whether its relay is closed, as it said last; None: it has not, or is not heard."""
        return self._is_on

    @property
    def is_given_up(self) -> bool:
        """Tell whether it was asked to go off so often that a person must look."""
        return self._wanted is False and self._misses >= RETRIES

    def adopt(self) -> None:
        """Take it for switched on by us, as an earlier process did; nothing is sent to it.

        If it says that it is off, then it is not switched on again: it is lost.
        """
        self._begin(wanted=True)

    @property
    def is_at_rest(self) -> bool:
        """Tell whether it is only looked at: nobody wants it on, or it is off for certain."""
        return self._wanted is None

    @property
    def word(self) -> PlugWord:
        """How it stands."""
        if self._wanted is False and self._is_on is not False:
            return PlugWord.NOT_OFF if self._is_refused else PlugWord.TURNING_OFF
        if self._is_rising:
            return PlugWord.TURNING_ON
        if self._is_on is None:
            return PlugWord.UNKNOWN
        return PlugWord.ON if self._is_on else PlugWord.OFF

    def on(self) -> None:
        """Switch it on from the next `tick`: only ever because a named person has asked."""
        self._begin(wanted=True)
        self._is_rising = True
        self._held_until = float("inf")
        self._steps.extend(one for one in self._plug.steps_on if self._holds or one is not Ask.ARM)

    def off(self) -> None:
        """Switch it off from the next `tick`, and go on until it says that it is."""
        self._begin(wanted=False)
        self._is_on = None
        self._looks = _LOOKS
        self._steps.extend((Ask.OFF, Ask.STATE))

    def take_loss(self) -> HostError | None:
        """Return once why it is not on any more, or did not come on, although it was wanted."""
        lost, self._lost = self._lost, None
        return lost

    def tick(self, now: float) -> None:
        """Move on what is under way, and ask what is due."""
        if self._wanted and now >= self._held_until:
            self._lose(self.trouble or self._error("host.plug_silent", "countdown"))
        if self._question is not None:
            self._listen(self._question, now)
        elif now >= self._next_at:
            self._put(self._steps.popleft() if self._steps else Ask.STATE, now)

    def deadline(self) -> float:
        """Return when `tick` must be called [s]."""
        return min(self._next_at, self._held_until)

    def close(self) -> None:
        """Let go of what is under way; the plug stays as it is, or falls by its countdown."""
        if self._question is not None:
            self._question.close()
            self._question = None

    def _begin(self, *, wanted: bool) -> None:
        self.close()
        self._wanted = wanted
        self._is_rising = self._is_refused = False
        self._misses = 0
        self._held_until = float("inf")
        self._steps.clear()
        self._next_at = float("-inf")

    def _put(self, ask: Ask, now: float) -> None:
        self._ask, self._asked_at = ask, now
        hold_s = HOLD_S if self._holds else 0
        self._next_at = now + STEP_S
        try:
            if self._plug.topic:
                self._question = MqttQuestion(self._plug, ask, hold_s, self._broker, now)
            else:
                path = path_of(self._plug, ask, hold_s)
                self._question = Question(self._plug, path, now, self._keys)
            self._listen(self._question, now)  # its first bytes go out at once
        except HostError as error:
            self._missed(error, now)

    def _listen(self, question: Question | MqttQuestion, now: float) -> None:
        try:
            body = question.step(now)
            if body is None:
                self._next_at = now + STEP_S
                return
            self._question = None
            self._note(body.decode("ascii", "replace"), now)
            told = read_answer(self._plug, self._ask, body)
        except HostError as error:
            self._missed(error, now)
            return
        self.trouble = None
        self._misses = 0 if self._wanted is not False else self._misses
        self._measured(told, now)
        self._next_at = now
        match self._ask:
            case Ask.HABITS if told.habit:
                self._wanted, self._is_rising = None, False
                self._steps.clear()
                self._lost = self._error("host.plug_habit", told.habit)
            case Ask.ON:
                self._held_until = self._asked_at + HOLD_S if self._holds else float("inf")
            case Ask.RENEW if told.was_on is False:
                # Somebody switched it off between our question and this.
                self._lose(self._error("host.plug_off", "renewed"))
            case Ask.RENEW:
                self._held_until = self._asked_at + HOLD_S
                self._next_at = now + RENEW_S
            case Ask.STATE:
                self._stands(told.is_on is True, now)
            case Ask.METER:
                self._next_at = now + LOOK_S

    def _stands(self, is_on: bool, now: float) -> None:
        """Take in what the plug says of its relay, and plan what follows."""
        self._is_on = is_on
        if self._wanted is None:
            self._rest(now)
        elif self._wanted:
            self._keep(is_on, now)
        elif is_on:
            self._is_refused = True
            self._looks = _LOOKS
            self._steps.extend((Ask.OFF, Ask.STATE))
            self._next_at = now + self._patience()
        else:
            self._looks -= 1
            if self._looks <= 0:
                self._wanted = None
            self._next_at = now + (LOOK_AGAIN_S if self._looks > 0 else LOOK_S)

    def _keep(self, is_on: bool, now: float) -> None:
        if not is_on:
            self._lose(self._error("host.plug_off", "found"))
        elif self._is_rising or not self._holds:
            self._is_rising = False
            if self._holds:
                self._next_at = now + RENEW_S
            else:
                self._rest(now)
        else:
            self._steps.append(Ask.RENEW)

    def _missed(self, error: HostError, now: float) -> None:
        """A question came to nothing."""
        self._question = None
        self._note(str(error), now)
        if self._ask is Ask.METER:
            # Many have no meter: that says nothing of their relay.
            self._meterless += 1
            self._meter_at = now + METER_S if self._meterless < _NO_METER else float("inf")
            self._next_at = now + LOOK_S
            return
        self.trouble = error
        self._is_on = None
        self._steps.clear()
        self._next_at = now + (LOOK_S if self._wanted is None else self._patience())
        if self._wanted is False:
            self._is_refused = True
            self._steps.extend((Ask.OFF, Ask.STATE))
        elif self._wanted and self._is_rising:
            self._lose(error)  # nobody can say whether it came on

    def _patience(self) -> float:
        """Return how long to wait for another try [s]; who does not hear is not shouted at."""
        self._misses += 1
        return RETRY_S if self._misses < RETRIES else LOOK_S

    def _rest(self, now: float) -> None:
        """Look again after a while; what it measures, if that is due, at once."""
        self._next_at = now + LOOK_S
        if not self._holds and not self._plug.says_more and now >= self._meter_at:
            self._meter_at = now + METER_S
            self._steps.append(Ask.METER)
            self._next_at = now

    def _measured(self, told: Told, now: float) -> None:
        if told.watts is not None:
            self.said = replace(self.said, watts=told.watts, wh=told.wh, watts_at=now)

    def _note(self, text: str, now: float) -> None:
        self.said = replace(self.said, raw=text[:RAW_MOST], at=now)

    def _lose(self, reason: HostError) -> None:
        self._lost = reason
        self.off()

    def _error(self, code: str, reason: str) -> HostError:
        return HostError(code, plug=str(self._plug), reason=reason)
