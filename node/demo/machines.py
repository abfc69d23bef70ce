"""The demo's three machines: simulators on pseudo-terminals, each a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.services.machines import MachineSpec, parse_machine
from node.demo.api import DemoError

_PRINTER: Mapping[str, object] = {
    "kind": "fdm",
    "control": "serial",
    "profile": "marlin-2",
    "envelope_mm": [220.0, 220.0, 250.0],
    "nozzle_max_c": 275.0,
    "bed_max_c": 110.0,
    "nozzle_mm": 0.4,
    "filament_mm": 1.75,
}

_ROUTER: Mapping[str, object] = {
    "kind": "mill",
    "control": "serial",
    "profile": "grbl-1.1",
    "envelope_mm": [300.0, 400.0, 80.0],
    # Grbl homes to the far corner: its machine coordinates are negative.
    "origin_mm": [-300.0, -400.0, -80.0],
    "spindle_max_rpm": 24000.0,
    "feed_max_mm_min": [5000.0, 5000.0, 1000.0],
    "acceleration_mm_s2": [400.0, 400.0, 200.0],
}


@dataclass(frozen=True, slots=True)
class DemoMachine:
    """One machine of the simulated lab."""

    slug: str
    name: str
    values: Mapping[str, object]
    stop_note: str

    def spec(self, port: Path) -> MachineSpec:
        """Return the machine as the node adds it."""
        return parse_machine(
            {
                "slug": self.slug,
                "name": self.name,
                "port": str(port),
                "stop_note": self.stop_note,
                "simulated": True,
                **self.values,
            }
        )


MACHINES = (
    DemoMachine("printer-1", "Printer 1", _PRINTER, "Simulated: there is nothing to switch off."),
    DemoMachine("printer-2", "Printer 2", _PRINTER, "Simulated: there is nothing to switch off."),
    DemoMachine("router", "Router", _ROUTER, "Simulated: there is nothing to switch off."),
)


class Simulators:
    """The running simulators.

    :param folder: where the names of their ports lie.
    """

    def __init__(self, folder: Path, speed: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._children = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "drivers.simulators"),
                    str(machine.values["profile"]),
                    *("--link", str(self.port(machine.slug))),
                    *("--speed", f"{speed:g}"),
                    *("--seed", str(number)),
                    *("--log", str(folder / f"{machine.slug}.jsonl")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            for number, machine in enumerate(MACHINES)
        ]

    def port(self, slug: str) -> Path:
        """Return the path that names a machine's port."""
        return self._folder / slug

    def wait_ready(self, timeout_s: float = 15.0) -> None:
        """Wait until every port is there.

        :raises DemoError: if a simulator does not come up.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if all(self.port(machine.slug).exists() for machine in MACHINES):
                return
            time.sleep(0.05)
        raise DemoError("demo.no-simulator")

    def stop(self) -> None:
        """End them all."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
