"""Fields of forms that say what a job needs."""

from __future__ import annotations

from jobs.domain.errors import InvalidError
from jobs.domain.loading import MOST_SLOTS, Size
from jobs.services.asking import AskWish
from web.auth import Form
from web.context import Web
from web.pages.page import local_instant


def ask_wish(web: Web, form: Form) -> AskWish:
    """Return what a form says that a job needs; fields of tool *n* end in `-n`, from 0.

    :raises InvalidError: naming the field.
    """
    tools = [
        (tool, form.text(f"material-{tool}"), form.text(f"colour-{tool}"))
        for tool in range(MOST_SLOTS)
    ]
    deadline = form.text("deadline")
    return AskWish(
        [one for one in tools if one[1] or one[2]],
        form.number("nozzle_mm"),
        form.text("plate"),
        _size(form),
        local_instant(web, deadline, "deadline") if deadline else None,
        bool(form.text("match_slots")),
    )


def _size(form: Form) -> Size | None:
    x, y, z = (form.number(f"size_{axis}_mm") for axis in "xyz")
    return None if x is None and y is None and z is None else (x or 0.0, y or 0.0, z or 0.0)


def slot_pairs(form: Form) -> list[tuple[int, int]]:
    """Return tool and slot from fields `slot-n`, both from 0.

    :raises InvalidError: `slots.number`.
    """
    found = [(tool, form.text(f"slot-{tool}")) for tool in range(MOST_SLOTS)]
    given = [(tool, text) for tool, text in found if text]
    if not all(text.isdecimal() and len(text) < 4 for _, text in given):
        raise InvalidError("slots.number", field="slots", most=MOST_SLOTS)
    return [(tool, int(text)) for tool, text in given]


def job_numbers(form: Form, name: str) -> list[int]:
    """Return the numbers of jobs that a person wrote, separated by commas or blanks.

    :raises InvalidError: `job.numbers`.
    """
    words = form.text(name).replace(",", " ").replace("#", " ").split()
    if not all(one.isdecimal() and len(one) < 10 for one in words):
        raise InvalidError("job.numbers", field=name)
    return [int(one) for one in words]
