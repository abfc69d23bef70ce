"""Routes are built when they are first asked for, once, and are then what FastAPI makes of them."""

from __future__ import annotations

import sys
import threading

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from web.routing import LateRoute, describe


def answer(number: int, wish: dict[str, int]) -> dict[str, int]:
    """Say what was asked for."""
    return {"number": number, **wish}


def app_of(route: APIRoute) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.router.routes.append(route)
    return app


def late() -> LateRoute:
    return LateRoute("/things/{number}", answer, methods=["PUT"], status_code=201)


def is_built(route: LateRoute) -> bool:
    return "dependant" in vars(route)


def test_a_route_is_built_by_its_first_request_and_answers_as_any() -> None:
    route = late()
    client = TestClient(app_of(route))
    assert client.get("/things/1").status_code == 405
    assert client.put("/else/1").status_code == 404
    assert not is_built(route)
    assert client.put("/things/1", json={"a": 2}).json() == {"number": 1, "a": 2}
    assert is_built(route)
    assert client.put("/things/1", json={"a": 2}).status_code == 201
    assert client.put("/things/one", json={}).status_code == 422
    assert client.get("/things/1").headers["allow"] == "PUT"


def test_who_describes_a_route_has_it_built() -> None:
    route = late()
    told = describe(app_of(route))["paths"]
    usual = APIRoute("/things/{number}", answer, methods=["PUT"], status_code=201)
    assert told == describe(app_of(usual))["paths"]
    assert route.summary is usual.summary
    assert route.unique_id == usual.unique_id


def test_what_no_route_has_is_still_missing() -> None:
    route = late()
    with pytest.raises(AttributeError):
        _ = route.nowhere
    route.build()
    with pytest.raises(AttributeError):
        _ = route.nowhere


def test_many_who_come_at_once_find_one_route() -> None:
    route, found = late(), []
    gate = threading.Barrier(8)
    old = sys.getswitchinterval()

    def ask() -> None:
        gate.wait()
        found.append(route.dependant)

    sys.setswitchinterval(1e-6)  # that nobody has built it before the next one asks

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(10)
    sys.setswitchinterval(old)
    assert len(found) == 8
    assert len({id(one) for one in found}) == 1


def test_every_route_of_the_house_can_be_built(ada) -> None:
    """A mistake in a route's fields shows here, not when somebody first asks."""
    routes = [one for one in ada.http.app.routes if isinstance(one, LateRoute)]
    assert len(routes) > 300
    for route in routes:
        route.build()
        assert is_built(route), route.path
