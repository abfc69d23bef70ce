"""The public holidays of a place, looked up by a child of ours.

The library of all the world's holidays takes some 17 MiB, and the node asks it once a year.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from typing import Final

from jobs.domain.errors import InvalidError, UnavailableError

YEARS: Final = 3  # looked up at once: last year's end matters to nobody, next year's spring does
_PATIENCE_S: Final = 60
_MOST: Final = 400


def look_up(place: str, first_year: int) -> Mapping[str, str]:
    """Return the holidays of a country or a region by ISO day.

    :param place: as `rules.values` keeps it: `DE`, `DE-BY`.
    :raises InvalidError: if nobody knows the holidays of that place.
    """
    argv = [sys.executable, "-I", "-m", __name__, place, str(first_year)]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=False
        )
        found = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise UnavailableError("rule.holidays-away") from error
    if found is None:
        raise InvalidError("rule.place", field="value", place=place)
    return {
        date.fromisoformat(day).isoformat(): str(name)[:120]
        for day, name in list(found.items())[:_MOST]
    }


def main(place: str, first_year: int) -> int:
    """Write the days as JSON; 1 where nobody knows that place."""
    import holidays  # 17 MiB: only here, in a child

    country, _, region = place.partition("-")
    years = range(first_year, first_year + YEARS)
    try:
        found = holidays.country_holidays(country, subdiv=region or None, years=years)
    except NotImplementedError:
        return 1
    sys.stdout.write(json.dumps({day.isoformat(): name for day, name in sorted(found.items())}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
