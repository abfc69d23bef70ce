"""Machines and their calendars in JSON: units in every name, instants with `Z`."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.job import AttemptState
from jobs.domain.machine import Control, MachineState
from jobs.services.cycle_start import StartCheck
from jobs.services.hand import HandView
from jobs.services.views import AllocationView, CalendarDay, MachineView, RunView
from web.context import Web
from web.errors import reason_json


class IntervalOut(BaseModel):
    """A half-open stretch of time."""

    model_config = ConfigDict(from_attributes=True)
    start: datetime
    end: datetime


class TemperatureOut(BaseModel):
    """One heater."""

    actual_c: float
    target_c: float | None


class RunOut(BaseModel):
    """What a machine is making now; `progress` is 0-1 by planned seconds."""

    job_id: str
    job_number: int
    job_title: str
    attempt_id: str
    state: AttemptState
    progress: float
    remaining_s: float | None
    remaining_p90_s: float | None
    rests_on_runs: int
    ends_at: datetime | None
    line: int
    acked_lines: int
    total_lines: int
    resends: int
    mine: bool

    @classmethod
    def of(cls, run: RunView) -> RunOut:
        """Return the JSON form."""
        return cls(
            job_id=run.job_id,
            job_number=run.job_number,
            job_title=run.job_title,
            attempt_id=run.attempt_id,
            state=run.state,
            progress=run.progress,
            remaining_s=run.remaining_s,
            remaining_p90_s=run.remaining_p90_s,
            rests_on_runs=run.rests_on_runs,
            ends_at=run.ends_at,
            line=run.line,
            resends=run.resends,
            mine=run.mine,
            acked_lines=run.acked,
            total_lines=run.total,
        )


class PromiseOut(BaseModel):
    """How long a run will take: with an even chance, and kept by nine runs in ten.

    `runs` are the finished ones on that machine that it rests on.
    """

    model_config = ConfigDict(from_attributes=True)
    p50_s: float
    p90_s: float
    runs: int


class CalibrationOut(BaseModel):
    """How a machine's promises have turned out: of `runs` finished, so many within their P90."""

    model_config = ConfigDict(from_attributes=True)
    runs: int
    within_p90: int
    share_within_p90: float | None


class ArmingOut(BaseModel):
    """Who said that the machine is clear."""

    model_config = ConfigDict(from_attributes=True)
    person_name: str
    at: datetime
    expires_at: datetime
    simulated: bool


class StartCheckOut(BaseModel):
    """How a start stands now; lengths in mm, zeros in machine coordinates.

    `items` is what a start asks to be `confirmed`.
    """

    items: list[str]
    tools: dict[int, str]
    size_mm: list[float]
    zero_mm: dict[str, list[float]]
    homed: bool
    can_trace: bool
    reasons: list[dict[str, object]]

    @classmethod
    def of(cls, web: Web, check: StartCheck) -> StartCheckOut:
        """Return the JSON form."""
        return cls(
            items=[item.value for item in check.items],
            tools=dict(check.tools),
            size_mm=list(check.size_mm),
            zero_mm={system: list(zero) for system, zero in check.zero_mm.items()},
            homed=check.homed,
            can_trace=check.can_trace,
            reasons=[reason_json(web, one) for one in check.reasons],
        )


class PromptOut(BaseModel):
    """What the machine asks the person beside it; its words are not to be trusted.

    Without `choices`, choice 0 means *go on*. `commands`: what each choice sends, where that is a
    command of its own; else empty.
    """

    model_config = ConfigDict(from_attributes=True)
    number: int
    text: str
    choices: list[str]
    commands: list[str]


