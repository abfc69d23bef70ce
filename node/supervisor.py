"""Keep one machine host for each serial machine, hear what it says, and hand orders over.

A host is a process of its own session: it outlives this one. What the supervisor holds is
only a connection, which may break and come back at any time without anything being lost.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from drivers.acts import Order
from drivers.client import HostClient
from drivers.errors import DriverError, HostError
from drivers.host.config import HostConfig, write_host_config
from drivers.mqtt import Broker
from drivers.plug import is_plug, parse_plug
from drivers.plug_login import Login
from drivers.profile import load_profile
from drivers.sealing import machine_key
from drivers.snapshot import Snapshot
from drivers.stopping import stop_now
from drivers.wire import HostEvent
from drivers.wirelog import pieces
from jobs.services.live import LiveBoard, LivePlug, LivePrompt, LiveState, LiveWatch
from jobs.services.machines import HostNeed
from jobs.services.power import ActorNeed
from jobs.services.workshop import LiveOffsets, StartOrder
from node.actors import Actors
from node.identity import load_secret

log = logging.getLogger(__name__)

_RETRY_S = (0.2, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_ORDER_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of machine hosts lie.

    :param profiles: the lab's own firmware profiles; they take the place of ours.
    :param spawn: start hosts ourselves; False where systemd does.
    :param devices: the folder that holds `dev` and `sys`.
    :param broker: of the house, for plugs that are asked through one.
    """

    home: Path
    software: str
    spawn: bool = True
    devices: Path = Path("/")
    broker: Broker | None = None

    @property
    def profiles(self) -> Path:
        """The lab's own firmware profiles."""
        return self.home / "firmware_profiles"

    def config(self, slug: str) -> Path:
        """Return the one file that the host of *slug* knows its machine by."""
        return self.home / "machines" / slug / "host.json"

    def state(self, slug: str) -> Path:
        """Return the host's own folder: lock, journal, programs."""
        return self.home / "machines" / slug / "state"

    def socket(self, slug: str) -> Path:
        """Return the socket that the host of *slug* listens on."""
        return self.home / "run" / f"{slug}.sock"


class Hearing:
    """What the supervisor tells the rest of the house; `jobs.services.runs` is behind it."""

    def __init__(
        self,
        apply: Callable[[str, Mapping[str, object], datetime], None],
        attached: Callable[[str, str | None, datetime], None],
    ) -> None:
        self.apply = apply
        self.attached = attached


