"""Repair: what was broken on purpose is found, counted, and mended; nothing else is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.analysis.arrays import Bools
from jobs.analysis.mesh import copy_mesh, inspect_mesh, read_surface
from jobs.analysis.mesh.holes import clip_ears
from jobs.analysis.mesh.mending import Changes, mended, volume_of
from jobs.analysis.mesh.surface import Surface, edges_of, joined
from jobs.analysis.sniff import FileKind
from tests.jobs.analysis.mesh.solids import box, inward, save, sphere, together, torus, tube


def _without(surface: Surface, gone: Bools) -> Surface:
    return joined(surface.vertices, surface.faces[~gone])


def _watertight(surface: Surface) -> bool:
    return edges_of(surface.faces).watertight


@pytest.mark.parametrize("surface", [box(), sphere(8.0), torus(20, 5), tube(10, 2, 30)])
def test_a_good_part_is_left_as_it_is(surface: Surface, tmp_path: Path) -> None:
    copy, changes = mended(surface)
    assert not changes
    assert volume_of(copy) == pytest.approx(volume_of(surface))
    report = inspect_mesh(save(tmp_path / "a.stl", surface))
    assert report["repair"] is None
    assert set(report["defects"].values()) == {0}  # type: ignore[attr-defined]


def test_a_missing_face_is_closed(tmp_path: Path) -> None:
    part = box(20, 10, 5)
    is_top = (part.corners[:, :, 2] == 5).all(axis=1)
    report: dict[str, Any] = inspect_mesh(save(tmp_path / "a.stl", _without(part, is_top)))
    assert not report["watertight"]
    assert report["defects"]["open_edges"] == 4
    assert report["defects"]["holes"] == 1
    offer = report["repair"]
    assert (offer["filled_holes"], offer["added_faces"], offer["watertight"]) == (1, 2, True)
    assert offer["volume_after_mm3"] == 1000.0
    assert offer["volume_before_mm3"] != 1000.0
    assert [one["code"] for one in report["findings"]] == ["not-watertight"]


def test_the_end_of_a_pipe_is_closed_around_its_bore() -> None:
    """Both rims of the missing ring are rims of one hole: the volume must not change by it."""
    part = tube(10, 2, 30)
    is_top = (part.corners[:, :, 2] == 30).all(axis=1)
    copy, changes = mended(_without(part, is_top))
    assert changes.filled_holes == 2
    assert _watertight(copy)
    assert volume_of(copy) == pytest.approx(volume_of(part), rel=1e-9)


def test_turned_faces_are_turned_back() -> None:
    part = sphere(10.0)
    turned = np.arange(len(part.faces)) % 7 == 0
    faces = np.where(turned[:, None], part.faces[:, ::-1], part.faces)
    copy, changes = mended(Surface(part.vertices, faces))
    assert changes == Changes(flipped_faces=int(turned.sum()))
    assert volume_of(copy) == pytest.approx(volume_of(part))


def test_a_part_that_is_inside_out_is_turned_whole() -> None:
    part = inward(torus(20, 5))
    copy, changes = mended(part)
    assert changes == Changes(flipped_faces=len(part.faces))
    assert volume_of(copy) == pytest.approx(volume_of(part))


def test_a_cavity_stays_a_cavity() -> None:
    part = together(sphere(20.0), inward(sphere(15.0)))
    copy, changes = mended(part)
    assert not changes
    assert volume_of(copy) == pytest.approx(volume_of(part))


def test_a_cavity_that_looks_outward_is_a_part_within_a_part() -> None:
    """Nobody can tell whether that was meant: it stays."""
    copy, changes = mended(together(sphere(20.0), sphere(15.0)))
    assert not changes
    assert volume_of(copy) == pytest.approx(volume_of(sphere(20.0)) + volume_of(sphere(15.0)))


def test_a_crack_of_rounding_is_joined() -> None:
    part = sphere(20.0)
    corners = part.corners.reshape(-1, 3).copy()
    half = corners.reshape(-1, 3, 3)[:, :, 0].mean(axis=1) > 0
    corners.reshape(-1, 3, 3)[half] += 0.0004
    cracked = joined(corners)
    assert not _watertight(cracked)
    copy, changes = mended(cracked)
    assert changes.merged_vertices > 50
    assert changes.filled_holes == 0
    assert _watertight(copy)


def test_faces_that_are_there_twice_go() -> None:
    part = box()
    twice = Surface(
        part.vertices, np.concatenate((part.faces, part.faces[:3], part.faces[5:6, ::-1]))
    )
    copy, changes = mended(twice)
    assert changes == Changes(removed_duplicates=4)
    assert _watertight(copy)
    assert volume_of(copy) == pytest.approx(1000.0)


def test_a_wall_without_thickness_between_two_boxes_goes() -> None:
    part = together(box(10, 10, 10), box(10, 10, 10, at=np.array([10.0, 0, 0])))
    copy, changes = mended(part)
    assert changes == Changes(removed_duplicates=4)
    assert _watertight(copy)
    assert volume_of(copy) == pytest.approx(2000.0)


def test_collapsed_faces_go() -> None:
    part = box()
    more = np.array([[0, 0, 1], [3, 3, 3]])
    copy, changes = mended(Surface(part.vertices, np.concatenate((part.faces, more))))
    assert changes == Changes(removed_collapsed=2)
    assert len(copy.faces) == 12


def test_a_rim_that_is_bent_is_left_open() -> None:
    """A quarter of a ball is missing: no flat lid would be what was meant."""
    part = sphere(20.0)
    middle = part.corners.mean(axis=1)
    copy, changes = mended(_without(part, (middle[:, 0] > 0) & (middle[:, 2] > 0)))
    assert changes.filled_holes == 0
    assert not _watertight(copy)


@given(st.sets(st.integers(0, 400), min_size=1, max_size=25))
def test_any_few_missing_faces_are_closed_and_only_those(gone: set[int]) -> None:
    """For any faces taken from a pipe: if all its rims are closed it holds what it held."""
    part = tube(10, 2, 30, rows=60)
    is_gone = np.isin(np.arange(len(part.faces)), list(gone))
    copy, changes = mended(_without(part, is_gone))
    assert changes.flipped_faces == changes.removed_duplicates == changes.merged_vertices == 0
    if _watertight(copy):
        assert volume_of(copy) == pytest.approx(volume_of(part), rel=0.02)


@given(st.integers(3, 40), st.randoms(use_true_random=False))
def test_the_ears_of_any_star_cover_it_exactly(corners: int, random: Any) -> None:
    """For any polygon around a middle: n - 2 triangles, all running left, of its area."""
    angles = np.arange(corners) / corners * 2 * np.pi
    radius = np.array([random.uniform(1.0, 9.0) for _ in range(corners)])
    polygon = np.stack((radius * np.cos(angles), radius * np.sin(angles)), axis=1)
    ears = clip_ears(polygon)
    assert ears is not None
    a, b, c = (polygon[ears[:, each]] for each in range(3))
    twice = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    onward = np.roll(polygon, -1, axis=0)
    whole = (polygon[:, 0] * onward[:, 1] - polygon[:, 1] * onward[:, 0]).sum()
    assert len(ears) == corners - 2
    assert (twice > 0).all()
    assert twice.sum() == pytest.approx(whole)


def test_a_polygon_that_crosses_itself_has_no_lid() -> None:
    assert clip_ears(np.array([[0.0, 0], [2, 2], [2, 0], [0, 2], [-1, 1]])) is None


def test_a_copy_is_written_beside_and_the_original_stays(tmp_path: Path) -> None:
    part = box(20, 10, 5)
    path = save(tmp_path / "a.stl", _without(part, np.arange(12) == 0), 1 / 25.4)
    before = path.read_bytes()
    (tmp_path / "out").mkdir()
    answer: dict[str, Any] = copy_mesh(path, tmp_path / "out", scale=25.4, up="+x", turn=90.0)
    assert answer["repair"]["filled_holes"] == 1
    assert answer["repair"]["volume_after_mm3"] == pytest.approx(1000.0, rel=1e-5)
    assert answer["repair"]["scale"] == 25.4
    copy = read_surface(tmp_path / "out" / "copy.stl", FileKind.STL)
    assert np.ptp(copy.bounds, axis=0) == pytest.approx([5.0, 10.0, 20.0], rel=1e-5)
    assert _watertight(copy)
    assert path.read_bytes() == before


def test_of_no_mesh_there_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Dear machine, please make a hook.\n")
    answer: dict[str, Any] = copy_mesh(tmp_path / "a.txt", tmp_path)
    assert answer["repair"] is None
    assert answer["findings"][0]["code"] == "unreadable"