class MachineOut(BaseModel):
    """A machine and its live state."""

    id: str
    slug: str
    name: str
    kind: str
    control: Control
    profile: str | None
    state: MachineState
    state_text: str
    phase: str
    firmware: str
    message: str
    message_text: str
    prompt: PromptOut | None
    notice: str
    step: str
    step_text: str
    tool: int
    back_mm: dict[str, float]
    limits: dict[str, object]
    temperatures: dict[str, TemperatureOut]
    position_mm: list[float] | None
    spindle_on: bool
    run: RunOut | None
    armed: ArmingOut | None
    to_check: bool
    stopped: bool
    heat_off_s: float | None
    heat_kept_by: str
    power: bool | None
    plugs: dict[str, str]
    in_use: str
    differs: list[str]
    identity: dict[str, str]
    next_taken: IntervalOut | None
    free_now_until: datetime | None
    stop_note: str
    simulated: bool
    controller: str
    overrides_percent: dict[str, int]
    acts: list[str]
    homed: bool
    laser_mode: bool | None
    firmware_settings: dict[str, bool | float]
    switches: dict[str, str]
    presence_left_s: float | None  # say that you are there before, or its run is held
    withheld: str  # why its run is held: presence, interlock
    interlocks: dict[str, str]
    watched_until: datetime | None  # for fire; nothing starts before a person has ended it
    is_used: bool
    power_off_s: float | None
    plugs_said: dict[str, dict[str, object]]

    @classmethod
    def of(cls, web: Web, machine: MachineView) -> MachineOut:
        """Return the JSON form."""
        taken = machine.next_taken
        return cls(
            id=machine.id,
            slug=machine.slug,
            name=machine.name,
            kind=machine.kind,
            control=machine.control,
            profile=machine.profile,
            state=machine.state,
            state_text=web.catalogue.text(f"state.machine.{machine.state.value}"),
            phase=machine.phase,
            firmware=machine.firmware,
            message=machine.message,
            message_text=web.renderer.sentences.message(machine.message),
            prompt=PromptOut.model_validate(machine.prompt) if machine.prompt else None,
            notice=machine.notice,
            step=machine.step,
            tool=machine.tool,
            back_mm=dict(machine.back_mm),
            step_text=web.renderer.sentences.step(machine.step),
            limits=machine.limits.to_json(),
            temperatures={
                name: TemperatureOut(actual_c=actual, target_c=target)
                for name, (actual, target) in machine.temperatures.items()
            },
            position_mm=list(machine.position_mm) if machine.position_mm else None,
            spindle_on=machine.spindle_on,
            run=RunOut.of(machine.run) if machine.run else None,
            armed=ArmingOut.model_validate(machine.armed) if machine.armed else None,
            to_check=machine.to_check,
            stopped=machine.stopped,
            heat_off_s=machine.heat_off_s,
            heat_kept_by=machine.heat_kept_by,
            power=machine.power,
            plugs=dict(machine.plugs),
            in_use=machine.in_use,
            differs=list(machine.differs),
            identity=dict(machine.identity),
            next_taken=IntervalOut(start=taken.start, end=taken.end) if taken else None,
            free_now_until=machine.free_now_until,
            stop_note=machine.stop_note,
            simulated=machine.simulated,
            controller=machine.controller,
            overrides_percent=dict(machine.overrides),
            acts=list(machine.acts),
            homed=machine.homed,
            laser_mode=machine.laser,
            firmware_settings=dict(machine.told),
            switches={key: str(word) for key, word in machine.switching.to_json().items()},
            presence_left_s=machine.watch.left_s,
            withheld=machine.watch.withheld,
            interlocks=dict(machine.watch.interlocks),
            watched_until=machine.watched_until,
            is_used=machine.is_used,
            power_off_s=machine.power_off_s,
            plugs_said={
                part: {"raw": one.raw, "at_us": one.at_us, "watts": one.watts, "wh": one.wh}
                for part, one in machine.plugs_said.items()
            },
        )


class ActOut(BaseModel):
    """One act that was asked for; `refused` is the code of the machine's "no"."""

    person_name: str
    at: datetime
    act: str
    amounts: dict[str, object]
    refused: str


class HandOut(BaseModel):
    """What the asker may have the machine do by hand now, and what was done lately."""

    acts: list[str]
    reasons: list[dict[str, object]]
    done: list[ActOut]

    @classmethod
    def of(cls, web: Web, view: HandView) -> HandOut:
        """Return the JSON form."""
        return cls(
            acts=sorted(view.acts),
            reasons=[reason_json(web, one) for one in view.reasons],
            done=[
                ActOut(
                    person_name=one.person_name,
                    at=one.at,
                    act=one.act,
                    amounts=dict(one.amounts),
                    refused=one.refused,
                )
                for one in view.done
            ],
        )


class StopOut(BaseModel):
    """What a machine answered to *stop now*; `refused` is None where it obeyed."""

    machine: str
    refused: str | None
    detail: str


class AllocationOut(BaseModel):
    """One entry of a calendar, as this asker may see it."""

    id: str
    machine: str
    kind: AllocationKind
    state: AllocationState
    start: datetime
    end: datetime
    mine: bool
    label: str
    job_id: str | None
    asked_until: datetime | None  # staff have to answer first, until then
    displaced_reason: str | None
    series_id: str | None
    checked_in: bool
    missed: bool
    shows_name: bool

    @classmethod
    def of(cls, one: AllocationView) -> AllocationOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            machine=one.machine_slug,
            kind=one.kind,
            state=one.state,
            start=one.interval.start,
            end=one.interval.end,
            mine=one.mine,
            label=one.label,
            job_id=one.job_id,
            asked_until=one.asked_until,
            displaced_reason=one.displaced_reason,
            series_id=one.series_id,
            checked_in=one.checked_in,
            missed=one.missed,
            shows_name=one.shows_name,
        )


class DayOut(BaseModel):
    """One local day of one machine."""

    date: str
    start: datetime
    end: datetime
    allocations: list[AllocationOut]
    free: list[IntervalOut]
    set_up: list[IntervalOut]

    @classmethod
    def of(cls, one: CalendarDay) -> DayOut:
        """Return the JSON form."""
        return cls(
            date=one.date,
            start=one.day.start,
            end=one.day.end,
            allocations=[AllocationOut.of(each) for each in one.allocations],
            free=[IntervalOut(start=each.start, end=each.end) for each in one.free],
            set_up=[IntervalOut(start=each.start, end=each.end) for each in one.set_up],
        )
