"""What can be typed: every command with its arguments, and nothing of what carries it out."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["_Parser"]  # noqa: SLF001 - its only name


_FAULTS = "cli.help.simulate.faults"


class _Help(argparse.HelpFormatter):
    """Writes help from codes. Only a person who asks for help waits for the catalogue."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # argparse fills in %-fields of its own, and our sentences have none.
        return _sentence(action.help).replace("%", "%%") if action.help else None

    def _format_text(self, text: str) -> str:
        if text == _FAULTS:
            return _sentence(text) + "\n" + _faults()
        return super()._format_text(_sentence(text))

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        # An empty prefix is argparse's own, for the name of a sub-command.
        said = f"{_sentence('cli.help.usage')} " if prefix is None else prefix
        super().add_usage(usage, actions, groups, said)

    def start_section(self, heading: str | None) -> None:
        super().start_section(_sentence(heading) if heading else heading)


class _Parser(argparse.ArgumentParser):
    """A parser whose texts are codes of the catalogue; its sub-commands are of its kind."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"formatter_class": _Help, "add_help": False, **given})
        self.add_argument("-h", "--help", action="help", help="cli.help.help")
        self._positionals.title = "cli.help.arguments"
        self._optionals.title = "cli.help.options"

    def error(self, message: str) -> NoReturn:
        """End with the usage and one sentence of the catalogue."""
        from node.cli.usage import sentence_of
        from node.cli.words import complain

        self.print_usage(sys.stderr)
        name, _, rest = message.partition(": ")
        if rest.startswith("cli.want."):
            fields = {"name": name.removeprefix("argument "), "wanted": _sentence(rest)}
            complain("cli.usage.wanted", **fields)
        else:
            code, fields = sentence_of(message, self.prog)
            complain(code, **fields)
        self.exit(2)


def build_parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    parser = _Parser(prog="fabnode", description="cli.help.fabnode")
    parser.add_argument("--verbose", action="store_true", help="cli.help.verbose")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_node(commands)
    _add_books(commands)
    _add_machines(commands)
    _add_work(commands)
    _add_wire(commands)
    _add_files(commands)
    return parser


def _add_node(commands: Commands) -> None:
    run = commands.add_parser("run", help="cli.help.run")
    run.add_argument("--bind", type=_bind, metavar="ADDRESS:PORT", help="cli.help.run.bind")
    run.add_argument(
        "--hosts",
        choices=["spawn", "systemd"],
        default="spawn",
        help="cli.help.run.hosts",
    )
    init = commands.add_parser("init", help="cli.help.init")
    init.add_argument("--site", help="cli.help.init.site")
    init.add_argument("--timezone", help="cli.help.init.timezone")
    demo = commands.add_parser("demo", help="cli.help.demo")
    demo.add_argument("--exit", action="store_true", help="cli.help.demo.exit")
    demo.add_argument("--speed", type=_speed, default=120.0, help="cli.help.demo.speed")
    demo.add_argument("--port", type=_port, default=0, help="cli.help.demo.port")


def _add_books(commands: Commands) -> None:
    ledger = commands.add_parser("ledger", help="cli.help.ledger")
    verbs = ledger.add_subparsers(dest="verb", required=True, metavar="VERB")
    verify = verbs.add_parser("verify", help="cli.help.ledger.verify")
    verify.add_argument("--json", action="store_true", help="cli.help.json")
    bring = commands.add_parser("import", help="cli.help.import")
    bring.add_argument(
        "what",
        choices=["people", "qualifications", "bookings", "prices"],
        metavar="WHAT",
        help="cli.help.import.what",
    )
    bring.add_argument("file", type=Path, help="cli.help.import.file")
    bring.add_argument("--dry-run", action="store_true", help="cli.help.import.dry-run")
    bring.add_argument("--json", action="store_true", help="cli.help.json")
    house = commands.add_parser("house", help="cli.help.house")
    house_verbs = house.add_subparsers(dest="verb", required=True, metavar="VERB")
    who = house_verbs.add_parser("who", help="cli.help.house.who")
    who.add_argument("--json", action="store_true", help="cli.help.json")
    admin = commands.add_parser("admin", help="cli.help.admin")
    admin_verbs = admin.add_subparsers(dest="verb", required=True, metavar="VERB")
    admin_verbs.add_parser("reset", help="cli.help.admin.reset")


def _add_machines(commands: Commands) -> None:
    machine = commands.add_parser("machine", help="cli.help.machine")
    verbs = machine.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="cli.help.machine.list")
    listing.add_argument("--json", action="store_true", help="cli.help.json")
    add = verbs.add_parser("add", help="cli.help.machine.add")
    add.add_argument("slug", help="cli.help.machine.slug")
    add.add_argument(
        "--from",
        dest="file",
        required=True,
        type=Path,
        metavar="MACHINE.toml",
        help="cli.help.machine.from",
    )
    retire = verbs.add_parser("retire", help="cli.help.machine.retire")
    retire.add_argument("slug", help="cli.help.machine.slug")
    ports = commands.add_parser("ports", help="cli.help.ports")
    ports.add_argument("--json", action="store_true", help="cli.help.json")
    ports.add_argument("--probe", metavar="PORT", help="cli.help.ports.probe")


def _add_work(commands: Commands) -> None:
    plug = commands.add_parser("plug", help="cli.help.plug")
    plug.add_argument("address", nargs="?", metavar="ADDRESS", help="cli.help.plug.address")
    plug.add_argument("--user", default="admin", metavar="NAME", help="cli.help.plug.user")
    plug.add_argument("--forget", action="store_true", help="cli.help.plug.forget")
    start = commands.add_parser("start", help="cli.help.start")
    start.add_argument("job", metavar="JOB", help="cli.help.job")
    start.add_argument("--machine", required=True, metavar="SLUG", help="cli.help.machine.slug")
    resume = commands.add_parser("resume", help="cli.help.resume")
    resume.add_argument("job", metavar="JOB", help="cli.help.job")
    where = resume.add_mutually_exclusive_group()
    where.add_argument("--line", type=_whole, help="cli.help.resume.line")
    where.add_argument("--layer", type=_whole, help="cli.help.resume.layer")
    resume.add_argument("--height", type=_height, metavar="MM", help="cli.help.resume.height")
    for each in (start, resume):
        each.add_argument("--node", metavar="URL", help="cli.help.node")


def _add_wire(commands: Commands) -> None:
    send = commands.add_parser("send", help="cli.help.send")
    send.add_argument("file", type=Path, help="cli.help.file")
    send.add_argument("--port", required=True, help="cli.help.send.port")
    send.add_argument("--profile", required=True, help="cli.help.send.profile")
    send.add_argument("--baud", type=_whole, help="cli.help.send.baud")
    send.add_argument("--json", action="store_true", help="cli.help.json")
    send.add_argument("--unchecked", action="store_true", help="cli.help.send.unchecked")
    stop = commands.add_parser("stop", help="cli.help.stop")
    which = stop.add_mutually_exclusive_group(required=True)
    which.add_argument("slug", nargs="?", help="cli.help.stop.slug")
    which.add_argument("--all", action="store_true", help="cli.help.stop.all")
    simulate = commands.add_parser("simulate", help="cli.help.simulate", epilog=_FAULTS)
    simulate.add_argument("profile", metavar="PROFILE", help="cli.help.simulate.profile")
    simulate.add_argument("--link", type=Path, required=True, help="cli.help.simulate.link")
    simulate.add_argument("--speed", type=_speed, default=1.0, help="cli.help.simulate.speed")
    simulate.add_argument("--seed", type=int, default=0, help="cli.help.simulate.seed")
    simulate.add_argument(
        "--fault", action="append", default=[], metavar="SPEC", help="cli.help.simulate.fault"
    )
    simulate.add_argument("--baud", type=_whole, metavar="N", help="cli.help.simulate.baud")
    simulate.add_argument("--hears-rates", action="store_true", help="cli.help.simulate.rates")
    simulate.add_argument(
        "--usb", metavar="VENDOR:PRODUCT[:SERIAL[:SOCKET]]", help="cli.help.simulate.usb"
    )


def _add_files(commands: Commands) -> None:
    inspect = commands.add_parser("inspect", help="cli.help.inspect")
    inspect.add_argument("file", type=Path, help="cli.help.file")
    inspect.add_argument("--json", action="store_true", help="cli.help.json")
    inspect.add_argument("--material", metavar="NAME", help="cli.help.inspect.material")
    inspect.add_argument(
        "--machine",
        action="append",
        default=[],
        metavar="SLUG|MACHINE.toml",
        help="cli.help.inspect.machine",
    )
    inspect.add_argument("--repaired", type=Path, metavar="FILE", help="cli.help.inspect.repaired")
    check = commands.add_parser("check", help="cli.help.check")
    check.add_argument("file", type=Path, help="cli.help.file")
    check.add_argument(
        "--machine", required=True, metavar="SLUG|MACHINE.toml", help="cli.help.check.machine"
    )
    check.add_argument("--material", default="", metavar="NAME", help="cli.help.check.material")
    check.add_argument("--json", action="store_true", help="cli.help.json")


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError("cli.want.above-0")
    return speed


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("cli.want.port")
    return port


def _bind(text: str) -> str:
    _, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise argparse.ArgumentTypeError("cli.want.bind")
    return text


def _whole(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("cli.want.whole")
    return number


def _height(text: str) -> float:
    height = float(text)
    if not 0 <= height <= 10_000:
        raise argparse.ArgumentTypeError("cli.want.height")
    return height


def _sentence(code: str) -> str:
    from node.cli.words import text

    return text(code)


def _faults() -> str:
    """Return one line for each misfortune that a simulated machine knows."""
    from drivers.simulators import FAULTS

    width = max(len(name) for name in FAULTS)
    return "".join(f"  {name:<{width}}  {_sentence(f'cli.fault.{name}')}\n" for name in FAULTS)
