"""`fabnode send`: stream one file to one port, without any node."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from drivers.sending import Result, SendResult, send_file
from drivers.snapshot import Snapshot
from node.cli.attending import Attendant, is_attended, keys_of
from node.cli.profiles import read_profile
from node.cli.words import err, plain, print_json, say, text

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(args: argparse.Namespace) -> int:
    """Stream one file; Ctrl-C ends it well, with heat and spindle off."""
    profile = read_profile(args.profile)
    with ExitStack() as stack:
        is_interrupted = stack.enter_context(_interrupted())
        show, tell = stack.enter_context(_bar(silent=args.json))
        has_keys = is_attended(as_json=args.json)
        key = stack.enter_context(keys_of(sys.stdin.fileno())) if has_keys else None
        result = send_file(
            args.file,
            args.port,
            profile,
            baud=args.baud,
            on_progress=show,
            should_stop=is_interrupted,
            attend=Attendant(tell, key).look,
            allow_unchecked=args.unchecked,
        )
    _tell(result, args.port, as_json=args.json)
    if result.result is Result.DONE:
        return 0
    return 130 if result.result is Result.CANCELLED else 1


def _tell(result: SendResult, port: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "lines": result.lines,
                "time_s": round(result.time_s, 3),
                "resends": result.resends,
                "result": result.result.value,
            }
        )
    elif result.result is Result.CANCELLED and result.time_s == 0:
        say("cli.send-not-begun")
    else:
        say(
            f"cli.send-{result.result.value}",
            lines=result.lines,
            time_s=f"{result.time_s:.1f}",
            resends=result.resends,
        )
    if result.reason:
        sentence = text(f"error.{result.reason}", port=port, **_named(result.fields))
        if result.line:
            sentence = text("cli.send-blame", line=result.line, sentence=sentence)
        if result.text:
            sentence = f"{sentence} {text('cli.send-said', text=result.text)}"
        err(sentence)


def _named(fields: Mapping[str, str | float]) -> dict[str, str | float]:
    """Return *fields* with a machine's name of a heater as people call it."""
    from web.rendering import heater  # much to read for what is seldom said

    named = dict(fields)
    word, number = heater(str(named.get("heater", "")))
    if word:
        named["heater"] = text(f"page.temperature.{word}") + (f" {number}" if number else "")
    return named


@contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C, SIGTERM and a terminal that goes away into a wish to end well.

    Heat off first, then the exit.
    """
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    # Under nohup a lost terminal is meant to change nothing.
    wanted = [each for each in _ENDS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in wanted}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(*, silent: bool) -> Iterator[tuple[Callable[[Snapshot], None], Callable[[str], None]]]:
    """Yield what shows the progress, and what shows a line beside it."""
    if silent or not sys.stderr.isatty():
        yield lambda _: None, err
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    # No thread of its own: a terminal that goes away must be noticed where it can be borne.
    progress = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
    task = progress.add_task(text("cli.sending"), total=None)

    def show(now: Snapshot) -> None:
        # The machine matters more than its picture.
        with suppress(OSError):
            progress.update(task, completed=now.acked, total=now.total or None, refresh=True)

    def tell(line: str) -> None:
        with suppress(OSError):
            progress.console.print(plain(line), markup=False, highlight=False)

    with suppress(OSError):
        progress.start()
    try:
        yield show, tell
    finally:
        with suppress(OSError):
            progress.stop()
