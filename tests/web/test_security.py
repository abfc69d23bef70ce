from __future__ import annotations

import gc
import re
from dataclasses import replace

from web.security import POLICY


def test_every_answer_carries_the_policy(browse):
    browser = browse("ada")
    for path in ("/", "/nowhere", "/sign-in", "/api/v1/queue", "/api/v1/nowhere", "/healthz"):
        headers = browser.get(path).headers
        assert headers["content-security-policy"] == POLICY, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY


def test_no_page_has_inline_script_or_style(ada, pages):
    for path in pages:
        page = ada.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert "<style" not in page
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page), path


def test_every_form_that_changes_something_carries_the_token(ada, pages):
    for path in pages:
        for form in re.findall(r'<form method="post".*?</form>', ada.get(path).text, re.S):
            assert f'name="csrf" value="{ada.csrf}"' in form, path


def test_a_form_without_the_token_changes_nothing(browse, lab):
    browser = browse("otto")
    for path in ("/machines/ender/arm", "/stop", "/machines/ender/stop", "/sign-out"):
        for data in ({}, {"csrf": "guessed"}, {"csrf": browser.csrf + "é"}):
            assert browser.http.post(path, data=data).status_code == 403, path
    assert browser.http.post("/api/v1/stop").status_code == 403
    assert lab.gateway.calls == []
    assert lab.services.machines.get("ender", lab.now, None).armed is None


def test_another_site_changes_nothing_even_with_the_token(browse, lab):
    browser = browse("otto")
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert browser.post("/stop", headers=headers).status_code == 403, headers
        signed = browser.http.post(
            "/sign-in", data={"login": "mia", "password": "x"}, headers=headers
        )
        assert signed.status_code == 403
    assert lab.gateway.calls == []
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert browser.post("/stop", headers=own).status_code == 200


def test_a_body_is_read_only_up_to_its_limit(browse):
    browser = browse("mia")
    read = 0

    def endless():
        nonlocal read
        yield (
            b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n'
            + browser.csrf.encode()
            + b'\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a.stl"\r\n\r\n'
        )
        for _ in range(200):
            read += 65536
            yield b"\0" * 65536

    answer = browser.http.post(
        "/jobs/new",
        content=endless(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 413
    assert "2 MB" in answer.text
    gc.collect()  # a file left open would be an error here


def test_a_length_that_is_too_large_is_refused_unread(browse):
    browser = browse("mia")
    for length in ("99999999", "9" * 5000):
        answer = browser.http.post("/api/v1/jobs", content=b"", headers={"Content-Length": length})
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


def test_json_is_read_only_up_to_its_limit(browse):
    answer = browse("mia").api(
        "POST",
        "/bookings",
        content=iter([b'{"note": "' + b"x" * 200_000, b"x" * 200_000]),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413
    assert answer.json()["code"] == "upload.too-large"


def test_a_small_form_may_not_bring_a_large_body(browse):
    assert browse("mia").post("/me/keys", {"name": "x" * 300_000}).status_code == 413


def test_what_breaks_inside_is_one_sentence_outside(lab, read):
    from fastapi.testclient import TestClient

    class Broken:
        def board(self, *_: object) -> None:
            raise ZeroDivisionError("secret detail")

    lab.services = replace(lab.services, machines=Broken())
    with TestClient(lab.app(), raise_server_exceptions=False) as http:
        http.post("/sign-in", data={"login": "mia", "password": "correct horse battery"})
        for path in ("/", "/api/v1/machines"):
            answer = http.get(path)
            assert answer.status_code == 500
            assert "secret detail" not in answer.text
            assert "Traceback" not in answer.text
            assert "Something broke on this node." in read(answer.text)
            assert answer.headers["content-security-policy"] == POLICY


def test_names_from_people_are_text_never_markup(browse):
    browser = browse("ada")
    evil = '<img src=x onerror="alert(1)">'
    page = browser.post("/people", {"login": "eve", "name": evil, "role": "member"}).text
    assert "<img" not in page
    assert "&lt;img" in page


def test_static_files_with_their_hash_may_be_kept(browse):
    page = browse().get("/sign-in").text
    address = re.search(r'href="(/static/style\.css\?v=[0-9a-f]+)"', page)[1]
    kept = browse().get(address)
    assert kept.status_code == 200
    assert "immutable" in kept.headers["cache-control"]
    assert browse().get("/static/style.css").headers["cache-control"] == "no-cache"
    assert browse().get("/static/../app.py").status_code == 404
