"""Simulate one machine from the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from drivers.errors import SimulatorError
from drivers.simulators.faults import FAULTS
from drivers.simulators.machines import SIMULATORS, Wishes, simulate
from drivers.simulators.usb import Plug


def envelope(text: str) -> tuple[float, float, float]:
    """Read `X,Y,Z` in mm.

    >>> envelope("300,400,80")
    (300.0, 400.0, 80.0)
    """
    x, y, z = (float(part) for part in text.split(","))
    return x, y, z


def setting(text: str) -> tuple[str, float]:
    """Read `KEY=NUMBER`.

    >>> setting("22=1")
    ('22', 1.0)
    """
    key, _, value = text.partition("=")
    return key, float(value)


def parser() -> argparse.ArgumentParser:
    faults = "; ".join(f"{name}=: {meaning}" for name, meaning in FAULTS.items())
    words = argparse.ArgumentParser(
        prog="python -m drivers.simulators", description="A simulated machine behind a pty."
    )
    words.add_argument("profile", choices=SIMULATORS)
    words.add_argument("--link", type=Path, required=True, help="symbolic link to the port")
    words.add_argument("--speed", type=float, default=1.0, help="times faster than real time")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE", help=faults)
    words.add_argument("--envelope", type=envelope, metavar="X,Y,Z", help="reach of the axes [mm]")
    words.add_argument("--log", type=Path, help="write what really happened, JSON lines")
    words.add_argument("--baud", type=int, help="pace of the line; 0 for none")
    words.add_argument("--cpu", type=float, default=1.0, help="processor speed; 0 for no delay")
    words.add_argument(
        "--with",
        dest="options",
        action="append",
        default=[],
        metavar="OPTION",
        help="a firmware option: emergency-parser, advanced-ok, prompts (Marlin)",
    )
    words.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        type=setting,
        metavar="N=VALUE",
        help="a stored firmware setting, such as 22=1 (Grbl)",
    )
    words.add_argument(
        "--usb",
        type=Plug.read,
        metavar="VENDOR:PRODUCT[:SERIAL[:POSITION]]",
        help="its USB side; the link must lie in the `dev` of a folder that stands for /",
    )
    words.add_argument(
        "--hears-rates", action="store_true", help="hear a host at another rate as noise"
    )
    return words


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    wishes = Wishes(
        envelope=given.envelope,
        baud=given.baud,
        cpu=given.cpu,
        options=tuple(given.options),
        settings=dict(given.settings),
        plug=given.usb,
        hears_rates=given.hears_rates,
    )
    try:
        simulate(given.profile, given.link, given.speed, given.seed, given.fault, given.log, wishes)
    except (SimulatorError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
