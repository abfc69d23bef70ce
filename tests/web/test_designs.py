from __future__ import annotations

from urllib.parse import quote

import pytest

MANIFEST = """
okhv: OKH-LOSHv1.0
name: <b>Hook</b>
version: 1.0.0
license: Do what you like
licensor: Ada
repo: https://example.org/hook
functional-description: Holds.
technology-readiness-level: very
"""


@pytest.fixture
def commons(tmp_path):
    folder = tmp_path / "stick"
    (folder / "hook").mkdir(parents=True)
    (folder / "hook" / "okh.yml").write_text(MANIFEST)
    return folder


def test_an_operator_adds_a_commons_looks_into_it_and_forgets_it(browse, lab, commons, read):
    otto = browse("otto")
    form = {"name": "stick", "address": str(commons), "kind": "folder"}
    answer = otto.post("/designs/sources", form)
    assert answer.headers["location"] == "/designs?source=stick&said=source-added"
    page = otto.get(answer.headers["location"]).text
    assert "hook" in read(page)
    fetched = otto.post("/designs", {"source": "stick", "ref": "hook"})
    assert fetched.status_code == 303
    assert otto.post("/designs/sources/stick/remove").status_code == 303
    assert [one.name for one in lab.services.designs.sources()] == ["example"]
    assert len(lab.services.designs.list()) == 1, "what came from it stays"


def test_a_manifests_problems_are_sentences(browse, lab, commons, read):
    lab.services.designs.add_source(lab.people["otto"], "stick", "folder", str(commons))
    mia = browse("mia")
    path = mia.post("/designs", {"source": "stick", "ref": "hook"}).headers["location"]
    page = mia.get(path).text
    assert "“Do what you like” is not an SPDX licence name." in read(page)
    assert "“very” is not a level of readiness" in read(page)
    assert "not-spdx" not in page
    assert "⟨" not in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("form", "status", "says"),
    [
        ({"name": "stick", "address": "/no/such/folder"}, 404, "There is no commons at"),
        ({"name": "My Stick", "address": "/"}, 422, "needs a short name"),
        ({"name": "example", "address": "/"}, 422, "needs a short name"),
        ({"name": "stick", "address": "/", "kind": "ftp"}, 422, "no kind of commons"),
        ({"name": "stick", "address": "\0"}, 404, "There is no commons at"),
    ],
)
def test_a_commons_that_cannot_be_is_one_sentence_and_the_form_stays(
    browse, lab, read, form, status, says
):
    answer = browse("otto").post("/designs/sources", form)
    assert answer.status_code == status
    assert says in read(answer.text)
    assert 'role="alert"' in answer.text
    assert f'value="{form["name"]}"' in answer.text
    assert len(lab.services.designs.sources()) == 1


def test_members_look_but_do_not_choose_the_commons(browse, lab, commons):
    mia = browse("mia")
    assert "/designs/sources" not in mia.get("/designs").text
    form = {"name": "stick", "address": str(commons)}
    assert mia.post("/designs/sources", form).status_code == 403
    lab.services.designs.add_source(lab.people["otto"], "stick", "folder", str(commons))
    assert mia.post("/designs/sources/stick/remove").status_code == 403
    assert len(lab.services.designs.sources()) == 2


def test_a_stick_that_was_pulled_out_leaves_the_page_whole(browse, lab, commons, read):
    lab.services.designs.add_source(lab.people["otto"], "stick", "folder", str(commons))
    commons.rename(commons.with_name("gone"))
    answer = browse("otto").get("/designs?source=stick")
    assert answer.status_code == 404
    assert "There is no commons at" in read(answer.text)
    assert 'action="/designs/sources/stick/remove"' in answer.text


@pytest.mark.parametrize("ref", ["..", "../..", "/etc", "hook/../..", "a\0b"])
def test_a_design_is_never_fetched_from_beside_its_commons(browse, lab, commons, ref):
    (commons.parent / "okh.yml").write_text(MANIFEST)
    lab.services.designs.add_source(lab.people["otto"], "stick", "folder", str(commons))
    answer = browse("mia").post("/designs", {"source": "stick", "ref": ref})
    assert answer.status_code in (404, 422), quote(ref)
    assert lab.services.designs.list() == []
