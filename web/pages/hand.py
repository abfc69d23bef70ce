"""What the control panel of a machine's page shows to one person."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.domain.machine import Control
from jobs.kinds import GARDEN
from jobs.services.hand import HandView
from jobs.services.views import MachineView
from web.auth import Visitor
from web.context import Web

STEPS_MM = ("0.1", "1", "10", "50")
_FEED_MM_MIN = {"fdm": "3000"}  # of a jog, until a person says otherwise
_FEED_ELSE = "1000"
_OVERRIDES = ("feed", "rapid", "spindle", "flow")
_OPENS = frozenset({"hand", "step"})  # the address after something was done by hand
_SIMPLE = (
    *("hold", "resume", "quick-stop", "skip-wait", "spindle-toggle"),
    *("unlock", "home", "reset", "off"),
)


class Panel:
    """What the template shows.

    :param problem: why the last wish was not done; "" if it was.
    `is_needed`: it is shown unfolded and before booking; else a person unfolds it.
    """

    def __init__(
        self, view: HandView, machine: MachineView, query: Mapping[str, str], problem: str
    ) -> None:
        self.acts = view.acts
        self.reasons = view.reasons
        self.done = view.done
        self.problem = problem
        # A person who may act sees each button that this machine can ever have, at rest or not.
        known = _known_to(machine)
        self.simple = [act for act in _SIMPLE if act in known]
        self.overrides = [name for name in _OVERRIDES if name in known]
        # Whether one axis can be homed alone, the firmware tells.
        self.homes = ("X", "Y", "Z") if machine.told.get("homes_axes") else ()
        self.jogs = "jog" in known
        self.heaters = _heaters(machine) if "heat" in known else []
        self.step = query.get("step", "1") if query.get("step", "1") in STEPS_MM else "1"
        usual = _FEED_MM_MIN.get(machine.kind, _FEED_ELSE)
        self.feed = query.get("feed", usual) if query.get("feed", usual).isdigit() else usual
        self.steps = STEPS_MM
        self.is_needed = bool(problem) or _is_needed(view, machine) or bool(_OPENS & query.keys())


def panel(
    web: Web, visitor: Visitor, machine: MachineView, query: Mapping[str, str], problem: str
) -> Panel | None:
    """Return the panel of a machine on a wire; None for any other."""
    if machine.control is not Control.SERIAL or machine.retired or machine.phase == "offline":
        return None
    view = web.services.hand.view(visitor.actor, machine.slug, web.clock())
    return Panel(view, machine, query, problem)


def _is_needed(view: HandView, machine: MachineView) -> bool:
    """Return whether what comes next can only be done here."""
    if machine.step == "tool-change" or {"unlock", "jog-cancel"} & set(view.acts):
        return True
    return machine.run is None and "resume" in view.acts


def _known_to(machine: MachineView) -> frozenset[str]:
    """Return the acts that such a machine has in some state."""
    if machine.kind == GARDEN.name:
        return frozenset({"jog", "jog-cancel", "home", "unlock", "off"})
    if machine.controller:  # a firmware of the Grbl family tells its state
        own = {"spindle-toggle", "unlock", "reset", "rapid", "spindle", "hold", "resume"}
        return frozenset({*own, "jog", "jog-cancel", "home", "feed", "off"})
    own = {"quick-stop", "skip-wait", "flow", "heat", "hold", "resume"}
    return frozenset({*own, "jog", "jog-cancel", "home", "feed", "off"})


def _heaters(machine: MachineView) -> list[tuple[str, float]]:
    limits = {"nozzle": machine.limits.nozzle_max_c, "bed": machine.limits.bed_max_c}
    return [(name, hottest) for name, hottest in limits.items() if hottest > 0]
