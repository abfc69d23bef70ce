from __future__ import annotations

import json
from pathlib import Path

import pytest

from web import vendor

ROOT = Path(vendor.__file__).parents[1]


def test_each_library_is_copied_with_its_licence(tmp_path):
    for source in vendor.FILES:
        file = tmp_path / "modules" / source
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    copied = vendor.copy_libraries(tmp_path / "modules", tmp_path / "vendor")
    assert sorted(file.name for file in copied) == sorted(vendor.FILES.values())


def test_a_missing_library_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as missing:
        vendor.copy_libraries(tmp_path, tmp_path / "vendor")
    assert "htmx" in missing.value.filename


def test_the_lock_file_records_no_addresses():
    text = (ROOT / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in one for name, one in packages.items() if name)
