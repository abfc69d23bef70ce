"""Every hostile program is blocked or held for a person, whatever it is disguised as."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.profile import load_profile
from jobs.analysis.program import prepare_program
from jobs.domain.machine import MachineLimits
from jobs.services.targets import target_for

PRINTER = MachineLimits(
    (200.0, 200.0, 180.0), nozzle_max_c=260.0, bed_max_c=100.0, nozzle_mm=0.4, filament_mm=1.75
)
ROUTER = MachineLimits((300.0, 200.0, 80.0), spindle_max_rpm=10_000.0)
MILLS = ("grbl-1.1", "grblhal", "fluidnc")
HOT, COOL = "M104 S200\nG28\nM109 S200\nG1 Z0.2 F600\n", "\nM104 S0\nM140 S0\n"
MILL_START, MILL_END = "G21 G90 G17 G94\nM3 S8000\n", "\nM5\nM30\n"
_ROW = re.compile(r"(raw )?(\S+) (block|person) ([a-z-]+) \| ?(.*)")


@dataclass(frozen=True)
class Hostile:
    """One row of the table.

    :param first: 1-based number of the first of its own lines.
    """

    profile: str
    verdict: str
    code: str
    before: bytes
    lines: bytes
    after: bytes

    def __str__(self) -> str:
        return f"{self.profile}: {self.lines.decode('latin-1')!r}"[:90]


def _rows() -> list[Hostile]:
    rows = []
    for text in Path(__file__).with_name("hostile_programs.txt").read_text("ascii").splitlines():
        if not text or text.startswith("#"):
            continue
        found = _ROW.fullmatch(text)
        assert found is not None, text
        raw, profile, verdict, code, lines = found.groups()
        start, end = (MILL_START, MILL_END) if profile in MILLS else (HOT, COOL)
        own = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), lines.encode())
        own = own.replace(b"\\n", b"\n")
        before, after = ("", "\n") if raw else (start, end)
        rows.append(Hostile(profile, verdict, code, before.encode(), own, after.encode()))
    return rows


ROWS = _rows()


def examined(profile: str, program: bytes, folder: Path) -> dict[str, object]:
    """What preflight says of a program on a machine with this profile."""
    kind, limits = ("mill", ROUTER) if profile in MILLS else ("fdm", PRINTER)
    target = target_for(kind, limits, load_profile(profile))
    upload = folder / "upload.gcode"
    upload.write_bytes(program)
    return prepare_program(
        upload, folder / "out", limits, target.dialect, target.forbidden, None, kind,
        target.family, target.macros,
    )  # fmt: skip


def test_the_table_is_large_and_every_family_is_in_it():
    assert len(ROWS) >= 150
    assert len({row.lines + row.profile.encode() for row in ROWS}) >= 0.97 * len(ROWS)
    families = Counter(row.profile for row in ROWS)
    assert len(families) == 11
    assert all(count >= 4 for count in families.values()), families


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_hostile_program_is_blocked_or_held(row, tmp_path):
    made = examined(row.profile, row.before + row.lines + row.after, tmp_path)
    findings = made["findings"]
    assert isinstance(findings, list)
    found = {one["code"]: one for one in findings}
    assert row.code in found, findings
    assert found[row.code]["severity"] == row.verdict, findings
    assert made["verdict"] in ("block", row.verdict), findings
    line = found[row.code]["line"]
    if line is not None:
        text = (row.before + row.lines + row.after).splitlines()[line - 1]
        shown = found[row.code]["text"]
        assert shown[:5].strip() == text[:5].decode("latin-1").strip() or "\\x" in shown, shown


# A disguise changes what the bytes look like and nothing of what the firmware does.


def _spaced(line: bytes, n: int) -> bytes:
    return re.sub(rb"([A-Z])", rb" " * (1 + n % 3) + rb"\1", line) + b"\t" * (n % 2)


def _squeezed(line: bytes, _n: int) -> bytes:
    return line.replace(b" ", b"")


def _small(line: bytes, _n: int) -> bytes:
    return line.lower()


def _numbered(line: bytes, n: int) -> bytes:
    body = b"N%d %s" % (n, line)
    check = 0
    for byte in body:
        check ^= byte
    return body + b"*%d" % check


def _zeros(line: bytes, n: int) -> bytes:
    return re.sub(rb"\b([GM])([0-9]+)", rb"\g<1>" + b"0" * (1 + n % 4) + rb"\2", line)


def _plus(line: bytes, _n: int) -> bytes:
    return re.sub(rb"([XYZESR])([0-9])", rb"\1+\2", line)


def _decimals(line: bytes, _n: int) -> bytes:
    return re.sub(rb"([XYZSR][0-9]+)(?![0-9.])", rb"\1.000", line)


def _commented(line: bytes, _n: int) -> bytes:
    return line + b" ; only a test, nothing to see"


def _bracketed(line: bytes, _n: int) -> bytes:
    return line + b" (harmless)"


DISGUISES = {
    "spaces": _spaced, "no spaces": _squeezed, "small": _small, "numbered": _numbered,
    "zeros": _zeros, "plus": _plus, "decimals": _decimals, "comment": _commented,
    "brackets": _bracketed,
}  # fmt: skip
ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}
# Texts and words are what they are, character by character; raw bytes and length are the point.
PLAIN = [
    row
    for row in ROWS
    if re.fullmatch(rb"(?:[GMT]\d+(?:\.\d)?(?: ?[A-Z]-?\d*\.?\d*)*\n?)+", row.lines)
    and row.code not in ("line-too-long", "malformed-line", "realtime-byte", "setting-stored")
    and row.before
]


@settings(max_examples=150, deadline=None)
@given(
    row=st.sampled_from(PLAIN),
    names=st.lists(st.sampled_from(sorted(DISGUISES)), min_size=1, max_size=3, unique=True),
    end=st.sampled_from(sorted(ENDS)),
    mark=st.booleans(),
    start=st.integers(0, 9),
)
def test_a_disguise_changes_no_verdict(tmp_path_factory, row, names, end, mark, start):
    program = row.before + row.lines + row.after
    folder = tmp_path_factory.mktemp("disguise")
    plain = examined(row.profile, program, folder)
    # A number and its checksum go around all else, a comment behind what it is to hide.
    order = sorted(names, key=["numbered", "comment", "brackets"][::-1].__contains__)
    lines = program.split(b"\n")
    for name in order:
        lines = [DISGUISES[name](line, n + start) if line else line for n, line in enumerate(lines)]
    disguised = (b"\xef\xbb\xbf" if mark else b"") + ENDS[end].join(lines)
    made = examined(row.profile, disguised, folder)
    assert made["verdict"] == plain["verdict"], (disguised, made["findings"])
    codes = {one["code"] for one in made["findings"]} - {"line-too-long"}
    assert row.code in codes, (disguised, made["findings"])


# What experience with files of strangers says that none may hold, on every firmware that prints;
# and Grbl's writes, on every one that mills.
_STRANGE = (
    "M500", "M502", "M504", "M997", "M302 P1", "M303 S200", "M304 P9", "M301 P9", "M92 X80",
    "M206 X1", "M211 S0", "M851 Z-1", "M575 P0 B9600", "M81", "M112", "M1234",
)  # fmt: skip
_WRITES = ("$100=80", "$RST=*", "$RST=$", "$N0=G0", "$H", "$X", "$J=G91X1F9", "G10 L2 P1 X0")


@pytest.mark.parametrize("profile", sorted({row.profile for row in ROWS}))
def test_what_no_stranger_may_say_passes_on_no_firmware(profile, tmp_path):
    passed = []
    start, end = (MILL_START, MILL_END) if profile in MILLS else (HOT, COOL)
    for line in _WRITES if profile in MILLS else _STRANGE:
        made = examined(profile, f"{start}{line}{end}".encode(), tmp_path)
        passed += [line] if made["verdict"] == "pass" else []
    assert passed == []


def test_what_would_be_stored_is_said_with_its_new_values(tmp_path):
    made = examined(
        "marlin-2", (HOT + "M301 P25 I2 D80\nM203 X200\nM500" + COOL).encode(), tmp_path
    )
    (stored,) = (one for one in made["findings"] if one["code"] == "setting-stored")
    assert stored["fields"]["new"] == "M301 P25 I2 D80; M203 X200"
    made = examined("grbl-1.1", (MILL_START + "$100=80" + MILL_END).encode(), tmp_path)
    (stored,) = (one for one in made["findings"] if one["code"] == "setting-stored")
    assert {key: stored["fields"][key] for key in ("setting", "new", "old")} == {
        "setting": "$100", "new": "80", "old": "not-known",
    }  # fmt: skip
