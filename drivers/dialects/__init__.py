"""The grammar of each firmware family: pure functions from a received line to what it means.

A parser is total: it never raises, because noise on the wire is normal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drivers.dialects import grbl, marlin

DIALECTS: Mapping[str, Callable[[str], object]] = {
    "marlin": marlin.parse,
    "grbl": grbl.parse,
}
