"""The language of the machines: its words, its bare lines, its checksum, its modal state.

Every firmware here reads the same words; what it answers is a matter of `drivers.dialects`.
"""

from drivers.gcode.lexer import (
    REALTIME_BYTES,
    bare,
    bare_but_words,
    checksum,
    commands,
    dwell,
    is_move,
    numbered,
    tight,
    words,
)
from drivers.gcode.modal import ModalState

__all__ = [
    "REALTIME_BYTES",
    "ModalState",
    "bare",
    "bare_but_words",
    "checksum",
    "commands",
    "dwell",
    "is_move",
    "numbered",
    "tight",
    "words",
]
