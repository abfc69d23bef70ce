"""The grammar of each firmware family: pure functions from a received line to what it means.

A parser is total: it never raises, because noise on the wire is normal. `DIALECTS` also holds
how a family reads the lines of a program, so that nothing above has to know G-code.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.dialects import farmbot, farmbot_lines, grbl, marlin
from drivers.dialects.grammar import Dialect, suspect
from drivers.gcode import bare, bare_but_words, commands, dwell, is_move

DIALECTS: Mapping[str, Dialect] = {
    "marlin": Dialect(marlin.parse, bare, commands, lambda line: dwell(line, 0.001), is_move),
    "grbl": Dialect(grbl.parse, bare_but_words, commands, lambda line: dwell(line, 1.0), is_move),
    "farmbot": Dialect(
        farmbot.parse,
        farmbot_lines.bare,
        farmbot_lines.commands,
        farmbot_lines.dwell,
        lambda _: False,  # it answers a move when it has arrived
        is_gcode=False,
    ),
}

__all__ = ["DIALECTS", "Dialect", "suspect"]
