"""What is plugged into this computer, and who a board is that a person has chosen to ask."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from drivers.errors import DriverError
from drivers.ports import FoundPort, find_ports
from drivers.probe import Probed, suggest
from drivers.profile import FirmwareProfile, load_profile, profile_names
from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Actor, Role
from jobs.services.views import PortView, ProbeView
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine

_KEPT = 16  # answers of boards

log = logging.getLogger(__name__)


def _ask_board(port: str) -> Probed:
    # Only who asks a board needs what opens ports; the node would carry it for ever.
    from drivers.probing import probe_in_child

    return probe_in_child(port)


class Ports:
    """Use cases about ports. Listing opens nothing; a board is asked in a child process.

    :param ask: asks the board at a port, for as long as a minute.
    """

    def __init__(self, workshop: Workshop, ask: Callable[[str], Probed] | None = None) -> None:
        self._workshop = workshop
        self._ask = ask or workshop.ask_board or _ask_board
        self._lock = threading.Lock()
        self._answers: dict[str, ProbeView] = {}

    def list(self, actor: Actor) -> Sequence[PortView]:
        """Return every port, those on USB first."""
        _must_be_operator(actor)
        taken = self._taken()
        found = find_ports(self._profiles(), self._workshop.devices)
        return [_view(port, taken) for port in found]

    def profiles(self) -> Sequence[tuple[str, str]]:
        """Return name and title of every firmware profile, by title; the lab's own among them."""
        known = [(one.name, one.title) for one in self._profiles()]
        return sorted(known, key=lambda each: each[1].casefold())

    def probe(self, actor: Actor, port: str) -> None:
        """Begin to ask the board at *port* who it is; opening it may reset the board.

        :raises InvalidError: `port.unknown` if there is no such port, `port.of-machine` if it
            is that of a machine of ours, whose host holds it.
        """
        _must_be_operator(actor)
        view = next((one for one in self.list(actor) if one.port == port), None)
        if view is None:
            raise InvalidError("port.unknown", field="port", port=port[:255])
        if view.machine:
            raise InvalidError("port.of-machine", field="port", port=port, machine=view.machine)
        with self._lock:
            before = self._answers.get(port)
            if before is not None and before.state == "asking":
                return
            while len(self._answers) >= _KEPT:
                self._answers.pop(next(iter(self._answers)))
            self._answers[port] = ProbeView(port, "asking")
        log.info("%s: asked who it is by %s", port, actor.person_id)
        threading.Thread(target=self._run, args=(port,), name="probe", daemon=True).start()

    def probed(self, actor: Actor, port: str) -> ProbeView | None:
        """Return what the board at *port* has said; None if nobody asked."""
        _must_be_operator(actor)
        with self._lock:
            return self._answers.get(port)

    def _run(self, port: str) -> None:
        try:
            probed = self._ask(port)
            answer = _answer(port, probed, suggest(probed, self._profiles()))
        except DriverError as error:
            answer = ProbeView(port, "failed", code=error.code, fields=dict(error.fields))
        except Exception as error:
            log.exception("%s: could not be asked", port)
            problem = {"port": port, "problem": type(error).__name__}
            answer = ProbeView(port, "failed", code="port.refused", fields=problem)
        with self._lock:
            self._answers[port] = answer
        self._workshop.live.touch()

    def _taken(self) -> Mapping[str, str]:
        """Return the machine of each port that is configured for one, by real path too."""
        query = select(Machine.port, Machine.slug).where(
            Machine.retired_at.is_(None), Machine.port.is_not(None)
        )
        taken: dict[str, str] = {}
        with self._workshop.database.read() as session:
            for port, slug in session.execute(query):
                if port is not None:
                    taken[port] = slug
                    taken[str(Path(port).resolve())] = slug
        return taken

    def _profiles(self) -> Sequence[FirmwareProfile]:
        own = self._workshop.profiles_dir
        found = []
        for name in profile_names(own):
            try:
                found.append(load_profile(name, own))
            except DriverError as error:
                log.warning("the profile %s is left out: %s", name, error)
        return found


def _view(port: FoundPort, taken: Mapping[str, str]) -> PortView:
    names = (port.port, port.device, port.by_id, port.by_path, str(Path(port.device).resolve()))
    machine = next((taken[name] for name in names if name in taken), "")
    view = PortView(
        port=port.port,
        device=port.device,
        usb=port.identity.usb,
        serial_number=port.identity.serial,
        usb_position=port.identity.position,
        description=port.description,
        profiles=port.profiles,
        machine=machine,
    )
    if port.holder is None:
        return view
    return replace(
        view,
        holder=port.holder.label,
        holder_pid=port.holder.pid,
        machine=machine or port.holder.machine,
    )


def _answer(port: str, probed: Probed, profile: str) -> ProbeView:
    return ProbeView(
        port,
        "done",
        profile=profile,
        baud=probed.baud,
        dialect=probed.dialect,
        firmware=probed.firmware,
        uuid=probed.uuid,
        machine_type=probed.machine_type,
        text=probed.text,
    )


def _must_be_operator(actor: Actor) -> None:
    if not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
