"""Our own watch over heaters: from what a firmware reports, tell danger from noise.

Sans-IO: reports and `now` go in, an alarm comes out; what to do about it is for others to
decide. Replies have no checksum, so nothing is believed that was read only once.

*Source:* the rules are those that Klipper (`verify_heater`) and Marlin (`THERMAL_PROTECTION_*`)
apply on their side of the wire; here they also hold for a firmware built without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.profile import FirmwareProfile
from drivers.snapshot import Phase, Snapshot

Readings = Mapping[str, tuple[float, float]]  # heater: actual, target [°C]

JUMP = 25.0  # more than any heater does between two reports that follow at once [°C]
JUMP_RATE = 15.0  # more than any heater or fan does per second [°C/s]
SEEN_JUMP, SEEN = 3, 2  # reports that agree, until a jump, or anything else, is believed
OFF_IS_COOL = 100.0  # what bed and chamber may warm a nozzle that is off to [°C]
_HEATERS = "TBC"  # nozzle, bed, chamber; other letters are air, probes and boards
_SOON = 2  # reports within which a new name must come again: damage can invent one
_MAX_HEATERS = 16
_LONG = 2.0  # shorter waits for an answer are no excuse: moves take so long [s]

# While it does these a firmware may switch its heaters off without saying so.
_PROBING = frozenset({"G28", "G29", "G30", "G33", "G34", "G425", "M600", "M0", "M1", "M226"})
_GONE = frozenset({Phase.STOPPED, Phase.FAULT, Phase.CONNECTING})


@dataclass(frozen=True, slots=True)
class HeatRules:
    """What is normal for one heater, in °C and s.

    :param rise: what it must gain within `rise_time` until it is within `near` of its target.
    :param over: how far above its target it may come.
    :param maximum: never above it; 0: nobody has said.
    """

    rise: float
    rise_time: float
    near: float
    over: float
    maximum: float


@dataclass(frozen=True, slots=True)
class HeatAlarm:
    """A heater does what it must not.

    :param code: `heater.slow`, `heater.over`, `heater.maximum`, `heater.jump` or `heater.stale`.
    :param limit: the number that was broken [°C, for `stale` and `slow` s].
    """

    code: str
    heater: str
    measured: float
    target: float
    limit: float

    def fields(self) -> dict[str, str | float]:
        """Return the fields of its sentence; the unit is in each name."""
        unit = "limit_s" if self.code in ("heater.slow", "heater.stale") else "limit_c"
        return {
            "heater": self.heater,
            "measured_c": round(self.measured, 1),
            "target_c": round(self.target, 1),
            unit: round(self.limit, 1),
        }

    def __str__(self) -> str:
        pairs = ", ".join(f"{name}={value}" for name, value in self.fields().items())
        return f"{self.code} ({pairs})"


def rules_of(
    profile: FirmwareProfile, limits: Mapping[str, object] | None = None
) -> dict[str, HeatRules]:
    """Return the rules by heater letter.

    :param limits: the machine's own; `nozzle_max_c` and `bed_max_c` take the place of the
        profile's, with `over` for a controller that swings.
    """
    rules = {}
    for letter in _HEATERS:
        over = profile.heat_over_c.get(letter, 15.0)
        key = {"T": "nozzle_max_c", "B": "bed_max_c"}.get(letter, "")
        own = (limits or {}).get(key)
        maximum = profile.heat_max_c.get(letter, 0.0)
        if isinstance(own, int | float) and own > 0:
            maximum = float(own) + over
        time = profile.heat_rise_s.get(letter, 60.0)
        rules[letter] = HeatRules(profile.heat_rise_c, time, profile.heat_near_c, over, maximum)
    return rules


class HeatWatch:
    """Watches all heaters of one machine.

    :param rules: by the letter a heater's name begins with.
    :param stale: longest time without a report while anything heats [s].
    """

    def __init__(self, rules: Mapping[str, HeatRules], stale: float) -> None:
        self._rules = rules
        self._stale = stale
        self._heaters: dict[str, _Heater] = {}
        self._strangers: dict[str, int] = {}  # new names: reports left to see them again

    @property
    def is_heating(self) -> bool:
        """Tell whether any heater has a target."""
        return any(heater.target > 0 for heater in self._heaters.values())

    def read(self, readings: Readings, now: float, *, lenient: bool = False) -> HeatAlarm | None:
        """Take in a report; return what is wrong.

        :param lenient: the firmware may have switched heat off without saying so, as it does
            while it probes or waits for a person: a heater need not rise now.
        """
        found: HeatAlarm | None = None
        # "T" is the active tool where all tools also have numbers: it jumps when they change.
        # Beside "T1" without "T0" it is the first tool, as a Smoothie names it.
        numbered = "T0" in readings
        for name, (actual, target) in readings.items():
            rules = self._rules.get(name[:1])
            if rules is None or (name[1:] and not name[1:].isdigit()):
                continue
            if name == "T" and numbered:
                self._heaters.pop(name, None)
                continue
            heater = self._heaters.get(name) or self._met(name, rules)
            if heater is not None:
                alarm = heater.read(actual, target, now, lenient)
                found = found or alarm
        self._strangers = {name: left - 1 for name, left in self._strangers.items() if left > 1}
        return found

    def _met(self, name: str, rules: HeatRules) -> _Heater | None:
        """Return a new heater once its name was seen again soon."""
        if name not in self._strangers:
            if len(self._strangers) < _MAX_HEATERS:
                self._strangers[name] = _SOON + 1
            return None
        del self._strangers[name]
        if len(self._heaters) >= _MAX_HEATERS:
            return None
        heater = self._heaters[name] = _Heater(name, rules)
        return heater

    def silent(self, now: float, excused: float) -> HeatAlarm | None:
        """Return the alarm of a hot heater that nobody hears of any more.

        Ask whenever the excuse may end, and at `deadline`.

        :param excused: time for which no report could be expected [s].
        """
        for heater in self._heaters.values():
            if excused > _LONG:
                # Its answer brings the next report, which then has as long to come as ever.
                heater.due_since = now
            quiet = now - heater.due_since
            if heater.target > 0 and quiet > self._stale:
                return heater.alarm("heater.stale", quiet)
        return None

    def deadline(self) -> float | None:
        """Return when `silent` should be asked [s]; None while nothing heats."""
        due = [h.due_since + self._stale for h in self._heaters.values() if h.target > 0]
        # A little later: at that very instant it is not late yet.
        return min(due) + 0.01 if due else None

    def forget(self) -> None:
        """Begin anew, as after a gap in the conversation."""
        self._heaters.clear()
        self._strangers.clear()


class MachineHeat:
    """Watches the heat of one machine, and knows by what it does what can be expected of it.

    :param limits: the machine's own, as for `rules_of`.
    """

    def __init__(
        self, profile: FirmwareProfile, limits: Mapping[str, object] | None = None
    ) -> None:
        self._watch = HeatWatch(rules_of(profile, limits), profile.heat_stale_s)
        self._alarm: HeatAlarm | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether any heater has a target."""
        return self._watch.is_heating

    def hear(self, readings: Readings, state: Snapshot, now: float) -> None:
        """Take in a report of temperatures, and what the machine is doing."""
        if state.phase in _GONE:
            return
        lenient = state.at_work in _PROBING or state.message == "machine.waits_for_person"
        alarm = self._watch.read(readings, now, lenient=lenient)
        self._alarm = self._alarm or alarm

    def alarm(self, state: Snapshot, now: float) -> HeatAlarm | None:
        """Return once what is wrong with a heater; the machine must be stopped."""
        if state.phase in _GONE:
            self.forget()
            return None
        alarm = self._alarm or self._watch.silent(now, state.excused_s)
        if alarm is not None:
            self.forget()
        return alarm

    def deadline(self) -> float | None:
        """Return when `alarm` should be asked although nothing was heard [s]."""
        return self._watch.deadline()

    def forget(self) -> None:
        """Begin anew, as after the port was lost."""
        self._watch.forget()
        self._alarm = None


