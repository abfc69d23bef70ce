"""`fabnode demo`: simulated machines make real designs, from the commons to the record."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from jobs.slicing import slicer_available
from node.cli.words import out, say_error, text
from node.demo.api import DemoError
from node.demo.ending import ends_like_ctrl_c
from node.demo.lab import COMMONS, DemoLab, commons_folder
from node.demo.story import Made, Say, Show, Wish, tell

__all__ = ["run_demo", "wishes"]

EXAMPLE = Wish("example", ".")
FROM_COMMONS = ("switch-mounting-plate", "losh-dummy")


def wishes(*, has_slicer: bool = True) -> list[Wish]:
    """Return what the demo makes: our own design, and real ones where they lie beside us.

    :param has_slicer: without one, only our own design is sure to be made.
    """
    folder = commons_folder()
    if folder is None or not has_slicer:
        return [EXAMPLE]
    return [EXAMPLE, *(Wish(COMMONS, ref) for ref in FROM_COMMONS if (folder / ref).is_dir())]


def run_demo(*, speed: float, port: int, ends: bool) -> int:
    """Run the main job and print its summary.

    :param speed: simulated seconds a second.
    :param ends: end after the summary; otherwise the lab stays open until Ctrl-C, SIGTERM or the
        end of the terminal.
    :returns: 0 when every job is done and was heard from the broker (where there is one).
    """
    began = time.monotonic()
    out(text("demo.opening"))
    try:
        with ends_like_ctrl_c(), DemoLab(speed, port) as lab:
            code = _make(lab, speed=speed, ends=ends, began=began)
            if not ends:
                _stay_open(lab)
            return code
    except DemoError as error:
        say_error(error)
        return 1


def _make(lab: DemoLab, *, speed: float, ends: bool, began: float) -> int:
    lab.start_node()
    out(text("demo.address", address=lab.address))
    out(text("demo.link", link=f"{lab.address}/sign-in/link/{lab.keys.admin_link}"))
    if not (has_slicer := slicer_available("prusaslicer")):
        out(text("demo.slicer-missing"))
    if lab.broker is None:
        out(text("demo.broker-missing"))
    # A person who stays may look at what waits for a slicer; a run that ends is to make it all.
    wanted = wishes(has_slicer=has_slicer or not ends)
    with _screen() as (say, show):
        made = tell(lab, wanted, say=say, show=show, speed=speed)
    return _sum_up(made, has_broker=lab.broker is not None, wall_s=time.monotonic() - began)


def _stay_open(lab: DemoLab) -> None:
    """Wait for the person who watches to have seen enough.

    :raises DemoError: if the node ends by itself.
    """
    codes = ", ".join(f"{slug} {code}" for slug, code in sorted(lab.keys.spare.items()))
    out(text("demo.displays", address=f"{lab.address}/display", codes=codes))
    out(text("demo.stays-open", address=lab.address))
    with suppress(KeyboardInterrupt):
        while lab.node is not None and lab.node.poll() is None:
            time.sleep(0.5)
        raise DemoError("demo.node-ended", log=str(lab.folder / "node.log"))


def _sum_up(made: list[Made], *, has_broker: bool, wall_s: float) -> int:
    out("")
    out(text("demo.summary", wall_s=f"{wall_s:.0f}"))
    for each in made:
        rows = (
            ("design", each.title),
            ("licence", each.licence),
            ("result", _result(each)),
            ("grams", f"{each.grams:.2f} g"),
            ("planned", f"{each.planned_s:.0f} s"),
            ("real", f"{each.real_s:.0f} s"),
            ("lines", str(each.lines)),
            ("resends", str(each.resends)),
            ("record", each.record_id),
            ("acknowledged", str(each.heard) if has_broker else text("demo.kept")),
        )
        out("")
        for key, value in rows:
            out(f"  {text(f'demo.row-{key}'):<28}{value}")
    done = [each for each in made if each.state == "done"]
    is_well = bool(done) and all(each in done or each.waits_for_slicer for each in made)
    is_heard = all(each.announced for each in done) or not has_broker
    return 0 if is_well and is_heard else 1


def _result(made: Made) -> str:
    state = text(f"state.job.{made.state}")
    return f"{state}: {text(f'hold.{made.hold_reason}')}" if made.hold_reason else state


@contextmanager
def _screen() -> Iterator[tuple[Say, Show]]:
    """Lines above, a bar for each running job below; plain lines where no terminal listens."""
    if not sys.stdout.isatty():
        told: dict[str, int] = {}

        def show_plainly(title: str, _where: str, share: float) -> None:
            tenth = int(share * 10)
            if told.get(title, -1) < tenth:
                told[title] = tenth
                out(f"  {title}: {tenth * 10} %")

        yield out, show_plainly
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[where]}", markup=False),
    )
    with Progress(*columns, console=Console()) as progress:
        tasks: dict[str, TaskID] = {}

        def show(title: str, where: str, share: float) -> None:
            if title not in tasks:
                tasks[title] = progress.add_task(title, total=1.0, where="")
            progress.update(tasks[title], completed=share, where=where)

        yield (lambda line: progress.console.print(line, markup=False, highlight=False)), show
