"""A beam burns only while somebody is there and every input is good; what a host does else."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.errors import HostError
from drivers.host.config import HostConfig, read_host_config, write_host_config
from drivers.host.vigil import HOLD_PATIENCE_S
from drivers.interlock import parse_interlock
from drivers.mqtt import Broker
from drivers.profile import load_profile
from drivers.simulators import Wishes
from drivers.snapshot import Phase, Snapshot
from tests.drivers.plugs import Tasmota
from tests.drivers.virtual import Lab

BURN = ["G21 G90", "M3 S0", *(f"G1 X{20 + 60 * (n % 2)} Y{n % 80} F1200 S400" for n in range(400))]
BURN += ["M5"]
LASER = (("32", 1.0), ("30", 1000.0))


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def laser(folder, *, faults=(), presence_s=60, interlocks=(), **more):
    wishes = Wishes(settings=dict(LASER), faults=tuple(faults), **more.pop("wishes", {}))
    return Lab(
        folder, "grbl-1.1", wishes=wishes, kind="laser", presence_s=presence_s,
        interlocks=tuple(interlocks), **more,
    )  # fmt: skip


def is_dark(lab):
    return not lab.state.spindle_on


def held(lab):
    return lab.state.phase is Phase.PAUSED and lab.state.controller in ("Hold:0", "Door:0")


def test_a_beam_goes_on_while_its_person_says_again_and_again_that_they_are_there(folder):
    lab = laser(folder)
    with pytest.raises(HostError, match=r"host\.not_now"):
        lab.machine.present("eva", lab.now)
    lab.start(BURN)
    for _ in range(8):
        lab.wait(50.0)
        assert (lab.state.phase, lab.state.withheld) == (Phase.STREAMING, "")
        assert 0 < lab.state.presence_left_s <= 10.5
        lab.machine.present("eva", lab.now)
        assert lab.state.presence_left_s == pytest.approx(60.0)
    lab.until(lambda: not lab.machine.run, 3600.0, strict=False)
    lab.close()


def test_a_missed_word_holds_the_run_darkens_it_and_only_going_on_ends_that(folder):
    lab = laser(folder)
    lab.start(BURN)
    begun = lab.now
    lab.until(lambda: held(lab) and is_dark(lab), 120.0)
    assert lab.now - begun < 62.0
    assert lab.state.withheld == "presence"
    told = [event for event in lab.events if event["kind"] == "attention"]
    assert [event["code"] for event in told] == ["machine.held_presence"]
    # A word that comes too late lets nothing go on, nor does time.
    with pytest.raises(HostError, match=r"host\.not_now"):
        lab.machine.present("eva", lab.now)
    lab.wait(3600.0)
    assert held(lab)
    assert is_dark(lab)
    lab.machine.refuse_to_go_on()
    assert lab.machine.session.resume(lab.now)
    lab.machine.went_on(lab.now)
    lab.wait(30.0)
    assert (lab.state.phase, lab.state.withheld) == (Phase.STREAMING, "")
    lab.close()


def test_a_pause_of_ones_own_is_no_missed_word(folder):
    lab = laser(folder)
    lab.start(BURN)
    lab.wait(5.0)
    assert lab.machine.session.pause(lab.now)
    lab.wait(600.0)
    assert (lab.state.withheld, lab.state.presence_left_s) == ("", None)
    lab.close()


def test_a_missed_word_takes_the_beams_plug_away_and_a_person_gives_it_back(folder):
    now = [0.0]
    with Tasmota(lambda: now[0]) as plug:
        lab = laser(folder, plugs={"beam": plug.address})
        lab.machine.power(True, "eva", lab.now)
        lab.until(lambda: lab.state.power, 30.0)
        lab.start(BURN)
        lab.until(lambda: held(lab) and not plug.is_on, 120.0)
        with pytest.raises(HostError, match=r"host\.no_power"):
            lab.machine.refuse_to_go_on()
        assert plug.history == [True, False]
        lab.machine.leave(lab.now)
        lab.close()


def test_a_line_that_is_not_good_refuses_the_start_and_holds_what_runs(folder):
    lid = folder / "lid"
    lab = laser(folder, interlocks=[f"file:{lid}=0"])
    for text in (None, "1", "x", ""):
        if text is not None:
            lid.write_text(text)
        lab.wait(1.0)
        with pytest.raises(HostError, match=r"host\.interlock"):
            lab.start(BURN)
    lid.write_text("0\n")
    lab.wait(1.0)
    lab.start(BURN)
    lab.wait(10.0)
    lid.write_text("1\n")
    opened = lab.now
    lab.until(lambda: held(lab) and is_dark(lab), 10.0)
    assert lab.now - opened < 3.0
    assert lab.state.withheld == "interlock"
    with pytest.raises(HostError, match=r"host\.interlock"):
        lab.machine.refuse_to_go_on()
    lid.write_text("0\n")
    lab.wait(600.0)
    assert held(lab)  # closing a lid starts nothing
    lab.machine.refuse_to_go_on()
    lab.close()


def test_the_controllers_own_door_holds_and_is_closed_before_it_goes_on(folder):
    lab = laser(folder, faults=["door-at-line=40", "door-for-s=30"], interlocks=["door"])
    lab.start(BURN)
    lab.until(lambda: lab.state.controller == "Door:1" and is_dark(lab), 300.0)
    lab.until(lambda: lab.state.interlocks == {"door": "open"}, 5.0)
    with pytest.raises(HostError, match=r"host\.interlock"):
        lab.machine.refuse_to_go_on()
    lab.until(lambda: lab.state.interlocks == {"door": "good"}, 60.0)
    lab.wait(30.0)
    assert lab.state.phase is Phase.PAUSED
    lab.machine.refuse_to_go_on()
    assert lab.machine.session.resume(lab.now)
    lab.machine.went_on(lab.now)
    lab.wait(20.0)
    assert lab.state.phase is Phase.STREAMING
    lab.close()


def test_a_machine_that_does_not_hold_is_stopped(folder, monkeypatch):
    lab = laser(folder)
    lab.start(BURN)
    monkeypatch.setattr(lab.machine.session, "pause", lambda now: False, raising=False)
    lab.until(lambda: not lab.machine.run, 61.0 + HOLD_PATIENCE_S)
    assert lab.state.stopped
    end = [event for event in lab.events if event["kind"] == "failed"]
    assert [event["code"] for event in end] == ["machine.does_not_hold"]
    lab.close()


def test_a_name_that_cannot_be_read_starts_nothing(folder):
    lab = laser(folder, interlocks=["lid"])
    with pytest.raises(HostError, match=r"host\.interlock"):
        lab.start(BURN)
    lab.close()


@pytest.mark.parametrize("text", ["", "lid", "file:/x", "gpiochip:/dev/gpiochip0=1", "8.8.8.8>1"])
def test_an_input_is_one_of_four_words(text):
    with pytest.raises(HostError, match=r"host\.bad_"):
        parse_interlock(text)


def config(folder, kind):
    return HostConfig(
        *("anna", kind, "/dev/null", 115200, load_profile("grbl-1.1"), "x"),
        *(folder / "s", folder),
    )


def test_a_laser_whose_node_is_older_is_held_after_five_minutes(folder):
    """A node of the release before says nothing of presence, and renews nothing."""
    for kind, seconds in (("laser", 300), ("mill", 0)):
        told = config(folder, kind).to_json()
        del told["presence_s"], told["interlocks"], told["broker"]
        assert HostConfig.from_json(told).presence_s == seconds


def test_the_hosts_file_carries_what_is_to_be_watched(folder):
    wanted = replace(
        config(folder, "laser"), presence_s=120, interlocks=("door",),
        broker=Broker("127.0.0.1", 1884, "eva", "s3cret"),
    )  # fmt: skip
    write_host_config(folder / "host.json", wanted)
    assert read_host_config(folder / "host.json") == wanted
    assert "s3cret" not in repr(wanted)


def test_a_state_of_an_older_host_says_that_it_keeps_no_such_clock():
    told = Snapshot(Phase.IDLE).to_json()
    for key in ("presence_every_s", "presence_left_s", "withheld", "interlocks", "pins"):
        del told[key]
    assert Snapshot.from_json(told).presence_every_s is None
