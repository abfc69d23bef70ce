"""By hand at a Grbl: only what is legal, confirmed by what the board says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.acts import Act, Order
from drivers.engine import GrblEngine
from drivers.profile import load_profile
from drivers.simulators import Wishes, build
from drivers.snapshot import Event, Phase

HOMING = {"22": 1.0, "20": 1.0}
KIN = ["grbl-1.1", "grblhal", "fluidnc"]
REACH = {"X": (-300.0, 0.0), "Y": (-400.0, 0.0), "Z": (-80.0, 0.0)}


class Lines(list[bytes]):
    def line(self, index: int) -> bytes:
        return self[index]

    def source_line(self, index: int) -> int:
        return index + 1


class Bench:
    """An engine and a simulated board in one time of their own."""

    def __init__(self, profile: str = "grbl-1.1", **wishes: object) -> None:
        self.board = build(profile, Wishes(**wishes))  # type: ignore[arg-type]
        self.engine = GrblEngine(replace(load_profile(profile), boot_wait_s=0.5), 0.0)
        self.events: list[Event] = []
        self.sent = bytearray()
        self.now = 0.0
        self.engine.connect(0.0)

    def turn(self, step: float = 0.01) -> None:
        self.now += step
        for out in (self.engine.urgent_to_send(self.now), self.engine.data_to_send(self.now)):
            self.sent += out
            if out:
                self.board.write(out, self.now)
        self.events += self.engine.receive(self.board.read(self.now), self.now)

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.01)):
            self.turn()

    def until(self, what, seconds: float = 60.0):
        for _ in range(int(seconds / 0.01)):
            if what():
                return
            self.turn()
        raise AssertionError(f"{self.engine.snapshot(self.now)} {self.events[-5:]}")

    def ready(self) -> Bench:
        self.until(lambda: self.engine.snapshot(self.now).connected)
        self.run(1.5)
        return self

    def act(self, act: Act, **amounts: object) -> str:
        return self.engine.act(Order(act, **amounts), REACH, self.now)  # type: ignore[arg-type]

    def home(self) -> Bench:
        assert self.act(Act.HOME) == ""
        self.until(lambda: self.engine.snapshot(self.now).homed)
        self.run(1.5)
        return self

    @property
    def state(self) -> str:
        return self.engine.snapshot(self.now).controller

    @property
    def acts(self) -> set[str]:
        return set(self.engine.snapshot(self.now).acts)

    @property
    def codes(self) -> list[str]:
        return [event.code for event in self.events if hasattr(event, "code")]


# What the firmware tells of itself


def test_a_bigger_ring_is_believed_when_told_twice_and_filled_without_overflow() -> None:
    bench = Bench("grblhal").ready()
    assert bench.engine._flow.rx_bytes == 1023
    program = Lines([b"G1X%d.5Y%d.5F9000" % (n % 90, n % 70) for n in range(400)])
    bench.engine.start(program, bench.now)
    most = 0
    for _ in range(300):
        bench.turn()
        most = max(most, bench.engine._flow.bytes)
    assert 500 < most <= 1023
    assert bench.board.overflowed == 0


def test_a_bigger_ring_told_once_only_is_not_believed() -> None:
    """Nothing on that line has a checksum."""
    engine = GrblEngine(load_profile("grbl-1.1"), 0.0)
    for told, believed in ((528, 127), (128, 127), (528, 127), (528, 527)):
        engine.receive(b"[OPT:V,15,%d]\n" % told, 0.0)
        assert engine._flow.rx_bytes == believed
    engine.receive(b"[OPT:V,15,64]\n", 0.0)
    assert engine._flow.rx_bytes == 63


def test_a_board_that_tells_no_size_keeps_the_one_of_its_profile() -> None:
    assert Bench("fluidnc").ready().engine._flow.rx_bytes == 255


@pytest.mark.parametrize(("value", "laser"), [(0.0, False), (1.0, True)])
def test_laser_mode_is_known_from_the_settings(value: float, laser: bool) -> None:
    bench = Bench(settings={"32": value}).ready()
    assert bench.engine.snapshot(bench.now).laser is laser


def test_its_settings_are_told_with_their_units() -> None:
    bench = Bench(settings=HOMING).ready()
    told = bench.engine.snapshot(bench.now).told
    assert (told["soft_limits"], told["hard_limits"], told["homing"]) == (True, False, True)
    assert told["spindle_max_rpm"] == 24000
    assert told["feed_max_z_mm_min"] == 2000
    assert told["travel_x_mm"] == 300


def test_homing_is_offered_only_where_the_firmware_has_it() -> None:
    assert "home" not in Bench().ready().acts
    assert "home" in Bench(settings=HOMING).ready().acts


# What is legal when


def test_each_state_offers_its_own_acts_and_refuses_all_others() -> None:
    bench = Bench(settings=HOMING).ready()
    assert bench.state == "Alarm"
    assert bench.acts == {"unlock", "home", "reset"}
    assert bench.act(Act.JOG, axes={"X": 1.0}, feedrate=10.0) == "host.not_now"
    assert bench.act(Act.UNLOCK) == ""
    bench.run(2.0)
    assert bench.state == "Idle"
    assert bench.acts == {"feed", "rapid", "spindle", "jog", "home", "zero", "reset", "off"}
    assert bench.act(Act.UNLOCK) == "host.not_now"


def test_a_reset_is_not_offered_while_a_hold_still_slows_down() -> None:
    """It would lose the position."""
    bench = Bench().ready()
    bench.board.write(b"G1 X100 F6000\n", bench.now)
    bench.run(0.5)
    bench.until(lambda: bench.state == "Run", 3.0)
    assert bench.act(Act.HOLD) == ""
    seen = set()
    for _ in range(200):
        bench.turn()
        if bench.state == "Hold:1":
            assert "reset" not in bench.acts
            assert "resume" not in bench.acts
        seen.add(bench.state)
    assert bench.state == "Hold:0"
    assert {"reset", "resume", "spindle-toggle"} <= bench.acts
    assert bench.act(Act.RESUME) == ""
    bench.until(lambda: bench.state == "Run", 3.0)


def test_check_mode_and_sleep_are_left_by_a_reset() -> None:
    bench = Bench().ready()
    for word, state in ((b"$C\n", "Check"), (b"$SLP\n", "Sleep")):
        bench.board.write(word, bench.now)
        bench.until(lambda state=state: bench.state == state, 5.0)
        assert bench.acts == {"reset"}
        assert bench.act(Act.RESET) == ""
        bench.until(lambda: "reset" in bench.acts and len(bench.acts) > 1, 10.0)
        if bench.state == "Alarm":
            bench.act(Act.UNLOCK)
            bench.until(lambda: bench.state == "Idle", 5.0)


@pytest.mark.parametrize("alarm", [1, 2])
def test_after_a_limit_it_waits_mute_for_a_reset_that_a_person_asks_for(alarm: int) -> None:
    bench = Bench(settings=HOMING).ready().home()
    bench.board._fail(alarm)  # type: ignore[attr-defined]
    bench.run(40.0)  # longer than any silence would be borne
    assert bench.acts == {"reset"}
    assert bench.engine.phase is Phase.IDLE
    assert "machine.silent" not in bench.codes
    assert bench.sent.count(b"\x18") == 0
    assert bench.act(Act.RESET) == ""
    bench.until(lambda: "unlock" in bench.acts, 10.0)
    assert bench.state == "Alarm"
    assert not bench.engine.snapshot(bench.now).homed or alarm == 2


def test_a_board_found_mute_may_be_reset_by_a_person() -> None:
    bench = Bench()
    bench.run(0.4)
    bench.board._fail(1)  # type: ignore[attr-defined]
    bench.run(4.0)
    assert bench.acts == set()
    bench.run(4.0)
    assert bench.acts == {"reset"}
    bench.act(Act.RESET)
    bench.until(lambda: bench.engine.snapshot(bench.now).connected, 10.0)


def test_nothing_that_waits_in_the_queue_follows_a_reset_by_hand() -> None:
    """What is on this side of the wire would be obeyed by a board that has just started anew."""
    bench = Bench(settings=HOMING).ready().home()
    assert bench.engine.command(b"G0X-9", bench.now)
    assert bench.act(Act.RESET) == ""
    assert bench.engine.flush_first, "the caller empties its queue first"
    assert bench.engine.urgent_to_send(bench.now) == b"\x18"
    assert bench.engine.data_to_send(bench.now) == b""
    assert not bench.engine.flush_first


# Overrides


@pytest.mark.parametrize("profile", KIN)
@pytest.mark.parametrize(
    ("act", "percent", "shown"), [("feed", 137, 137), ("spindle", 62, 62), ("rapid", 25, 25)]
)
def test_an_override_comes_to_its_percentage_and_is_shown(profile, act, percent, shown) -> None:
    bench = Bench(profile).ready()
    assert bench.act(Act(act), percent=percent) == ""
    bench.until(lambda: bench.engine.snapshot(bench.now).overrides.get(act) == shown, 10.0)
    bench.run(1.0)
    assert bench.engine.snapshot(bench.now).overrides[act] == shown
    assert not bench.engine._wanted


def test_a_report_from_before_a_step_does_not_bring_another_step() -> None:
    bench = Bench().ready()
    bench.until(lambda: bench.engine.snapshot(bench.now).overrides, 20.0)
    bench.act(Act.FEED, percent=130)
    assert bench.engine.urgent_to_send(bench.now) == b"\x91"
    for shown, sent in ((b"100", b""), (b"110", b"\x91"), (b"110", b""), (b"120", b"\x91")):
        bench.now += 0.05
        report = b"<Idle|MPos:0.000,0.000,0.000|FS:0,0|Ov:%s,100,100>\n" % shown
        bench.engine.receive(report, bench.now)
        assert bench.engine.urgent_to_send(bench.now).strip(b"?") == sent
    bench.now += 0.6
    bench.engine.receive(report, bench.now)
    assert bench.engine.urgent_to_send(bench.now).strip(b"?") == b"\x91", "it was lost"


def test_an_override_works_in_mid_program_without_a_line() -> None:
    bench = Bench().ready()
    bench.engine.start(Lines([b"G1X%dF600" % (n % 2) for n in range(200)]), bench.now)
    bench.run(0.5)
    assert bench.act(Act.FEED, percent=150) == ""
    bench.until(lambda: bench.engine.snapshot(bench.now).overrides.get("feed") == 150, 5.0)
    assert bench.engine.phase is Phase.STREAMING


@pytest.mark.parametrize("profile", KIN)
@given(
    orders=st.lists(
        st.tuples(
            st.sampled_from(list(Act)), st.integers(10, 200), st.sampled_from(["X", "Y", "Z"])
        ),
        max_size=12,
    )
)
@settings(max_examples=15, deadline=None)
def test_no_byte_is_ever_sent_that_the_profile_does_not_name(profile, orders) -> None:
    """FluidNC runs macros on 0x87-0x8A; whatever a person does, they stay out."""
    bench = Bench(profile, settings=HOMING).ready()
    for act, percent, axis in orders:
        bench.act(act, percent=percent, axes={axis: 3.0}, feedrate=50.0)
        bench.run(0.15)
    named = {ord(byte) for byte in load_profile(profile).realtime.values()}
    assert {byte for byte in bench.sent if byte >= 0x80} <= named
    assert not bench.board.record.of("macro")


# Jogging


def test_a_jog_moves_and_a_cancel_ends_it_at_once() -> None:
    bench = Bench(settings=HOMING).ready().home()
    before = bench.engine.snapshot(bench.now).position["X"]
    assert bench.act(Act.JOG, axes={"X": -100.0}, feedrate=20.0) == ""
    bench.run(1.0)
    assert bench.state == "Jog"
    assert bench.act(Act.JOG_CANCEL) == ""
    bench.run(1.0)
    assert bench.state == "Idle"
    there = bench.engine.snapshot(bench.now).position["X"]
    assert before - 30.0 < there < before - 10.0
    bench.run(3.0)
    assert bench.engine.snapshot(bench.now).position["X"] == there
    assert bench.engine.snapshot(bench.now).homed


def test_a_cancel_right_behind_its_jog_is_not_lost() -> None:
    """It comes before Grbl has read the line, when there is nothing to cancel yet."""
    bench = Bench(settings=HOMING).ready().home()
    bench.act(Act.JOG, axes={"X": -100.0}, feedrate=20.0)
    assert bench.act(Act.JOG_CANCEL) == ""
    bench.run(2.0)
    assert bench.state == "Idle"
    assert -1.2 < bench.engine.snapshot(bench.now).position["X"] < -1.0


def test_a_jog_out_of_reach_and_a_long_one_before_homing_are_refused() -> None:
    bench = Bench(settings=HOMING).ready()
    bench.act(Act.UNLOCK)
    bench.run(1.5)
    assert bench.act(Act.JOG, axes={"X": 10.5}, feedrate=20.0) == "host.not_homed"
    bench.home()
    assert bench.act(Act.JOG, axes={"X": 2.0}, feedrate=20.0) == "host.out_of_reach"
    assert bench.act(Act.JOG, axes={"Z": -79.5}, feedrate=20.0) == "host.out_of_reach"
    assert bench.act(Act.JOG, axes={"Z": -70.0}, feedrate=20.0) == ""


def test_jogs_never_pile_up() -> None:
    bench = Bench(settings=HOMING).ready().home()
    answers = []
    for _ in range(10):
        answers.append(bench.act(Act.JOG, axes={"X": -10.0}, feedrate=10.0))
        bench.run(0.1)
    assert answers[:3] == ["", "", "host.too_far_ahead"]
    bench.act(Act.JOG_CANCEL)
    bench.run(1.0)
    assert bench.engine.snapshot(bench.now).position["X"] > -15.0


def test_a_jog_is_no_line_that_must_go_alone_and_holds_no_realtime_byte() -> None:
    bench = Bench().ready()
    bench.engine.command(b"G1 X1 (what?! ~\x85)", bench.now)
    out = bench.engine.data_to_send(bench.now)
    assert out == b"G1 X1 (what )\n"


# Cancel


def cancelled(settings_: dict[str, float]) -> Bench:
    bench = Bench(settings=settings_).ready()
    if settings_.get("22"):
        bench.home()
    program = [b"G90", b"M3S1000", b"M8", b"G1Z-40F3000", *[b"G1X-%dF900" % n for n in range(60)]]
    bench.engine.start(Lines(program), bench.now)
    bench.run(3.0)
    bench.engine.cancel(bench.now)
    bench.until(lambda: any(event.kind == "cancelled" for event in bench.events), 40.0)
    return bench


def executed(bench: Bench) -> list[object]:
    return [fact["line"] for fact in bench.board.record.of("executed")]


def test_a_cancel_keeps_the_place_switches_off_and_then_goes_up() -> None:
    bench = cancelled(HOMING)
    assert executed(bench)[-4:] == ["M5", "M9", "G53G0Z-2", "G4P0.01"]
    bench.run(1.5)
    assert bench.engine.snapshot(bench.now).position["Z"] == -2.0
    assert bench.engine.snapshot(bench.now).homed
    assert [fact["alarm"] for fact in bench.board.record.of("soft-reset")] == [0]


def test_a_cancel_does_not_go_up_where_nobody_knows_how_high_it_is() -> None:
    assert executed(cancelled({}))[-2:] == ["M5", "M9"]


def test_a_laser_does_not_go_up() -> None:
    assert executed(cancelled(HOMING | {"32": 1.0}))[-2:] == ["M5", "M9"]


@pytest.mark.parametrize("profile", KIN)
def test_a_cancel_ends_soon_whether_there_is_a_banner_or_not(profile: str) -> None:
    bench = Bench(profile).ready()
    bench.engine.start(Lines([b"G1X%dF600" % n for n in range(60)]), bench.now)
    bench.run(1.0)
    bench.engine.cancel(bench.now)
    began = bench.now
    bench.until(lambda: any(event.kind == "cancelled" for event in bench.events), 10.0)
    assert bench.now - began < 2.0
    assert executed(bench)[-2:] == ["M5", "M9"]


# Tool change of grblHAL


def test_a_tool_change_is_told_and_goes_on_when_a_person_says_so() -> None:
    bench = Bench("grblhal").ready()
    bench.engine.start(Lines([b"G1X1F600", b"T2M6", b"G1X2F600"]), bench.now)
    bench.until(lambda: bench.state == "Tool", 5.0)
    bench.run(5.0)
    assert bench.engine.snapshot(bench.now).message == "machine.tool_change"
    assert bench.act(Act.RESUME) == ""
    bench.until(lambda: any(event.kind == "finished" for event in bench.events), 10.0)


def test_one_axis_is_homed_alone_only_where_the_build_can() -> None:
    bench = Bench(settings=HOMING).ready()
    assert bench.act(Act.HOME, axes={"X": 0.0}) == "host.not_now"
    bench.engine.receive(b"[OPT:VH,15,128]\n", bench.now)
    assert bench.engine.snapshot(bench.now).told["homes_axes"] is True
    assert bench.act(Act.HOME, axes={"X": 0.0, "Z": 0.0}) == ""
    assert bench.engine.data_to_send(bench.now) == b"$HZ\n", "the tool goes up first"
