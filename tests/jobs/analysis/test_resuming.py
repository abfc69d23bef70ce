"""The rest of a program: what is said before it, that it is whole, and that it makes the same."""

from __future__ import annotations

import importlib.util
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from jobs.analysis import resuming, streamed
from jobs.analysis.resuming import Wish, resume_program
from jobs.analysis.stream import make_stream
from jobs.domain.machine import MachineLimits

PRINTER = MachineLimits((220.0, 220.0, 250.0), nozzle_max_c=260, bed_max_c=110, filament_mm=1.75)
MILL = MachineLimits((300.0, 400.0, 80.0), (0.0, 0.0, -80.0), spindle_max_rpm=20000)


def printed(extrusion: str = "M82") -> str:
    lines = ["; a part", "G28", "M140 S60", "M109 S210", "G90", extrusion, "M106 S128", "G92 E0"]
    e = 0.0
    for layer in range(1, 6):
        lines.append(f"G1 Z{layer * 0.2:.1f} F600 ; layer {layer}")
        for x, y in ((20, 20), (60, 20), (60, 60), (20, 60)):
            e = e + 1.5 if extrusion == "M82" else 1.5
            lines.append(f"G1 X{x} Y{y} E{e} F1800")
    return "\n".join([*lines, "M104 S0", "M140 S0", "M107"]) + "\n"


MILLED = """(pocket)
G21 G90 G17 G54
T2 M3 S12000
M8
G0 Z10
G0 X5 Y5
G1 Z-1 F120
G1 X20 F600
G1 Y20
G91
G1 X-5
G90
G1 X5
G0 Z10
M9
M5
"""


def resumed(folder: Path, text: str, wish: Wish, limits=PRINTER, dialect="marlin", kind="fdm"):
    stream = make_stream(text.encode())
    (folder / "s").write_bytes(stream.data)
    (folder / "i").write_bytes(stream.source_line.astype("<u4").tobytes())
    out = folder / "out"
    result = resume_program(folder / "s", folder / "i", out, wish, limits, dialect, [], None, kind)
    return result, out


def test_a_print_is_heated_freed_homed_in_x_and_y_primed_and_led_back(tmp_path: Path) -> None:
    result, out = resumed(tmp_path, printed(), Wish(line=20))
    assert result["verdict"] != "block", result["findings"]
    assert result["preamble"] == [
        *("M140S60", "M104S210", "M190S60", "M109S210", "G21", "G90", "M83"),
        *("G92Z0.6", "G1Z5.6F600", "G28XY", "M106S128", "G1 E15F150", "G1 E-1F1800"),
        *("G1X20Y60F6000", "G1Z0.6F600", "G1 E1F1800", "G92 E12", "G21", "G90", "M82", "G1F600"),
    ]
    assert result["from_line"] == 20
    stream = (out / "stream").read_bytes().splitlines()
    new = len(result["preamble"])
    assert [line.decode() for line in stream[:new]] == result["preamble"]
    original = make_stream(printed().encode())
    at = original.source_line.tolist().index(20)
    assert stream[new:] == original.data.splitlines()[at:]
    index = np.frombuffer((out / "index.u32").read_bytes(), "<u4").tolist()
    assert index == [0] * new + original.source_line.tolist()[at:]


def test_z_is_never_homed_onto_a_part_and_a_person_may_say_where_it_stands(tmp_path) -> None:
    result, _ = resumed(tmp_path, printed(), Wish(line=20, height_mm=3.5))
    homing = [line for line in result["preamble"] if line.startswith("G28")]
    assert homing == ["G28XY"]
    assert "G92Z3.5" in result["preamble"]
    assert "G1Z8.5F600" in result["preamble"]


def test_a_layer_begins_where_its_first_line_begins(tmp_path: Path) -> None:
    result, _ = resumed(tmp_path, printed("M83"), Wish(layer=3))
    assert result["layer_count"] == 5
    assert result["following"][0] == "G1X20Y20 E1.5F1800"
    assert "G1Z0.6F600" in result["preamble"]
    assert result["preamble"][-4:-1] == ["G21", "G90", "M83"]


def test_a_mill_goes_up_spins_up_and_plunges_at_its_feedrate(tmp_path: Path) -> None:
    result, _ = resumed(tmp_path, MILLED, Wish(line=11), MILL, "grbl", "mill")
    assert result["verdict"] != "block", result["findings"]
    assert result["preamble"] == [
        *("G21", "G90", "G94", "G54", "G0Z10", "M3S12000", "G4P4", "M8", "G0 X20Y20"),
        *("G1Z-1F600", "G17", "G21", "G91", "G1", "F600"),
    ]
    assert result["following"][0] == "G1X-5"
    assert result["tool"] == 2


