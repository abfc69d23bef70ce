"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no error, and what fails once must fail again: the same examples everywhere.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")
