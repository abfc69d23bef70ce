"""What every use case stands on: the database, the files, the node's key, the machines.

`node.runtime` builds one `Workshop`; services receive it and build nothing themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from drivers.acts import Order
from drivers.probe import Probed
from jobs.designs.library import Library
from jobs.domain.preflight import LARGEST_PROGRAM_BYTES
from jobs.services.live import LiveBoard
from jobs.services.workers import WorkerLimits
from jobs.store.database import Database


class Signer(Protocol):
    """The node's Ed25519 identity."""

    @property
    def did(self) -> str:
        """Return the `did:key` form of the public key."""
        ...

    def sign(self, body: bytes) -> str:
        """Return the hex signature over exactly *body*."""
        ...


@dataclass(frozen=True, slots=True)
class StartOrder:
    """Everything a machine host needs to begin one run.

    :param run: the attempt's id; the host names every event by it.
    :param waivers: ids of the words that people gave for what the preflight found.
    """

    run: str
    stream: Path
    index: Path
    stream_sha256: str
    preflight_id: str
    limits_sha256: str
    verdict: str
    arming_id: str
    waivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveOffsets:
    """What a controller told of its zeros at this moment, in mm.

    :param offsets: `G54` … `G59`, `G92`: X, Y, Z; `TLO`: Z.
    :param modes: words in force, such as `G54`.
    :param reach: where the firmware itself lets it go, in machine coordinates; may be empty.
    """

    offsets: Mapping[str, Sequence[float]]
    modes: Sequence[str]
    reach: Mapping[str, tuple[float, float]]
    homed: bool
    can_home: bool


class MachineGateway(Protocol):
    """The way to the machine hosts; `node.supervisor` is it.

    Each call returns None when the host agreed, else the stable code of its "no"
    (`host.unreachable`, `host.busy`, …). `stop` goes on a connection of its own.
    """

    def start(self, slug: str, order: StartOrder) -> str | None:
        """Carry the program over and begin the run."""
        ...

    def pause(self, slug: str, by: str) -> str | None:
        """Hold the program where it is; *by* is who asked, for the record."""
        ...

    def resume(self, slug: str, by: str) -> str | None:
        """Go on after a pause; a person asked."""
        ...

    def cancel(self, slug: str, by: str) -> str | None:
        """End the run safely: rest, heat off, spindle off."""
        ...

    def answer(self, slug: str, prompt: int, choice: int, by: str) -> str | None:
        """Answer what the machine asks: the number of its prompt, and which choice."""
        ...

    def stop(self, slug: str, by: str) -> str | None:
        """Stop now."""
        ...

    def offsets(self, slug: str) -> LiveOffsets | str:
        """Have the controller tell its work offsets now; the code of its "no" if it does not."""
        ...

    def trace(self, slug: str, lines: Sequence[str], by: str) -> str | None:
        """Have an idle machine make a few plain moves that a person asked for."""
        ...

    def reconnect(self, slug: str) -> str | None:
        """Open the machine's port anew, as after a stop once a person has looked."""
        ...

    def keep_heat(self, slug: str, by: str, seconds: int) -> str | None:
        """Have heat stay on without a run for a while."""
        ...

    def act(self, slug: str, order: Order, by: str) -> str | None:
        """Have the machine do something besides a program."""
        ...

    def release(self, slug: str, by: str) -> str | None:
        """Tell the host that nobody uses the machine by hand."""
        ...

    def own_board(self, slug: str, by: str) -> str | None:
        """Tell the host that the board there is the machine's own."""
        ...

    def identify(self, slug: str) -> str | None:
        """Have the machine beep or show a text."""

    def power(self, slug: str, by: str, *, on: bool) -> str | None:
        """Begin or end the heartbeat that holds the machine's relay."""
        ...

    def present(self, slug: str, by: str) -> str | None:
        """Tell the host that a person is at the machine while its beam burns."""
        ...

    def power_rest(self, slug: str, by: str, seconds: int, below_c: float) -> str | None:
        """Have the host take the power away once the machine has cooled."""
        ...

    def wire_log(self, slug: str, run: str) -> list[Path]:
        """Return the files of a run's wire log in their order; none if it is not kept."""
        ...

    def machines_changed(self) -> None:
        """Machines were added, changed or retired: write host files, start and end hosts."""
        ...


@dataclass(frozen=True, slots=True)
class Workshop:
    """The composition that services work in.

    :param slicer: argv of the slicer, or None where none is installed.
    :param work_dir: where preparation keeps finished programs, by sha256 (`programs/`).
    :param profiles_dir: the lab's own firmware profiles; they take the place of ours.
    :param devices: the folder that holds `dev` and `sys`.
    :param ask_board: asks the board at a port who it is; None: a child of ours does.
    :param new_id: gives UUIDv7 text; chance comes from outside.
    :param new_token: gives 256 bits of URL-safe secret.
    """

    database: Database
    library: Library
    work_dir: Path
    signer: Signer
    gateway: MachineGateway
    live: LiveBoard
    site: str
    zone: ZoneInfo
    slicer: Sequence[str] | None
    worker_limits: WorkerLimits
    new_id: Callable[[], str]
    new_token: Callable[[], str]
    profiles_dir: Path | None = None
    devices: Path = Path("/")
    ask_board: Callable[[str], Probed] | None = None
    upload_limit_bytes: int = LARGEST_PROGRAM_BYTES
