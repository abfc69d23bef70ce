"""Amounts, prices, what may be shown and what the accountant gets: whole units, to the last one."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.books import (
    COLUMNS,
    Booked,
    Cell,
    EntryKind,
    csv_of,
    harmless,
    month_for,
    rows,
    suppressed,
)
from jobs.domain.errors import InvalidError
from jobs.domain.money import cost, minor_digits, minor_of, minor_unit, plain
from jobs.domain.money_terms import MoneyTerms, checked_terms, credit_for
from jobs.domain.prices import Drawn, Per, Price, Tariff, Use, line_minor, quote

AT = datetime(2026, 3, 4, 9, tzinfo=UTC)
CURRENCIES = st.sampled_from(("EUR", "JPY", "KWD"))
MICRO = st.integers(0, 10**12)
COUNT = st.integers(0, 10**10)


@given(MICRO, COUNT, st.sampled_from((1, 1000, 1_000_000, 3_600_000)), CURRENCIES)
def test_a_line_is_rounded_once_half_up(micro: int, count: int, of: int, currency: str) -> None:
    exact = Fraction(micro * count * minor_unit(currency), of * 1_000_000)
    found = cost(micro, count, of, currency)
    assert isinstance(found, int)
    assert -Fraction(1, 2) < found - exact <= Fraction(1, 2)


@given(st.integers(-(10**11), 10**11), CURRENCIES)
def test_an_amount_is_read_as_it_is_written(minor: int, currency: str) -> None:
    assert minor_of(plain(minor, currency), currency, signed=True) == minor


@given(st.text(max_size=16), CURRENCIES)
def test_any_text_is_an_amount_or_a_reason(text: str, currency: str) -> None:
    bare = text.strip().replace(",", ".")
    whole, _, rest = bare.partition(".")
    is_amount = bare.isascii() and whole.isdigit() and (not rest or rest.isdigit())
    is_amount = is_amount and (bool(rest) == ("." in bare)) and len(rest) <= minor_digits(currency)
    if not is_amount or Fraction(bare) * minor_unit(currency) > 10**11:
        with pytest.raises(InvalidError, match=r"money\.amount"):
            minor_of(text, currency)
    else:
        assert minor_of(text, currency) == Fraction(bare) * minor_unit(currency)


def prices_of(draw: st.DrawFn) -> Tariff:
    def price(per: Per, **more: object) -> Price:
        micro = draw(st.integers(0, 10**9))
        return Price(str(per), per, micro, AT, block_min=draw(st.integers(1, 1440)), **more)

    time = draw(st.sampled_from((Per.HOUR, Per.BLOCK)))
    listed = [price(time, machine="m"), price(Per.START, kind="fdm")]
    listed += [price(Per.GRAM, material="pla"), price(Per.GRAM, lot="b7", group="g")]
    return Tariff(draw(CURRENCIES), listed, "m", "fdm", draw(st.sampled_from(("", "g"))), AT)


USES = st.builds(
    Use,
    st.integers(0, 10**9),
    st.integers(0, 1),
    st.lists(
        st.builds(
            Drawn,
            st.sampled_from(("PLA", "pla", "petg", "")),
            st.integers(0, 10**7),
            st.sampled_from(("", "B7")),
        ),
        max_size=3,
    ),
)


@given(st.data(), USES, st.integers(0, 10**8), st.integers(0, 10**6))
def test_what_lies_between_two_uses_costs_between_the_two(
    data: st.DataObject, use: Use, longer: int, more: int
) -> None:
    """So a run that takes no longer than its P90 and no more material is charged no more."""
    tariff = prices_of(data.draw)
    drawn = [Drawn(one.material, one.amount + more, one.lot) for one in use.drawn]
    most = Use(use.machine_ms + longer, 1, drawn)
    less, found = quote(tariff, use), quote(tariff, most)
    assert 0 <= less.minor <= found.minor
    assert found.minor == sum(one.minor for one in found.lines)
    for line in found.lines:  # anybody can do it again from what is written down
        assert line.minor == line_minor(line.per, line.micro, line.count, tariff.currency)


@pytest.mark.parametrize(
    ("group", "material", "lot", "found"),
    [
        ("", "pla", "", "pla"),
        ("g", "PLA", "", "pla-g"),
        ("", "pla", "B7", "lot"),
        ("g", "pla", "b7", "lot"),  # the nearest place first, then the group
        ("h", "pla", "", "pla"),
        ("", "petg", "", None),
    ],
)
def test_the_nearest_price_counts(group: str, material: str, lot: str, found: str | None) -> None:
    listed = [
        Price("pla", Per.GRAM, 1, AT, material="pla"),
        Price("pla-g", Per.GRAM, 1, AT, material="pla", group="g"),
        Price("lot", Per.GRAM, 1, AT, material="pla", lot="b7"),
        Price("over", Per.GRAM, 1, AT - timedelta(days=2), AT, material="petg"),
    ]
    price = Tariff("EUR", listed, group=group, at=AT).price((Per.GRAM,), material, lot)
    assert (price.id if price else None) == found


CELLS = st.lists(
    st.builds(
        Cell,
        st.sampled_from("abcdef"),
        st.integers(-500, 5000),
        st.frozensets(st.sampled_from("123456789"), min_size=1, max_size=6),
    ),
    max_size=6,
    unique_by=lambda one: one.label,
)


@given(CELLS, st.integers(2, 5))
def test_no_sum_stands_for_a_few_people_and_none_can_be_worked_out(
    cells: list[Cell], least: int
) -> None:
    shown, rest = suppressed(cells, least)
    parts = [*shown, *([rest] if rest else [])]
    assert all(len(one.people) >= least for one in parts)
    if parts:
        assert sum(one.minor for one in parts) == sum(one.minor for one in cells)
    everybody = frozenset[str]().union(*(one.people for one in cells))
    assert bool(parts) == (len(everybody) >= least)


ENTRIES = st.builds(
    Booked,
    st.integers(1, 999),
    st.just(date(2026, 3, 4)),
    st.just("2026-03"),
    st.sampled_from(EntryKind),
    st.integers(-(10**6), 10**6),
    CURRENCIES,
    st.none() | st.integers(1, 99),
    receipt=st.text(max_size=12),
    text=st.text(max_size=12),
    of_kind=st.none() | st.sampled_from(EntryKind),
)


@given(st.lists(ENTRIES, max_size=6))
def test_the_accountants_list_says_where_every_unit_comes_from_and_goes(
    entries: list[Booked],
) -> None:
    data = b"".join(csv_of(entries))
    assert data == b"".join(csv_of(entries))
    found = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    expected = [entry for entry in entries if entry.minor]
    assert len(found) == len(expected)
    for row, entry in zip(found, expected, strict=True):
        assert tuple(row) == COLUMNS
        assert row["debit"] != row["credit"]
        own = "bank" if entry.account is None else "member-credit"
        grows = entry.minor > 0
        # A bank account grows on the debit side, what is owed to members on the credit side.
        assert row["debit" if grows == (entry.account is None) else "credit"] == own
        assert minor_of(row["amount"], entry.currency) == abs(entry.minor)
        assert all(value[:1] not in ("=", "+", "-", "@") for value in row.values())


def test_a_charge_is_listed_part_by_part() -> None:
    entry = Booked(
        7, date(2026, 3, 4), "2026-03", EntryKind.CHARGE, -350, "EUR", 3,
        lines=(("time", -300), ("start", -50)),
    )  # fmt: skip
    assert [row[4:7] for row in rows(entry)] == [
        ("member-credit", "revenue-time", "3.00"),
        ("member-credit", "revenue-start", "0.50"),
    ]


@given(st.text(max_size=20))
def test_no_cell_is_a_formula_whatever_somebody_wrote(text: str) -> None:
    cell = harmless(text)
    assert cell.lstrip()[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
    assert cell.isprintable()


@given(st.sampled_from(("2026-01", "2026-02", "2026-03", "2026-04")), st.data())
def test_nothing_is_ever_written_into_a_closed_month(today: str, data: st.DataObject) -> None:
    months = st.sampled_from(("", "2025-12", "2026-01", "2026-02", "2026-05"))
    closed, wanted = data.draw(months), data.draw(months)
    found = month_for(wanted, today, closed)
    assert found > closed
    assert found == wanted or not closed < wanted <= today


@given(st.integers(1, 1440), st.integers(0, 10**5), st.integers(0, 10**5), st.integers(0, 10**5))
def test_contributed_work_never_passes_the_cap(
    minutes: int, rate: int, cap: int, earlier: int
) -> None:
    found = credit_for(minutes, rate, cap, earlier)
    assert 0 <= found <= credit_for(minutes, rate, None, 0)
    assert earlier + found <= max(cap, earlier)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"currency": "euro"}, "currency"),
        ({"rates": "repair 12"}, "rates"),
        ({"rates": "repair: -1"}, "rates"),
        ({"rates": "a: 1\na: 2"}, "rates"),
        ({"cap": "x"}, "cap"),
        ({"late_percent": "101"}, "late_percent"),
        ({"late_h": "²"}, "late_h"),
        ({"least": "1"}, "least"),
        ({"shown": "everything"}, "shown"),
    ],
)
def test_wrong_terms_name_their_field(values: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidError) as wrong:
        checked_terms(values, MoneyTerms())
    assert wrong.value.field == field


def test_terms_survive_what_keeps_them() -> None:
    terms = checked_terms({"rates": "repair: 12", "cap": "20", "shown": "kinds"}, MoneyTerms())
    assert MoneyTerms.from_json({**terms.to_json(), "of-a-later-release": 1}) == terms
