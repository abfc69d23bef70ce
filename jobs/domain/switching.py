"""How the parts of a machine that hurt are switched, and so what *stop* can reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum


class Switch(StrEnum):
    """What turns a part on and off."""

    FIRMWARE = "firmware"  # the controller itself: a stop turns it off
    RELAY = "relay"  # driven by the controller, which may stick
    PLUG = "plug"  # a plug that the node or a person reaches over the network
    BY_HAND = "by-hand"  # a switch: nothing turns it off but a hand


@dataclass(frozen=True, slots=True)
class Switching:
    """How spindle, beam and mains are switched; None: it has none, or nobody said."""

    spindle: Switch | None = None
    beam: Switch | None = None
    mains: Switch | None = None

    @property
    def left_on(self) -> tuple[tuple[str, str], ...]:
        """Return the parts that no stop of the controller turns off, and what does.

        >>> Switching(spindle=Switch.BY_HAND, mains=Switch.BY_HAND).left_on
        (('spindle', 'by-hand'),)
        """
        # The mains stay on after every stop; what counts is what they still drive.
        parts = {"spindle": self.spindle, "beam": self.beam}
        left = (Switch.BY_HAND, Switch.PLUG)
        return tuple((name, by.value) for name, by in parts.items() if by in left)

    def to_json(self) -> dict[str, str]:
        """Return the keys that were said, as a machine's file has them."""
        parts = {"spindle": self.spindle, "beam": self.beam, "mains": self.mains}
        return {f"{name}_switch": by.value for name, by in parts.items() if by is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Switching:
        """Read what `to_json` wrote.

        :raises ValueError: if a word is no `Switch`.
        """
        return cls(
            **{
                field.name: Switch(str(values[f"{field.name}_switch"]))
                for field in fields(cls)
                if f"{field.name}_switch" in values
            }
        )


UNSAID = Switching()
KEYS = tuple(f"{field.name}_switch" for field in fields(Switching))
