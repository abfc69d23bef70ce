"""Which board a machine has, and whose hands are on it: what the host makes of what it hears."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import HostError, PortError
from drivers.host.board import Board
from drivers.host.config import HostConfig
from drivers.host.hands import OURS_S, QUIET_S, Hands
from drivers.host.machine import Machine
from drivers.host.watching import LOOK_EVERY_S, LOOK_IN_USE_S
from drivers.identity import Identity, differences
from drivers.journal import Journal
from drivers.profile import load_profile
from drivers.simulators.usb import Plug, UsbSide
from drivers.snapshot import Attention, Phase, Snapshot, TemperatureRead

IDLE = Snapshot(phase=Phase.IDLE, connected=True, temperatures={"T": (21.0, 0.0)})
HOT = replace(IDLE, temperatures={"T": (21.0, 200.0)})
RUN = replace(IDLE, controller="Run")
OURS = {"uuid": "aaaa", "machine_type": "Ender-3"}
THEIRS = {"uuid": "bbbb", "machine_type": "Ender-3"}
SHARED = {"uuid": "cede2a2f-41a2-4748-9b12-c55c62f367ff", "machine_type": "Ender-3"}
CH340 = Plug("1a86", "7523", position="1-1.2")
TWIN = Plug("1a86", "7523", position="1-1.3")


class FakeSession:
    def __init__(self, publish):
        self.publish = publish
        self.state = replace(IDLE, board=OURS)
        self.told: list[bytes] = []
        self.speaks: list[object] = []
        self.wants_write = False

    def fileno(self):
        return -1

    def deadline(self):
        return None

    def ready(self, now):
        said, self.speaks = self.speaks, []
        for event in said:
            self.publish(event)

    def express(self, wait, clock, until, expect):
        return False

    def command(self, line, now):
        self.told.append(line)
        return True

    def snapshot(self, now):
        return self.state

    def reset_on_close(self):
        pass

    def close(self):
        pass


class Bench:
    """One machine on a folder that stands for the computer."""

    def __init__(self, root: Path, profile: str = "marlin-2") -> None:
        self.root = root
        self.state = root / "state"
        self.state.mkdir(exist_ok=True)
        self.config = HostConfig(
            machine="anna",
            kind="fdm",
            port=str(root / "dev/ttyUSB0"),
            baud=115200,
            profile=load_profile(profile),
            limits_sha256="limits",
            socket=root / "s",
            state_dir=self.state,
            devices=root,
        )
        self.opened: list[str] = []
        self.events: list[tuple[str, object]] = []
        self.sessions: list[FakeSession] = []
        self.board = OURS
        self.first = IDLE
        self.begin()

    def begin(self) -> None:
        """Be a host that has just started."""
        clock = itertools.count(1)
        self.journal = Journal(self.state)
        self.machine = Machine(self.config, self.journal, self.open, self.hear, lambda: next(clock))
        self.machine.tick(0.0)

    def again(self) -> None:
        """End the host and start another."""
        self.journal.close()
        self.begin()

    def open(self, config, publish, now):
        if not Path(config.port).exists():
            raise PortError("port.not_found", port=config.port)
        self.opened.append(Path(config.port).name)
        self.sessions.append(FakeSession(publish))
        self.sessions[-1].state = replace(self.first, board=self.board)
        return self.sessions[-1]

    def hear(self, event):
        self.events.append((event.kind, event.fields.get("why")))

    def reconnect(self, now: float) -> None:
        self.machine.disconnect(now)
        self.machine.tick(now + 20.0)

    @property
    def differs(self):
        return self.machine.snapshot(0.0).differs

    @property
    def in_use(self):
        return self.machine.snapshot(0.0).in_use

    def refused(self) -> str:
        """Return why nothing may start now; "" if only the name of the run is in the way."""
        try:
            self.machine.start("x" * 65, [], {}, 1.0)  # type: ignore[arg-type]
        except HostError as error:
            return error.code.removeprefix("host.no_journal")
        raise AssertionError("no run may have such a name")


def plug_in(root: Path, plug: Plug, tty: str) -> UsbSide:
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / tty).touch()
    side = UsbSide(root, plug)
    side.plug_in(tty)
    return side


def pull_out(root: Path, side: UsbSide, tty: str) -> None:
    side.pull_out()
    (root / "dev" / tty).unlink()


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    plug_in(tmp_path, CH340, "ttyUSB0")
    bench = Bench(tmp_path)
    yield bench
    bench.journal.close()


# Which board it is


def test_the_first_board_is_learned_and_known_again(bench):
    assert bench.differs == ()
    assert bench.machine.snapshot(0.0).identity == {
        "usb": "1a86:7523",
        "position": "0000:00:14.0/1.2:1.0",
        **OURS,
    }
    bench.again()
    assert bench.differs == ()
    assert bench.refused() == ""


def test_a_swapped_board_starts_nothing_until_a_person_says_it_is_the_machines(bench):
    bench.board = THEIRS
    bench.reconnect(1.0)
    assert bench.differs == ("uuid",)
    assert bench.refused() == "host.other_board"
    bench.again()
    assert bench.refused() == "host.other_board", "a restart does not make it right"
    bench.machine.own_board("Eva", 30.0)
    assert (bench.differs, bench.refused()) == ((), "")
    bench.again()
    assert bench.refused() == ""


def test_the_right_board_plugged_in_again_needs_nobody(bench):
    bench.board = THEIRS
    bench.reconnect(1.0)
    assert bench.refused() == "host.other_board"
    bench.board = OURS
    bench.reconnect(50.0)
    assert bench.refused() == ""


def test_a_twin_in_the_place_of_ours_is_not_even_opened(bench, tmp_path):
    for folder in ("sys/class/tty/ttyUSB0", "sys/devices/0000:00:14.0/usb1/1-1.2"):
        shutil.rmtree(tmp_path / folder)
    UsbSide(tmp_path, TWIN).plug_in("ttyUSB0")
    bench.reconnect(1.0)
    assert bench.opened == ["ttyUSB0"]
    snapshot = bench.machine.snapshot(0.0)
    assert not snapshot.connected
    assert snapshot.message.startswith("port.other_board")
    assert snapshot.differs == ("position",)
    bench.machine.own_board("Eva", 60.0)
    assert bench.opened == ["ttyUSB0", "ttyUSB0"]
    assert bench.differs == ()


def test_a_board_with_its_own_number_may_change_its_socket():
    known = Identity("1a86:7523", "", "0000:00:14.0/1.2:1.0", **OURS)
    assert differences(known, replace(known, position="0000:00:14.0/1.4:1.0")) == ()
    shared = Identity("1a86:7523", "", "0000:00:14.0/1.2:1.0", **SHARED)
    assert differences(shared, replace(shared, position="0000:00:14.0/1.4:1.0")) == ("position",)
    numbered = replace(shared, serial="A1")
    assert differences(numbered, replace(numbered, position="0000:00:14.0/1.4:1.0")) == ()


def test_a_board_that_could_not_be_asked_is_judged_by_its_usb_side(tmp_path):
    """A Grbl found in the middle of a move may not be asked who it is."""
    board = Board("/dev/null", tmp_path, tmp_path)
    board.find()
    board.meet({"info": "1.1h.20190825:router"})
    board.find()
    board.meet({})
    assert board.differs == ()
    board.meet({"info": "1.1h.20190825:other"})
    assert board.differs == ("info",)


def test_what_a_board_tells_later_is_added_without_a_question(tmp_path):
    board = Board("/dev/null", tmp_path, tmp_path)
    board.find()
    board.meet({})
    board.meet(OURS)
    assert board.differs == ()
    board.find()
    board.meet(THEIRS)
    assert board.differs == ("uuid",)


def test_heat_stays_on_on_another_board_until_it_is_confirmed(bench, tmp_path):
    """The switch-off list of ours may be the middle of somebody's work there."""
    (tmp_path / "state/switch-off-due").touch()
    bench.board = THEIRS
    bench.again()
    assert bench.differs == ("uuid",)
    off = [line.encode() for line in bench.config.profile.switch_off]
    assert bench.sessions[-1].told == []
    bench.machine.own_board("Eva", 30.0)
    assert bench.sessions[-1].told == off


