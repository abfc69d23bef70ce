"""The forms of a page, filled in as the page offers them: what a person would send by a tap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

# What people type where a page leaves a field empty.
TYPED = {
    "text": "Said in a few words",
    "search": "words",
    "password": "correct horse battery",
    "email": "mia@example.org",
    "url": "https://example.org/",
    "number": "1",
    "date": "2026-03-06",
    "datetime-local": "2026-03-06T10:00",
    "time": "10:00",
    "month": "2026-03",
}
# Names whose value must be of a form of its own.
SAID = {
    "login": "eve",
    "slug": "new-one",
    "name": "Eve",
    "port": "/dev/new",
    "opening": "Mo-Fr 09:00-21:00",
}


@dataclass
class Sent:
    """One way to send one form: its address and its fields."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    file: str = ""  # the name of a file field


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[Sent, list[tuple[str, str]]]] = []
        self._form: Sent | None = None
        self._buttons: list[tuple[str, str]] = []
        self._select = ""
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form" and at.get("method", "").lower() == "post":
            self._form, self._buttons = Sent(at.get("action", "")), []
            return
        if self._form is None:
            return
        name, value = at.get("name", ""), at.get("value", "")
        if tag == "button":
            if at.get("formaction"):
                other = Sent(at["formaction"], dict(self._form.fields))
                self.forms.append((other, [(name, value)] if name else []))
            elif name:
                self._buttons.append((name, value))
        elif tag == "select" and name:
            self._select = name
        elif tag == "option" and self._select:
            if self._select not in self._form.fields or "selected" in at:
                self._form.fields[self._select] = value
        elif tag == "textarea" and name:
            self._area = name
            self._form.fields[name] = ""
        elif tag == "input" and name:
            self._input(at.get("type", "text"), name, value, at)

    def _input(self, kind: str, name: str, value: str, at: dict[str, str]) -> None:
        assert self._form is not None
        fields = self._form.fields
        if kind == "file":
            self._form.file = name
        elif kind in ("checkbox", "radio"):
            if "checked" in at or (kind == "radio" and name not in fields):
                fields[name] = value or "on"
        elif kind == "submit":
            self._buttons.append((name, value))
        else:
            typed = SAID.get(name, TYPED.get(kind, "")) if "required" in at else ""
            fields[name] = value or typed

    def handle_data(self, data: str) -> None:
        if self._area and self._form is not None:
            self._form.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea" and self._form is not None:
            held = self._form.fields.get(self._area, "").strip()
            self._form.fields[self._area] = held or TYPED["text"]
            self._area = ""
        elif tag == "form" and self._form is not None:
            self.forms.append((self._form, self._buttons))
            self._form = None


def forms_of(page: str) -> Iterator[Sent]:
    """Yield every way to send a form of *page*: once for each button that says something."""
    reader = _Reader()
    reader.feed(page)
    for form, buttons in reader.forms:
        for name, value in buttons or [("", "")]:
            fields = form.fields | ({name: value} if name else {})
            fields.pop("csrf", None)
            yield Sent(form.action, fields, form.file)
