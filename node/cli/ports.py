"""`fabnode ports`: what is plugged in, and who a board is that a person has chosen to ask."""

from __future__ import annotations

import argparse
import sys

from drivers.ports import FoundPort, find_ports
from drivers.probe import BAUDS, suggest
from drivers.probing import probe_in_child
from node.cli.profiles import read_profiles
from node.cli.words import complain, out, print_json, say, text
from node.home import find_devices


def ports(args: argparse.Namespace) -> int:
    """List the serial ports of this computer, or probe one."""
    if args.probe is not None:
        return _probe(args.probe, as_json=args.json)
    found = find_ports(read_profiles(), find_devices())
    if args.json:
        print_json({"ports": [port.to_json() for port in found]})
    elif not found:
        say("cli.no-ports")
    else:
        for port in found:
            out("  ".join(part for part in _parts(port) if part))
        say("cli.ports-guess")
    return 0


def _parts(port: FoundPort) -> list[str]:
    identity, held = port.identity, port.holder
    return [
        port.port,
        port.device if port.device != port.port else "",
        port.description,
        identity.usb,
        text("cli.port-serial", number=identity.serial) if identity.serial else "",
        text("cli.port-position", position=identity.position) if identity.position else "",
        text("cli.port-likely", profiles=", ".join(port.profiles)) if port.profiles else "",
        text("cli.port-held", holder=held.label, pid=held.pid) if held else "",
    ]


def _probe(port: str, *, as_json: bool) -> int:
    profiles = read_profiles()
    if sys.stderr.isatty():
        complain("cli.probing", port=port, rates=len(BAUDS))
    probed = probe_in_child(port)
    profile = suggest(probed, profiles)
    if as_json:
        print_json({"port": port, "profile": profile, **probed.to_json()})
        return 0
    firmware = probed.firmware or probed.dialect
    say("cli.probed", port=port, firmware=firmware, baud=probed.baud, profile=profile or "–")
    if probed.machine_type:
        say("cli.probed-machine", machine_type=probed.machine_type)
    if probed.uuid:
        say("cli.probed-uuid", uuid=probed.uuid)
    return 0
