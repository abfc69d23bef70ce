"""Serial ports of the node's computer."""

from __future__ import annotations

from pydantic import BaseModel

from jobs.domain.people import Role
from jobs.services.views import PortView, ProbeView
from web.api.wishes import ProbeIn
from web.auth import ApiVisitorDep, needs
from web.context import Web, WebDep
from web.routing import api_router

router = api_router("ports")


class PortOut(BaseModel):
    """A port, told without opening it. `profiles` is a guess by its USB chip."""

    port: str
    device: str
    usb: str
    serial_number: str
    usb_position: str
    description: str
    profiles: list[str]
    holder: str
    holder_pid: int | None
    machine: str

    @classmethod
    def of(cls, view: PortView) -> PortOut:
        """Return the JSON form."""
        return cls.model_validate(view, from_attributes=True)


class ProbeOut(BaseModel):
    """What a board has said; `state` is `asking`, `done` or `failed`."""

    port: str
    state: str
    profile: str
    baud: int | None
    dialect: str
    firmware: str
    uuid: str
    machine_type: str
    text: list[str]
    code: str
    code_text: str

    @classmethod
    def of(cls, web: Web, view: ProbeView) -> ProbeOut:
        """Return the JSON form."""
        said = web.catalogue.text(f"error.{view.code}", **view.fields) if view.code else ""
        return cls(
            port=view.port,
            state=view.state,
            profile=view.profile,
            baud=view.baud,
            dialect=view.dialect,
            firmware=view.firmware,
            uuid=view.uuid,
            machine_type=view.machine_type,
            text=list(view.text),
            code=view.code,
            code_text=said,
        )


@router.get("/ports")
def ports(web: WebDep, visitor: ApiVisitorDep) -> list[PortOut]:
    """What is plugged in; nothing is opened."""
    needs(visitor, Role.OPERATOR)
    return [PortOut.of(one) for one in web.services.ports.list(visitor.actor)]


@router.post("/ports/probe", status_code=202)
def probe(web: WebDep, visitor: ApiVisitorDep, wish: ProbeIn) -> ProbeOut:
    """Begin to ask the board at one port who it is; opening it may reset the board."""
    needs(visitor, Role.OPERATOR)
    web.services.ports.probe(visitor.actor, wish.port)
    view = web.services.ports.probed(visitor.actor, wish.port)
    return ProbeOut.of(web, view or ProbeView(wish.port, "asking"))


@router.get("/ports/probe")
def probed(web: WebDep, visitor: ApiVisitorDep, port: str) -> ProbeOut | None:
    """What the board at that port has said; null if nobody asked it."""
    needs(visitor, Role.OPERATOR)
    view = web.services.ports.probed(visitor.actor, port)
    return ProbeOut.of(web, view) if view is not None else None
