"""The plugs of machines without a host: one thread asks and switches them for the node.

Nothing is switched off by this thread's end or the node's: a plug stays as it is, and the next
node reads how it stands. What the last one had switched on for a use that is still open counts as
wanted; what is found off is not switched on again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from drivers.errors import HostError
from drivers.host.plugs import told
from drivers.mqtt import Broker
from drivers.plug import parse_plug
from drivers.plug_login import Login
from drivers.plug_switch import PlugSwitch, PlugWord
from jobs.services.live import LiveBoard, LivePlug
from jobs.services.power import ActorNeed

MAINS = "mains"
_LONGEST_S = 1.0  # between two looks at the wishes
_TROUBLE = frozenset({PlugWord.UNKNOWN, PlugWord.NOT_OFF})

log = logging.getLogger(__name__)

Tell = Callable[[str, Mapping[str, object]], None]


@dataclass
class _Actor:
    spec: str
    switch: PlugSwitch
    word: PlugWord | None = None


class Actors:
    """Switches the mains of machines that have no host.

    :param logins: of plugs with a password, by the plug's address; asked when plugs change.
    :param tell: hears that a power was lost which somebody wanted, as a host would tell it.
    """

    def __init__(
        self,
        live: LiveBoard,
        broker: Broker | None,
        logins: Callable[[], Mapping[str, Login]],
        tell: Tell,
    ) -> None:
        self._live = live
        self._broker = broker
        self._logins = logins
        self._tell = tell
        self._actors: dict[str, _Actor] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._done = threading.Event()
        self._wall = time.time() - time.monotonic()
        self._thread: threading.Thread | None = None

    def know(self, needs: list[ActorNeed]) -> None:
        """Bring the plugs to what the machines are now; what stays the same is not touched."""
        with self._lock:
            wanted = {need.slug: need for need in needs}
            for slug in [slug for slug in self._actors if slug not in wanted]:
                self._actors.pop(slug).switch.close()
                self._live.forget(slug)
            known = self._logins() if wanted else {}
            for slug, need in wanted.items():
                actor = self._actors.get(slug)
                if actor is not None and actor.spec == need.spec:
                    continue
                if actor is not None:
                    actor.switch.close()
                self._add(need, known)
        if self._actors and self._thread is None:
            # A node without such plugs spends no thread on them.
            self._thread = threading.Thread(target=self._run, name="actors", daemon=True)
            self._thread.start()
        self._wake.set()

    def _add(self, need: ActorNeed, known: Mapping[str, Login]) -> None:
        try:
            plug = parse_plug(need.spec)
        except HostError as error:
            log.warning("%s: its plug cannot be switched: %s", need.slug, error)
            self._actors.pop(need.slug, None)
            return
        switch = PlugSwitch(plug, known.get(plug.door), holds=False, broker=self._broker)
        if need.is_used:
            switch.adopt()
        self._actors[need.slug] = _Actor(need.spec, switch)

    def has(self, slug: str) -> bool:
        """Tell whether a machine's power is switched here."""
        return slug in self._actors

    def power(self, slug: str, *, on: bool) -> str | None:
        """Switch from now on; how it went is told by the machine's live state."""
        with self._lock:
            actor = self._actors.get(slug)
            if actor is None:
                return "host.no_heartbeat"
            if on and not actor.switch.is_on:
                actor.switch.on()
            elif not on:
                actor.switch.off()
        self._wake.set()
        return None

    def stop(self) -> None:
        """Let go of the plugs; each stays as it is."""
        self._done.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5)
        with self._lock:
            for actor in self._actors.values():
                actor.switch.close()

    def _run(self) -> None:
        while not self._done.is_set():
            due = _LONGEST_S
            try:
                due = self._pass()
            except Exception:
                log.exception("a plug's answer could not be taken in; it is asked again")
            self._wake.wait(due)
            self._wake.clear()

    def _pass(self) -> float:
        """Move every plug on; return how long nothing is due [s]."""
        lost: list[tuple[str, HostError]] = []
        with self._lock:
            now = time.monotonic()
            for slug, actor in self._actors.items():
                if now >= actor.switch.deadline():
                    actor.switch.tick(now)
                if (why := actor.switch.take_loss()) is not None:
                    lost.append((slug, why))
                self._show(slug, actor)
            due = [actor.switch.deadline() for actor in self._actors.values()]
        for slug, why in lost:
            log.warning("%s: its power is lost: %s", slug, why)
            self._tell(slug, {"kind": "power", "on": False, "by": "plug"})
        return min(max(min(due, default=_LONGEST_S) - time.monotonic(), 0.0), _LONGEST_S)

    def _show(self, slug: str, actor: _Actor) -> None:
        word = actor.switch.word
        if word is not actor.word:
            actor.word = word
            trouble = actor.switch.trouble if word in _TROUBLE else None
            log.info("%s: the plug of its mains: %s %s", slug, word, trouble or "")
        said = told(actor.switch.said, self._wall)
        plug = LivePlug(
            str(said.get("raw", "")),
            int(str(said.get("at_us", 0))),
            actor.switch.said.watts,
            actor.switch.said.wh,
        )
        state = replace(
            self._live.get(slug),
            power=actor.switch.is_on,
            plugs={MAINS: word.value},
            plugs_said={MAINS: plug},
        )
        self._live.put(slug, state)
