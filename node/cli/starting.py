"""`fabnode start` and `fabnode resume`: a person at the machine begins a job from a terminal.

It is the page's way, step by step: what is to be looked at is shown, each thing is confirmed by a
typed word, and the node is asked in that person's own name. No option answers for them.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jobs.domain.errors import InvalidError, NotFoundError
from node.cli.calling import Caller, RefusedByNodeError, caller_of
from node.cli.words import complain, err, out, plain, say, text


def start(args: argparse.Namespace) -> int:
    """Start one waiting job at a machine."""
    with _called(args) as caller:
        return _guarded(lambda: _start(caller, _job(caller, args.job), args.machine))


def resume(args: argparse.Namespace) -> int:
    """Go on with an interrupted job: show every line, confirm them, start."""
    with _called(args) as caller:
        return _guarded(lambda: _resume(caller, _job(caller, args.job), args))


def _called(args: argparse.Namespace) -> Caller:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidError("call.no-terminal")
    return caller_of(args.node)


def _guarded(act: Callable[[], int]) -> int:
    try:
        return act()
    except RefusedByNodeError as error:
        if error.status == 401:
            complain("error.call.unknown-key")
        for sentence in error.reasons or (str(error.fields["detail"]),):
            err(sentence)
        return 1
    except EOFError:
        complain("error.call.no-terminal")
        return 1


def _job(caller: Caller, wanted: str) -> Mapping[str, Any]:
    """Return the job of that id, or of that number."""
    name = str(caller.get("/people/me")["name"])
    say("cli.you-are", name=name, address=caller.address)
    if not wanted.lstrip("#").isdecimal():
        found = caller.get(f"/jobs/{wanted}")["job"]
        assert isinstance(found, dict)
        return found
    number = int(wanted.lstrip("#"))
    for one in caller.get("/jobs"):
        if one["number"] == number:
            assert isinstance(one, dict)
            return one
    raise NotFoundError("job.unknown")


def _resume(caller: Caller, job: Mapping[str, Any], args: argparse.Namespace) -> int:
    path = f"/jobs/{job['id']}"
    offer = caller.get(f"{path}/resume")
    say("page.resume.about", machine=offer["machine_name"])
    say("page.resume.bound", line=offer["line"], sent=offer["sent_line"])
    if offer["asks_height"] and args.height is None:
        say("cli.resume-height")
    wish: dict[str, object] = {"line": args.line or offer["line"], "layer": args.layer or 0}
    wish["height_mm"] = args.height
    plan = caller.post(f"{path}/resume-plan", wish)
    _show_plan(plan)
    if plan["verdict"] == "block":
        complain("reason.blocked-by-preflight")
        return 1
    if not _confirmed([text("cli.resume-read")]):
        return _left()
    caller.post(f"{path}/resume", {**wish, "stream_sha256": plan["stream_sha256"]})
    say("page.resume.confirm-help")
    return _start(caller, job, plan["machine"])


def _show_plan(plan: Mapping[str, Any]) -> None:
    for finding in plan["findings"]:
        _line(finding["detail"])
    if plan["tool"]:
        say("page.resume.tool", tool=plan["tool"])
    if plan["homing"]:
        _line(f"{text('page.resume.homing')} {' '.join(plan['homing'])}")
    say("page.resume.lines")
    for line in plan["preamble"]:
        _line(f"  {line}")
    say("page.resume.then", line=plan["from_line"], count=plan["rest_lines"])
    for line in plan["following"]:
        _line(f"  {line}")


def _start(caller: Caller, job: Mapping[str, Any], slug: str) -> int:
    machine = caller.get(f"/machines/{slug}")
    _prove(caller, slug, str(machine["name"]))
    wish: dict[str, object] = {"job_id": job["id"]}
    if machine["kind"] not in ("mill", "laser"):
        if not _confirmed([text("cli.start-clear", machine=machine["name"])]):
            return _left()
        wish["is_clear"] = True
    else:
        check = caller.get(f"/machines/{slug}/start-check", job_id=str(job["id"]))
        _show_check(check)
        # What the page has as boxes to tick.
        if not _confirmed(text(f"page.cycle.item-{item}") for item in check["items"]):
            return _left()
        if not _confirmed([text("page.cycle.here")]):
            return _left()
        wish["confirmed"] = check["items"]
    caller.post(f"/machines/{slug}/start", wish)
    say("cli.started", job=job["title"], machine=machine["name"])
    return 0


def _prove(caller: Caller, slug: str, name: str) -> None:
    """Have the person say who they are and that they stand there, where the machine asks for it.

    A key alone is never at a machine.
    """
    asked = caller.get(f"/machines/{slug}/presence")
    if not asked["asked"] and not asked["word_will_do"]:
        return
    say("cli.prove", machine=name)
    login = str(caller.get("/people/me")["login"])
    caller.sign_in(login, getpass.getpass(plain(text("cli.password", login=login)) + " "))
    if asked["asked"]:
        code = input(plain(text("cli.code", machine=name)) + " ")
        caller.post(f"/machines/{slug}/presence", {"code": code[:40]})


def _show_check(check: Mapping[str, Any]) -> None:
    say("page.cycle.homed" if check["homed"] else "page.cycle.not-homed")
    x, y, z = check["size_mm"]
    _line(f"{text('page.cycle.size')} {x:.1f} × {y:.1f} × {z:.1f} mm")
    for system, (x, y, z) in check["zero_mm"].items():
        _line(f"{text('page.cycle.zero', system=system)} X {x:.2f} Y {y:.2f} Z {z:.2f} mm")
    for number, name in check["tools"].items():
        _line(f"{text('page.cycle.tool', number=number)} {name}")
    if check["reasons"]:
        raise RefusedByNodeError(409, "", tuple(str(one["detail"]) for one in check["reasons"]))


def _confirmed(sentences: Iterable[str]) -> bool:
    """Ask each in turn; only the whole word counts, for Enter is pressed without reading."""
    word = text("cli.word-yes")
    for sentence in sentences:
        _line(sentence)
        if input(plain(text("cli.type-word", word=word)) + " ").strip().casefold() != word:
            return False
    return True


def _left() -> int:
    complain("cli.not-confirmed")
    return 1


def _line(sentence: object) -> None:
    out(str(sentence))