# Whose hands


def watched(bench: Bench, state: Snapshot, now: float) -> str:
    bench.sessions[-1].state = replace(state, board=OURS)
    bench.machine.tick(now)
    return bench.in_use


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (HOT, "heat"),
        (RUN, "motion"),
        (replace(IDLE, controller="Jog"), "motion"),
        (replace(IDLE, controller="Home"), "motion"),
        (replace(IDLE, controller="Hold:0"), "motion"),
        (replace(IDLE, controller="Check"), "motion"),
        (replace(IDLE, controller="Idle", spindle_on=True), "motion"),
    ],
)
def test_heat_or_motion_that_we_did_not_begin_is_use_by_hand(bench, state, why):
    assert watched(bench, state, 100.0) == why
    assert bench.refused() == "host.in_use"
    assert bench.events == [("in_use", why)]
    assert watched(bench, IDLE, 101.0) == why, "it stays so until somebody says otherwise"
    bench.machine.release("Eva", 102.0)
    assert (bench.in_use, bench.refused()) == ("", "")
    assert bench.events[1:] == [("in_use_over", None)]


@pytest.mark.parametrize("state", [IDLE, replace(IDLE, controller="Alarm")])
def test_a_machine_at_rest_is_nobodys(bench, state):
    for second in range(10):
        assert watched(bench, state, 100.0 + second) == ""
    assert bench.refused() == ""


