"""What every page shares: the frame around it, and where to go after a form."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse

from jobs.domain.errors import InvalidError, JobsError
from jobs.domain.people import Role
from web.auth import Visitor
from web.context import Web
from web.menu import is_in_menu

SAID = frozenset(
    {
        "accepted",
        "answered",
        "answered-note",
        "armed",
        "asked",
        "booked",
        "by-hand",
        "came-in",
        "cancelled",
        "changed",
        "checked",
        "checked-in",
        "cleared",
        "clock-right",
        "commented",
        "contested",
        "copied",
        "copies-made",
        "created",
        "decided",
        "disarmed",
        "enabled",
        "entered",
        "ended",
        "fetched",
        "freed",
        "heat-kept",
        "held",
        "identified",
        "inspected",
        "joined",
        "kept",
        "left",
        "loaded",
        "loaded-right",
        "mended",
        "modules",
        "moved",
        "no-fire",
        "own-board",
        "paused",
        "planned",
        "power-off",
        "power-on",
        "present",
        "proposed",
        "queued",
        "released",
        "reported",
        "resume-planned",
        "resumed",
        "retired",
        "retried",
        "revoked",
        "source-added",
        "serviced",
        "source-removed",
        "signed-up",
        "started",
        "swap-asked",
        "swapped",
        "told",
        "use-began",
        "use-ended",
        "use-goes-on",
        "traced",
        "waits",
        "went-out",
        "waived",
    }
)


def page(
    request: Request,
    web: Web,
    visitor: Visitor | None,
    template: str,
    *,
    status: int | None = None,
    error: JobsError | None = None,
    books: bool | None = None,
    **values: object,
) -> HTMLResponse:
    """Return a whole page in the frame: navigation, stop, and what was just done.

    :param status: of the answer; None: 422 with an error, else 200.
    :param error: what was wrong with the form that this page shows again, said above it.
    """
    status = status or (HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK)
    wrong = {
        "problem": sentence_of(web, error) if error else "",
        "field": error.field if isinstance(error, InvalidError) else "",
    }
    said = request.query_params.get("said", "")
    # As it was when the page began to be made: what changed meanwhile is then news to it.
    house = getattr(request.state, "house", 0)
    # What broke may be the very thing that knows the machines.
    knows = visitor is not None and status != HTTPStatus.INTERNAL_SERVER_ERROR
    html = web.renderer.html(
        template,
        here=request.url.path,
        visitor=visitor,
        csrf=visitor.sign_in.csrf if visitor and visitor.sign_in else "",
        role=visitor.actor.role.value if visitor else "",
        is_operator=bool(visitor and visitor.may(Role.OPERATOR)),
        is_admin=bool(visitor and visitor.may(Role.ADMIN)),
        stoppable=web.services.machines.stoppable() if knows else {},
        books=web.books() if books is None and visitor else bool(books),
        told=web.services.notices.unread(visitor.actor) if knows and visitor else 0,
        modules=web.services.modules.on() if knows else frozenset(),
        clock_is_wrong=knows and not web.services.clock.trusted(web.clock()),
        shares=knows and web.shares(),
        tab=_tab_of(request.url.path),
        said=said if said in SAID else "",
        now=web.clock(),
        house=house,
        **{**wrong, **values},
    )
    return HTMLResponse(html, status)


def sentence_of(web: Web, error: JobsError) -> str:
    """Return the sentence for a person; a field's dot-free name stays as it is."""
    return web.catalogue.text(f"error.{error.code}", **error.fields)


def _tab_of(path: str) -> str:
    """Return the name of the tab that a page belongs to; "" if to none.

    >>> [_tab_of(path) for path in ("/machines/saw", "/bookings/1", "/jobs/1", "/rules", "/stop")]
    ['machines', 'book', 'queue', 'house', '']
    """
    first = path.split("/")[1]
    if path == "/jobs/new":
        return "make"
    if is_in_menu(path) and first != "bookings":
        return "house"
    tabs = {"bookings": "book", "book": "book", "jobs": "queue"}
    return first if first in ("machines", "queue") else tabs.get(first, "")


def go(path: str, said: str = "") -> RedirectResponse:
    """Go on to *path* after a form, and let it say what was done."""
    if said:
        path += ("&" if "?" in path else "?") + f"said={said}"
    return RedirectResponse(path, 303)


def local_instant(web: Web, text: str, name: str) -> datetime:
    """Return an instant that a form gives on the lab's clock.

    :raises InvalidError: `form.time`.
    """
    try:
        return datetime.fromisoformat(text).replace(tzinfo=web.settings.zone).astimezone(UTC)
    except ValueError:
        raise InvalidError("form.time", field=name, key=name) from None


def safe_next(path: str) -> str:
    r"""Return *path* if it stays in this house, else the front page.

    >>> safe_next("/jobs/new?x=1"), safe_next("//evil.example"), safe_next("https://evil.example")
    ('/jobs/new?x=1', '/', '/')
    >>> safe_next("/\\evil.example"), safe_next(""), safe_next("/\t/evil.example")
    ('/', '/', '/')
    """
    if not path.startswith("/") or path[1:2] in ("/", "\\") or not path.isprintable():
        return "/"
    parts = urlsplit(path)
    return path if not parts.netloc and not parts.scheme else "/"
