"""What differs between machine kinds, as values: one value each, one line in `KINDS`."""

from jobs.kinds.kinds import (
    FDM,
    GARDEN,
    KINDS,
    LASER,
    MILL,
    Item,
    MachineKind,
    Start,
    forbidden_commands,
    has_beam,
    kind_named,
)

__all__ = [
    "FDM",
    "GARDEN",
    "KINDS",
    "LASER",
    "MILL",
    "Item",
    "MachineKind",
    "Start",
    "forbidden_commands",
    "has_beam",
    "kind_named",
]
