"""The way through the house: a bar of five, and one page for the rest, by who one is."""

from __future__ import annotations

import re

import pytest

from jobs.domain.modules import Module
from jobs.domain.people import LabMode
from web.menu import MENU

BAR = re.compile(r'<nav class="tabs".*?</nav>', re.S)
PATHS = [entry.path for group in MENU for entry in group.entries]


def bar(page: str) -> list[str]:
    return re.findall(r'href="([^"]+)"', BAR.search(page)[0])


def entries(page: str) -> set[str]:
    return {path for path in PATHS if f'<li><a href="{path}">' in page}


def test_the_bar_has_five_ways_at_most_and_marks_where_one_is(ada, pages):
    for path in pages:
        found = BAR.search(ada.get(path).text)[0]
        assert found.count("<a ") == 5, path
        assert found.count("aria-current") <= 1, path
    for path, tab in (("/rules", "/house"), ("/me", "/house"), ("/bookings", "/book")):
        assert f'href="{tab}" aria-current="page"' in ada.get(path).text, path


def test_every_entry_leads_to_a_page_of_whoever_sees_it(browse):
    for who in ("gus", "mia", "otto", "ada"):
        browser = browse(who)
        for path in entries(browser.get("/house").text):
            assert browser.get(path).status_code == 200, (who, path)


def test_staff_things_are_shown_to_staff_only(browse, lab):
    lab.services.modules.choose(lab.people["ada"], set(Module), lab.now)
    seen = {who: entries(browse(who).get("/house").text) for who in ("gus", "mia", "otto", "ada")}
    assert "/upkeep" not in seen["gus"]
    assert seen["mia"].isdisjoint({"/approvals", "/day-sheet", "/people", "/modules", "/import"})
    assert {"/approvals", "/day-sheet", "/people"} <= seen["otto"]
    assert seen["otto"].isdisjoint({"/modules", "/import"})
    assert seen["ada"] == set(PATHS)


MONEY = {"/money", "/prices", "/money/books", "/money/desk", "/money/terms"}


@pytest.mark.parametrize(
    ("module", "gone"),
    [
        (Module.BOOKING, {"/bookings"}),
        (Module.COMMONS, {"/designs"}),
        (Module.MONEY, MONEY),
    ],
)
def test_a_part_that_is_off_leaves_no_entry(browse, lab, module, gone):
    ada = browse("ada")
    lab.services.modules.choose(lab.people["ada"], set(Module) - {module}, lab.now)
    assert entries(ada.get("/house").text) == set(PATHS) - gone
    assert len(bar(ada.get("/").text)) == (4 if module is Module.BOOKING else 5)


def test_who_is_alone_has_no_rules_and_no_staff_to_ask(browse, lab):
    lab.services.lab.set_mode(lab.people["ada"], LabMode.ONLY_ME, lab.now)
    seen = entries(browse("ada").get("/house").text)
    assert seen.isdisjoint(
        {"/rules", "/proposals", "/trainings", "/approvals", "/bookings", *MONEY}
    )
