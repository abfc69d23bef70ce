"""`fabnode inspect` and `fabnode check`: look into a file; both open it in a worker only.

What not every file needs is imported when it is needed: the worker shall start at once.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.domain.errors import InvalidError
from jobs.domain.job import InputKind
from jobs.domain.preflight import (
    LARGEST_PROGRAM_BYTES,
    Finding,
    FindingCode,
    Severity,
    Verdict,
    verdict,
)
from jobs.services.sniff import sniff
from jobs.services.workers import Task, WorkerResult, run_worker
from node.cli.words import out, print_json, say, text

if TYPE_CHECKING:
    from jobs.domain.machine import MachineLimits
    from node.cli.programs import Promised


def inspect(args: argparse.Namespace) -> int:
    """Say what a G-code or mesh file is; write a repaired copy of a mesh where one is wanted."""
    if not is_mesh(args.file) and not args.repaired:
        return _inspect_program(args)
    done = _work(Task.INSPECT, args.file, _mesh_wish(args))
    report = _without_findings(done.result)
    findings = _findings(done)
    copied = _copy(args.file, args.repaired) if args.repaired else None
    from node.cli.meshes import say_mesh, say_repair

    if args.json:
        made = {} if copied is None else {"repaired": copied}
        print_json({**report, **made, "findings": [finding.to_json() for finding in findings]})
    else:
        for key, value in report.items():
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                say(f"cli.inspect.{key}", value=value)
        if report.get("kind") == "mesh":
            say_mesh(report)
        _say_findings(findings)
        if copied is not None:
            say_repair("cli.inspect.repaired", copied, file=str(args.repaired))
    return 0 if done.ok else 1


def _inspect_program(args: argparse.Namespace) -> int:
    """Say what a program is; on machines that are named, also how long it takes there."""
    machines = [(named, _machine(named)[2]) for named in args.machine or ()]
    wishes = [{"limits": limits.to_json()} for _, limits in machines] or [{}]
    answers = [_work(Task.INSPECT, args.file, wish) for wish in wishes]
    done = answers[0]
    report, findings = _without_findings(done.result), _findings(done)
    promises = [
        _promised(named, answer.result)
        for (named, _), answer in zip(machines, answers, strict=False)
        if answer.ok and "time_s" in answer.result
    ]
    if args.json:
        told = {"promises": [one.to_json() for one in promises]} if promises else {}
        print_json({**report, **told, "findings": [finding.to_json() for finding in findings]})
    elif report.get("kind") == "program" and "lines" in report:
        from node.cli.programs import say_program

        say_program(args.file.name, report, promises, is_clean=not findings)
        _say_findings(findings)
    else:
        for key in ("kind", "format"):
            if isinstance(value := report.get(key), str):
                say(f"cli.inspect.{key}", value=value)
        _say_findings(findings)
    return 0 if done.ok else 1


def _promised(named: str, report: Mapping[str, object]) -> Promised:
    """Return how long a program takes on a machine: by its past, where the house knows one."""
    from jobs.services.promising import promised_of
    from node.cli.programs import Promised

    if named.endswith(".toml"):
        made = promised_of(report, ())
    else:
        from node.cli.machines import known_slug
        from node.cli.offline import opened

        with opened() as node:
            made = node.services.machines.promised(known_slug(named), report)
    return Promised(named, made.whole.p50, made.whole.p90, made.runs)


def _mesh_wish(args: argparse.Namespace) -> dict[str, object]:
    """Return what a mesh is held against: machines, and a material."""
    from jobs.domain.materials import FILE, density_of, load_materials
    from node.home import find_home

    wish: dict[str, object] = {}
    if args.material:
        table = load_materials(find_home() / FILE)
        wish |= {"material": args.material, "density_g_cm3": density_of(args.material, table)}
    if args.machine:
        wish["machines"] = [
            {"slug": named, "name": named, "limits": _machine(named)[2].to_json()}
            for named in args.machine
        ]
    elif is_mesh(args.file) and (find_home() / "node.toml").is_file():
        from node.cli.offline import opened

        with opened() as node:
            wish["machines"] = node.services.machines.for_meshes()
    return wish


def is_mesh(file: Path) -> bool:
    """Tell whether a file looks like a mesh; nothing of it is opened but its head."""
    sniffed = sniff(file) if file.is_file() and file.stat().st_size else None
    return sniffed is not None and sniffed.kind is InputKind.MESH


def _copy(file: Path, place: Path) -> Mapping[str, object]:
    """Write a repaired copy of a mesh; return what was changed."""
    if place.exists() and place.samefile(file):
        raise InvalidError("file.same", field="--repaired", file=str(place))
    with tempfile.TemporaryDirectory() as folder:
        done = _work(Task.COPY, file, {}, Path(folder))
        repair = done.result.get("repair")
        if "copy.stl" not in done.outputs or not isinstance(repair, Mapping):
            raise InvalidError("file.no-copy", field="--repaired", file=str(file))
        try:
            shutil.copyfile(done.outputs["copy.stl"], place)
        except OSError as error:
            fields = {"file": str(place), "reason": error.strerror or str(error)}
            raise InvalidError("file.unwritable", field="--repaired", **fields) from error
    return repair


def check(args: argparse.Namespace) -> int:
    """Say what speaks against running a file; exit code 1 only if it is blocked."""
    kind, profile_name, limits = _machine(args.machine)
    from jobs.services.targets import target_for
    from node.cli.profiles import read_profile

    target = target_for(kind, limits, read_profile(profile_name))
    done = _work(Task.PREPARE, args.file, target.to_request())
    findings = [*_findings(done), *_burning(kind, limits, args.material)]
    result = verdict(findings)
    if args.json:
        print_json(
            {
                "verdict": result.value,
                "findings": [
                    {**finding.to_json(), "detail": _sentence(finding)} for finding in findings
                ],
                "report": done.result.get("report"),
            }
        )
    else:
        out(text(f"verdict.{result.value}"))
        _say_findings(findings)
    return 1 if result is Verdict.BLOCK else 0


def _burning(kind: str, limits: MachineLimits, material: str) -> list[Finding]:
    """Return why a laser must not burn this; nothing of other kinds."""
    from jobs.domain.burning import burn_fields, burn_problem
    from jobs.kinds import KINDS

    problem = burn_problem(material, limits.materials) if KINDS[kind].has_beam else None
    if problem is None:
        return []
    fields = burn_fields(material, limits.materials)
    return [Finding(FindingCode(problem.value), Severity.BLOCK, fields=fields)]


def _machine(named: str) -> tuple[str, str, MachineLimits]:
    """Return kind, profile and limits of a machine of the house or of a TOML file."""
    # The house and all that it needs come in only here: they take longer to load than a million
    # lines to read.
    from datetime import UTC, datetime

    from node.cli.machines import known_slug, read_machine
    from node.cli.offline import opened

    if named.endswith(".toml"):
        spec = read_machine(Path(named), "machine")
        kind, profile, limits = spec.kind, spec.profile, spec.limits
    else:
        with opened() as node:
            machine = node.services.machines.get(known_slug(named), datetime.now(UTC), None)
        kind, profile, limits = machine.kind, machine.profile, machine.limits
    if not profile:
        raise InvalidError("machine.no-profile", field="profile", machine=named)
    return kind, profile, limits


def _work(
    task: Task, file: Path, request: Mapping[str, object], outputs: Path | None = None
) -> WorkerResult:
    if not file.is_file():
        raise InvalidError("file.unreadable", file=str(file), reason="no such file")
    if (size := file.stat().st_size) > LARGEST_PROGRAM_BYTES:
        # Larger than any file that is read: it is not even copied for the worker.
        fields = {"bytes": size, "limit_bytes": LARGEST_PROGRAM_BYTES}
        found = Finding(FindingCode.TOO_LARGE, Severity.BLOCK, fields=fields)
        return WorkerResult(True, {"kind": "unknown", "findings": [found.to_json()]}, {})
    # The worker sees a plain name: what a path looks like must not matter to a reader.
    name = "upload" + "".join(char for char in file.suffix.lower() if char.isalnum() or char == ".")
    return run_worker(task, request, {name: file}, outputs=outputs)


def _findings(done: WorkerResult) -> list[Finding]:
    raw = done.result.get("findings")
    listed = raw if isinstance(raw, Sequence) and not isinstance(raw, str) else ()
    findings = [Finding.from_json(each) for each in listed if isinstance(each, Mapping)]
    died = done.finding()
    return findings if died is None else [*findings, died]


def _without_findings(result: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in result.items() if key != "findings"}


def _say_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        where = "" if finding.line is None else f"{text('cli.line', line=finding.line)}: "
        out(f"{text(f'severity.{finding.severity}')}: {where}{_sentence(finding)}")
        if finding.text:
            out(f"    {finding.text}")


def _sentence(finding: Finding) -> str:
    return text(f"finding.{finding.code}", **finding.fields)