@dataclass(slots=True)
class _Goal:
    """A reading that must be seen in time.

    :param lowest: reading since then; one that climbs out of a deep sag is given more time.
    """

    reading: float
    until: float
    since: float
    lowest: float


class _Heater:
    """One heater: what is believed of it, and what it is held to."""

    def __init__(self, name: str, rules: HeatRules) -> None:
        self._name = name
        self._rules = rules
        self._actual: float | None = None
        self._before: float | None = None  # what was believed before that
        self.target = 0.0
        self.heard_at = self.due_since = 0.0
        self._odd: tuple[float, int] | None = None  # a jump, and how often it was seen
        self._asked: tuple[float, int] | None = None  # another target, and how often
        self._beyond = 0  # reports in a row that were too hot
        self._lowest = 0.0  # since the target was set
        self._goal: _Goal | None = None

    def alarm(self, code: str, limit: float) -> HeatAlarm:
        return HeatAlarm(code, self._name, self._actual or 0.0, self.target, limit)

    def read(self, actual: float, target: float, now: float, lenient: bool) -> HeatAlarm | None:
        gap, self.heard_at, self.due_since = now - self.heard_at, now, now
        self._take_target(target, actual)
        if not self._is_believed(actual, gap):
            return None
        jumped = self._odd is not None
        self._odd = None
        self._before, self._actual = self._actual, actual
        self._lowest = min(self._lowest, actual)
        if jumped and self.target:
            return self.alarm("heater.jump", JUMP)
        return self._too_hot() or self._too_slow(now, lenient)

    def _take_target(self, target: float, actual: float) -> None:
        if self._actual is None:
            self.target, self._lowest = target, actual
        if target == self.target:
            self._asked = None
            return
        seen = self._asked[1] + 1 if self._asked and self._asked[0] == target else 1
        self._asked = (target, seen)
        if seen < SEEN:
            return
        was, self.target, self._asked = self.target, target, None
        self._lowest = actual
        # A program that changes its mind every few seconds must not put the check off.
        if not (self._goal is not None and was and target > actual + self._rules.near):
            self._goal = None

    def _is_believed(self, actual: float, gap: float) -> bool:
        """Tell whether a reading can be, or has been seen often enough to be."""
        if self._actual is None:
            return True
        far = JUMP + JUMP_RATE * gap
        if abs(actual - self._actual) <= far:
            self._odd = None
            return True
        if self._odd is None and self._before is not None and abs(actual - self._before) <= far:
            # A damaged reading can be near enough to the true one to be believed; the next true
            # one is then no jump.
            self._actual = self._before
            return True
        near = self._odd is not None and abs(actual - self._odd[0]) <= JUMP
        seen = self._odd[1] + 1 if self._odd is not None and near else 1
        self._odd = (actual, seen)
        return seen >= SEEN_JUMP

    def _too_hot(self) -> HeatAlarm | None:
        assert self._actual is not None
        rules = self._rules
        # On its way down it is above the target and nothing is wrong, as long as it falls.
        base = max(self.target, self._lowest)
        ceiling = (base if self.target else max(base, OFF_IS_COOL)) + rules.over
        code, limit = "heater.over", ceiling
        if rules.maximum and rules.maximum < ceiling:
            code, limit = "heater.maximum", rules.maximum
        self._beyond = self._beyond + 1 if self._actual > limit else 0
        return self.alarm(code, limit) if self._beyond >= SEEN else None

    def _too_slow(self, now: float, lenient: bool) -> HeatAlarm | None:
        assert self._actual is not None
        rules, actual = self._rules, self._actual
        if not self.target or lenient:
            self._goal = None
        elif actual >= self.target - rules.near:
            # Arrived: from here on it may sag for longer than it may rise slowly.
            self._goal = _Goal(self.target - rules.near, now + 2 * rules.rise_time, now, actual)
        elif self._goal is None or actual >= self._goal.reading:
            self._goal = _Goal(actual + rules.rise, now + rules.rise_time, now, actual)
        elif now < self._goal.until:
            self._goal.lowest = min(self._goal.lowest, actual)
        elif actual >= self._goal.lowest + rules.rise:
            self._goal = _Goal(actual + rules.rise, now + rules.rise_time, now, actual)
        else:
            return self.alarm("heater.slow", now - self._goal.since)
        return None
