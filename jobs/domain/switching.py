"""How the parts of a machine that hurt are switched, what *stop* reaches, and what watches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Switch(StrEnum):
    """What turns a part on and off."""

    FIRMWARE = "firmware"  # the controller itself: a stop turns it off
    RELAY = "relay"  # driven by the controller, which may stick
    PLUG = "plug"  # a smart plug: the machine's host's to switch if it knows its address
    BY_HAND = "by-hand"  # a switch: nothing turns it off but a hand


PARTS = ("spindle", "beam", "mains")
# Of a laser where nobody said otherwise: nobody leaves a beam alone for longer, and what smoulders
# shows itself within minutes.
PRESENCE_MIN: Final = 5.0
FIRE_WATCH_MIN: Final = 5.0
REMIND_S: Final = 60.0
# What a number may be, by its key: least and most; 0 is "not said" for each of them.
BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "cool_down_min": (0.0, 120.0),
    "cool_down_c": (30.0, 150.0),
    "busy_w": (1.0, 5000.0),
    "presence_min": (0.5, 15.0),
    "remind_s": (10.0, 120.0),
    "fire_watch_min": (1.0, 60.0),
}
MOST_INTERLOCKS: Final = 8


@dataclass(frozen=True, slots=True)
class Switching:
    """How spindle, beam and mains are switched; None: it has none, or nobody said.

    :param plugs: address of the plug of each part that hangs on one, see `drivers/plug.py`.
    :param cool_down_min: for so long the mains stay on after the last use, and until every heater
        is below `cool_down_c` where its controller tells; 0: no matter.
    :param busy_w: what the plug of the mains measures more of while the machine works.
    :param presence_min: how often a laser's person says that they are there; reminded `remind_s`
        before. Then somebody watches for fire for `fire_watch_min`.
    :param interlocks: inputs that must be good while a beam may burn, see `drivers/interlock.py`.
    """

    spindle: Switch | None = None
    beam: Switch | None = None
    mains: Switch | None = None
    heartbeat: str = ""  # line that the machine's host beats, see `drivers/pulse.py`
    idle_heat_off_min: float = 0.0  # 0: as the firmware profile says
    plugs: Mapping[str, str] = field(default_factory=dict)
    cool_down_min: float = 0.0
    cool_down_c: float = 0.0
    busy_w: float = 0.0
    presence_min: float = 0.0
    remind_s: float = 0.0
    fire_watch_min: float = 0.0
    interlocks: tuple[str, ...] = ()

    @property
    def actor(self) -> str:
        """Return the plug that gives the whole machine its power; "" for none.

        >>> Switching(mains=Switch.PLUG, plugs={"mains": "tasmota-mqtt:saw"}).actor
        'tasmota-mqtt:saw'
        """
        return self.plugs.get("mains", "")

    @property
    def presence_s(self) -> float:
        """How often the person at a laser says that they are there [s]."""
        return 60.0 * (self.presence_min or PRESENCE_MIN)

    @property
    def remind_before_s(self) -> float:
        """How long before that they are reminded [s]; never more than half of the time."""
        return min(self.remind_s or REMIND_S, self.presence_s / 2)

    @property
    def fire_watch_s(self) -> float:
        """For how long somebody stays with a laser after a run [s]."""
        return 60.0 * (self.fire_watch_min or FIRE_WATCH_MIN)

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

    def to_json(self) -> dict[str, str | float | list[str]]:
        """Return the keys that were said, as a machine's file has them."""
        parts = {"spindle": self.spindle, "beam": self.beam, "mains": self.mains}
        said: dict[str, str | float | list[str]] = {
            f"{name}_switch": by.value for name, by in parts.items() if by is not None
        }
        said |= {f"{name}_plug": address for name, address in self.plugs.items()}
        if self.heartbeat:
            said["heartbeat"] = self.heartbeat
        numbers = {
            "idle_heat_off_min": self.idle_heat_off_min,
            "cool_down_min": self.cool_down_min,
            "cool_down_c": self.cool_down_c,
            "busy_w": self.busy_w,
            "presence_min": self.presence_min,
            "remind_s": self.remind_s,
            "fire_watch_min": self.fire_watch_min,
        }
        if self.interlocks:
            said["interlocks"] = list(self.interlocks)
        return said | {key: number for key, number in numbers.items() if number}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Switching:
        """Read what `to_json` wrote.

        :raises ValueError: if a word is no `Switch`.
        """
        words = {part: values.get(f"{part}_switch") for part in PARTS}
        switch = {part: Switch(str(word)) if word else None for part, word in words.items()}
        number = {key: _float(values.get(key)) for key in NUMBERS}
        return cls(
            switch["spindle"],
            switch["beam"],
            switch["mains"],
            heartbeat=str(values.get("heartbeat", "")),
            plugs={part: str(values[f"{part}_plug"]) for part in PARTS if f"{part}_plug" in values},
            interlocks=_texts(values.get("interlocks")),
            idle_heat_off_min=number["idle_heat_off_min"],
            cool_down_min=number["cool_down_min"],
            cool_down_c=number["cool_down_c"],
            busy_w=number["busy_w"],
            presence_min=number["presence_min"],
            remind_s=number["remind_s"],
            fire_watch_min=number["fire_watch_min"],
        )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


NUMBERS = ("idle_heat_off_min", *BOUNDS)
UNSAID = Switching()
PLUGS = tuple(f"{part}_plug" for part in PARTS)
KEYS = (*(f"{part}_switch" for part in PARTS), *PLUGS, "heartbeat", "interlocks", *NUMBERS)
