"""Turn values into pages: templates, the lab's own clock, and amounts a person reads."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jobs.domain.calendar import Interval
from jobs.domain.money import MICRO, minor_digits, plain
from jobs.domain.people import Role
from jobs.domain.policy import Refusal, Way
from jobs.domain.preflight import Finding
from jobs.domain.priority import Part, PartName
from jobs.domain.rules import key_of
from jobs.domain.rules.values import Spec, Unit, Value, spec_of
from jobs.domain.sentences import Catalogue, local_fields
from jobs.services.notices import NoticeView
from jobs.services.views import AttemptView, PromiseView

_HERE = Path(__file__).parent
FAR = timedelta(days=365)  # "free until" beyond this is "free"
_HEATERS = {"T": "nozzle", "B": "bed", "C": "chamber", "P": "probe", "A": "air"}  # as Marlin says
_HEATER_ORDER = ("nozzle", "bed", "chamber", "probe", "air")
_MINUTES = Spec("", Unit.MINUTES)
_WORDS = (Unit.COVERS, Unit.BINDS, Unit.PRESENCE)  # whose value is one of a few words
_CODE_WITH_FIELDS = re.compile(r"([a-z][\w.-]*)(?: \((.*)\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clockwork:
    """Instants as people in this lab read them.

    :param locale: a language of Babel's; the pseudo-locale of tests reads as English here.
    """

    zone: ZoneInfo
    locale: Locale

    @classmethod
    def of(cls, zone: ZoneInfo, locale: str) -> Clockwork:
        """Build one for a locale's name."""
        try:
            return cls(zone, Locale.parse(locale))
        except (UnknownLocaleError, ValueError):
            return cls(zone, Locale("en"))

    def _tag(self, at: datetime, text: str) -> Markup:
        return Markup('<time datetime="{}">{}</time>').format(utc(at), text)

    def time(self, at: datetime) -> Markup:
        """Return the time of day."""
        return self._tag(at, format_skeleton("Hm", at, tzinfo=self.zone, locale=self.locale))

    def moment(self, at: datetime) -> Markup:
        """Return day and time, such as `Mon 3 Aug 14:05`."""
        text = format_datetime(at, "EEE d MMM HH:mm", tzinfo=self.zone, locale=self.locale)
        return self._tag(at, text)

    def far_day(self, at: datetime | date) -> Markup:
        """Return a day with its year, for what ends or returns in a far one, as `4 Mar 2027`."""
        day = self.day_of(at) if isinstance(at, datetime) else at
        text = format_date(day, "d MMM y", locale=self.locale)
        return Markup('<time datetime="{}">{}</time>').format(day.isoformat(), text)

    def last_day(self, at: datetime) -> Markup:
        """Return the last day of what ends as that day does, at the next midnight."""
        return self.far_day(at - timedelta(microseconds=1))

    def last_day_iso(self, at: datetime) -> str:
        """Return that day as a form's field has it."""
        return self.day_of(at - timedelta(microseconds=1)).isoformat()

    def span(self, interval: Interval) -> Markup:
        """Return an interval; the day is said again only where it changes."""
        same = self.day_of(interval.start) == self.day_of(interval.end - timedelta(microseconds=1))
        end = self.time(interval.end) if same else self.moment(interval.end)
        return Markup("<span>{}–{}</span>").format(self.moment(interval.start), end)

    def wall(self, at: datetime) -> str:
        """Return an instant as a form's field of day and time has it."""
        return at.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M")

    def points(self, value: float) -> str:
        """Return a part of a sum, with its sign."""
        sign = "+" if value >= 0 else "\N{MINUS SIGN}"
        return f"{sign}{self.number(abs(value), 1)}"

    def hours(self, interval: Interval) -> Markup:
        """Return an interval within a known day."""
        return Markup("{}–{}").format(self.time(interval.start), self.time(interval.end))

    def day(self, iso: str) -> Markup:
        """Return a local day, such as `Monday 3 August`."""
        text = format_date(date.fromisoformat(iso), "EEEE d MMMM", locale=self.locale)
        return Markup('<time datetime="{}">{}</time>').format(iso, text)

    def short_day(self, iso: str) -> Markup:
        """Return a local day for a narrow column, such as `Mon 3`."""
        text = format_date(date.fromisoformat(iso), "EEE d", locale=self.locale)
        return Markup('<time datetime="{}">{}</time>').format(iso, text)

    def day_of(self, at: datetime) -> date:
        """Return the local day of an instant."""
        return at.astimezone(self.zone).date()

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number in the locale's way."""
        return str(format_decimal(round(value, digits), locale=self.locale))

    def exact(self, value: Decimal, form: str = "#,##0.######") -> str:
        """Return a number with each of its digits, up to six behind the point."""
        return str(format_decimal(value, format=form, locale=self.locale))

    def price(self, micro: int, currency: str) -> str:
        """Return what one unit costs, to the millionth."""
        return f"{self.exact(Decimal(micro) / MICRO, '#,##0.00####')}\N{NBSP}{currency}"

    def amount(self, minor: int, currency: str) -> str:
        """Return an amount of money in the locale's way, its currency on the same line."""
        digits = minor_digits(currency)
        form = f"#,##0.{'0' * digits}" if digits else "#,##0"
        return f"{self.exact(Decimal(plain(minor, currency)), form)}\N{NBSP}{currency}"

    def dimension(self, value: float) -> str:
        """Return a length, an area or a volume: two digits behind the point where they matter."""
        return self.number(value, 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2)


