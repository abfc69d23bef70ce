"""The heater watch sees what is dangerous and keeps quiet about all that is normal."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.heat import HeatRules, HeatWatch, rules_of
from drivers.profile import load_profile

PROFILE = load_profile("marlin-2")
LIMITS = {"nozzle_max_c": 260.0, "bed_max_c": 110.0}
EVERY = 2.0  # between two reports [s]


class Plant:
    """A heated mass: power up to `rise` above the room, `inertia`, seen with a `lag` [s]."""

    def __init__(self, rise, inertia, lag=2.0, room=22.0, step=0.5):
        self.keep, self.follow = math.exp(-step / inertia), math.exp(-step / lag)
        self.step = step
        self.rise, self.room = rise, room
        self.mass = self.read = room
        self.target = 0.0
        self.broken = ""
        self.fan = 0.0  # share of the power that it takes

    def pass_time(self, seconds):
        for _ in range(round(seconds / self.step)):
            duty = 0.0
            if self.target:
                holding = (self.target - self.room) / self.rise
                duty = min(max(holding + 0.08 * (self.target - self.read), 0.0), 1.0)
            duty = {"dead": 0.0, "runaway": 1.0}.get(self.broken, duty)
            end = self.room + self.rise * max(duty - self.fan * (self.mass > 60), 0.0)
            self.mass += (end - self.mass) * (1 - self.keep)
            if self.broken != "stuck":
                self.read += (self.mass - self.read) * (1 - self.follow)


def watch():
    return HeatWatch(rules_of(PROFILE, LIMITS), PROFILE.heat_stale_s)


def lived(heat, plants, seconds, now=0.0, noise=None, lenient=False):
    """Let time pass; return the first alarm and when it came."""
    for step in range(round(seconds / EVERY)):
        at = now + step * EVERY
        readings = {}
        for name, plant in plants.items():
            plant.pass_time(EVERY)
            wobble = noise.uniform(-1.0, 1.0) if noise else 0.0
            readings[name] = (plant.read + wobble, plant.target)
        if (alarm := heat.read(readings, at, lenient=lenient)) is not None:
            return alarm, at
        if (alarm := heat.silent(at, 0.0)) is not None:
            return alarm, at
    return None, now + seconds


@settings(max_examples=25, deadline=None)
@given(
    rise=st.floats(260.0, 700.0),
    inertia=st.floats(40.0, 220.0),
    lag=st.floats(0.5, 6.0),
    targets=st.lists(st.integers(150, 240), min_size=1, max_size=5),
    fan=st.floats(0.0, 0.12),
    seed=st.integers(0, 2**32),
)
def test_no_plausible_nozzle_is_ever_called_dangerous(rise, inertia, lag, targets, fan, seed):
    """Any power, mass and thermometer; set hotter and cooler, fan on and off, and then off."""
    # Heat on its way to the thermometer is what a controller must swing over by.
    plant = Plant(rise, inertia, min(lag, 15.0 * inertia / rise))
    heat, noise = watch(), random.Random(seed)
    now = 0.0
    for target in [*targets, 0]:
        # What a firmware demands of its heater itself, and noise: the last degrees before it
        # has arrived are the slowest, and a fan may not take more than there is to spare.
        needed = (target - plant.room) + 5.0 * inertia / 20.0
        spare = 1.0 - needed / rise
        plant.target = float(target) if spare > 0.0 else 0.0
        for strength in (0.0, min(fan, max(spare, 0.0)), 0.0):
            plant.fan = strength
            alarm, now = lived(heat, {"T": plant}, noise.randrange(20, 200), now, noise)
            assert alarm is None, (alarm, target, now)


@settings(max_examples=12, deadline=None)
@given(
    rise=st.floats(90.0, 160.0),
    inertia=st.floats(200.0, 900.0),
    target=st.integers(40, 100),
    seed=st.integers(0, 2**32),
)
def test_no_plausible_bed_is_too_slow(rise, inertia, target, seed):
    """Even one that needs most of an hour."""
    plant = Plant(rise, inertia, lag=5.0, step=2.0)
    near = target - PROFILE.heat_near_c - plant.room
    # The last degree before it has arrived is the slowest; firmware demands as much.
    if (rise - near) / inertia * 60.0 < 1.5 * (PROFILE.heat_rise_c + 2.0):
        target = 45
    plant.target = float(target)
    alarm, _ = lived(watch(), {"B": plant}, 3600, noise=random.Random(seed))
    assert alarm is None, alarm


def test_a_cooling_wait_and_a_switched_off_heater_are_no_overshoot():
    heat, plant = watch(), Plant(400.0, 118.0)
    plant.target = 250.0
    assert lived(heat, {"T": plant}, 300)[0] is None
    plant.target = 170.0  # M109 R170
    assert lived(heat, {"T": plant}, 300, 300.0)[0] is None
    plant.target = 0.0
    assert lived(heat, {"T": plant}, 600, 600.0)[0] is None


def test_a_nozzle_that_is_off_may_be_warmed_by_bed_and_chamber():
    heat = watch()
    for step in range(200):
        assert heat.read({"T": (22.0 + 0.3 * step, 0.0)}, 2.0 * step) is None


def test_a_cartridge_that_has_fallen_out_is_seen_on_the_way_up_and_when_hot():
    heat, plant = watch(), Plant(400.0, 118.0)
    plant.target, plant.broken = 210.0, "dead"
    alarm, at = lived(heat, {"T": plant}, 300)
    assert (alarm.code, alarm.heater) == ("heater.slow", "T")
    assert at <= 25.0
    heat, plant = watch(), Plant(400.0, 118.0)
    plant.target = 210.0
    assert lived(heat, {"T": plant}, 300)[0] is None
    plant.broken = "dead"
    alarm, at = lived(heat, {"T": plant}, 300, 300.0)
    assert alarm.code == "heater.slow"
    assert at <= 300.0 + 60.0


def test_a_thermistor_that_is_stuck_is_seen_as_a_heater_that_does_not_rise():
    heat, plant = watch(), Plant(400.0, 118.0)
    plant.target = 210.0
    assert lived(heat, {"T": plant}, 20)[0] is None
    plant.broken = "stuck"
    alarm, at = lived(heat, {"T": plant}, 100, 20.0)
    assert alarm.code == "heater.slow"
    assert at <= 20.0 + 26.0


@pytest.mark.parametrize("target", [0.0, 150.0, 210.0])
def test_a_heater_that_does_not_stop_is_seen_before_it_burns(target):
    heat, plant = watch(), Plant(400.0, 118.0)
    plant.target = 210.0
    now = 300.0
    assert lived(heat, {"T": plant}, now)[0] is None
    plant.target, plant.broken = target, "runaway"
    alarm, _ = lived(heat, {"T": plant}, 300, now)
    assert alarm.code == "heater.over"
    assert plant.read <= 210.0 + 25.0 + 20.0
    assert alarm.measured > alarm.limit


def test_a_reading_above_the_machines_own_maximum_is_seen_whatever_the_target():
    heat = watch()
    alarms = [heat.read({"T": (t, 280.0)}, 2.0 * n) for n, t in enumerate((270, 280, 286, 287))]
    assert alarms[:3] == [None, None, None]
    assert (alarms[3].code, alarms[3].limit) == ("heater.maximum", 285.0)


def test_only_a_heater_that_is_on_has_to_report_and_a_good_excuse_counts():
    heat = watch()
    heat.read({"T": (22.0, 0.0)}, 0.0)
    assert heat.deadline() is None
    assert heat.silent(1000.0, 0.0) is None
    heat.read({"T": (22.0, 210.0)}, 1000.0)
    heat.read({"T": (23.0, 210.0)}, 1002.0)
    due = heat.deadline()
    assert heat.silent(due - 0.02, 1.0) is None
    assert heat.silent(due, 5.0) is None, "it is at a long command"
    assert heat.silent(due + 9.9, 0.0) is None, "which has just ended"
    due = heat.deadline()
    alarm = heat.silent(due, 1.0)
    assert (alarm.code, alarm.heater) == ("heater.stale", "T")
    assert str(alarm) == "heater.stale (heater=T, measured_c=23.0, target_c=210.0, limit_s=10.0)"


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_single_damaged_reports_are_noise(data):
    """No reply has a checksum: any report may name any temperature and any target, once."""
    heat, plant = watch(), Plant(400.0, 118.0)
    plant.target = 210.0
    wild = st.floats(-300.0, 3000.0, allow_nan=False)
    until = 0
    for step in range(120):
        plant.pass_time(EVERY)
        report = {"T": (plant.read, plant.target)}
        if step > 2 and step >= until and data.draw(st.integers(0, 9)) == 0:
            report = {"T": (data.draw(wild), data.draw(wild))}
            if data.draw(st.booleans()):
                report[data.draw(st.sampled_from(["T0", "T77", "B"]))] = (data.draw(wild), 0.0)
            until = step + 3
        assert heat.read(report, step * EVERY) is None


def test_a_digit_that_was_lost_while_it_heats_is_no_jump_of_the_true_ones_after_it():
    """55.3 read as 5.3 is near enough to be believed, and farther from 65 than a heater comes."""
    heat = watch()
    readings = [35.0, 45.0, 55.0, 5.3, 65.0, 75.0, 85.0, 95.0, 105.0]
    assert [heat.read({"T": (t, 210.0)}, 2.0 * n) for n, t in enumerate(readings)] == [None] * 9


def test_a_thermometer_that_jumps_and_stays_is_broken_if_its_heater_is_on():
    heat = watch()
    for step in range(4):
        assert heat.read({"B": (60.0, 60.0)}, 2.0 * step) is None
    alarms = [heat.read({"B": (-14.0, 60.0)}, 8.0 + 2.0 * step) for step in range(4)]
    assert [alarm.code for alarm in alarms if alarm] == ["heater.jump"] + (
        ["heater.slow"] if alarms[3] else []
    )
    cold = watch()
    for step in range(12):
        actual = 22.0 if step < 5 else -14.0
        assert cold.read({"B": (actual, 0.0)}, 2.0 * step) is None


def test_the_active_tool_may_change_where_tools_have_numbers():
    heat = watch()
    for step in range(40):
        active = (210.0, 210.0) if step % 8 < 4 else (25.0, 0.0)
        report = {"T": active, "T0": (210.0, 210.0), "T1": (25.0, 0.0)}
        assert heat.read(report, 2.0 * step) is None


def test_a_first_tool_without_a_number_is_watched_beside_the_others():
    """A Smoothie of two tools reports them as T and T1."""
    heat, first, second = watch(), Plant(400.0, 118.0), Plant(400.0, 118.0)
    first.target, first.broken = 210.0, "dead"
    alarm, _ = lived(heat, {"T": first, "T1": second}, 60)
    assert alarm is not None
    assert (alarm.code, alarm.heater) == ("heater.slow", "T")


def test_a_heater_need_not_rise_while_the_firmware_may_have_switched_it_off():
    heat, plant = watch(), Plant(400.0, 118.0)
    plant.target = 210.0
    assert lived(heat, {"T": plant}, 300)[0] is None
    plant.broken = "dead"  # Marlin's M600 lets the nozzle cool, and keeps its target
    assert lived(heat, {"T": plant}, 600, 300.0, lenient=True)[0] is None
    plant.broken = ""
    assert lived(heat, {"T": plant}, 300, 900.0)[0] is None


def test_a_target_that_changes_all_the_time_does_not_put_the_check_off():
    heat, plant = watch(), Plant(400.0, 118.0)
    plant.broken = "dead"
    found = []
    for step in range(40):
        plant.target = 200.0 + step // 4
        alarm, _ = lived(heat, {"T": plant}, EVERY, step * EVERY)
        found += [alarm.code] if alarm else []
    assert found
    assert found[0] == "heater.slow"


def test_only_heaters_are_watched_and_a_machine_without_limits_has_the_profiles():
    heat = watch()
    for step in range(8):
        report = {"A": (500.0, 0.0), "P": (10.0 * step, 0.0), "@": (127.0, 0.0)}
        assert heat.read(report, 2.0 * step) is None
    assert rules_of(PROFILE)["T"] == HeatRules(2.0, 20.0, 5.0, 25.0, 0.0)
    assert rules_of(PROFILE, LIMITS)["B"].maximum == 125.0