class Keeper:
    """The thread that keeps one machine's host alive and listens to it."""

    def __init__(self, slug: str, layout: Layout, live: LiveBoard, hearing: Hearing) -> None:
        self.slug = slug
        self._layout = layout
        self._live = live
        self._hearing = hearing
        self._done = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._replace = False
        self._thread = threading.Thread(target=self._run, name=f"keeper-{slug}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, retire: bool = False) -> None:
        """Hang up; the host goes on unless it is to retire and is idle."""
        self._done.set()
        self._thread.join(5)
        if retire:
            with suppress(HostError), self._connect() as client:
                client.retire()
        self._reap()

    def replace(self) -> None:
        """Have the host replaced by one that knows the new file, as soon as it is idle."""
        self._replace = True

    def _run(self) -> None:
        failures = 0
        while not self._done.is_set():
            try:
                self._spawn_if_gone()
                with self._connect() as client:
                    failures = 0
                    self._listen(client)
            except HostError as error:
                self._live.offline(self.slug)
                if error.code != "host.unreachable" or failures == len(_RETRY_S):
                    log.warning("%s: %s", self.slug, error)
            except Exception:
                self._live.offline(self.slug)
                log.exception("%s: keeper stumbled", self.slug)
            self._reap()
            self._done.wait(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1

    def _connect(self) -> HostClient:
        return HostClient.connect(
            self._layout.socket(self.slug), self._layout.software, _ORDER_TIMEOUT_S
        )

    def _listen(self, client: HostClient) -> None:
        client.subscribe()
        newest: Snapshot | None = None
        while not self._done.is_set():
            for told in client.receive(0.5):
                if isinstance(told, HostEvent):
                    self._take(client, told)
                    continue
                # The host sends what we missed and then its state: with the first state all
                # its facts are known, and only now may anything be concluded from them.
                if newest is None:
                    now = datetime.now(UTC)
                    self._hearing.attached(self.slug, told.run or None, now)
                    # Hands are no fact of a run: what began or ended meanwhile is told now.
                    hands = {"kind": "in_use" if told.in_use else "in_use_over", "why": told.in_use}
                    self._hearing.apply(self.slug, hands, now)
                newest = told
                self._live.put(self.slug, live_state(told))
            if newest is not None and not newest.run and self._is_outdated(client):
                with suppress(HostError):
                    client.retire()
                    self._replace = False
                    return

    def _is_outdated(self, client: HostClient) -> bool:
        return self._replace or client.hello.software != self._layout.software

    def _take(self, client: HostClient, event: HostEvent) -> None:
        self._hearing.apply(self.slug, event.to_json(), datetime.now(UTC))
        if event.seq:
            client.ack(event.run, event.seq)

    def _spawn_if_gone(self) -> None:
        if not self._layout.spawn or _answers(self._layout.socket(self.slug)):
            return
        self._reap()
        if self._child is not None:
            return  # it is still coming up
        state = self._layout.state(self.slug)
        state.mkdir(parents=True, exist_ok=True)
        with (state / "host.log").open("ab") as out:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "drivers.host", str(self._layout.config(self.slug))],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )

    def _reap(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._child = None


class Supervisor:
    """All machine hosts. It is the `MachineGateway` of `jobs.services`.

    :param needs: the machines that want a host now.
    :param actors: switch the plugs of machines without a host, those of `actor_needs`.
    """

    def __init__(
        self,
        layout: Layout,
        live: LiveBoard,
        needs: Callable[[], list[HostNeed]],
        actors: Actors | None = None,
        actor_needs: Callable[[], list[ActorNeed]] = list,
    ) -> None:
        self._actors = actors
        self._actor_needs = actor_needs
        self._layout = layout
        self._live = live
        self._needs = needs
        self._hearing: Hearing | None = None
        self._keepers: dict[str, Keeper] = {}
        self._files: dict[str, str] = {}
        self._lock = threading.Lock()

    def open(self, hearing: Hearing) -> None:
        """Write the hosts' files and begin to listen."""
        self._hearing = hearing
        self.machines_changed()

    def close(self) -> None:
        """Hang up on every host; they go on."""
        with self._lock:
            for keeper in self._keepers.values():
                keeper.stop()
            self._keepers.clear()

    def machines_changed(self) -> None:
        """Bring files and keepers to what the machines are now."""
        hearing = self._hearing
        if hearing is None:
            return
        with self._lock:
            needs = {need.slug: need for need in self._needs()}
            for slug in [slug for slug in self._keepers if slug not in needs]:
                self._keepers.pop(slug).stop(retire=True)
                self._layout.config(slug).unlink(missing_ok=True)
                self._live.forget(slug)
            for slug, need in needs.items():
                self._keep(slug, need, hearing)
            if self._actors is not None:
                self._actors.know(self._actor_needs())
            if not self._layout.spawn:
                self._ask_systemd(sorted(self._keepers))

    def _ask_systemd(self, slugs: list[str]) -> None:
        """Name the hosts we want; a path unit sees the file change (see systemd/)."""
        wanted = self._layout.home / "run" / "hosts.wanted"
        beside = wanted.with_suffix(".new")
        beside.write_text("".join(f"{slug}\n" for slug in slugs), encoding="ascii")
        beside.replace(wanted)

    def _keep(self, slug: str, need: HostNeed, hearing: Hearing) -> None:
        try:
            text = self._write(need)
        except DriverError as error:
            log.warning("%s: no host: %s", slug, error)
            self._live.put(slug, LiveState(message=error.code))
            return
        keeper = self._keepers.get(slug)
        if keeper is None:
            keeper = self._keepers[slug] = Keeper(slug, self._layout, self._live, hearing)
            keeper.start()
        elif self._files.get(slug) != text:
            keeper.replace()
        self._files[slug] = text

    def _write(self, need: HostNeed) -> str:
        profile = load_profile(need.profile, self._layout.profiles)
        if need.idle_heat_off_s:
            profile = replace(profile, idle_heat_off_s=need.idle_heat_off_s)
        config = HostConfig(
            machine=need.slug,
            kind=need.kind,
            port=need.port,
            baud=need.baud or profile.baud,
            profile=profile,
            limits_sha256=need.limits.sha256(),
            socket=self._layout.socket(need.slug),
            state_dir=self._layout.state(need.slug),
            limits=need.limits.to_json(),
            software=self._layout.software,
            heartbeat=need.heartbeat,
            seal_key=self._seal_key(need.slug),
            plugs=need.plugs,
            plug_logins=self._plug_logins(need),
            presence_s=need.presence_s,
            interlocks=need.interlocks,
            broker=self._layout.broker,
            devices=self._layout.devices,
        )
        self._layout.socket(need.slug).parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        write_host_config(self._layout.config(need.slug), config)
        text = json.dumps(config.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _plug_logins(self, need: HostNeed) -> dict[str, Login]:
        """Return the logins of this machine's own plugs; a host knows of no others."""
        senses = (one.partition(">")[0] for one in need.interlocks)
        specs = [s for s in (*need.plugs.values(), need.heartbeat, *senses) if is_plug(s)]
        return self._logins_of({parse_plug(spec).door for spec in specs})

    def _logins_of(self, doors: set[str]) -> dict[str, Login]:
        if not doors:
            return {}
        from node.plug_logins import known_logins  # few labs have a plug with a password

        known = known_logins(self._layout.home)
        return {door: known[door] for door in doors if door in known}

    def _seal_key(self, slug: str) -> str:
        return machine_key(load_secret(self._layout.home), slug)

    # MachineGateway

    def start(self, slug: str, order: StartOrder) -> str | None:
        """Carry the program over and begin the run."""
        preflight = {
            "id": order.preflight_id,
            "stream_sha256": order.stream_sha256,
            "limits_sha256": order.limits_sha256,
            "verdict": order.verdict,
            "waivers": list(order.waivers),
        }
        key = self._seal_key(slug)

        def begin(client: HostClient) -> None:
            program = client.load(order.stream, order.index)
            client.start(order.run, program, preflight, {"id": order.arming_id}, key)

        return self._ask(slug, begin)

    def pause(self, slug: str, by: str) -> str | None:
        """Hold the program where it is."""
        return self._ask(slug, lambda client: client.pause(by))

    def resume(self, slug: str, by: str) -> str | None:
        """Go on after a pause."""
        return self._ask(slug, lambda client: client.resume(by))

    def cancel(self, slug: str, by: str) -> str | None:
        """End the run in good order."""
        return self._ask(slug, lambda client: client.cancel(by))

    def answer(self, slug: str, prompt: int, choice: int, by: str) -> str | None:
        """Answer what the machine asks."""
        return self._ask(slug, lambda client: client.answer(prompt, choice, by))

    def stop(self, slug: str, by: str) -> str | None:
        """Stop now, on a connection of its own; a machine without a host loses its power."""
        if self._actors is not None and self._actors.has(slug):
            return self._actors.power(slug, on=False)
        return None if stop_now(self._layout.socket(slug), by) else "host.unreachable"

    def offsets(self, slug: str) -> LiveOffsets | str:
        """Have the controller tell its work offsets now."""
        try:
            with self._connect(slug) as client:
                told = client.offsets()
        except HostError as error:
            return error.code
        can_home = told.homed or "home" in told.acts
        return LiveOffsets(told.offsets, told.modes, told.reach, told.homed, can_home)

    def trace(self, slug: str, lines: Sequence[str], by: str) -> str | None:
        """Have an idle machine make a few plain moves that a person asked for."""
        log.info("%s: outline traced for %s", slug, by)

        def drive(client: HostClient) -> None:
            for line in lines:
                client.command(line)

        return self._ask(slug, drive)

    def reconnect(self, slug: str) -> str | None:
        """Open the machine's port anew, as after a stop once a person has looked."""
        return self._ask(slug, HostClient.reconnect)

    def keep_heat(self, slug: str, by: str, seconds: int) -> str | None:
        """Have heat stay on without a run for a while."""
        return self._ask(slug, lambda client: client.keep_heat(by, seconds))

    def act(self, slug: str, order: Order, by: str) -> str | None:
        """Have the machine do something besides a program."""
        return self._ask(slug, lambda client: client.act(order, by))

    def release(self, slug: str, by: str) -> str | None:
        """Tell the host that nobody uses the machine by hand."""
        return self._ask(slug, lambda client: client.release(by))

    def own_board(self, slug: str, by: str) -> str | None:
        """Tell the host that the board there is the machine's own."""
        return self._ask(slug, lambda client: client.own_board(by))

    def identify(self, slug: str) -> str | None:
        """Have the machine beep or show a text."""
        return self._ask(slug, HostClient.identify)

    def power(self, slug: str, by: str, *, on: bool) -> str | None:
        """Switch on or off what holds the machine's power: heartbeat and plugs."""
        if self._actors is not None and self._actors.has(slug):
            return self._actors.power(slug, on=on)
        return self._ask(slug, lambda client: client.power(on, by))

    def power_rest(self, slug: str, by: str, seconds: int, below_c: float) -> str | None:
        """Have the host take the power away once the machine has cooled."""
        return self._ask(slug, lambda client: client.power_rest(by, seconds, below_c))

    def present(self, slug: str, by: str) -> str | None:
        """Tell the host that a person is there while its beam burns."""
        return self._ask(slug, lambda client: client.present(by))

    def wire_log(self, slug: str, run: str) -> list[Path]:
        """Return the files of a run's wire log, which its host writes."""
        return pieces(self._layout.state(slug) / "wire", run)

    def _ask(self, slug: str, what: Callable[[HostClient], None]) -> str | None:
        try:
            with self._connect(slug) as client:
                what(client)
        except HostError as error:
            return error.code
        return None

    def _connect(self, slug: str) -> HostClient:
        return HostClient.connect(
            self._layout.socket(slug), self._layout.software, _ORDER_TIMEOUT_S
        )


def live_state(snapshot: Snapshot) -> LiveState:
    """Return a host's snapshot in the words of the pages."""
    return LiveState(
        phase=snapshot.phase.value,
        connected=snapshot.connected,
        firmware=snapshot.firmware,
        temperatures=dict(snapshot.temperatures),
        position_mm=tuple(snapshot.position[axis] for axis in "XYZ" if axis in snapshot.position)
        or None,
        spindle_on=snapshot.spindle_on,
        acked=snapshot.acked,
        sent=snapshot.sent,
        total=snapshot.total,
        resends=snapshot.resends,
        quality=snapshot.quality,
        source_line=snapshot.source_line,
        run=snapshot.run or None,
        stopped=snapshot.stopped,
        message=snapshot.message,
        heat_off_s=snapshot.heat_off_s,
        heat_kept_by=snapshot.kept_by,
        power=snapshot.power,
        plugs=dict(snapshot.plugs),
        plugs_said={part: live_plug(said) for part, said in snapshot.plugs_said.items()},
        power_off_s=snapshot.power_off_s,
        watch=LiveWatch(
            snapshot.presence_every_s,
            snapshot.presence_left_s,
            snapshot.withheld,
            dict(snapshot.interlocks),
        ),
        controller=snapshot.controller,
        overrides=dict(snapshot.overrides),
        acts=snapshot.acts,
        homed=snapshot.homed,
        laser=snapshot.laser,
        told=dict(snapshot.told),
        settings=snapshot.settings,
        in_use=snapshot.in_use,
        differs=snapshot.differs,
        identity=dict(snapshot.identity),
        prompt=None
        if snapshot.prompt is None
        else LivePrompt(
            snapshot.prompt.number,
            snapshot.prompt.text,
            snapshot.prompt.choices,
            snapshot.prompt.commands,
        ),
        notice=snapshot.notice,
        step=snapshot.step,
        tool=snapshot.tool,
        back_mm=dict(snapshot.back),
        heard_at=None,
    )


def live_plug(said: Mapping[str, object]) -> LivePlug:
    """Return what a plug said, as a host or the node's own actors tell it."""
    at_us, watts, wh = said.get("at_us"), said.get("watts"), said.get("wh")
    return LivePlug(
        str(said.get("raw", "")),
        at_us if isinstance(at_us, int) else 0,
        float(watts) if isinstance(watts, int | float) else None,
        float(wh) if isinstance(wh, int | float) else None,
    )


def _answers(socket: Path) -> bool:
    """Return whether somebody listens at *socket*; a file that was left behind does not."""
    try:
        HostClient.connect(socket, "probe", 2.0).close()
    except HostError:
        return False
    return True
