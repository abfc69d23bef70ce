"""`python -m drivers.host HOST_JSON`: be the host of one machine."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import sys
from pathlib import Path

from drivers.errors import DriverError, HostError
from drivers.host.config import HostConfig, read_host_config
from drivers.host.links import link_of
from drivers.host.loop import Host

DONE, REFUSED, USAGE = 0, 1, 2

log = logging.getLogger("drivers.host")


def main(arguments: list[str]) -> int:
    """Run a host until it is retired; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m drivers.host HOST_JSON\n")
        return USAGE
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s"
    )
    try:
        config = read_host_config(Path(arguments[0]))
        open_session = link_of(config)
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = lock_folder(config)
    except (DriverError, OSError) as error:
        sys.stderr.write(f"{_sentence(error)}\n")
        return REFUSED
    try:
        host = Host(config, open_session)
        # What is there now stays: no later collection has to look at it, in mid-run.
        gc.collect()
        gc.freeze()
        host.run()
    except (DriverError, OSError) as error:
        sys.stderr.write(f"{_sentence(error)}\n")
        return REFUSED
    finally:
        os.close(lock)
    return DONE


def lock_folder(config: HostConfig) -> int:
    """Hold the machine's state folder; return the open lock file.

    :raises HostError: `host.taken` if another host holds it.
    """
    file = os.open(config.state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(file, 20).decode(errors="replace").strip()
        os.close(file)
        raise HostError("host.taken", machine=config.machine, holder=holder) from error
    os.ftruncate(file, 0)
    os.write(file, b"%d\n" % os.getpid())
    return file


def _sentence(error: DriverError | OSError) -> str:
    match error:
        case HostError(code="host.taken", fields=fields):
            machine, holder = fields["machine"], fields["holder"]
            return f"{machine} already has a host, process {holder}; end that one first."
        case HostError(code="host.bad_config", fields=fields):
            return f"{fields['file']} cannot be used: {fields['reason']}."
        case HostError(code="host.unknown_link", fields=fields):
            return f"There is no link “{fields['link']}”; its host.json may say: {fields['known']}."
        case HostError(code="host.no_socket", fields=fields):
            return f"The socket {fields['socket']} cannot be made: {fields['reason']}."
    return f"The host cannot run: {error}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
