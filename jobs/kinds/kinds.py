"""The machine kinds: what files they take, how they are made safe, and who may start them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from jobs.domain.errors import InvalidError
from jobs.domain.preflight import FindingCode


class Start(StrEnum):
    """Who starts a run once the machine is armed."""

    DISPATCH = "dispatch"  # the node, after a person said that the bed is clear
    PERSON = "person"  # a person who stands there: chips, clamps and light need eyes


class Item(StrEnum):
    """What a person confirms by looking, before a machine starts that cuts."""

    STOCK = "stock"  # stock and clamps
    TOOL = "tool"
    OFFSET = "offset"  # set, or confirmed since homing
    EXTRACTION = "extraction"
    MATERIAL = "material"  # lies on the bed, and the beam is in focus on it
    AIR = "air"  # lens clean, air assist and extraction on
    LID = "lid"  # closed, or eyes protected


@dataclass(frozen=True, slots=True)
class MachineKind:
    """One kind of machine.

    :param name: the stored word, a key of `KINDS`.
    :param programs: dialects of the programs it takes.
    :param program_suffix: ending of a program's file that a person carries to it.
    :param meshes: whether a slicer can turn a mesh into a program for it.
    :param switch_off: lines that make it safe without moving it, by dialect. A machine's
        firmware profile may say otherwise and wins.
    :param start: who starts it.
    :param forbidden: commands that no program may hold, by dialect, where the rules of the
        firmware's family say nothing of them; a firmware profile may name more.
    :param findings: what preflight can say of its programs, for the pages that explain it.
    :param checklist: what a person confirms by looking before the start, a `Item` each; empty where
        the node starts it.
    :param has_beam: it cuts with light: nothing turns, and what counts is power where it stands.
    """

    name: str
    programs: tuple[str, ...]
    program_suffix: str
    meshes: bool
    switch_off: dict[str, tuple[str, ...]]
    start: Start
    forbidden: dict[str, tuple[str, ...]]
    findings: frozenset[FindingCode]
    checklist: tuple[Item, ...] = ()
    has_beam: bool = False


_EVERY: Final = frozenset(
    {
        FindingCode.OUTSIDE_ENVELOPE, FindingCode.FORBIDDEN_COMMAND, FindingCode.UNKNOWN_COMMAND,
        FindingCode.WRONG_DIALECT, FindingCode.WRONG_KIND, FindingCode.NOT_EXAMINED,
        FindingCode.REALTIME_BYTE,
        FindingCode.MALFORMED_LINE, FindingCode.ARC_IMPOSSIBLE, FindingCode.LINE_TOO_LONG,
        FindingCode.NOT_TEXT,
        FindingCode.EMPTY, FindingCode.TOO_LARGE, FindingCode.NO_FEEDRATE,
        FindingCode.SPINDLE_LEFT_ON,
    }
)  # fmt: skip
# Settings that outlast the program, firmware and card, the host's own line numbers, and words
# that stop everything. Source: research "Untrusted input", MarlinFirmware/Marlin gcode.cpp.
_MARLIN_FORBIDDEN: Final = (
    "G20", "M22", "M23", "M24", "M25", "M26", "M27", "M28", "M29", "M30", "M32", "M33", "M42",
    "M81", "M92", "M108", "M110", "M111", "M112", "M211 S0", "M206", "M226", "M260", "M261",
    "M301", "M302", "M303", "M304", "M305", "M306", "M410", "M428", "M500", "M501", "M502",
    "M504", "M510", "M511", "M512", "M524", "M552", "M553", "M554", "M569", "M575", "M665",
    "M666", "M672", "M851", "M906", "M908", "M910", "M911", "M912", "M913", "M914",
    "M928", "M951", "M993", "M994", "M995", "M997", "M999",
)  # fmt: skip
# `$` reads and writes settings; G10, G28.1 and G30.1 write to EEPROM, which stops the receiver.
_GRBL_FORBIDDEN: Final = ("$", "G10", "G28.1", "G30.1")

FDM: Final = MachineKind(
    name="fdm",
    programs=("marlin",),
    program_suffix=".gcode",
    meshes=True,
    switch_off={"marlin": ("M104 S0", "M140 S0", "M107", "M84")},
    start=Start.DISPATCH,
    forbidden={"marlin": _MARLIN_FORBIDDEN},
    findings=_EVERY
    | {
        FindingCode.NOZZLE_TOO_HOT,
        FindingCode.MATERIAL_TOO_HOT,
        FindingCode.BED_TOO_HOT,
        FindingCode.COLD_EXTRUSION,
        FindingCode.HEAT_LEFT_ON,
        FindingCode.IN_KEEP_OUT,
    },
)
MILL: Final = MachineKind(
    name="mill",
    programs=("grbl", "marlin"),
    program_suffix=".nc",
    meshes=False,
    switch_off={"grbl": ("M5", "M9"), "marlin": ("M5", "M9")},
    start=Start.PERSON,
    forbidden={"grbl": _GRBL_FORBIDDEN, "marlin": _MARLIN_FORBIDDEN},
    findings=_EVERY | {FindingCode.SPINDLE_TOO_FAST, FindingCode.UNITS_MISSING},
    checklist=(Item.STOCK, Item.TOOL, Item.OFFSET, Item.EXTRACTION),
)
LASER: Final = replace(
    MILL,
    name="laser",
    findings=_EVERY
    | {FindingCode.BEAM_TOO_STRONG, FindingCode.BEAM_STANDS, FindingCode.UNITS_MISSING},
    checklist=(Item.MATERIAL, Item.AIR, Item.LID, Item.OFFSET),
    has_beam=True,
)

GARDEN: Final = MachineKind(
    name="garden",
    programs=("farmbot",),
    program_suffix=".txt",
    meshes=False,
    switch_off={"farmbot": ("F41 P8 V0 M0", "F41 P9 V0 M0", "F41 P10 V0 M0")},
    start=Start.DISPATCH,
    # E and @ act wherever they stand, F9 unlocks, calibration writes settings.
    forbidden={"farmbot": ("E", "@", "F9", "F14", "F15", "F16", "F20", "F23", "F32")},
    findings=frozenset(
        {
            FindingCode.OUTSIDE_ENVELOPE, FindingCode.FORBIDDEN_COMMAND,
            FindingCode.UNKNOWN_COMMAND, FindingCode.MALFORMED_LINE, FindingCode.LINE_TOO_LONG,
            FindingCode.NOT_TEXT, FindingCode.EMPTY, FindingCode.TOO_LARGE,
            FindingCode.NOT_FOLLOWED, FindingCode.PIN_SWITCHED, FindingCode.PIN_LEFT_ON,
            FindingCode.SETTING_STORED, FindingCode.MOVES_UNHOMED,
        }
    ),
)  # fmt: skip

KINDS: Final[dict[str, MachineKind]] = {kind.name: kind for kind in (FDM, MILL, LASER, GARDEN)}


def kind_named(name: str) -> MachineKind:
    """Return a machine kind.

    :raises InvalidError: `machine.unknown-kind` with the kinds there are.

    >>> kind_named("mill").start
    <Start.PERSON: 'person'>
    """
    if name not in KINDS:
        raise InvalidError("machine.unknown-kind", field="kind", name=name, known=", ".join(KINDS))
    return KINDS[name]


def has_beam(kind: str) -> bool:
    """Tell whether machines of a kind cut with light, for one that we do not know: no.

    >>> has_beam("laser"), has_beam("band-saw")
    (True, False)
    """
    known = KINDS.get(kind)
    return known is not None and known.has_beam


def forbidden_commands(kind: str, dialect: str, by_profile: Iterable[str]) -> tuple[str, ...]:
    """Return every command that no program may hold there, sorted.

    :param by_profile: those that the machine's firmware profile names. They add to the kind's:
        a profile that forgets one must not allow it.

    >>> forbidden_commands("mill", "grbl", ["$H"])
    ('$', '$H', 'G10', 'G28.1', 'G30.1')
    """
    known = KINDS.get(kind)
    return tuple(sorted({*by_profile, *(known.forbidden.get(dialect, ()) if known else ())}))
