"""The import on its page and in the API: first a try, then the list, wholly or not at all."""

from __future__ import annotations

from jobs.domain.modules import Module

LIST = b"login,name\nzoe,Zoe\nyan,Yan\n"


def send(browser, data: bytes, do: str):
    return browser.http.post(
        "/import",
        data={"csrf": browser.csrf, "what": "people", "do": do},
        files={"file": ("people.csv", data, "text/csv")},
    )


def test_a_list_is_tried_and_then_taken(browse, lab, read):
    ada = browse("ada")
    assert "2 new" in read(send(ada, LIST, "try").text)
    assert len(lab.services.people.list(lab.people["ada"])) == 4
    assert "Taken: 2 new" in read(send(ada, LIST, "import").text)
    assert "here already" in read(send(ada, LIST, "import").text)


def test_a_bad_row_is_named_with_its_line_and_nothing_is_taken(browse, lab, read):
    ada = browse("ada")
    answer = send(ada, LIST + b"no blanks please,X\n", "import")
    assert answer.status_code == 422
    assert "Line 4" in read(answer.text)
    assert len(lab.services.people.list(lab.people["ada"])) == 4
    files = {"file": ("p.csv", LIST, "text/csv")}
    tried = ada.api("POST", "/import", data={"what": "people"}, files=files).json()
    assert (tried["made"], tried["taken"]) == (2, False)


def test_only_admins_import(browse):
    otto = browse("otto")
    assert otto.get("/import").status_code == 403
    files = {"file": ("p.csv", LIST, "text/csv")}
    assert otto.api("POST", "/import", data={"what": "people"}, files=files).status_code == 403


def test_prices_are_brought_tried_first_and_read_by_everybody(browse, lab, read):
    ada, gus = browse("ada"), browse("gus")
    assert gus.get("/prices").status_code == 404
    assert "Prices" not in read(ada.get("/import").text)
    lab.services.modules.choose(lab.people["ada"], set(Module), lab.now)
    assert "There are no prices" in read(gus.get("/prices").text)
    data = b"machine,group,amount,per,currency\nprusa,members,3.5,hour,EUR\n"
    for do, made in (("try", []), ("import", ["prusa"])):
        answer = ada.http.post(
            "/import",
            data={"csrf": ada.csrf, "what": "prices", "do": do},
            files={"file": ("prices.csv", data, "text/csv")},
        )
        assert answer.status_code == 200
        assert [one["machine_slug"] for one in gus.api("GET", "/prices").json()] == made
    assert "Prusa · members 3.50 EUR an hour" in read(gus.get("/prices").text)
