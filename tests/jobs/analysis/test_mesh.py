"""Meshes of strangers: told apart by content, bounded before they are loaded, measured right."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.analysis import inspect_file, inspect_mesh
from jobs.analysis.mesh import LARGEST_MESH_BYTES, MOST_TRIANGLES, Machine, Wish
from jobs.analysis.sniff import FileKind, sniff
from jobs.domain.machine import MachineLimits

CORNERS = np.array([[x, y, z] for x in (0, 20) for y in (0, 10) for z in (0, 5)], float)
FACES = [
    (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6),
    (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
]  # fmt: skip
SMALL = Wish([Machine("small", "Small", MachineLimits((15.0, 15.0, 15.0)))])


def _stl(faces: list[tuple[int, int, int]] = FACES, scale: float = 1.0) -> bytes:
    records = b"".join(
        struct.pack("<12fH", 0, 0, 0, *(CORNERS[list(face)] * scale).ravel(), 0) for face in faces
    )
    return b"solid of a binary file".ljust(80) + struct.pack("<I", len(faces)) + records


def _stl_ascii() -> bytes:
    facets = "".join(
        "facet normal 0 0 0\nouter loop\n"
        + "".join(f"vertex {x:g} {y:g} {z:g}\n" for x, y, z in CORNERS[list(face)])
        + "endloop\nendfacet\n"
        for face in FACES
    )
    return f"solid box\n{facets}endsolid box\n".encode()


def _obj() -> bytes:
    vertices = "".join(f"v {x:g} {y:g} {z:g}\n" for x, y, z in CORNERS)
    return (
        "mtllib ../../etc/passwd\n"
        + vertices
        + "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in FACES)
    ).encode()


def _model(build: str, unit: str = "millimeter", more: str = "", head: str = "") -> str:
    vertices = "".join(f'<vertex x="{x:g}" y="{y:g}" z="{z:g}"/>' for x, y, z in CORNERS)
    triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in FACES)
    return (
        f'<?xml version="1.0"?>{head}<model unit="{unit}" '
        'xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02"><resources>'
        f'<object id="1"><mesh><vertices>{vertices}</vertices><triangles>{triangles}</triangles>'
        f"</mesh></object>{more}</resources><build>{build}</build></model>"
    )


def _package(path: Path, model: str, name: str = "3D/3dmodel.model") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, model)
    return path


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _reasons(report: dict[str, object]) -> list[tuple[str, object]]:
    findings = report["findings"]
    assert isinstance(findings, list)
    return [(found["code"], found["fields"].get("reason")) for found in findings]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(_stl(), "stl"), (_stl_ascii(), "stl-ascii"), (_obj(), "obj")],
)
def test_a_box_is_the_same_box_in_every_format(tmp_path: Path, data: bytes, kind: str) -> None:
    report = inspect_file(_write(tmp_path / "part.dat", data))
    lies = {"overhang_45_mm2": 0.0, "overhang_60_mm2": 0.0, "contact_mm2": 200.0}
    rest = {"down": [0.0, 0.0, -1.0], **lies, "height_mm": 5.0}
    assert report == {
        "kind": "mesh", "format": kind, "triangles": 12, "watertight": True, "bodies": 1,
        "cavities": 0, "volume_mm3": 1000.0, "area_mm2": 700.0, "size_mm": [20.0, 10.0, 5.0],
        "bounds_mm": {"min": [0.0, 0.0, 0.0], "max": [20.0, 10.0, 5.0]},
        "defects": {
            "open_edges": 0, "holes": 0, "branching_edges": 0, "inverted_faces": 0,
            "degenerate_faces": 0, "duplicate_faces": 0,
        },
        "repair": None, "units_suspicious": False, "units_guesses": [], "fits": [],
        "walls": {
            "thinnest_mm": 5.0, "median_mm": 5.0, "nozzle_mm": 0.4, "below_nozzle": 0.0,
            "rays": 4000,
        },
        "resting": {"as_is": rest, "best": rest},
        "findings": [],
    }  # fmt: skip


def test_a_3mf_is_placed_scaled_and_nested_as_it_says(tmp_path: Path) -> None:
    more = (
        '<object id="2"><components><component objectid="1"/>'
        '<component objectid="1" transform="1 0 0 0 1 0 0 0 1 100 0 0"/></components></object>'
    )
    build = '<item objectid="2" transform="0 1 0 -1 0 0 0 0 1 0 0 3"/>'
    path = _package(tmp_path / "two.3mf", _model(build, "centimeter", more))
    report = inspect_file(path)
    assert (report["triangles"], report["bodies"], report["watertight"]) == (24, 2, True)
    assert report["volume_mm3"] == 2_000_000.0
    assert report["size_mm"] == [100.0, 1200.0, 50.0]


def test_a_hole_a_tiny_size_and_a_small_machine_are_named(tmp_path: Path) -> None:
    open_box = inspect_mesh(_write(tmp_path / "a.stl", _stl(FACES[:-1])), SMALL)
    assert _reasons(open_box) == [("not-watertight", None), ("does-not-fit", None)]
    inch = inspect_mesh(_write(tmp_path / "b.stl", _stl(scale=1 / 25.4)))
    assert _reasons(inch) == [("units-likely", None)]


def test_a_header_of_ten_million_triangles_is_a_finding(tmp_path: Path) -> None:
    data = b"\x00" * 80 + struct.pack("<I", 10_000_000) + b"\x00" * 500
    report = inspect_file(_write(tmp_path / "big.stl", data))
    assert _reasons(report) == [("too-many-triangles", None)]
    assert report["triangles"] is None


def test_a_truncated_stl_is_a_finding(tmp_path: Path) -> None:
    report = inspect_file(_write(tmp_path / "cut.stl", b"\x00" + _stl()[1:-20]))
    assert _reasons(report) == [("unreadable", "truncated")]


def test_a_huge_mesh_is_refused_by_its_size_alone(tmp_path: Path) -> None:
    path = tmp_path / "huge.stl"
    with path.open("wb") as file:
        file.write(_stl())
        file.truncate(LARGEST_MESH_BYTES + 1)
    assert _reasons(inspect_mesh(path)) == [("too-large", None)]


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (" " * 10_000_000, "3D/3dmodel.model", "zip-bomb"),
        (_model('<item objectid="1"/>'), "../3dmodel.model", "unsafe-name"),
        (_model('<item objectid="1"/>'), "/3dmodel.model", "unsafe-name"),
        (_model('<item objectid="9"/>'), "3D/a.model", "missing-object"),
        (_model(""), "3D/a.model", "nothing-to-build"),
        (_model('<item objectid="1" transform="1 2"/>'), "3D/a.model", "bad-transform"),
        ("<model", "3D/a.model", "unreadable-model"),
        (
            _model(
                '<item objectid="2"/>',
                more='<object id="2"><components><component objectid="2"/></components></object>',
            ),
            "3D/a.model",
            "too-deep",
        ),
        (
            _model('<item objectid="1"/>', head='<!DOCTYPE a [<!ENTITY b "c">]>'),
            "3D/a.model",
            "document-type",
        ),
        (
            _model('<item objectid="1"/>').replace('v3="3"', 'v3="99"', 1),
            "3D/a.model",
            "bad-triangle",
        ),
        (_model('<item objectid="1"/>').replace('x="0"', 'x="nan"', 1), "3D/a.model",
         "not-a-number"),
    ],
)  # fmt: skip
def test_a_dangerous_or_broken_package_is_a_finding(
    tmp_path: Path, model: str, name: str, reason: str
) -> None:
    report = inspect_file(_package(tmp_path / "bad.3mf", model, name))
    assert _reasons(report) == [("unreadable", reason)]


def test_a_package_of_many_entries_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "many.3mf"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(1_100):
            archive.writestr(f"3D/{index}.model", "")
    assert _reasons(inspect_mesh(path)) == [("unreadable", "too-many-entries")]


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("3D/inner.3mf", 0o100644, "unsafe-entry"),
        ("Metadata/more.zip", 0o100644, "unsafe-entry"),
        ("Metadata/link.txt", 0o120777, "unsafe-entry"),
        ("Metadata/plain.txt", 0o100644, None),
    ],
)
def test_links_and_archives_within_a_package_are_refused(
    tmp_path: Path, name: str, mode: int, reason: str | None
) -> None:
    path = _package(tmp_path / "a.3mf", _model('<item objectid="1"/>'))
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, "../../etc/passwd")
    wanted = [] if reason is None else [("unreadable", reason)]
    assert _reasons(inspect_mesh(path)) == wanted


def test_an_entry_that_would_fill_memory_alone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.analysis.mesh.threemf.LARGEST_ENTRY", 100)
    path = _package(tmp_path / "a.3mf", _model('<item objectid="1"/>'))
    assert _reasons(inspect_mesh(path)) == [("unreadable", "zip-bomb")]


def test_objects_that_multiply_each_other_are_stopped(tmp_path: Path) -> None:
    """Seven levels of twenty copies are a thousand million boxes in three kilobytes."""
    more = "".join(
        f'<object id="{level}"><components>'
        + f'<component objectid="{level - 1}"/>' * 20
        + "</components></object>"
        for level in range(2, 9)
    )
    path = _package(tmp_path / "copies.3mf", _model('<item objectid="8"/>', more=more))
    assert _reasons(inspect_mesh(path)) == [("unreadable", "too-many-parts")]
    assert MOST_TRIANGLES == 2_000_000


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"G28\nG1 X5\n", FileKind.PROGRAM),
        (b"; made by hand\n; thumbnail begin\n", FileKind.PROGRAM),
        (b"%\n(O1000)\nG21 G90\nM3 S500\nX5 Y5\n", FileKind.PROGRAM),
        (b"g1 x1\nX2\nY3\n", FileKind.PROGRAM),
        (b"v 1 2 3\nv 1 2 4\nv 2 2 4\nf 1 2 3\n", FileKind.OBJ),
        (b"ISO-10303-21;\nHEADER;\n", FileKind.STEP),
        # The header of a BRL-CAD database, which is called .g as well.
        (b"v\x01\x00\x00\x00\x00\x00\x015" + b"\x00" * 200, FileKind.UNKNOWN),
        (b"Good morning, dear machine.\nPlease make a hook.\n", FileKind.UNKNOWN),
        (b"", FileKind.UNKNOWN),
        (b"PK\x03\x04 but no archive", FileKind.UNKNOWN),
    ],
)
def test_files_are_told_apart_by_their_content(tmp_path: Path, data: bytes, kind: FileKind) -> None:
    assert sniff(_write(tmp_path / "file.g", data)) is kind


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"solid facet\n", b"PK\x03\x04", _stl()[:100], b"v 1 2 3\nf 1 1 1\n"]),
    st.sampled_from(["a.stl", "a.bin"]),
)
def test_any_bytes_give_a_report_that_is_json(
    tmp_path: Path, data: bytes, head: bytes, name: str
) -> None:
    json.dumps(inspect_file(_write(tmp_path / name, head + data)), allow_nan=False)
