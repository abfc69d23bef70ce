"""Any bytes become texts, or a problem; nothing explodes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.designs.documents import MAX_BYTES, read_document
from jobs.designs.problems import ProblemCode, Problems


def read(data: bytes, name: str = "okh.yml") -> tuple[dict, list[ProblemCode]]:
    problems = Problems()
    tree = read_document(data, name, problems)
    return tree, [each.problem for each in problems.all()]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("okh.yml", "v: 1.10\nd: 2024-05-27\nb: yes\nn: ~\nl: [1e3]"),
        ("okh.yml", "%Open Know-How Manifest 1.0\n---\nv: 1.10\nd: 2024-05-27\nl: [1e3]\nb: yes"),
        ("okh.toml", "v = 1.10\nd = 2024-05-27\nb = true\nl = [1e3]"),
        ("okh.json", '{"v": 1.10, "d": "2024-05-27", "b": true, "n": null, "l": [1e3]}'),
        ("manifest", "v = 1.10\nd = 2024-05-27\nl = [1e3]\nb = true"),
    ],
)
def test_every_scalar_stays_as_it_was_written(name, text):
    tree, problems = read(text.encode(), name)
    assert (tree["v"], tree["d"], tree["l"]) == ("1.10", "2024-05-27", ["1e3"])
    assert tree["b"] in {"true", "yes"}
    assert problems == []


def test_a_wrong_ending_does_not_matter():
    assert read(b'name = "Hook"', "okh.yml")[0] == {"name": "Hook"}
    assert read(b"name: Hook", "okh.toml")[0] == {"name": "Hook"}
    assert read(b'{"name": "Hook"}', "okh.toml")[0] == {"name": "Hook"}


def test_yaml_objects_are_never_made():
    tree, _ = read(b"a: !!python/object/apply:os.system ['exit 1']")
    assert tree == {"a": ["exit 1"]}


def test_a_billion_laughs_are_not_laughed():
    rows = ["a0: &a0 [lol, lol, lol]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    tree, problems = read("\n".join(rows).encode())
    assert tree["a9"] == [""] * 9
    assert problems == [ProblemCode.ALIAS]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("okh.yml", b"a: " + b"[" * 5000),
        ("okh.yml", b"a: " + b"[" * 100 + b"]" * 100),
        ("okh.json", b'{"a": ' + b"[" * 100_000),
        ("okh.json", b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}"),
        ("okh.toml", b"a = " + b"[" * 100_000),
    ],
)
def test_depth_has_a_bound(name, data):
    tree, problems = read(data, name)
    assert tree == {}
    assert problems[0] in {ProblemCode.TOO_DEEP, ProblemCode.UNPARSABLE}


def test_size_and_number_have_bounds():
    assert read(b"a" * (MAX_BYTES + 1)) == ({}, [ProblemCode.TOO_LARGE])
    started = time.monotonic()
    assert read(b"a: [" + b"1," * 300_000 + b"]") == ({}, [ProblemCode.TOO_MANY])
    assert read(b'{"a": [' + b"1," * 300_000 + b"1]}") == ({}, [ProblemCode.TOO_MANY])
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("data", [b"", b"- a", b"just words", b"a: [", b"\x00\x01", b"a: b: c"])
def test_what_holds_no_mapping_is_unparsable(data):
    assert read(data) == ({}, [ProblemCode.UNPARSABLE])


def test_latin_1_is_read_with_a_problem():
    tree, problems = read("name: Häuer".encode("latin-1"))
    assert tree["name"].startswith("H")
    assert problems == [ProblemCode.NOT_UTF8]


def test_a_key_twice_is_noted_and_the_last_counts():
    assert read(b"a: 1\na: 2") == ({"a": "2"}, [ProblemCode.DUPLICATE])


def test_a_number_of_ten_thousand_digits_is_no_crash():
    digits = b"9" * 10_000
    assert read(b"a = " + digits, "okh.toml")[0] in ({}, {"a": digits.decode()})
    assert read(b'{"a": ' + digits + b"}", "okh.json")[0] == {"a": digits.decode()}


@given(data=st.binary(max_size=300), name=st.sampled_from(["okh.yml", "okh.toml", "okh.json", ""]))
def test_any_bytes_are_always_survived(data, name):
    tree, problems = read(data, name)
    assert isinstance(tree, dict)
    assert tree or problems


YAMLISH = st.text(alphabet="ab:-[]{}&*!|>'\"#%, \n\t\u2028", max_size=80)


@given(text=YAMLISH, name=st.sampled_from(["okh.yml", "okh.toml", "okh.json"]))
def test_any_text_of_punctuation_is_always_survived(text, name):
    assert isinstance(read(text.encode(), name)[0], dict)
