"""How the parts of a machine that hurt are switched, and so what *stop* can reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Switch(StrEnum):
    """What turns a part on and off."""

    FIRMWARE = "firmware"  # the controller itself: a stop turns it off
    RELAY = "relay"  # driven by the controller, which may stick
    PLUG = "plug"  # a smart plug: the machine's host's to switch if it knows its address
    BY_HAND = "by-hand"  # a switch: nothing turns it off but a hand


PARTS = ("spindle", "beam", "mains")


@dataclass(frozen=True, slots=True)
class Switching:
    """How spindle, beam and mains are switched; None: it has none, or nobody said.

    :param plugs: address of the plug of each part that hangs on one, see `drivers/plug.py`.
    """

    spindle: Switch | None = None
    beam: Switch | None = None
    mains: Switch | None = None
    heartbeat: str = ""  # line that the machine's host beats, see `drivers/pulse.py`
    idle_heat_off_min: float = 0.0  # 0: as the firmware profile says
    plugs: Mapping[str, str] = field(default_factory=dict)

    @property
    def left_on(self) -> tuple[tuple[str, str], ...]:
        """Return the parts that no stop of ours turns off, and what does.

        >>> Switching(spindle=Switch.BY_HAND, mains=Switch.BY_HAND).left_on
        (('spindle', 'by-hand'),)
        >>> Switching(beam=Switch.PLUG, plugs={"beam": "tasmota:10.0.0.2"}).left_on
        ()
        """
        # The mains stay on after every stop; what counts is what they still drive.
        parts = {"spindle": self.spindle, "beam": self.beam}
        left = (Switch.BY_HAND, Switch.PLUG)
        return tuple(
            (name, by.value)
            for name, by in parts.items()
            if by in left and not (by is Switch.PLUG and self.plugs.get(name))
        )

    def to_json(self) -> dict[str, str | float]:
        """Return the keys that were said, as a machine's file has them."""
        parts = {"spindle": self.spindle, "beam": self.beam, "mains": self.mains}
        said: dict[str, str | float] = {
            f"{name}_switch": by.value for name, by in parts.items() if by is not None
        }
        said |= {f"{name}_plug": address for name, address in self.plugs.items()}
        if self.heartbeat:
            said["heartbeat"] = self.heartbeat
        if self.idle_heat_off_min:
            said["idle_heat_off_min"] = self.idle_heat_off_min
        return said

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Switching:
        """Read what `to_json` wrote.

        :raises ValueError: if a word is no `Switch`.
        """
        switches = {
            part: Switch(str(values[f"{part}_switch"]))
            for part in PARTS
            if f"{part}_switch" in values
        }
        minutes = values.get("idle_heat_off_min", 0.0)
        return cls(
            **switches,
            heartbeat=str(values.get("heartbeat", "")),
            plugs={part: str(values[f"{part}_plug"]) for part in PARTS if f"{part}_plug" in values},
            idle_heat_off_min=float(minutes) if isinstance(minutes, int | float) else 0.0,
        )


UNSAID = Switching()
PLUGS = tuple(f"{part}_plug" for part in PARTS)
KEYS = (*(f"{part}_switch" for part in PARTS), *PLUGS, "heartbeat", "idle_heat_off_min")