def test_a_beam_is_lit_over_its_place_and_not_on_the_way(tmp_path: Path) -> None:
    text = "G21G90\nM4S500\nG1X5Y5F600\nG1X9\nG1X7\nM5\n"
    result, _ = resumed(tmp_path, text, Wish(line=4), MILL, "grbl", "laser")
    preamble = result["preamble"]
    assert preamble.index("M4S500") > preamble.index("G0 X5Y5")
    assert not [line for line in preamble if "Z" in line]


@pytest.mark.parametrize("wish", [Wish(line=999), Wish(layer=99), Wish(line=1)])
def test_a_line_that_is_not_there_is_a_finding(tmp_path: Path, wish: Wish) -> None:
    result, out = resumed(tmp_path, printed(), wish)
    assert [one["code"] for one in result["findings"]] == ["resume-no-line"]
    assert not (out / "stream").exists()


def test_a_line_before_which_nobody_knows_the_place_is_a_finding(tmp_path: Path) -> None:
    result, _ = resumed(tmp_path, printed(), Wish(line=5))
    assert [one["code"] for one in result["findings"]] == ["resume-no-place"]


def _plant():
    # The engine on a simulated printer, from the drivers' own tests.
    file = Path(__file__).parents[2] / "drivers" / "engine" / "plant.py"
    spec = importlib.util.spec_from_file_location("plant", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("extrusion", ["M82", "M83"])
@pytest.mark.parametrize("layer", [2, 4])
def test_a_printer_that_restarted_makes_the_rest_where_it_belongs(tmp_path, extrusion, layer):
    """The part's rest lies where it would have lain, though the board forgot everything."""
    plants = _plant()
    lines = make_stream(printed(extrusion).encode()).data.splitlines()
    calm = plants.Plant()
    calm.start(lines)
    calm.until("finished")
    result, out = resumed(tmp_path, printed(extrusion), Wish(layer=layer, height_mm=20.0))
    assert result["verdict"] != "block", result["findings"]
    plant = plants.Plant()
    plant.start(lines)
    while plant.engine.snapshot(0.0).sent < 20:
        plant.turn()
    plant.board.reset(plant.now)  # its head is pushed aside, and stands 20 mm above the bed
    plant.until("failed")
    plant.until("connected")
    plant.path.clear()
    assert plant.engine.start(plants.Lines((out / "stream").read_bytes().splitlines()), plant.now)
    plant.until("finished")
    made = [move for move in plant.path if move[1][2] < 2.0]  # higher up it primes
    assert len(made) == 4 * (6 - layer)
    for got, wanted in zip(made, calm.path[-len(made) :], strict=True):
        assert got[0] == pytest.approx(wanted[0], abs=1e-4)
        assert got[1] == pytest.approx(wanted[1], abs=1e-4)
    assert not plant.board.record.of("struck")


@pytest.mark.parametrize("text", [printed(), printed("M83"), printed().rstrip("\n")])
def test_where_the_blocks_of_lines_end_means_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def every() -> list[object]:
        found: list[object] = []
        for wish in (*(Wish(line=line) for line in range(1, 34)), *map(_layer, range(7))):
            result, out = resumed(tmp_path, text, wish)
            names = ("stream", "index.u32") if result["report"] else ()
            found.append((result, [(out / name).read_bytes() for name in names]))
        return found

    whole = every()
    monkeypatch.setattr(streamed, "_BLOCK", 3)
    monkeypatch.setattr(streamed, "_CHUNK_BYTES", 17)
    monkeypatch.setattr(resuming, "_INDEX_BYTES", 20)
    assert every() == whole


def _layer(number: int) -> Wish:
    return Wish(layer=number)


def test_memory_does_not_grow_with_the_program(tmp_path: Path) -> None:
    """What is held are a few blocks of lines, however many follow."""
    layer = "G1 Z0.2 F600\nG1 X20 Y20 E0.5 F1800\nG1 X60 E1\nG1 Z0.4\nG1 X20 E1\nG1 Y60 E1\n"
    peaks = []
    for times in (40_000, 120_000):
        text = "G28\nM109 S210\nM83\n" + layer * times
        (stream, index) = tmp_path / "s", tmp_path / "i"
        stream.write_text(text.replace(" ", ""))
        np.arange(1, text.count("\n") + 1, dtype="<u4").tofile(index)
        tracemalloc.start()
        wish = Wish(layer=3)
        result = resume_program(
            stream, index, tmp_path / "out", wish, PRINTER, "marlin", [], None, "fdm"
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result["layer_count"] == 2 * times
    assert peaks[1] < peaks[0] * 1.3
