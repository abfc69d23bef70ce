"""The machines that can be simulated, on this process's ptys or in a process of their own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from drivers.errors import SimulatorError
from drivers.simulators.farmbot import FarmBotSimulator
from drivers.simulators.faults import Faults
from drivers.simulators.firmware import Board, Firmware, Record
from drivers.simulators.fluidnc import FluidNcSimulator
from drivers.simulators.grbl import GrblSimulator
from drivers.simulators.grblhal import GrblHalSimulator
from drivers.simulators.klipper import KlipperSimulator
from drivers.simulators.marlin import (
    BuddySimulator,
    Marlin1Simulator,
    MarlinSimulator,
    PrusaMk3Simulator,
)
from drivers.simulators.plant import Vector
from drivers.simulators.ptys import Line, run_until_stopped
from drivers.simulators.repetier import RepetierSimulator
from drivers.simulators.reprapfirmware import RepRapFirmwareSimulator
from drivers.simulators.smoothie import SmoothieSimulator
from drivers.simulators.usb import Plug

READY_S = 20.0  # of wall time: how long a machine's process may take to open its port


@dataclass(frozen=True, slots=True)
class Model:
    """A simulated machine to choose from: its firmware and its stock board."""

    firmware: type[Firmware]
    board: Board
    options: frozenset[str]  # what may be switched on
    about: str


_PRINTER = Board((220.0, 220.0, 250.0), 250_000, 127, 15)
_GRBL_OPTIONS = frozenset({"keeps-beam"})  # built without DISABLE_LASER_DURING_HOLD
_MARLIN_OPTIONS = frozenset({"emergency-parser", "advanced-ok", "prompts", "classic-jerk"})

SIMULATORS: Mapping[str, Model] = {
    "marlin-2": Model(MarlinSimulator, _PRINTER, _MARLIN_OPTIONS, "a printer, Marlin 2.1.2"),
    "marlin-1": Model(Marlin1Simulator, _PRINTER, _MARLIN_OPTIONS, "a printer, Marlin 1.1"),
    "prusa-mk3": Model(
        PrusaMk3Simulator,
        Board((250.0, 210.0, 210.0), 115_200, 127, 15),
        frozenset(),
        "a printer, Prusa-Firmware 3.13",
    ),
    "prusa-buddy": Model(
        BuddySimulator,
        Board((250.0, 210.0, 220.0), 0, 255, 31, cpu=10.0),
        frozenset({"advanced-ok", "prompts"}),
        "a printer, Prusa's Buddy firmware",
    ),
    "repetier": Model(
        RepetierSimulator,
        Board((220.0, 220.0, 250.0), 250_000, 127, 24),
        frozenset({"plain-ok", "forced-checksum"}),
        "a printer, Repetier-Firmware 1.0.4",
    ),
    "klipper": Model(
        KlipperSimulator,
        Board((220.0, 220.0, 250.0), 0, 4095, 128, cpu=40.0),
        frozenset(),
        "a printer, Klipper 0.13 on its pseudo-terminal",
    ),
    "smoothieware": Model(
        SmoothieSimulator,
        Board((220.0, 220.0, 250.0), 115_200, 255, 32, cpu=10.0),
        frozenset(),
        "a printer, Smoothieware",
    ),
    "reprapfirmware": Model(
        RepRapFirmwareSimulator,
        Board((220.0, 220.0, 250.0), 0, 255, 40, cpu=10.0),
        frozenset(),
        "a printer, RepRapFirmware 3.5 by USB",
    ),
    "grbl-1.1": Model(
        GrblSimulator,
        Board((300.0, 400.0, 80.0), 115_200, 128, 15),
        _GRBL_OPTIONS,
        "a router, Grbl 1.1h",
    ),
    "grblhal": Model(
        GrblHalSimulator,
        Board((300.0, 400.0, 80.0), 115_200, 1023, 35, cpu=8.0),
        _GRBL_OPTIONS,
        "a router, grblHAL",
    ),
    "fluidnc": Model(
        FluidNcSimulator,
        Board((300.0, 400.0, 80.0), 115_200, 256, 16, cpu=12.0),
        _GRBL_OPTIONS,
        "a router, FluidNC",
    ),
    "farmbot": Model(
        FarmBotSimulator,
        Board((2500.0, 1200.0, 400.0), 115_200, 63, 1),
        frozenset({"fast-reports"}),
        "a gardening robot, FarmBot 6.6",
    ),
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a simulated machine differs from the stock one; None leaves it as it is.

    :param envelope: [mm].
    :param baud: 0 for a line without pace.
    :param planner_blocks: moves that may be planned; 0 for the stock board's.
    :param cpu: processor speed as a multiple of the stock board's; 0 for no delay.
    """

    seed: int = 0
    faults: tuple[str, ...] = ()
    envelope: Vector | None = None
    baud: int | None = None
    cpu: float = 1.0
    planner_blocks: int = 0
    options: tuple[str, ...] = ()
    settings: Mapping[str, float] | None = None
    plug: Plug | None = None  # the USB side; the link then lies in a `dev` of its own root
    hears_rates: bool = False  # a host at another rate is heard as noise


