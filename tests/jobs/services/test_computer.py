"""The node's own computer tells whether its power supply holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.services.computer import Supply, supply

FILE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def tell(devices: Path, text: str) -> None:
    file = devices / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", Supply()),
        ("50005\n", Supply(is_low=True, was_low=True)),
        ("0x50000\n", Supply(was_low=True)),
        ("4", Supply()),
        ("", Supply()),
        ("no number", Supply()),
    ],
)
def test_the_word_of_the_firmware_is_read(tmp_path, text, wanted):
    tell(tmp_path, text)
    assert supply(tmp_path) == wanted


def test_a_computer_that_does_not_tell_is_well(tmp_path):
    assert supply(tmp_path) == Supply()
