"""Pictures of meshes: the nearest face is seen, holes are seen through, the work is bounded."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from jobs.analysis.mesh.surface import Surface, joined
from jobs.analysis.pictures import draw_mesh
from jobs.analysis.pictures.solid import picture_of
from tests.jobs.analysis.mesh.solids import box, save, sphere, together, torus
from tests.jobs.analysis.pictures.decoding import read_png


def test_a_ball_is_a_disc_in_the_middle() -> None:
    seen = picture_of(sphere(10.0))[..., 3] / 255
    width = 360 * 0.88  # the margin is 6 % on each side
    assert seen.sum() == pytest.approx(np.pi * width**2 / 4, rel=0.01)
    assert seen[180, 240] == 1.0
    assert seen[:10].sum() == seen[-10:].sum() == 0.0


def test_a_ring_is_open_in_the_middle() -> None:
    seen = picture_of(torus(20.0, 4.0))[..., 3]
    assert seen[180, 240] == 0
    assert seen.max() == 255


def test_the_top_is_lighter_than_the_sides() -> None:
    picture = picture_of(box(20, 20, 20)).astype(int)
    column = picture[:, 240, :3].sum(axis=1)[picture[:, 240, 3] == 255]
    assert column[20] > column[-20] * 1.1


def test_what_is_nearer_hides_what_is_behind() -> None:
    """A wall in front of a ball: no pixel of the ball is seen, whichever comes first."""
    wall = box(100, 1, 100, at=np.array([-50.0, -40.0, -50.0]))
    alone = picture_of(wall)
    for order in ((wall, sphere(8.0)), (sphere(8.0), wall)):
        assert np.abs(picture_of(together(*order)).astype(int) - alone).max() <= 255
        both = picture_of(together(*order))
        inner = both[170:190, 230:250, :3].astype(int)
        assert np.ptp(inner.reshape(-1, 3), axis=0).max() <= 2


def test_of_large_triangles_over_each_other_some_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two thousand triangles that each fill the picture: the work is that of a few."""
    monkeypatch.setattr("jobs.analysis.pictures.solid.MOST_PIXELS", 1_000_000)
    random = np.random.default_rng(3)
    corners = np.array([[0, 0, 0], [100, 0, 0], [0, 0, 100]], float) + random.random((2_000, 1, 3))
    begin = time.process_time()
    picture = picture_of(joined(corners.reshape(-1, 3)))
    assert time.process_time() - begin < 10
    assert picture[..., 3].max() == 255


def test_a_flat_part_and_a_needle_have_a_picture() -> None:
    for surface in (box(100, 100, 1e-6), box(0.5, 0.5, 300)):
        assert picture_of(surface)[..., 3].max() > 100


def test_a_mesh_file_becomes_a_png(tmp_path: Path) -> None:
    answer = draw_mesh(save(tmp_path / "a.stl", box()), tmp_path)
    assert answer["pictures"] == {"mesh": {"triangles": 12}}
    assert read_png((tmp_path / "mesh.png").read_bytes()).shape == (360, 480, 4)
    (tmp_path / "b.stl").write_bytes(b"no mesh at all")
    assert draw_mesh(tmp_path / "b.stl", tmp_path)["pictures"] == {}


def test_faces_without_area_are_not_drawn() -> None:
    part = box()
    more = np.array([[0, 0, 1], [2, 2, 2]])
    both = picture_of(Surface(part.vertices, np.concatenate((part.faces, more))))
    assert np.array_equal(both, picture_of(part))
