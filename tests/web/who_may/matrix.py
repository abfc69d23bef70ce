"""Ask every route as everybody, and say in one letter what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import Response
from starlette.routing import Match, Mount

import web.errors
import web.pages.page
from jobs.domain.errors import JobsError, RefusedError
from jobs.domain.policy import Refusal
from tests.web.conftest import PAGES, Browser, Lab
from tests.web.who_may.forms import Sent, forms_of
from tests.web.who_may.house import Rewind
from tests.web.who_may.samples import API, FILES, FORMS, LOOKS
from web.rendering import Sentences

FILE: Final = Path(__file__).with_name("matrix.txt")
PERSONS: Final = ("nobody", "gus", "mia", "max", "tina", "otto", "ada")
KEYS: Final = ("key-mia", "key-ada")
# The same persons, who have typed the code of the machine's display where it is asked for.
PRESENT: Final = {"mia@": "mia", "otto@": "otto"}
COLUMNS: Final = (*PERSONS, *KEYS, *PRESENT)
_STRENGTH: Final = "sfrnp0ix+"  # from shut to open
_MOST_SAMPLES: Final = 8  # of one route's forms
_FORERUNNERS: Final = ("ada", "mia@", "otto@")  # they try all of them
_TELLING: Final = 3  # samples that everybody else tries
_PROGRAM: Final = ("file", "x.gcode", b"G21\nG28\nM84\n; another\n")


@dataclass(frozen=True, slots=True)
class Row:
    """One route of the matrix: a letter for each column, and why nobody gets through."""

    letters: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request, as it is sent for everybody."""

    method: str
    path: str
    json: Any = None
    fields: Mapping[str, str] | None = None
    file: tuple[str, str, bytes] | None = None


@dataclass
class House:
    """The lab, its app, and who is asking."""

    lab: Lab
    app: FastAPI
    browsers: Mapping[str, Browser]
    rewind: Rewind
    said: list[str]  # codes and reasons of the last answer's "no"


def read_matrix() -> dict[str, Row]:
    """Return the matrix as it was decided."""
    rows = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            method, path, letters, *why = line.split(maxsplit=3)
            rows[f"{method} {path}"] = Row(letters, "".join(why))
    return rows


def write_matrix(app: FastAPI, found: Mapping[str, str]) -> dict[str, Row]:
    """Write what was found, keep what was said of each route, and return it."""
    kept = read_matrix() if FILE.exists() else {}
    lines = [f"# {', '.join(COLUMNS)}"]
    for route in sorted(routes_of(app), key=lambda one: one.split()[::-1]):
        why = kept[route].why if route in kept else ""
        letters = found.get(route, "-" * len(COLUMNS))
        lines.append(f"{route} {letters} {why}".rstrip())
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_matrix()


def routes_of(app: FastAPI) -> Iterator[str]:
    """Yield every method and path that the app answers."""
    for route in app.router.routes:
        if not isinstance(route, Mount):
            for method in sorted(route.methods - {"HEAD"}):
                yield f"{method} {route.path}"


def route_of(app: FastAPI, method: str, path: str) -> str:
    """Return the route that answers, or "" if none does."""
    scope = {"type": "http", "method": method, "path": path.split("?")[0], "root_path": ""}
    for route in app.router.routes:
        if not isinstance(route, Mount) and route.matches(scope)[0] is Match.FULL:
            return f"{method} {route.path}"
    return ""


def listen(monkeypatch: Any, said: list[str]) -> None:
    """Have every refusal also written down as codes, whatever the page makes of it."""
    answer, sentence = web.errors.answer, web.pages.page.sentence_of

    def heard(request: Any, status: int, text: str, *, code: str, **more: Any) -> Response:
        said.extend([code, *(one.reason.value for one in more.get("refusals", ()))])
        return answer(request, status, text, code=code, **more)

    def read(web_: Any, error: JobsError) -> str:
        said.append(error.code)
        if isinstance(error, RefusedError):
            said.extend(one.reason.value for one in error.refusals)
        return sentence(web_, error)

    refusal = Sentences.refusal

    def shown(sentences: Sentences, one: Refusal) -> str:
        said.append(one.reason.value)
        return refusal(sentences, one)

    monkeypatch.setattr(Sentences, "refusal", shown)  # a form that is shown again with its reasons
    monkeypatch.setattr(web.errors, "answer", heard)
    monkeypatch.setattr(web.errors, "sentence_of", read)
    monkeypatch.setattr(web.pages.page, "sentence_of", read)


