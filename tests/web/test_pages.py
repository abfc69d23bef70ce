from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

VOID = {"meta", "link", "input", "br", "img", "path", "rect", "hr", "option-void"}
UNITS = re.compile(r"^(?:[\d.,:;/×·–+%()\[\]|\s-]|mm|°C|1/min|\bg\b|\b[XYZ]\b)*$")


class Texts(HTMLParser):
    """Collects what a person reads or hears, apart from their own words and times."""

    def __init__(self) -> None:
        super().__init__()
        self._stack: list[tuple[str, bool]] = []
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        silent = bool(self._stack) and self._stack[-1][1]
        silent = silent or values.get("translate") == "no" or tag in ("script", "time", "title")
        if not silent:
            self.found += [
                values[name]
                for name in ("aria-label", "placeholder", "title", "alt", "data-too-large")
                if values.get(name)
            ]
        if tag not in VOID:
            self._stack.append((tag, silent))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        while self._stack:
            if self._stack.pop()[0] == tag:
                return

    def handle_data(self, data):
        if not (self._stack and self._stack[-1][1]):
            self.found.append(data)


def untranslated(page: str) -> list[str]:
    parser = Texts()
    parser.feed(page)
    left = []
    for text in parser.found:
        rest, before = text, ""
        while rest != before:  # a sentence may hold a word of ours in its own brackets
            before, rest = rest, re.sub(r"⟦[^⟦⟧]*⟧", "", rest)
        if not UNITS.match(rest):
            left.append(rest.strip())
    return left


def test_the_pseudo_language_test_sees_what_is_not_translatable():
    assert untranslated('<p>⟦á⟧ 12 mm</p><b translate="no">Ada <i>x</i></b>') == []
    assert untranslated("<p>⟦á⟧ Ada</p>") == ["Ada"]
    assert untranslated('<button aria-label="Close"></button>') == ["Close"]


@pytest.mark.timeout(240)
def test_every_page_speaks_only_sentences_of_the_catalogue(pseudo, pages):
    for path in [*pages, "/machines/ender/edit", "/machines/saw/edit", "/machines/saw/calendar"]:
        page = pseudo.get(path).text
        assert "⟦" in page, path
        assert untranslated(page) == [], path


def test_pages_for_strangers_speak_only_sentences_of_the_catalogue(day):
    from fastapi.testclient import TestClient

    with TestClient(day.app(locale="pseudo")) as http:
        for path in (
            "/sign-in",
            "/sign-in/link/x",
            "/join",
            f"/join/{day.jobs['invite']}",
            "/nowhere",
        ):
            assert untranslated(http.get(path).text) == [], path
        wrong = http.post("/sign-in", data={"login": "x", "password": "x"})
        assert untranslated(wrong.text) == []


def test_no_page_lacks_a_sentence(ada, pages):
    for path in pages:
        assert "⟨" not in ada.get(path).text, path


def test_every_code_in_a_template_has_a_sentence():
    from pathlib import Path

    import web
    from jobs.domain.sentences import Catalogue

    folder = Path(web.__file__).parent
    sources = [*folder.rglob("*.html"), *folder.rglob("*.py")]
    asked = {
        code
        for file in sources
        for code in re.findall(r"[\"'](page(?:\.[a-z0-9_-]+)+)[\"'](?! ~)", file.read_text())
    }
    assert len(asked) > 150
    assert asked - Catalogue().codes == set()


def test_every_page_has_one_heading_a_skip_link_and_landmarks(ada, pages):
    for path in pages:
        page = ada.get(path).text
        assert len(re.findall(r"<h1\b", page)) == 1, path
        assert '<a class="skip" href="#main">' in page
        for landmark in ("<header", "<main", "<nav", "<footer"):
            assert landmark in page


def test_every_page_offers_stop_for_all_machines(ada, pages):
    for path in pages:
        header = re.search(r"<header.*?</header>", ada.get(path).text, re.S)[0]
        assert 'action="/stop"' in header, path
        assert "not the hardware stop" in header


def test_every_page_offers_stop_for_each_machine_that_listens(ada, pages):
    for path in pages:
        header = ada.get(path).text.partition("</header>")[0]
        for slug in ("ender", "prusa", "router"):
            assert f'action="/machines/{slug}/stop"' in header, path
        assert "old-printer" not in header, path


def test_every_page_says_whose_clock_it_shows(ada, pages, read):
    for path in pages:
        assert "Times in Europe/Berlin" in read(ada.get(path).text), path


def test_the_calendar_marks_the_day_that_is_today(ada):
    page = ada.get("/machines/prusa/calendar?date=2026-03-05").text
    (today,) = re.findall(r'<a href="[^"]*date=([\d-]+)#calendar"[^>]*class="today"', page)
    assert today == "2026-03-04"


def test_times_are_shown_in_the_labs_zone_and_told_in_utc(ada):
    page = ada.get("/machines/prusa").text
    assert '<time datetime="2026-03-04T12:00:00Z">13:00</time>' in page


def test_without_browser_libraries_pages_are_whole(day, tmp_path):
    from dataclasses import replace

    from fastapi.testclient import TestClient

    from web.app import create_app
    from web.context import WebSettings

    settings = WebSettings("x", "0", day.workshop.zone, static_vendor=tmp_path / "none")
    app = create_app(replace(day.services), settings, day.health, clock=day.clock)
    with TestClient(app) as http:
        http.post("/sign-in", data={"login": "ada", "password": "correct horse battery"})
        page = http.get("/machines/ender").text
    assert "htmx.min.js" not in page
    assert 'action="/machines/ender/pause"' in page


def test_health_says_only_yes_or_no_to_strangers(browse):
    answer = browse().get("/healthz")
    assert answer.json() == {"ok": True}
