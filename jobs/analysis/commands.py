"""What commands mean to the analysis; which there are, the rules of each family say."""

from __future__ import annotations

from typing import Final

# Letters that may begin a line of Marlin; a bare axis word is no command there.
MARLIN_HEADS: Final = b"GMT"

# Words whose axis letters are not a motion: tables, homing, offsets.
# Codes are ten times the number: G92.1 is 921.
NOT_MOTION: Final = (50, 60, 100, 110, 120, 260, 270, 280, 281, 290, 300, 301, 310, 320, 330,
                     340, 350, 420, 431, 600, 610, 760, 920, 921, 922, 923, 4250)  # fmt: skip

# The planner runs empty before these are obeyed, so motion stops at them.
# Source: planner.synchronize() in Marlin's handlers, and the waits for a temperature;
# protocol_buffer_synchronize() in grbl, with FORCE_BUFFER_SYNC_DURING_WCO_CHANGE as it comes.
SYNC_G: Final = (40, 280, 281, 290, 300, 301, 340, 350, 382, 383, 384, 385)
SYNC_M: Final = (0, 10, 30, 40, 50, 70, 80, 90, 180, 840, 1090, 1900, 1910, 2260, 4000, 6000)
SYNC_G_GRBL: Final = (100, 431, 490, 540, 550, 560, 570, 580, 590, 591, 592, 593, 920, 921)
SYNC_M_GRBL: Final = (30, 40, 50, 60, 70, 80, 90)
# Obeyed after the motion of their own line.
HALTING_ENDS: Final = (0, 10, 20, 300)


def name_of(letter: str, code: int) -> str:
    """Return a command as people write it.

    >>> name_of("G", 10), name_of("M", 8623)
    ('G1', 'M862.3')
    """
    whole, tenth = divmod(code, 10)
    return f"{letter}{whole}.{tenth}" if tenth else f"{letter}{whole}"
