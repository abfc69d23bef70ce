"""Whether an upload ends before its maker had ended it, as a broken copy does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobs.analysis.reading import Told
from jobs.analysis.slicers import read_slicer
from jobs.analysis.target import person
from jobs.domain.preflight import Finding, FindingCode

_LEFT_ON = frozenset({FindingCode.HEAT_LEFT_ON, FindingCode.SPINDLE_LEFT_ON})
# PrusaSlicer and its kin close what they open at the end of a file.
_MARKS = (
    (b"; prusaslicer_config = begin", b"; prusaslicer_config = end"),
    (b"; SuperSlicer_config = begin", b"; SuperSlicer_config = end"),
    (b"; CONFIG_BLOCK_START", b"; CONFIG_BLOCK_END"),
)


def cut_short(told: Told, found: Iterable[Finding]) -> Iterator[Finding]:
    """Return a finding on the last line where the rest seems to be missing.

    Every slicer ends its last line and switches off before it.

    :param found: what else was found.
    """
    is_open = any(begin in told.tail and end not in told.tail for begin, end in _MARKS)
    is_cut = not told.tail.endswith((b"\n", b"\r")) and any(one.code in _LEFT_ON for one in found)
    if is_open or (is_cut and (read_slicer(told.ends) or {}).get("name")):
        yield person(FindingCode.CUT_SHORT, told.source_lines)
