"""What is written is read again as the same design, and what would be wrong is not written."""

from __future__ import annotations

import json
import string
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.designs.manifest import (
    LANGUAGE,
    Design,
    Dialect,
    NamedFile,
    Part,
    Relation,
    read_manifest,
)
from jobs.designs.problems import ProblemCode
from jobs.designs.writing import to_ohm, to_okh
from tests.jobs.designs.test_manifest import LOSH, OHM, V1

COMMONS = Path(__file__).parents[4] / "shared" / "commons"
WRITERS = {"okh.toml": to_okh, "okh-manifest.json": to_ohm}
# What each dialect may say that it left out, and the fields of a design that are then not compared.
LEFT_OUT = {
    "keywords": "keywords",
    "licences": "licences",
    "relations": "relations",
    "images": "images",
}
# Without parts these would be read as a part's; the network's JSON has room for one of each other.
OF_PARTS = ("design-files", "manufacturing-files")


def told(design: Design, name: str, left_out: tuple[str, ...]) -> dict[str, object]:
    """Return what a design says, without what a dialect has no place for."""
    left = {LEFT_OUT[one] for one in left_out if one in LEFT_OUT}
    found = design.model_dump(exclude={"dialect", "problems", *left})
    if "images" in left_out:
        found.pop("parts")
    files = list(design.files)
    if "files" in left_out:
        seen: set[str] = set()
        files = [
            file
            for file in files
            if (file.role not in OF_PARTS if name == "okh.toml" else file.role not in seen)
            and not (file.role in ("bom", "readme") and seen.add(file.role))
        ]
    found["files"] = sorted((file.role, file.path) for file in files)  # titles are for people
    if name == "okh.toml":
        found.pop("licences", None)  # one expression for all of it
    elif not design.licences and design.licence:
        found["licences"] = {"hardware": design.licence}
    return found


def whole(design: Design) -> Design:
    """Return *design* with what the dialects demand."""
    blanks = {
        "version": design.version or "1",
        "licence": design.licence or "CC0-1.0",
        "licensor": design.licensor or "A. Maker",
        "description": design.description or "It holds.",
        "repo": design.repo or "https://example.org/it",
        "language": design.language if LANGUAGE.fullmatch(design.language) else "en",
    }
    return design.model_copy(update=blanks)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("text", "read_as"),
    [(V1, "okh.yml"), (LOSH, "okh.toml"), (json.dumps(OHM), "okh-manifest.json")],
    ids=["v1", "losh", "ohm"],
)
def test_each_dialect_survives_both_that_we_write(text: str, read_as: str, name: str) -> None:
    design = whole(read_manifest(text.encode(), read_as))
    written = WRITERS[name](design)
    assert written.problems == ()
    again = read_manifest(written.text.encode(), name)
    assert again.problems == ()
    assert told(again, name, written.left_out) == told(design, name, written.left_out)


def test_what_is_written_names_its_dialect() -> None:
    design = whole(read_manifest(LOSH.encode()))
    okh = to_okh(design).text
    assert tomllib.loads(okh)["okhv"] == "2.4"
    assert read_manifest(okh.encode()).dialect is Dialect.OKH_2
    ohm = read_manifest(to_ohm(design).text.encode(), "okh-manifest.json")
    assert ohm.dialect is Dialect.OHM


def test_the_same_design_is_written_as_the_same_bytes() -> None:
    design = whole(read_manifest(LOSH.encode()))
    for write in WRITERS.values():
        assert write(design).text == write(design.model_copy()).text