def samples(house: House) -> dict[str, list[Sample]]:
    """Return what is sent to each route: the tables, the pages, and the forms that pages show."""
    names = house.lab.jobs
    found: dict[str, list[Sample]] = {}

    def add(sample: Sample) -> None:
        route = route_of(house.app, sample.method, sample.path)
        held = found.setdefault(route, [])
        if sample not in held and len(held) < _MOST_SAMPLES:
            held.append(sample)

    for key, body in API.items():
        method, path = _filled(key, names).split(" ", 1)
        add(Sample(method, path, json=json.loads(_filled(json.dumps(body), names))))
    for path, fields in FORMS.items():
        filled = {name: _filled(value, names) for name, value in fields.items()}
        add(Sample("POST", _filled(path, names), fields=filled))
    for path, (fields, *file) in FILES.items():
        add(Sample("POST", path, fields=fields, file=tuple(file)))
    pages = [_filled(path, names) for path in PAGES]
    for path in [*pages, *(_filled(look, names) for look in LOOKS)]:
        add(Sample("GET", path))
    for who in ("mia", "otto", "ada"):
        for path in pages:
            answer = house.browsers[who].get(path)
            for form in forms_of(answer.text) if answer.status_code == 200 else ():
                add(_sample_of(form, path))
    return found


def _sample_of(form: Sent, path: str) -> Sample:
    # A picture need not be sent, a program must be.
    held = _PROGRAM if path.startswith("/jobs/new") and form.file else None
    return Sample("POST", form.action or path, fields=form.fields, file=held)


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def asked(house: House) -> dict[str, str]:
    """Send samples of every route as everybody; return the letters of each route."""
    found = samples(house)
    found.pop("", None)
    return {route: _letters(house, each) for route, each in found.items()}


def _letters(house: House, each: list[Sample]) -> str:
    """Return what came of a route's samples, for each column.

    Those who may most try all of them; the others what came furthest then.
    """
    best: dict[str, str] = {}
    reached = dict.fromkeys(range(len(each)), "s")
    for who in _FORERUNNERS:
        for number, sample in enumerate(each):
            letter = _ask(house, sample, who)
            reached[number] = _stronger(reached[number], letter)
            best[who] = _stronger(best.get(who, "s"), letter)
            if letter == "+":
                break
    order = sorted(reached, key=lambda number: -_STRENGTH.index(reached[number]))
    telling = [each[number] for number in order[:_TELLING]]
    for who in COLUMNS:
        if who not in best:
            best[who] = _best(house, telling, who)
    return "".join(best[who] for who in COLUMNS)


def _best(house: House, each: list[Sample], who: str) -> str:
    best = "s"
    # For a stranger, and for a program that asks for pages, each sample is as good as another.
    only_one = who == "nobody" or (who in KEYS and not each[0].path.startswith("/api/"))
    for sample in each[:1] if only_one else each:
        best = _stronger(best, _ask(house, sample, who))
        if best == "+":
            break
    return best


def _stronger(one: str, other: str) -> str:
    return max(one, other, key=_STRENGTH.index)


def _ask(house: House, sample: Sample, who: str) -> str:
    letter = _send(house, sample, PRESENT.get(who, who))
    if letter == "p" and who in PRESENT:
        letter = _send(house, sample, PRESENT[who], at=_machine_of(house, sample))
    return letter


def _machine_of(house: House, sample: Sample) -> str:
    """Return the machine that a request is about."""
    steps = sample.path.split("?")[0].strip("/").split("/")
    if "machines" in steps:
        return steps[steps.index("machines") + 1]
    told = sample.json if isinstance(sample.json, dict) else sample.fields or {}
    slug = str(told.get("machine", ""))
    assert slug, sample
    return slug


def _send(house: House, sample: Sample, who: str, *, at: str = "") -> str:
    browser = house.browsers[who]
    if at:
        browser.stand_at(at)
    headers = {"X-CSRF-Token": browser.csrf}
    data = None
    if sample.fields is not None:
        data = {"csrf": browser.csrf, **sample.fields}
    files = None
    if sample.file is not None:
        field, name, content = sample.file
        files = {field: (name, content)}
    house.said.clear()
    cookies = dict(browser.http.cookies)
    answer = browser.http.request(
        sample.method, sample.path, headers=headers, json=sample.json, data=data, files=files
    )
    letter = _letter(answer.status_code, answer.headers.get("location", ""), house.said)
    if sample.method != "GET" or at:
        house.rewind()
        browser.http.cookies.clear()
        browser.http.cookies.update(cookies)
    assert answer.status_code < 500 or answer.status_code == 503, (sample, answer.text)
    return letter


def _letter(status: int, location: str, said: list[str]) -> str:
    if (status == 401 and "sign-in.wrong" not in said) or location.startswith("/sign-in"):
        return "s"
    if status < 400:
        return "+"
    if {"not-present", "key-not-present"} & set(said):
        return "p"
    if {"role-too-low", "person.not-allowed"} & set(said):
        return "r"
    if any(code.endswith("not-yours") for code in said):
        return "n"
    return {403: "f", 404: "0", 409: "x", 503: "x"}.get(status, "i")
