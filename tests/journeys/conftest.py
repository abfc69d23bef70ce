"""A whole simulated lab: node, hosts, machines and broker as processes of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.demo.api import DemoError, Operator
from node.demo.broker import Broker
from node.demo.lab import DemoLab

SPEED = 120.0


@dataclass
class Lab:
    """The lab and its simulated operator."""

    demo: DemoLab
    operator: Operator

    def facts(self, slug: str, kind: str) -> list[dict[str, Any]]:
        """What really happened at a machine, by its own record."""
        text = (self.demo.folder / "ports" / f"{slug}.jsonl").read_text(encoding="utf-8")
        facts = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [fact for fact in facts if fact["kind"] == kind]

    def executed(self, slug: str) -> list[str]:
        """The lines that a machine has executed, in order, without blanks."""
        return [fact["line"].replace(" ", "") for fact in self.facts(slug, "executed")]

    def submit(
        self,
        program: bytes,
        machine: str = "printer-1",
        name: str = "part.gcode",
        material: str = "",
    ) -> str:
        """Queue a program for one machine and wait until it is prepared."""
        fields = {"machine": machine, "purpose": "own", "title": "Journey"}
        if material:
            fields["material-0"] = material
        job = self.operator.upload(name, program, fields)
        self.wait_for_job(job["id"], "waiting", "held")
        return str(job["id"])

    def stand_at(self, machine: str = "printer-1") -> None:
        """Have the operator read the code on the machine's display and type it."""
        if machine not in self.demo.keys.displays:
            self.demo.add_display(machine)
        self.operator.stand_at(machine)

    def arm(self, machine: str = "printer-1") -> None:
        """Say that the bed is clear."""
        path = f"/machines/{machine}"
        self.operator.wait(path, lambda one: one["state"] in {"idle", "to-check"}, 20)
        self.stand_at(machine)
        self.operator.post(f"{path}/arm")

    def job(self, job_id: str) -> dict[str, Any]:
        """A job's page as JSON."""
        found = self.operator.get(f"/jobs/{job_id}")
        assert isinstance(found, dict)
        return found

    def wait_for_job(self, job_id: str, *states: str, timeout_s: float = 45) -> dict[str, Any]:
        """Wait until a job is in one of *states*."""
        found = self.operator.wait(
            f"/jobs/{job_id}", lambda one: one["job"]["state"] in states, timeout_s, 0.1
        )
        assert isinstance(found, dict)
        return found

    def wait_for_line(self, job_id: str, line: int) -> dict[str, Any]:
        """Wait until a running job has come to *line* of its file."""
        found = self.operator.wait(
            f"/jobs/{job_id}",
            lambda one: one["job"]["run"] is not None and one["job"]["run"]["line"] >= line,
            45,
            0.05,
        )
        assert isinstance(found, dict)
        return found

    def tidy(self) -> None:
        """Leave the lab as a next test wants to find it: no open job, nothing armed or stopped."""
        for job in self.operator.get("/queue"):
            with suppress(DemoError):
                self.operator.post(f"/jobs/{job['id']}/cancel")
        self.operator.wait("/queue", lambda jobs: not jobs, 30)
        for machine in self.operator.get("/machines"):
            path = f"/machines/{machine['slug']}"
            if machine["stopped"] or machine["state"] == "error":
                self.stand_at(machine["slug"])
                self.operator.post(f"{path}/inspected")
                self.operator.wait(path, lambda one: one["state"] in {"idle", "to-check"}, 30)
            if machine["armed"] is not None:
                self.operator.post(f"{path}/disarm")


@contextmanager
def opened(folder: Path) -> Iterator[Lab]:
    if Broker.program() is None:
        pytest.skip("mosquitto is not installed")
    demo = DemoLab(SPEED, folder=folder)
    try:
        demo.start_node()
        operator = Operator(demo.address, demo.keys)
        yield Lab(demo, operator)
        operator.close()
    finally:
        demo.close(keep_folder=True)


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with opened(tmp_path_factory.mktemp("shared") / "lab") as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """One lab for all tests of a module, tidied after each."""
    yield shared_lab
    shared_lab.tidy()


@pytest.fixture
def lone_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab of a test's own, where nothing happened before."""
    with opened(tmp_path / "lab") as lab:
        yield lab


@pytest.fixture
def program() -> Callable[[int], bytes]:
    """A program of *n* visible moves: each line is told from every other by its coordinates."""

    def make(n: int) -> bytes:
        head = ["; a square tower", "G21", "G90", "M83", "M140 S50", "M104 S200", "G28"]
        head += ["M109 S200", "G1 Z0.3 F600"]
        body = [
            f"G1 X{20 + 100 * (i % 2)} Y{20 + i % 180}.{i % 1000:03d} E0.5 F6000 ; move {i}"
            for i in range(n)
        ]
        return "\n".join([*head, *body, "M104 S0", "M140 S0", "M107", ""]).encode()

    return make
