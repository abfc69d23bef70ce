"""Put services behind HTTP: `create_app` builds the whole web and starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from jobs.domain.people import Role
from jobs.domain.sentences import Catalogue
from jobs.services import Services
from jobs.services.views import HealthView
from web import errors, live
from web.api import attending as api_attending
from web.api import bookings as api_bookings
from web.api import clearings as api_clearings
from web.api import day_sheet as api_day_sheet
from web.api import house as api_house
from web.api import importing as api_importing
from web.api import jobs as api_jobs
from web.api import lab as api_lab
from web.api import loading as api_loading
from web.api import machines as api_machines
from web.api import modules as api_modules
from web.api import money as api_money
from web.api import notices as api_notices
from web.api import people as api_people
from web.api import ports as api_ports
from web.api import power as api_power
from web.api import presence as api_presence
from web.api import queueing as api_queueing
from web.api import sharing as api_sharing
from web.api import sign_in as api_sign_in
from web.api import slicers as api_slicers
from web.api import upkeep as api_upkeep
from web.auth import Visitor, find_visitor
from web.context import STATIC, Web, WebSettings, utc_now, web_of
from web.live import LiveStreams
from web.modules import API
from web.pages import (
    board,
    book,
    bookings,
    calendar,
    clearing,
    credentials,
    cycle,
    day_sheet,
    designs,
    devices,
    display,
    feeds,
    hand_form,
    house,
    importing,
    instructions,
    jobs,
    joining,
    kiosk,
    lab,
    learning,
    loading,
    machines,
    modules,
    money,
    notices,
    outside,
    passkeys,
    people,
    pictures,
    ports,
    power,
    privacy,
    proving,
    queueing,
    resuming,
    rules,
    sharing,
    sign_in,
    upkeep,
    visits,
    workstations,
)
from web.rendering import Renderer
from web.routing import add, describe
from web.security import RequestGuard, SecurityHeaders


def create_app(
    services: Services,
    settings: WebSettings,
    health: Callable[[], HealthView],
    *,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Return the app: pages, API, static files and live values.

    Before the server is asked to end, call `app.state.web.streams.close()`: open pages hold
    event streams that would keep it waiting.

    :param health: how the node is; the composition root knows.
    """
    catalogue = Catalogue(settings.locale)
    renderer = Renderer(
        catalogue,
        settings.zone,
        settings.locale,
        settings.static_vendor,
        {"site": settings.site, "version": settings.version, "Role": Role},
    )
    app = FastAPI(
        title="fabnode",
        version=settings.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{API}/openapi.json",
    )
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.state.web = Web(services, settings, health, catalogue, renderer, LiveStreams(), clock)
    errors.install(app)
    _add_routes(app, settings.static_vendor)
    app.add_middleware(
        RequestGuard,
        upload_limit_bytes=services.workshop.upload_limit_bytes,
        refuse=errors.refuse,
        hosts=settings.hosts,
    )
    app.add_middleware(SecurityHeaders)
    if settings.proxies:
        # Outermost, so that all within hear of the asker's own address and scheme.
        from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.proxies))
    return app


def _add_routes(app: FastAPI, vendor: Path) -> None:
    pages = (
        board,
        passkeys,  # before sign_in: no link is called so
        outside,
        sign_in,
        proving,
        credentials,
        workstations,
        calendar,
        book,
        bookings,
        feeds,  # before sharing: a link is no booking
        sharing,
        designs,
        jobs,
        lab,
        machines,
        modules,
        money,
        notices,
        ports,
        hand_form,
        house,
        resuming,
        cycle,
        day_sheet,
        importing,
        clearing,
        upkeep,
        pictures,
        power,
        rules,
        learning,
        privacy,
        people,  # after learning: its acts are any word
        joining,
        loading,
        queueing,
        devices,
        display,
        instructions,
        visits,
        kiosk,
    )
    for routes in pages:
        add(app, routes.router)
    for resource in (
        api_machines,
        api_loading,
        api_queueing,
        api_jobs,
        api_sharing,
        api_bookings,
        api_notices,
        api_house,
        api_attending,
        api_modules,
        api_money,
        api_importing,
        api_day_sheet,
        api_upkeep,
        api_clearings,
        api_lab,
        api_people,
        api_ports,
        api_presence,
        api_sign_in,
        api_slicers,
        api_power,
    ):
        add(app, resource.router)
    add(app, live.router(_who))
    app.add_api_route("/healthz", _healthz, include_in_schema=False)
    if vendor.is_dir():
        app.mount("/static/vendor", KeptFiles(directory=vendor))
    app.mount("/static", KeptFiles(directory=STATIC))


class KeptFiles(StaticFiles):
    """Static files; an address with its hash may be kept for good, another is asked again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file."""
        response = await super().get_response(path, scope)
        hashed = scope["query_string"].startswith(b"v=")
        headers = MutableHeaders(raw=response.raw_headers)
        headers["cache-control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response


def _who(request: Request) -> tuple[Web, Visitor | None]:
    web = web_of(request)
    return web, find_visitor(request, web)


def _healthz(request: Request) -> JSONResponse:
    """Say only whether the node works; who may know more has the health page."""
    is_well = web_of(request).health().ok
    return JSONResponse({"ok": is_well}, 200 if is_well else 503)
