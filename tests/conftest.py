"""What holds for every test."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import settings

# They wait for whole nodes, browsers and every route: begun last, they would be waited for alone.
LONG: Final = (
    "who_may",
    "journeys",
    "setup",
    "browser",
    "security",
    "test_modules",
    "test_host_vigil",
)

# A slow machine is no error, and what fails once must fail again: the same examples everywhere.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long; the others keep their order."""
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in LONG))
