"""The seam between a host and whatever works for it: a serial port, or a controller elsewhere.

A host knows a machine only as a `MachineSession`. `drivers.session.Session` is one, over a port
and line by line; a controller that keeps its own queue, reports its state and takes a whole
file (Moonraker, PrusaLink, a printer in LAN mode) would be another. Which one a machine has is
data: `link` in its host.json, a key of `drivers.host.links.LINKS`.

Every method returns at once; whatever takes time goes on in `ready`. Every method may raise a
`DriverError` or `OSError` when the other end is gone: the session is then closed, and a new one
is opened after a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from drivers.acts import Order, Reach
from drivers.host.config import HostConfig
from drivers.host.programs import StoredProgram
from drivers.session import Clock, Expect, Wait
from drivers.snapshot import Reached, Snapshot
from drivers.wirelog import WireLog


class Told(Protocol):
    """An event, as in `drivers.snapshot`; its kind decides what a host does with it."""

    @property
    def kind(self) -> str: ...
    def to_json(self) -> dict[str, object]: ...


class MachineSession(Protocol):
    """The live conversation with one machine."""

    @property
    def works_alone(self) -> bool:
        """Tell whether what was started goes on while nobody listens.

        If so, a lost connection does not end the run: a new session is asked to `adopt` it.
        """

    @property
    def wants_write(self) -> bool:
        """Tell whether `fileno` is also to be waited for until it takes bytes."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the machine has spoken."""

    def deadline(self) -> float | None:
        """Return when `ready` must be called, whatever happens [s, monotonic]."""

    def ready(self, now: float) -> None:
        """Move bytes and time, and publish what they mean."""

    def express(self, wait: Wait, clock: Clock, until: float, expect: Expect) -> bool:
        """Do as `ready` does, again and again, while only the simplest is heard; or return False.

        See `drivers.session.Session.express`; who does not work line by line has no need of it.
        """

    def start(self, program: StoredProgram, now: float, run: str) -> bool:
        """Begin a run; False if the machine is not idle.

        A session that sends a file reads it in pieces with `StoredProgram.read`, from `ready`;
        until all of it is there nothing moves and the phase is STREAMING with nothing
        acknowledged.

        :param run: its name, which the controller must be able to give back: see `adopt`.
        """

    def adopt(self, program: StoredProgram, now: float, run: str) -> bool:
        """Watch a run that an earlier session began; False if the controller has none of it.

        Called once, when the machine is connected again. What has come of the run meanwhile
        is published as if it had just happened: its end, too.
        """

    def pause(self, now: float) -> bool:
        """Bring the machine to a standstill; False if nothing runs. Ends with `paused`."""

    def resume(self, now: float) -> bool:
        """Go on; False if nothing is paused."""

    def cancel(self, now: float) -> bool:
        """End the run in good order, everything off. Ends with `cancelled` or `failed`."""

    def stop(self, now: float) -> bool:
        """Stop at once, in any phase: its bytes have left when this returns."""

    def command(self, line: bytes, now: float) -> bool:
        """Have one line executed beside the program; False if it cannot be taken."""

    def answer(self, number: int, choice: int, now: float) -> bool:
        """Carry a person's answer to `Snapshot.prompt`; False if that prompt is not open."""

    def read_offsets(self, now: float) -> bool:
        """Ask for the work offsets; `Snapshot.offsets_seq` grows with the answer."""

    def act(self, order: Order, reach: Reach, now: float) -> str:
        """Have the machine do something besides a program; "" or the code of its "no".

        What it may be asked for now is `Snapshot.acts`.
        """

    def reached(self) -> Reached:
        """Return of `snapshot` what changes with every line; asked for at every line."""

    def snapshot(self, now: float) -> Snapshot:
        """Return the state; `acked` counts lines of the stream that are done for certain."""

    def record(self, log: WireLog | None) -> None:
        """Note what goes over the wire in *log* from now on; None: no more."""

    def reset_on_close(self) -> None:
        """Have the controller start anew when the next session is opened."""

    def close(self) -> None:
        """Let go of the descriptor; harmless twice."""


OpenSession = Callable[[HostConfig, Callable[[Told], None], float], MachineSession]
