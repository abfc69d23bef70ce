"""Every dialect becomes one design, and dirt becomes problems."""

import json

from hypothesis import given
from hypothesis import strategies as st

from jobs.designs.manifest import Design, Dialect, read_manifest
from jobs.designs.problems import ProblemCode

V1 = """
title: Wall hook
description: Holds a coat.
keywords: [hook, wall]
project-link: "https://example.org/hook "
license: {hardware: CERN-OHL-P-2.0, documentation: CC-BY-4.0}
licensor: {name: A. Maker, email: a@example.org}
version: 1.10
documentation-language: EN-UK
image: "[value]"
manufacturing-files:
  - path: https://example.org/hook/Build
    title: All
  - Build/one.stl
bom: parts.csv
"""
LOSH = """
okhv = "OKH-LOSHv1.0"
name = "Wall hook"
version = 1.10
repo = "https://example.org/hook"
license = "CERN-OHL-S-2.0"
licensor = ["A. Maker", "B. Maker"]
function = "Holds a coat."
technology-readiness-level = "OTLR-5"
outer-dimensions = "big"
[[image]]
location = "a.jpg"
[[part]]
name = "Hook"
tsdc = "3DP"
export = ["hook.stl", "hook.pdf"]
source = "hook.scad"
mass = 12.5
[part.outer-dimensions]
width = 28
height = 30
depth = 20
[[part]]
name = "Peg"
export = "peg.stl"
mass = "heavy"
outer-dimensions = {widht = 3}
"""
OHM = {
    "okhv": "OKH-LOSHv1.0",
    "title": "Wall hook",
    "version": "2",
    "license": {"hardware": "MIT"},
    "licensor": {"name": "A. Maker"},
    "documentation_language": "de-DE",
    "function": "Holds a coat.",
    "manufacturing_files": [{"title": "Hook", "path": "hook.stl"}],
    "parts": [{"name": "Hook", "export": ["hook.stl"], "mass": None}],
}


def problems_of(design: Design) -> set[tuple[str, ProblemCode]]:
    return {(each.field, each.problem) for each in design.problems}


def test_okh_v1_is_read():
    design = read_manifest(V1.encode(), "okh.yml")
    assert (design.dialect, design.title, design.version) == (Dialect.V1, "Wall hook", "1.10")
    assert (design.licence, design.licensor) == ("CERN-OHL-P-2.0", "A. Maker")
    assert design.licences == {"hardware": "CERN-OHL-P-2.0", "documentation": "CC-BY-4.0"}
    assert design.repo == "https://example.org/hook"
    assert design.keywords == ("hook", "wall")
    assert [(file.role, file.path) for file in design.files] == [
        ("manufacturing-files", "https://example.org/hook/Build"),
        ("manufacturing-files", "Build/one.stl"),
        ("bom", "parts.csv"),
    ]
    assert problems_of(design) == {
        ("project-link", ProblemCode.BLANKS),
        ("documentation-language", ProblemCode.BAD_LANGUAGE),
        ("image", ProblemCode.TEMPLATE_LEFT),
    }


def test_okh_losh_is_read():
    design = read_manifest(LOSH.encode(), "okh.toml")
    assert (design.dialect, design.title, design.version) == (Dialect.LOSH, "Wall hook", "1.10")
    assert (design.description, design.licensor) == ("Holds a coat.", "A. Maker, B. Maker")
    assert design.images == ("a.jpg",)
    hook, peg = design.parts
    assert (hook.name, hook.process, hook.exports) == ("Hook", "3DP", ("hook.stl", "hook.pdf"))
    assert (hook.sources, hook.mass_g, hook.size_mm) == (("hook.scad",), 12.5, (28.0, 30.0, 20.0))
    assert (peg.exports, peg.mass_g, peg.size_mm) == (("peg.stl",), None, None)
    assert problems_of(design) == {
        ("technology-readiness-level", ProblemCode.BAD_READINESS),
        ("part[2].mass", ProblemCode.BAD_NUMBER),
        ("part[2].outer-dimensions.widht", ProblemCode.UNKNOWN_KEY),
    }


def test_a_newer_okh_and_the_network_s_json_are_read():
    newer = read_manifest(LOSH.replace("OKH-LOSHv1.0", "2.4").encode(), "okh.toml")
    assert newer.dialect is Dialect.OKH_2
    ohm = read_manifest(json.dumps(OHM).encode(), "okh-manifest.json")
    assert (ohm.dialect, ohm.title, ohm.licence) == (Dialect.OHM, "Wall hook", "MIT")
    assert ohm.language == "de-DE"
    assert ohm.parts[0].exports == ("hook.stl",)
    assert ohm.files[0].path == "hook.stl"
    assert ohm.problems == ()


def test_what_a_dialect_demands_is_missed():
    missing = {each.field for each in read_manifest(b"title: x").problems}
    assert missing == {"description", "license"}
    missing = {each.field for each in read_manifest(b'okhv = "2.4"').problems}
    assert missing == {"name", "version", "license", "licensor", "function", "repo"}


def test_a_part_with_a_manifest_of_its_own_is_a_design_of_one_part():
    design = read_manifest(b'okhv = "2.0"\nname = "Ring"\nexport = ["Ring.stl"]\ntsdc = "3DP"')
    assert [(part.name, part.exports) for part in design.parts] == [("Ring", ("Ring.stl",))]


def test_the_documentation_s_licence_counts_where_the_hardware_has_none():
    design = read_manifest(b"title: x\ndescription: y\nlicense: {documentation: CC-BY-4.0}")
    assert design.licence == "CC-BY-4.0"


def test_a_text_where_a_mapping_is_meant_and_the_other_way_round():
    design = read_manifest(b"title: {a: b}\ndescription: [x]\nlicense: [y]\npart: word\nsub: 3")
    assert design.title == ""
    assert ("title", ProblemCode.WRONG_TYPE) in problems_of(design)


def test_texts_and_lists_have_bounds():
    rows = "\n".join(f"  - a{n}" for n in range(800))
    design = read_manifest(f"title: {'x' * 20_000}\nkeywords:\n{rows}".encode())
    assert (len(design.title), len(design.keywords)) == (10_000, 500)
    assert ("keywords", ProblemCode.TOO_MANY) in problems_of(design)


def test_a_design_survives_its_json():
    design = read_manifest(LOSH.encode())
    assert Design.model_validate_json(design.model_dump_json()) == design


@given(st.binary(max_size=500), st.sampled_from(["okh.yml", "okh.toml", "okh-manifest.json"]))
def test_any_bytes_always_give_a_design(data, name):
    assert isinstance(read_manifest(data, name), Design)


KEYS = st.sampled_from(
    [
        *("title", "okhv", "license", "licensor", "part", "parts", "image", "export", "mass"),
        *("bom", "outer-dimensions", "keywords", "manufacturing-files", "version"),
        "documentation-language",
    ]
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_any_tree_under_the_known_keys_always_gives_a_design(tree):
    design = read_manifest(json.dumps(tree).encode(), "okh.json")
    assert Design.model_validate_json(design.model_dump_json()) == design
