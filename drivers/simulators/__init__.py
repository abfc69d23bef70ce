"""Machines that exist only as bytes and time: printers, routers and a FarmBot on ptys.

Each firmware is written from its own specification and from what real boards were seen to
answer, and imports nothing of the rest of `drivers`: a simulator that shared the engine's
code would share its mistakes.
"""

from drivers.errors import SimulatorError
from drivers.simulators.farmbot import FarmBotSimulator
from drivers.simulators.faults import FAULTS, Faults
from drivers.simulators.firmware import Board, Firmware, Record
from drivers.simulators.grbl import GrblSimulator
from drivers.simulators.klipper import KlipperSimulator
from drivers.simulators.machines import SIMULATORS, PtyMachine, Wishes, build, simulate
from drivers.simulators.marlin import Marlin1Simulator, MarlinSimulator
from drivers.simulators.repetier import RepetierSimulator
from drivers.simulators.reprapfirmware import RepRapFirmwareSimulator
from drivers.simulators.smoothie import SmoothieSimulator

__all__ = [
    "FAULTS",
    "SIMULATORS",
    "Board",
    "FarmBotSimulator",
    "Faults",
    "Firmware",
    "GrblSimulator",
    "KlipperSimulator",
    "Marlin1Simulator",
    "MarlinSimulator",
    "PtyMachine",
    "Record",
    "RepRapFirmwareSimulator",
    "RepetierSimulator",
    "SimulatorError",
    "SmoothieSimulator",
    "Wishes",
    "build",
    "simulate",
]
