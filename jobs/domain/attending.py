"""Who is in the house: how long a stay lasts that nobody ends, and how long it is remembered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from jobs.domain.calendar import Interval
from jobs.domain.errors import InvalidError

LONGEST_H: Final = (1, 48)  # least, most
KEPT_DAYS: Final = (1, 90)


@dataclass(frozen=True, slots=True)
class HouseTimes:
    """The lab's own choices about the check-in at the house.

    :param longest_h: after so many hours a stay ends by itself, if the lab does not close before.
    :param kept_days: for so many days it is known who was in.
    :param display_names: whether a wall display shows adults' names; else it counts alone.
    """

    longest_h: int = 12
    kept_days: int = 14
    display_names: bool = False

    def to_json(self) -> dict[str, int | bool]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> HouseTimes:
        """Read what `to_json` wrote; what is missing stays as it comes.

        :raises InvalidError: naming the value that cannot be.
        """
        known: dict[str, int | bool] = cls().to_json()
        for name, value in values.items():
            if name not in known or isinstance(value, bool) is not (name == "display_names"):
                raise InvalidError("house.times", field=name)
            low, high = {"longest_h": LONGEST_H, "kept_days": KEPT_DAYS}.get(name, (0, 1))
            if not isinstance(value, int) or not low <= value <= high:
                raise InvalidError("house.times", field=name)
            known[name] = value
        return cls(int(known["longest_h"]), int(known["kept_days"]), bool(known["display_names"]))


def ends_by_itself(start: datetime, times: HouseTimes, opened: Iterable[Interval]) -> datetime:
    """Return when a stay ends that nobody ends: as the lab closes, or after so many hours.

    :param opened: when the lab is open; who comes outside of that stays for the hours.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    >>> opened = [Interval(noon - timedelta(hours=3), noon + timedelta(hours=6))]
    >>> ends_by_itself(noon, HouseTimes(), opened).hour, ends_by_itself(noon, HouseTimes(), []).hour
    (18, 0)
    """
    end = start + timedelta(hours=times.longest_h)
    closing = [one.end for one in opened if one.start <= start < one.end]
    return min([end, *closing])
