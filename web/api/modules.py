"""Which parts of the house are on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from jobs.domain.modules import Module
from jobs.domain.people import Role
from web.auth import ApiVisitorDep, needs
from web.context import WebDep
from web.routing import api_router

router = api_router("lab")


class ModulesIn(BaseModel):
    """The parts that shall be on; all others are off."""

    model_config = ConfigDict(extra="forbid")
    on: list[Module]


class ModulesOut(BaseModel):
    """The parts that are on."""

    on: list[Module]


@router.get("/modules")
def modules(web: WebDep, _visitor: ApiVisitorDep) -> ModulesOut:
    """The parts of the house that are on."""
    return ModulesOut(on=sorted(web.services.modules.on()))


@router.put("/modules")
def choose(web: WebDep, visitor: ApiVisitorDep, wish: ModulesIn) -> ModulesOut:
    """Have just these on; for admins."""
    needs(visitor, Role.ADMIN)
    web.services.modules.choose(visitor.actor, wish.on, web.clock())
    return ModulesOut(on=sorted(web.services.modules.on()))