WORDS = st.text(string.ascii_letters + "äß日 -.", min_size=1, max_size=20).map(str.strip)
SAID = WORDS.filter(lambda text: bool(text) and not text.startswith("["))
PATHS = st.lists(
    st.text(string.ascii_letters + "ä _", min_size=1, max_size=8).map(str.strip).filter(bool),
    min_size=1,
    max_size=3,
).map("/".join)
SIZES = st.floats(0, 1e6, allow_nan=False).map(lambda number: round(number, 3))
PARTS = st.builds(
    Part,
    name=SAID,
    process=st.sampled_from(["", "3DP", "CNC", "LAS"]),
    material=st.just("") | SAID,
    exports=st.lists(PATHS, max_size=3).map(tuple),
    sources=st.lists(PATHS, max_size=3).map(tuple),
    images=st.lists(PATHS, max_size=2).map(tuple),
    mass_g=st.none() | SIZES,
    size_mm=st.none() | st.tuples(SIZES, SIZES, SIZES),
)
ROLES = ("manufacturing-files", "design-files", "making-instructions", "bom", "readme")
DESIGNS = st.builds(
    Design,
    title=SAID,
    version=SAID,
    description=SAID,
    licence=st.sampled_from(["CC0-1.0", "CERN-OHL-S-2.0 OR MIT", "LicenseRef-Ours"]),
    licensor=SAID,
    organization=st.just("") | SAID,
    repo=st.just("https://example.org/it"),
    language=st.sampled_from(["en", "de-DE"]),
    keywords=st.lists(SAID, max_size=3).map(tuple),
    parts=st.lists(PARTS, max_size=3).map(tuple),
    files=st.lists(
        st.builds(NamedFile, role=st.sampled_from(ROLES), path=PATHS, title=st.just("") | SAID),
        max_size=4,
    ).map(tuple),
    images=st.lists(PATHS, max_size=2).map(tuple),
    relations=st.lists(
        st.builds(
            Relation,
            kind=st.sampled_from(["fork-of", "sub-parts"]),
            web=st.just("https://example.org/else"),
        ),
        max_size=2,
    ).map(tuple),
    readiness=st.sampled_from([{}, {"technology": "OTRL-3", "documentation": "ODRL-3*"}]),
)


@pytest.mark.parametrize("name", WRITERS)
@given(design=DESIGNS)
def test_whatever_is_written_is_always_read_as_it_was_meant(name: str, design: Design) -> None:
    written = WRITERS[name](design)
    assert written.problems == ()
    again = read_manifest(written.text.encode(), name)
    assert told(again, name, written.left_out) == told(design, name, written.left_out)


@given(design=DESIGNS)
def test_nothing_is_left_out_unsaid(design: Design) -> None:
    for name, write in WRITERS.items():
        written = write(design)
        again = read_manifest(written.text.encode(), name)
        lost = {
            field
            for field in ("keywords", "relations", "images", "organization", "readiness")
            if getattr(again, field) != getattr(design, field)
        }
        assert lost <= {LEFT_OUT.get(one) for one in written.left_out}


def test_what_is_demanded_and_unknown_is_a_problem_each_at_once() -> None:
    written = to_okh(Design(title="Hook", licence="my own terms", language="EN-UK"))
    assert written.text == ""
    assert {(one.field, one.problem) for one in written.problems} == {
        ("version", ProblemCode.MISSING),
        ("licensor", ProblemCode.MISSING),
        ("function", ProblemCode.MISSING),
        ("repo", ProblemCode.MISSING),
        ("license", ProblemCode.NOT_SPDX),
        ("documentation-language", ProblemCode.BAD_LANGUAGE),
    }
    missing = {one.field for one in to_ohm(Design()).problems}
    assert {"title", "documentation_language", "license"} <= missing


@pytest.mark.parametrize("path", ["../x.stl", "/etc/passwd", "a/../../x", "C:\\x.stl", "file:///x"])
def test_no_path_out_of_the_design_is_ever_written(path: str) -> None:
    base = whole(Design(title="Hook"))
    for design in (
        base.model_copy(update={"images": (path,)}),
        base.model_copy(update={"parts": (Part(name="a", exports=(path,)),)}),
        base.model_copy(update={"files": (NamedFile(role="bom", path=path),)}),
    ):
        for write in WRITERS.values():
            (problem,) = write(design).problems
            assert (problem.problem, problem.value) == (ProblemCode.UNSAFE_PATH, path)


@pytest.mark.corpus
@pytest.mark.skipif(not COMMONS.is_dir(), reason="the commons is not here")
def test_real_designs_survive_both_dialects() -> None:
    manifests = [
        path
        for path in sorted(COMMONS.rglob("okh*"))
        if path.suffix in (".yml", ".toml") and path.is_file()
    ]
    assert manifests
    for path in manifests:
        design = whole(read_manifest(path.read_bytes(), path.name))
        for name, write in WRITERS.items():
            written = write(design)
            unclear = {ProblemCode.NOT_SPDX, ProblemCode.UNSAFE_PATH}
            assert {one.problem for one in written.problems} <= unclear, path
            if not written.problems:
                again = read_manifest(written.text.encode(), name)
                assert told(again, name, written.left_out) == told(design, name, written.left_out)
