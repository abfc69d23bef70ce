"""Designs, people, records and the node's health."""

from __future__ import annotations

from jobs.services.clock import ClockView
from jobs.services.views import HealthView
from web.api.lab_json import DesignOut, MeOut, NewPersonOut, PersonOut, RecordOut, VerdictOut
from web.api.wishes import FetchIn, PersonIn
from web.auth import ApiVisitorDep
from web.context import WebDep
from web.routing import api_router

router = api_router("lab")


@router.get("/designs")
def designs(web: WebDep, _visitor: ApiVisitorDep) -> list[DesignOut]:
    """The designs in the library."""
    return [DesignOut.of(design) for design in web.services.designs.list()]


@router.post("/designs", status_code=201)
def fetch(web: WebDep, visitor: ApiVisitorDep, wish: FetchIn) -> DesignOut:
    """Take a design from a commons into the library."""
    design = web.services.designs.fetch(visitor.actor, wish.source, wish.ref, web.clock())
    return DesignOut.of(design)


@router.get("/designs/{design_id}")
def design(web: WebDep, _visitor: ApiVisitorDep, design_id: str) -> DesignOut:
    """One design."""
    return DesignOut.of(web.services.designs.get(design_id))


@router.get("/people/me")
def me(web: WebDep, visitor: ApiVisitorDep) -> MeOut:
    """Who is asking."""
    return MeOut(
        person_id=visitor.actor.person_id,
        login=web.services.people.get(visitor.actor.person_id).login,
        name=visitor.actor.name,
        role=visitor.actor.role,
        csrf=visitor.sign_in.csrf if visitor.sign_in else None,
    )


@router.get("/people")
def people(web: WebDep, visitor: ApiVisitorDep) -> list[PersonOut]:
    """Everyone; for operators."""
    return [PersonOut.of(person) for person in web.services.people.list(visitor.actor)]


@router.post("/people", status_code=201)
def add_person(web: WebDep, visitor: ApiVisitorDep, wish: PersonIn) -> NewPersonOut:
    """Add a person; for operators, up to what they hold."""
    now = web.clock()
    person = web.services.people.create(
        wish.login, wish.name, wish.role, password=None, actor=visitor.actor, now=now
    )
    token = web.services.people.link_for(visitor.actor, person.id, now)
    return NewPersonOut(person=PersonOut.of(person), sign_in_path=f"/sign-in/link/{token}")


@router.get("/records")
def records(web: WebDep, _visitor: ApiVisitorDep, limit: int = 50) -> list[RecordOut]:
    """The newest records of the ledger."""
    found = web.services.ledger.recent(min(max(limit, 1), 500))
    return [RecordOut.of(record) for record in found]


@router.get("/records/verify")
def verify(web: WebDep, _visitor: ApiVisitorDep) -> VerdictOut:
    """Verify the whole chain."""
    verdict = web.services.ledger.verify()
    return VerdictOut(
        ok=verdict.ok,
        records=verdict.records,
        head=verdict.head,
        bad_seq=verdict.bad_seq,
        problem=verdict.problem,
    )


@router.get("/health")
def health(web: WebDep, _visitor: ApiVisitorDep) -> HealthView:
    """How the node is."""
    return web.health()


@router.get("/clock")
def clock(web: WebDep, _visitor: ApiVisitorDep) -> ClockView:
    """Whether the node's clock may be believed, and when the node was down."""
    return web.services.clock.view(web.clock())


@router.post("/clock/word")
def vouch(web: WebDep, visitor: ApiVisitorDep) -> ClockView:
    """An operator's word that the clock is right."""
    web.services.clock.vouch(visitor.actor, web.clock())
    return web.services.clock.view(web.clock())
