"""The heavy part of preparation: inspect, slice and examine in workers, keep what they made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from jobs.domain.errors import InvalidError
from jobs.domain.preflight import Finding, FindingCode, Severity
from jobs.services.examined import Examined, Given, Program, slicer_failed, split
from jobs.services.programs import Programs, sha256_of
from jobs.services.targets import Target
from jobs.services.workers import Task, WorkerLimits, WorkerResult, run_worker
from jobs.services.workshop import Workshop
from jobs.slicing import Recipe, load_recipe

DEFAULT_RECIPE = "pla-standard"
BUILTIN_RECIPE = "pla-builtin"  # our own generator: prisms only, but always there
_FILES = frozenset({"stream", "index.u32", "planned.f32"})


class Examining:
    """Runs the workers; touches no database."""

    def __init__(self, workshop: Workshop, programs: Programs) -> None:
        self._workshop = workshop
        self._programs = programs

    def inspect(self, path: Path, suffix: str, wish: Mapping[str, object]) -> WorkerResult:
        """Say what a file is.

        :param wish: what a mesh is held against: `machines`, `material`, `density_g_cm3`.
        """
        return self._work(Task.INSPECT, wish, {f"input{suffix}": path}, None)

    def material(self, name: str | None) -> dict[str, object]:
        """Return a recipe's material and its density, for the mass of a solid part."""
        try:
            recipe = load_recipe(name or DEFAULT_RECIPE)
        except InvalidError:
            return {}  # said as a finding when it is sliced
        return {"material": recipe.material, "density_g_cm3": recipe.density_g_cm3}

    def lacks_slicer(self, given: Given) -> bool:
        """Tell whether the recipe asks for a slicer that is not installed."""
        try:
            needed = self._recipe(given).slicer
        except InvalidError:
            return False  # said as a finding when it is sliced
        return self._workshop.slicer is None and needed != "builtin"

    def slice(self, given: Given, target: Target, outputs: Path) -> Program:
        """Turn the mesh into a program for one machine's limits."""
        try:
            recipe = self._recipe(given)
        except InvalidError as error:
            return Program(None, (slicer_failed(str(error)),))
        request = {"recipe": recipe.to_json(), "limits": target.limits.to_json()}
        answer = self._work(Task.SLICE, request, {f"input{given.suffix}": given.path}, outputs)
        finding = answer.finding()
        program = answer.outputs.get("program.gcode")
        if finding is not None or program is None:
            return Program(None, (finding or slicer_failed("no program"),))
        sliced = {**answer.result, "material": recipe.material}
        return Program(program, sliced=sliced, density_g_cm3=recipe.density_g_cm3)

    def examine(self, target: Target, program: Program, outputs: Path) -> Examined:
        """Hold a program against one machine, and keep its stream, index and plan."""
        if program.path is None:
            return Examined({}, program.findings, hashlib.sha256(b"").hexdigest())
        request = {**target.to_request(), "density_g_cm3": program.density_g_cm3}
        answer = self._work(Task.PREPARE, request, {"program.gcode": program.path}, outputs)
        return self._kept(answer, program.path, program.sliced)

    def resume(
        self,
        target: Target,
        files: Mapping[str, Path],
        wish: Mapping[str, object],
        outputs: Path,
    ) -> tuple[Examined, Mapping[str, object]]:
        """Make the rest of a program fit to begin in its middle, and keep it.

        :param files: `stream` and `index` of the whole.
        :param wish: `line` or `layer`, `height_mm`, `density_g_cm3`.
        :returns: what was found, and all that the worker said.
        """
        request = {**target.to_request(), **wish}
        answer = self._work(Task.RESUME, request, files, outputs)
        made = answer.outputs.get("resumed.gcode", files["stream"])
        return self._kept(answer, made, {}), dict(answer.result)

    def _kept(self, answer: WorkerResult, program: Path, sliced: Mapping[str, object]) -> Examined:
        report, findings = split(answer)
        if sliced:
            report["sliced"] = dict(sliced)
        files, result = answer.outputs, answer.result
        report |= {"thumbnails": self._pictures(report.get("thumbnails"), files)}
        if not files.keys() >= _FILES:
            return Examined(report, tuple(findings) or (_died(),), sha256_of(program))
        return Examined(
            report=report,
            findings=tuple(findings),
            program_sha256=self._programs.keep(program),
            stream_sha256=self._programs.keep(files["stream"]),
            index_sha256=self._programs.keep(files["index.u32"]),
            planned_sha256=self._programs.keep(files["planned.f32"]),
            stream_lines=round(_number(result.get("stream_lines"))),
            planned_ms=round(_number(result.get("planned_s")) * 1000),
            filament_um=round(_filament_mm(report) * 1000),
            mass_mg=round(_number(result.get("mass_g")) * 1000),
        )

    def _pictures(self, told: object, files: Mapping[str, Path]) -> list[dict[str, object]]:
        """Keep the pictures that a slicer put in, and return what is known of each."""
        kept: list[dict[str, object]] = []
        for row in told if isinstance(told, list) else ():
            path = files.get(str(row.get("file"))) if isinstance(row, dict) else None
            if path is not None:
                known = {key: value for key, value in row.items() if key != "file"}
                kept.append({**known, "sha256": self._programs.keep(path)})
        return kept

    def _recipe(self, given: Given) -> Recipe:
        default = DEFAULT_RECIPE if self._workshop.slicer else BUILTIN_RECIPE
        return load_recipe(given.recipe or default)

    def _work(
        self,
        task: Task,
        request: Mapping[str, object],
        files: Mapping[str, Path],
        outputs: Path | None,
    ) -> WorkerResult:
        configured = self._workshop.worker_limits
        # Each task has limits of its own, unless the lab has set some.
        limits = None if configured == WorkerLimits() else configured
        return run_worker(task, request, files, outputs=outputs, limits=limits)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _filament_mm(report: Mapping[str, object]) -> float:
    used = report.get("filament_mm")
    return sum(_number(one) for one in used) if isinstance(used, list) else _number(used)


def _died() -> Finding:
    return Finding(FindingCode.WORKER_DIED, Severity.BLOCK, fields={"reason": "output"})