def build(profile: str, wishes: Wishes, record: Record | None = None) -> Firmware:
    """Make a board, switched on at the instant 0.

    :raises SimulatorError: for an unknown profile, fault or option.
    """
    model = SIMULATORS.get(profile)
    if model is None:
        known = ", ".join(SIMULATORS)
        raise SimulatorError("simulator.unknown-machine", name=profile, known=known)
    unknown = set(wishes.options) - model.options
    if unknown:
        known = ", ".join(sorted(model.options)) or "none"
        raise SimulatorError(
            "simulator.unknown-option", machine=profile, option=min(unknown), known=known
        )
    stock = model.board
    board = Board(
        wishes.envelope or stock.envelope,
        stock.baud if wishes.baud is None else wishes.baud,
        stock.rx_bytes,
        wishes.planner_blocks or stock.planner_blocks,
        stock.cpu * wishes.cpu,
        frozenset(wishes.options),
        dict(wishes.settings or {}),
    )
    faults = Faults(wishes.faults, wishes.seed)
    return model.firmware(board, faults, record or Record(), 0.0)


def simulate(
    profile: str,
    link: Path,
    speed: float = 1.0,
    seed: int = 0,
    faults: Iterable[str] = (),
    log: Path | None = None,
    wishes: Wishes | None = None,
) -> None:
    """Be a machine behind the symbolic link `link` until SIGTERM or SIGINT.

    :param speed: how many times faster than the clock on the wall the machine lives.
    :param log: file for what really happened, one JSON object a line.
    :param wishes: everything else; its seed and faults give way to the arguments.
    :raises SimulatorError: for an unknown profile, fault, option or a speed that is not above 0.
    """
    if not speed > 0:
        raise SimulatorError("simulator.speed")
    w = wishes or Wishes()
    given = replace(w, seed=seed or w.seed, faults=tuple(faults) or w.faults)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(log.open("w", buffering=1)) if log else None
        firmware = build(profile, given, Record(file, keeps=False))
        line = Line(link, given.plug)
        run_until_stopped(firmware, line, speed, hears_rates=given.hears_rates)


class PtyMachine:
    """A simulated machine in a process of its own, for tests.

    :param port: where its link shall lie, if not in a folder of its own.

    >>> with PtyMachine("marlin-2", speed=100.0) as machine:
    ...     machine.port.name
    'port'
    """

    def __init__(
        self,
        profile: str,
        *,
        speed: float = 1.0,
        arguments: Iterable[str] = (),
        port: Path | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="machine-")
        self.port = port or Path(self._folder.name) / "port"
        self.log = Path(self._folder.name) / "facts.jsonl"
        self._arguments = [
            *(sys.executable, "-m", "drivers.simulators", profile),
            *("--link", str(self.port), "--speed", str(speed), "--log", str(self.log)),
            *arguments,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._arguments)
        until = time.monotonic() + READY_S
        while not self.port.is_symlink():
            if self._process.poll() is not None or time.monotonic() > until:
                self.close()
                raise SimulatorError("simulator.no-start")
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def close(self) -> None:
        """Switch the machine off and forget its files."""
        self.stop()
        self._folder.cleanup()

    def stop(self) -> None:
        """Switch the machine off; its facts can still be read."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