class Sentences:
    """The catalogue, with the codes that pages ask for by value."""

    def __init__(self, catalogue: Catalogue, clockwork: Clockwork) -> None:
        self._catalogue = catalogue
        self._clockwork = clockwork

    @property
    def codes(self) -> frozenset[str]:
        """Return every code that has a sentence."""
        return self._catalogue.codes

    def text(self, code: str, /, **fields: str | int | float) -> str:
        """Return one sentence."""
        return self._catalogue.text(code, **fields)

    def refusal(self, refusal: Refusal) -> str:
        """Return the sentence of one reason; instants, days and lengths as people say them."""
        fields = self._local(refusal.fields)
        for name, value in fields.items():
            if name.endswith("_min") and isinstance(value, int):
                fields[name] = self.rule_value(_MINUTES, value)
            elif name == "day" and isinstance(value, str):
                fields[name] = self._clockwork.day(value).striptags()
        return self.text(f"reason.{refusal.reason.value}", **fields)

    def notice(self, notice: NoticeView) -> str:
        """Return the sentence of one notice."""
        return self.text(f"notice.{notice.code}", **self._local(notice.fields))

    def rule(self, spec: Spec, value: Value) -> str:
        """Return what holds in a sentence; its value as people say it."""
        if value is None:
            return self.text(f"rule.off.{spec.key}")
        if spec.unit in (Unit.YES_NO, *_WORDS):
            word = value if isinstance(value, str) else "yes" if value else "no"
            return self.text(f"rule.{word}.{spec.key}")
        return self.text(f"rule.is.{spec.key}", value=self.rule_value(spec, value))

    def rule_value(self, spec: Spec, value: Value) -> str:
        """Return a value alone, with its unit."""
        if value is None:
            return self.text("page.rules.none")
        match spec.unit:
            case Unit.MINUTES | Unit.HOURS:
                minutes = int(value) * (1 if spec.unit is Unit.MINUTES else 60)
                days, rest = divmod(minutes, 24 * 60)
                whole = days > 1 and not rest
                return self._days(days) if whole else self.duration(minutes * 60)
            case Unit.YES_NO:
                return self.text("page.rules.yes" if value else "page.rules.no")
            case Unit.COVERS | Unit.BINDS | Unit.PRESENCE:
                return self.text(f"page.rules.{spec.unit.value}-{value}")
            case Unit.DAYS:
                return self._days(int(value))
            case _:
                return str(value)

    def _days(self, days: int) -> str:
        return self.text("page.rules.days" if days != 1 else "page.rules.day", days=days)

    def part(self, part: Part) -> str:
        """Return the sentence of one part of a job's priority."""
        without = f"priority.no-{part.name.value}"
        is_nothing = not part.fields if part.name is PartName.DEADLINE else not part.points
        if is_nothing and without in self.codes:
            return self.text(without)
        fields = dict(part.fields)
        if part.name is PartName.ROLE:
            fields["role"] = self.text(f"role.{fields['role']}")
        return self.text(f"priority.{part.name.value}", **fields)

    def way(self, way: Way) -> str:
        """Return in words what would make a wish pass."""
        fields: dict[str, str | int | float] = {"name": way.name, "count": way.count}
        if way.at is not None:
            fields["at"] = self._clockwork.moment(way.at).striptags()
        if way.start is not None and way.end is not None:
            fields["span"] = self._clockwork.span(Interval(way.start, way.end)).striptags()
        return self.text(f"way.{way.kind.value}", **fields)

    def _local(self, fields: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
        return local_fields(fields, self._clockwork.zone, self._clockwork.locale)

    def finding(self, finding: Finding) -> str:
        """Return the sentence of one finding."""
        return self.text(f"finding.{finding.code.value}", **finding.fields)

    def problem(self, code: str, value: str) -> str:
        """Return what is wrong in a design's manifest."""
        return self.text(f"problem.{code}", value=value)

    def message(self, text: str) -> str:
        """Return what a person should know of a machine; "" if nothing.

        :param text: a code, perhaps with fields: `port.not_found (port=/dev/ender)`.
        """
        if not text:
            return ""
        parts = _CODE_WITH_FIELDS.fullmatch(text)
        code = f"error.{parts[1]}" if parts else ""
        if parts is None or code not in self._catalogue.codes:
            return self.text("page.machine.says", text=text)
        pairs = re.split(r", (?=\w+=)", parts[2] or "")
        fields = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return self.text(code, **self._named(fields))

    def is_cause(self, word: str) -> bool:
        """Return whether a cause of a failure is a word of ours, and not the lab's own."""
        return f"cause.{word}" in self._catalogue.codes

    def past(self, kind: str) -> str:
        """Return the sentence of something that happened to a machine."""
        of_book = f"happening.{kind}"
        return self.text(of_book if of_book in self._catalogue.codes else f"past.{kind}")

    def step(self, word: str) -> str:
        """Return how far a pause has come; "" outside one, or for a word of a newer host."""
        return self.text(f"pause.{word}") if f"pause.{word}" in self._catalogue.codes else ""

    def why(self, code: str, detail: Mapping[str, str | int | float] | None = None) -> str:
        """Return why a run ended badly, by its stable code and the numbers that go with it."""
        for full in (f"page.why.{code}", f"error.{code}"):
            if full in self._catalogue.codes:
                return self.text(full, **self._named(detail or {}))
        return self.text("page.why.other", code=code)

    def heater(self, name: str) -> str:
        """Return what a person calls a heater that a machine names in its own way."""
        word, number = heater(name)
        if not word:
            return name
        return self.text(f"page.temperature.{word}") + (f" {number}" if number else "")

    def link_quality(self, run: AttemptView) -> str:
        """Return how good the link of a run was, with its parts."""
        detail = run.detail
        quality = detail.get("quality", 100)
        number = quality if isinstance(quality, int) else 100
        word = "good" if number >= 90 else "fair" if number >= 60 else "bad"
        return self.text(
            f"page.job.link-{word}",
            quality=number,
            resends=run.resends,
            sent=self._clockwork.number(run.sent),
            damaged=detail.get("damaged", 0),
            lost=detail.get("lost_answers", 0),
            starved_s=detail.get("starvation_s", 0),
        )

    def _named(self, fields: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
        """Return *fields* with a machine's name of a heater as people call it."""
        named = dict(fields)
        if isinstance(name := named.get("heater"), str):
            named["heater"] = self.heater(name)
        return named

    def duration(self, seconds: float | None) -> str:
        """Return a length of time in the two units that matter."""
        if seconds is None:
            return "–"
        minutes = int(seconds + 30) // 60
        if seconds < 60:
            return self.text("page.duration.seconds", seconds=max(0, int(seconds)))
        if minutes < 60:
            return self.text("page.duration.minutes", minutes=minutes)
        if minutes % 60 == 0 and minutes < 48 * 60:
            return self.text("page.duration.whole-hours", hours=minutes // 60)
        if minutes < 48 * 60:
            return self.text(
                "page.duration.hours", hours=minutes // 60, minutes=f"{minutes % 60:02d}"
            )
        hours = (minutes + 30) // 60
        return self.text("page.duration.days", days=hours // 24, hours=hours % 24)

    def promise(self, made: PromiseView) -> str:
        """Return a span of time: an even chance, and what nine runs in ten keep."""
        return self.text(
            "page.promise.span", p50=self.duration(made.p50_s), p90=self.duration(made.p90_s)
        )

    def rests(self, runs: int) -> str:
        """Return how many finished runs a promise rests on."""
        code = {0: "page.promise.none", 1: "page.promise.one"}.get(runs, "page.promise.rests")
        return self.text(code, runs=runs)

    def mass(self, grams: float | None) -> str:
        """Return a mass with its unit."""
        if grams is None:
            return "–"
        return f"{self._clockwork.number(grams, 1 if grams < 100 else 0)} g"

    def bill_line(self, line: Mapping[str, object], currency: str) -> str:
        """Return the arithmetic of one line of a bill, so that anybody can do it again."""

        def whole(name: str) -> int:
            value = line.get(name)
            return value if isinstance(value, int) else 0

        def amount(name: str) -> str:
            return self._clockwork.amount(whole(name), currency)

        total, part = amount("minor"), line.get("part")
        if part == "fee":
            return self.text(
                "money.line.fee", percent=whole("percent"), whole=amount("of"), total=total
            )
        if part == "work":
            code = "money.line.work-capped" if "cap" in line else "money.line.work"
            return self.text(
                code,
                minutes=whole("minutes"),
                rate=amount("rate"),
                cap=amount("cap"),
                earlier=amount("earlier"),
                total=total,
            )
        per, count = str(line.get("per")), whole("count")
        scale = {"hour": 60_000, "gram": 1000, "ml": 1000, "m2": 1_000_000}.get(per, 1)
        return self.text(
            f"money.line.{per}",
            much=self._clockwork.exact(Decimal(count) / scale),
            price=self._clockwork.price(whole("micro"), currency),
            minutes=whole("block_min"),
            material=str(line.get("material") or ""),
            total=total,
        )

    def ends(self, at: datetime, now: datetime) -> str:
        """Return when something ends, as bare text; the day only if it is not today."""
        is_today = self._clockwork.day_of(at) == self._clockwork.day_of(now)
        return (self._clockwork.time(at) if is_today else self._clockwork.moment(at)).striptags()


def utc(at: datetime) -> str:
    """Return an instant as machines read it.

    >>> utc(datetime(2026, 3, 4, 10, 7, tzinfo=UTC))
    '2026-03-04T10:07:00Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def heater(name: str) -> tuple[str, int]:
    """Return which heater is meant and its number among several; "" if it is none we know.

    >>> heater("T"), heater("T1"), heater("bed"), heater("pinda")
    (('nozzle', 0), ('nozzle', 2), ('bed', 0), ('', 0))
    """
    if name in _HEATER_ORDER:
        return name, 0
    letter, number = name[:1], name[1:]
    if letter in _HEATERS and (not number or (number.isdecimal() and len(number) < 3)):
        return _HEATERS[letter], int(number) + 1 if number else 0
    return "", 0


def heater_order(name: str) -> tuple[int, int, str]:
    """Return where a heater stands in a list: the nozzle first, strangers last.

    >>> sorted(["B", "X", "T1", "T0", "C"], key=heater_order)
    ['T0', 'T1', 'B', 'C', 'X']
    """
    word, number = heater(name)
    return (_HEATER_ORDER.index(word) if word else len(_HEATER_ORDER), number, name)


def temperature(actual: float, target: float | None) -> str:
    """Return actual and target.

    >>> temperature(209.6, 215.0), temperature(24.2, 0.0), temperature(24.2, None)
    ('210 / 215 °C', '24 °C', '24 °C')
    """
    return f"{actual:.0f} / {target:.0f} °C" if target else f"{actual:.0f} °C"


def percent(fraction: float) -> int:
    """Return whole percents; 100 only when all is done.

    >>> percent(0.417), percent(0.999), percent(1.0)
    (41, 99, 100)
    """
    return min(100, int(fraction * 100))


class Renderer:
    """The templates with everything they may call."""

    def __init__(
        self,
        catalogue: Catalogue,
        zone: ZoneInfo,
        locale: str,
        vendor: Path,
        shared: Mapping[str, object],
    ) -> None:
        self.clockwork = Clockwork.of(zone, locale)
        self.sentences = Sentences(catalogue, self.clockwork)
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            shared,
            _=catalogue.text,
            spec_of=spec_of,
            problem_of=self.sentences.problem,
            is_known_heater=lambda name: bool(heater(name)[0]),
            asset=_assets(_HERE / "static", vendor),
            has_htmx=(vendor / "htmx.min.js").is_file(),
            lang=self.clockwork.locale.language,
            zone=str(zone),
            far=FAR,
        )
        self._environment.filters.update(
            time=self.clockwork.time,
            moment=self.clockwork.moment,
            span=self.clockwork.span,
            hours=self.clockwork.hours,
            date=self.clockwork.far_day,
            last_day=self.clockwork.last_day,
            last_day_iso=self.clockwork.last_day_iso,
            day=self.clockwork.day,
            short_day=self.clockwork.short_day,
            number=self.clockwork.number,
            amount=self.clockwork.amount,
            price=self.clockwork.price,
            bill_line=self.sentences.bill_line,
            # A number and its unit stay on one line.
            duration=lambda seconds: self.sentences.duration(seconds).replace(" ", "\N{NBSP}"),
            promise=self.sentences.promise,
            rests=self.sentences.rests,
            mass=self.sentences.mass,
            dimension=self.clockwork.dimension,
            refusal=self.sentences.refusal,
            way=self.sentences.way,
            part=self.sentences.part,
            points=self.clockwork.points,
            wall=self.clockwork.wall,
            rule=lambda one: self.sentences.rule(one.spec, one.value),
            rule_value=lambda value, spec: self.sentences.rule_value(spec, value),
            rule_key=lambda refusal, role: key_of(refusal.reason, Role(role)),
            finding=self.sentences.finding,
            notice=self.sentences.notice,
            message=self.sentences.message,
            why=self.sentences.why,
            link_quality=self.sentences.link_quality,
            heater=self.sentences.heater,
            is_cause=self.sentences.is_cause,
            past=self.sentences.past,
            percent=percent,
        )
        self._environment.globals["temperature"] = temperature

    def html(self, template: str, **values: object) -> str:
        """Return a template filled in; a name it lacks is an error, never a blank."""
        return self._environment.get_template(template).render(**values)


def _assets(static: Path, vendor: Path) -> Callable[[str], str]:
    """Return the address of each static file, ending in its hash, so caches may keep it."""
    addresses = {
        f"{prefix}{file.name}": f"/static/{prefix}{file.name}?v={_short_hash(file)}"
        for folder, prefix in ((static, ""), (vendor, "vendor/"))
        if folder.is_dir()
        for file in folder.iterdir()
        if file.is_file()
    }
    return addresses.__getitem__


def _short_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
