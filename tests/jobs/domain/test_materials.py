"""Densities: ours, a lab's own beside them, and what is wrong with a table said by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.domain.errors import InvalidError
from jobs.domain.materials import density_of, load_materials


def test_common_materials_are_known_in_any_case() -> None:
    table = load_materials()
    assert density_of("petg", table) == 1.27
    assert all(0.3 < density < 9 for density in table.values())


def test_a_labs_own_table_adds_and_wins(tmp_path: Path) -> None:
    own = tmp_path / "materials.toml"
    assert load_materials(own) == load_materials()
    own.write_text('[density_g_cm3]\nPLA = 1.3\n"our wood" = 0.62\n')
    table = load_materials(own)
    assert (table["PLA"], table["our wood"], table["ABS"]) == (1.3, 0.62, 1.04)


def test_what_is_not_known_is_said_with_what_is() -> None:
    with pytest.raises(InvalidError) as told:
        density_of("unobtainium", load_materials())
    assert told.value.code == "materials.unknown"
    assert "PETG" in str(told.value.fields["known"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[density_g_cm3\n", "materials.unreadable"),
        ("density_g_cm3 = 3\n", "materials.unreadable"),
        ("[density_g_cm3]\nPLA = 'heavy'\n", "materials.density"),
        ("[density_g_cm3]\nPLA = -1\n", "materials.density"),
        ("[density_g_cm3]\nPLA = nan\n", "materials.density"),
        ("[density_g_cm3]\nPLA = 1240\n", "materials.density"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "materials.toml").write_text(text)
    with pytest.raises(InvalidError) as told:
        load_materials(tmp_path / "materials.toml")
    assert told.value.code == code
