"""The firmware profiles of this house: those that came with the node, and the lab's own."""

from __future__ import annotations

from drivers.errors import ProfileError
from drivers.profile import FirmwareProfile, load_profile, profile_names
from node.home import find_home


def read_profile(name: str) -> FirmwareProfile:
    """Return the profile of that name.

    :raises ProfileError: if there is none, or its file is not right.
    """
    own = find_home() / "firmware_profiles"
    try:
        return load_profile(name, own)
    except (UnicodeDecodeError, RecursionError) as error:
        file = str(own / f"{name}.toml")
        raise ProfileError("profile.not_toml", file=file, problem=str(error)) from error


def read_profiles() -> list[FirmwareProfile]:
    """Return every profile, by name."""
    return [read_profile(name) for name in profile_names(find_home() / "firmware_profiles")]
