"""The day sheet: written once a morning, by a worker, with the names of people as they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from pypdf import PdfReader

from jobs.domain.care import Severity
from jobs.domain.clock import Reading
from jobs.domain.errors import NotAllowedError, NotFoundError
from jobs.domain.people import Actor
from jobs.domain.sentences import Catalogue
from jobs.services import build_services
from jobs.services.workshop import Workshop
from tests.jobs.services.conftest import NOW

WORDS = Catalogue()
DAY = date(2026, 3, 4)


def test_a_sheet_has_bookings_faults_and_staff_in_any_letters(
    workshop: Workshop, printer: str, operator: Actor, add_person
) -> None:
    services = build_services(workshop)
    guest = add_person(workshop, "łukasz żółć δοκιμή")
    start = datetime(2026, 3, 4, 13, tzinfo=UTC)
    services.bookings.book(guest, "ender", start, start + timedelta(hours=2), NOW, "hooks")
    services.faults.report(operator, "ender", Severity.LIMITS, "The fan rattles", NOW)
    services.day_sheet.make(operator, DAY, NOW, WORDS)
    text = "".join(
        page.extract_text() for page in PdfReader(services.day_sheet.file(operator, DAY)).pages
    )
    for words in ("14:00", "16:00", "Łukasz Żółć Δοκιμή", "hooks", "The fan rattles", "Otto"):
        assert words in text, text
    assert services.day_sheet.days(operator) == [DAY]


def test_only_staff_read_it(workshop: Workshop, member: Actor, operator: Actor) -> None:
    sheets = build_services(workshop).day_sheet
    for act in (sheets.days, lambda who: sheets.file(who, DAY)):
        with pytest.raises(NotAllowedError):
            act(member)
    with pytest.raises(NotFoundError):
        sheets.file(operator, DAY)


def test_each_morning_writes_one_and_a_late_riser_writes_it_late(
    workshop: Workshop, operator: Actor
) -> None:
    services = build_services(workshop)
    night = datetime(2026, 3, 4, 4, 29, tzinfo=UTC)  # 5:29 in Berlin
    assert services.day_sheet.tick(night, WORDS) is None
    assert services.day_sheet.tick(night + timedelta(minutes=1), WORDS) == DAY
    assert services.day_sheet.tick(night + timedelta(minutes=2), WORDS) is None
    late = night + timedelta(days=40, hours=12)
    services.clock.beat(Reading(late, timedelta(), "boot"))
    assert services.day_sheet.tick(late, WORDS) is None
    services.clock.vouch(operator, late)
    assert services.day_sheet.tick(late, WORDS) == date(2026, 4, 13)
    assert services.day_sheet.days(operator) == [date(2026, 4, 13)]
