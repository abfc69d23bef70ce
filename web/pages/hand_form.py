"""What a person has a machine do by hand: the form of the control panel."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from jobs.domain.errors import InvalidError, JobsError
from jobs.services.hand import order_of
from web.auth import CheckedFormDep, Form, VisitorDep
from web.context import WebDep
from web.errors import status_of
from web.pages.hand import STEPS_MM
from web.pages.machines import machine_page
from web.pages.page import go, sentence_of
from web.routing import page_router

router = page_router()


@router.post("/machines/{slug}/hand")
def act(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Have the machine do something; a "no" is said in the panel."""
    hand, now = web.services.hand, web.clock()
    try:
        order = order_of(_wish(form))
        if form.text("by"):
            hand.nudge(visitor.actor, slug, order.act, _whole(form, "by"), now)
        else:
            hand.act(visitor.actor, slug, order, now)
    except JobsError as error:
        # htmx shows only what went well; its panel has to show this too.
        status = 200 if request.headers.get("hx-request") else status_of(error)
        problem = sentence_of(web, error)
        return machine_page(request, web, visitor, slug, problem=problem, status=status)
    kept = "&".join(f"{key}={form.text(key)}" for key in ("step", "feed") if _is_kept(form, key))
    return go(f"/machines/{slug}?{kept or 'hand=open'}#hand")


def _wish(form: Form) -> dict[str, object]:
    """Return the form as the keys of an order."""
    wish: dict[str, object] = {"act": form.text("act") or ("jog" if form.text("way") else "")}
    if form.text("percent"):
        wish["percent"] = _whole(form, "percent")
    if (way := form.text("way")) and wish["act"] == "jog":
        sign = -1.0 if way.endswith("-") else 1.0
        wish["axes_mm"] = {way[:1]: sign * _number(form, "step")}
        wish["feedrate_mm_s"] = _number(form, "feed") / 60.0
    if (axes := form.text("axes")) in ("X", "Y", "Z", "XY"):
        wish["axes_mm"] = dict.fromkeys(axes, 0.0)
    if form.text("heater"):
        wish |= {"heater": form.text("heater"), "target_c": _number(form, "target_c")}
    return wish


def _is_kept(form: Form, key: str) -> bool:
    text = form.text(key)
    return text in STEPS_MM or (key == "feed" and text.isdigit())


def _number(form: Form, key: str) -> float:
    try:
        return float(form.text(key).replace(",", "."))
    except ValueError:
        raise InvalidError("form.number", field=key, key=key) from None


def _whole(form: Form, key: str) -> int:
    return int(_number(form, key))