def test_a_move_from_its_own_display_is_seen_in_where_it_stands(bench):
    there = replace(IDLE, position={"X": 10.0, "Y": 0.0})
    assert watched(bench, there, 100.0) == ""
    assert b"M114" in bench.sessions[-1].told
    assert watched(bench, replace(there, position={"X": 20.0, "Y": 0.0}), 106.0) == "motion"


def test_it_is_asked_where_it_stands_now_and_then_only(bench):
    for tenth in range(300):
        bench.machine.tick(100.0 + tenth / 10)
    assert bench.sessions[-1].told.count(b"M114") == 30.0 / LOOK_EVERY_S


def test_a_machine_in_use_is_seldom_asked_where_it_stands(bench):
    """An older Marlin would halt its own card's print at each question."""
    watched(bench, HOT, 100.0)
    for second in range(600):
        bench.machine.tick(101.0 + second)
    assert bench.sessions[-1].told.count(b"M114") <= 600.0 / LOOK_IN_USE_S + 1


def test_a_board_that_restarts_by_itself_is_in_use(bench):
    bench.machine.tick(100.0)
    bench.sessions[-1].speaks = [Attention("machine.booted", "start")]
    bench.sessions[-1].state = Snapshot(phase=Phase.CONNECTING)
    bench.machine.tick(101.0)
    assert bench.in_use == "boot"


def test_what_a_person_asks_for_on_our_page_is_not_use_by_hand(bench):
    bench.machine.tick(99.0)
    bench.machine.ours(100.0)
    assert watched(bench, RUN, 101.0) == ""
    for second in range(60):  # a long jog is ours to its end
        assert watched(bench, RUN, 102.0 + second) == ""
    bench.machine.ours(170.0)
    assert watched(bench, HOT, 171.0) == ""
    assert watched(bench, HOT, 171.0 + 10 * OURS_S) == ""
    hotter = replace(IDLE, temperatures={"T": (50.0, 240.0)})
    assert watched(bench, hotter, 300.0) == "heat"


def test_cold_and_still_for_long_it_is_free_again(bench):
    assert watched(bench, HOT, 100.0) == "heat"
    warm = replace(IDLE, temperatures={"T": (90.0, 0.0)})
    assert watched(bench, warm, 100.0 + QUIET_S) == "heat", "still warm"
    assert watched(bench, IDLE, 110.0 + QUIET_S) == "heat"
    assert watched(bench, IDLE, 105.0 + 2 * QUIET_S) == ""


def test_a_restarted_host_still_knows_that_somebody_uses_the_machine(bench):
    watched(bench, RUN, 100.0)
    bench.again()
    assert bench.in_use == "motion"


def test_the_heat_of_our_interrupted_run_is_ours(bench, tmp_path):
    (tmp_path / "state/switch-off-due").touch()
    bench.first = HOT
    bench.again()
    assert bench.in_use == ""
    (tmp_path / "state/switch-off-due").unlink(missing_ok=True)
    bench.again()
    assert bench.in_use == "heat", "without an interrupted run it is somebody's"


def test_heat_is_left_on_while_hands_are_at_work(bench):
    """A print from the machine's own card would be killed by our idle heat-off."""
    off = [line.encode() for line in bench.config.profile.switch_off]
    hot = replace(IDLE, temperatures={"T": (200.0, 200.0)})

    def pass_minutes(count: int, since: float, *, moves: bool) -> None:
        for step in range(count * 12):
            place = {"X": float(step % 7) if moves else 0.0, "Y": 0.0}
            bench.sessions[-1].speaks = [TemperatureRead(hot.temperatures)]
            watched(bench, replace(hot, position=place), since + 5.0 * step)

    pass_minutes(120, 100.0, moves=True)
    assert bench.in_use == "heat"
    assert not any(line in bench.sessions[-1].told for line in off)
    pass_minutes(120, 7300.0, moves=False)
    assert all(line in bench.sessions[-1].told for line in off), "nobody is there any more"


STATES = st.sampled_from([IDLE, HOT, RUN, replace(IDLE, phase=Phase.STREAMING)])


@given(st.lists(st.tuples(STATES, st.floats(0.1, 100.0)), max_size=30))
def test_use_by_hand_always_needs_heat_or_motion_and_ends_only_by_rest(steps):
    hands, now = Hands(), 0.0
    hands.look(IDLE, now)
    for state, wait in steps:
        before, now = hands.reason, now + wait
        hands.look(state, now)
        if hands.reason and not before:
            assert state in (HOT, RUN)
        assert not (before and not hands.reason), "no rest here is long enough"
