"""Which commands there are, by dialect, and what they mean to the analysis."""

from __future__ import annotations

from typing import Final

# Source: MarlinFirmware/Marlin:Marlin/src/gcode/gcode.cpp (2.1), process_parsed_command, and
# prusa3d/Prusa-Firmware for M862; what a board was built without, it names and skips.
_MARLIN_G = (
    "0 1 2 3 4 5 6 10 11 12 17 18 19 20 21 26 27 28 29 30 31 32 33 34 35 38.2 38.3 38.4 38.5 42"
    " 53 54 55 56 57 58 59 59.1 59.2 59.3 60 61 76 80 90 91 92 425"
)
_MARLIN_M = (
    "0 1 3 4 5 7 8 9 10 11 16 17 18 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 42 43 48 73 75"
    " 76 77 78 80 81 82 83 84 85 86 87 92 100 102 104 105 106 107 108 109 110 111 112 113 114 115"
    " 117 118 119 120 121 122 123 125 126 127 128 129 140 141 143 145 149 150 154 155 163 164 165"
    " 166 190 191 192 193 200 201 202 203 204 205 206 207 208 209 210 211 217 218 220 221 226 240"
    " 250 255 256 260 261 280 281 282 290 300 301 302 303 304 305 306 309 350 351 355 360 361 362"
    " 363 364 380 381 400 401 402 403 404 405 406 407 408 410 412 413 420 421 422 423 425 428 430"
    " 485 486 493 500 501 502 503 504 510 511 512 524 540 552 553 554 569 575 592 593 594 600 603"
    " 605 665 666 672 701 702 710 808 810 811 812 813 814 815 816 817 818 819 820 851 852 862.1"
    " 862.2 862.3 862.4 862.5 862.6 871 876 900 906 907 908 909 910 911 912 913 914 915 916 917"
    " 918 919 928 951 993 994 995 997 999"
)
# Source: gnea/grbl:grbl/gcode.c (1.1), step 2; the words of each modal group.
_GRBL_G = (
    "0 1 2 3 4 10 17 18 19 20 21 28 28.1 30 30.1 38.2 38.3 38.4 38.5 40 43.1 49 53 54 55 56 57 58"
    " 59 61 80 90 91 91.1 92 92.1 93 94"
)
_GRBL_M = "0 1 2 3 4 5 7 8 9 30"


def _named(letter: str, numbers: str) -> frozenset[str]:
    return frozenset(letter + number for number in numbers.split())


MARLIN: Final = _named("G", _MARLIN_G) | _named("M", _MARLIN_M)
GRBL: Final = _named("G", _GRBL_G) | _named("M", _GRBL_M)
KNOWN: Final = {"marlin": MARLIN, "grbl": GRBL, "unknown": MARLIN | GRBL}

# These would make untrue what is found here: moves along curves or to places that the program
# does not name, shifted zeros and limits, macros and files that hold further commands, presets
# of temperatures. No profile can allow them.
UNTRACEABLE: Final = (
    "G5", "G6", "G26", "G42", "G60", "G61", "G76", "G425", "M23", "M24", "M32", "M42", "M43",
    "M48", "M145", "M206", "M211 S0", "M218", "M290", "M302", "M428", "M808", "M810", "M811",
    "M812", "M813", "M814", "M815", "M816", "M817", "M818", "M819", "M851",
)  # fmt: skip
# Grbl's G61 is a path mode, and the only one it has.
UNTRACEABLE_GRBL: Final = ("G10", "G28.1", "G30.1")

# Letters that may begin a line of Marlin; a bare axis word is no command there.
MARLIN_HEADS: Final = b"GMT"

# The longest line the firmware takes without cutting it [bytes].
# Source: Marlin MAX_CMD_SIZE 96, less line number, checksum and the ending zero; Grbl
# LINE_BUFFER_SIZE 80 with its ending zero (gnea/grbl:grbl/protocol.h).
LINE_BYTES: Final = {"marlin": 80, "grbl": 79, "unknown": 79}

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
