"""The chain of records: anyone can verify it, and nothing in it can be changed unseen."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from jobs.domain.usage import GENESIS, Link, canonical, digest
from jobs.services.ledger import verify_links
from jobs.store.tables import Arming, Person, Record, Setting

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


def chain(length: int) -> list[Link]:
    links: list[Link] = []
    prev = GENESIS
    for seq in range(1, length + 1):
        body = canonical({"v": 1, "seq": seq, "prev": prev, "lines": seq * 7})
        links.append(Link(seq, prev, body, digest(body), KEY.sign(body).hex()))
        prev = links[-1].digest
    return links


CHAIN = chain(5)
HEAD = CHAIN[-1].digest
AT = st.integers(min_value=0, max_value=len(CHAIN) - 1)


def verified(links: list[Link]) -> bool:
    return verify_links(links, PUBLIC, HEAD).ok


def test_a_whole_chain_verifies():
    found = verify_links(CHAIN, PUBLIC, HEAD)
    assert (found.ok, found.records, found.head) == (True, 5, HEAD)
    assert verify_links([], PUBLIC, GENESIS).ok


@given(at=AT, data=st.data())
def test_any_flipped_bit_of_a_body_is_found(at, data):
    body = bytearray(CHAIN[at].body)
    bit = data.draw(st.integers(min_value=0, max_value=len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8
    for known in (CHAIN[at].digest, digest(bytes(body))):  # with the hash made to fit, too
        links = [*CHAIN]
        links[at] = replace(CHAIN[at], body=bytes(body), digest=known)
        assert not verified(links)


@given(at=AT, name=st.sampled_from(["prev", "digest", "signature"]), data=st.data())
def test_any_other_letter_of_a_hash_or_signature_is_found(at, name, data):
    text = CHAIN[at].__getattribute__(name)
    place = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdefABCDEF").filter(lambda c: c != text[place]))
    links = [*CHAIN]
    links[at] = replace(CHAIN[at], **{name: text[:place] + letter + text[place + 1 :]})
    assert not verified(links)


@given(order=st.permutations(range(len(CHAIN))))
def test_any_other_order_is_found(order):
    links = [CHAIN[at] for at in order]
    assert verified(links) == (list(order) == sorted(order))


@given(gone=st.sets(AT, min_size=1))
def test_any_row_taken_out_is_found_at_the_tail_too(gone):
    assert not verified([link for at, link in enumerate(CHAIN) if at not in gone])


def test_a_row_signed_by_somebody_else_is_found():
    body = CHAIN[2].body
    other = replace(CHAIN[2], signature=Ed25519PrivateKey.generate().sign(body).hex())
    found = verify_links([*CHAIN[:2], other, *CHAIN[3:]], PUBLIC)
    assert (found.ok, found.bad_seq, found.problem) == (False, 3, "signature")


def test_a_past_written_anew_with_the_right_key_is_found_at_the_next_link():
    body = canonical({"v": 1, "seq": 3, "prev": CHAIN[1].digest, "lines": 1})
    forged = Link(3, CHAIN[1].digest, body, digest(body), KEY.sign(body).hex())
    found = verify_links([*CHAIN[:2], forged, *CHAIN[3:]], PUBLIC, HEAD)
    assert (found.ok, found.bad_seq, found.problem) == (False, 4, "prev")


@pytest.fixture
def recorded(house, running):
    job_id, run = running
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.now)
    return job_id


def walk(value):
    yield value
    if isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from walk(part)
    elif isinstance(value, list):
        for part in value:
            yield from walk(part)


def test_a_record_holds_integers_and_no_names(house, recorded, member):
    body = house.services.ledger.by_job(recorded)[0].body
    assert not [part for part in walk(body) if isinstance(part, float)]
    text = json.dumps(body).lower()
    for secret in ("mia", "secret", ".gcode", member.person_id):
        assert secret not in text
    assert body["agent"] != member.person_id
    assert body["machine"] == {"slug": "ender", "kind": "fdm"}
    assert [one["action"] for one in body["events"]] == ["use", "consume", "produce", "work"]


def test_what_leaves_the_house_names_nobody(house, recorded, member):
    for message in house.bodies():
        text = json.dumps(message).lower()
        assert "mia" not in text
        assert ".gcode" not in text
        assert member.person_id not in text


def test_an_agent_keeps_one_alias_for_all_records(house, recorded, add_waiting, printer, member):
    add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.now)
    agents = {json.loads(row.body)["agent"] for row in house.rows(Record)}
    assert len(agents) == 1


@pytest.mark.parametrize("who", ["person", "job", "nobody"])
def test_a_demos_run_is_marked(house, add_waiting, printer, member, add_person, who):
    actor = add_person(house.workshop, "demo", simulated=who == "person")
    job_id = add_waiting(member, printer, simulated=who == "job")
    house.services.dispatch.arm(actor, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.now)
    body = house.services.ledger.by_job(job_id)[0].body
    assert body["simulated"] is (who != "nobody")
    assert house.row(Arming).simulated is (who == "person")
    assert house.row(Person, login="demo").simulated is (who == "person")


def test_the_database_chain_verifies_and_a_changed_row_does_not(house, recorded):
    ledger = house.services.ledger
    assert ledger.verify().ok
    (line,) = list(ledger.export())
    assert json.loads(line)["body"] == house.row(Record).body.decode()
    with house.workshop.database.write() as session:
        body = house.row(Record).body.replace(b'"lines":100', b'"lines":900')
        session.execute(update(Record).values(body=body))
    assert ledger.verify().problem == "hash"
    with house.workshop.database.write() as session:
        session.execute(delete(Record))
    assert ledger.verify().problem == "sequence"


def append_from_many_threads(house) -> None:
    gate = threading.Barrier(6)

    def append(number: int) -> None:
        gate.wait(timeout=20)
        with house.workshop.database.write() as session:
            house.services.ledger.append(session, {"number": number}, house.now, None)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)


def expect_one_chain(house, records: int) -> None:
    rows = sorted(house.rows(Record), key=lambda row: row.seq)
    assert [row.seq for row in rows] == list(range(1, records + 1))
    assert [row.prev for row in rows] == [GENESIS, *(row.digest for row in rows[:-1])]
    for row in rows:
        signed = json.loads(row.body)
        assert (signed["seq"], signed["prev"]) == (row.seq, row.prev)
    verdict = house.services.ledger.verify()
    assert (verdict.ok, verdict.records, verdict.head) == (True, records, rows[-1].digest)


def test_each_record_is_a_link_from_the_first_one_on(house):
    append_from_many_threads(house)
    expect_one_chain(house, 6)


@pytest.mark.postgresql
def test_each_record_is_a_link_on_postgresql_too(ready_house, postgresql_database):
    house, _, _ = ready_house(postgresql_database)
    append_from_many_threads(house)
    expect_one_chain(house, 6)


def test_a_float_is_never_signed(house):
    with pytest.raises(TypeError), house.workshop.database.write() as session:
        house.services.ledger.append(session, {"mass": 1.5}, house.now, None)
    assert house.rows(Record) == []


@pytest.mark.postgresql
def test_the_books_are_the_same_on_postgresql(ready_house, postgresql_database):
    house, member, (job_id, _) = ready_house(postgresql_database)
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.now)
    house.services.queue.submit(member, name="a.gcode", data=io.BytesIO(b"G28\n"), now=house.now)
    assert house.job(job_id).state == "done"
    assert house.said() == ["job.started", "job.finished", "usage.recorded", "material.consumed"]
    assert house.services.ledger.verify().records == 1
    assert house.services.ledger.verify().ok


# A look verifies what came since the last


def grown(house, count):
    with house.workshop.database.write() as session:
        for number in range(count):
            house.services.ledger.append(session, {"lines": number}, house.now, None)


def test_a_look_goes_on_where_an_earlier_one_ended(house):
    ledger = house.services.ledger
    grown(house, 250)
    assert ledger.look(house.now).since == 0
    grown(house, 3)
    found = ledger.look(house.later(minutes=1))
    assert (found.ok, found.since, found.records) == (True, 250, 253)
    assert found.since_at == house.now - timedelta(minutes=1)


@pytest.mark.parametrize("seq", [251, 253])
def test_a_look_finds_what_was_changed_since(house, seq):
    grown(house, 250)
    house.services.ledger.look(house.now)
    grown(house, 3)
    with house.workshop.database.write() as session:
        session.execute(update(Record).where(Record.seq == seq).values(body=b"{}"))
    found = house.services.ledger.look(house.now)
    assert (found.ok, found.bad_seq) == (False, seq)


def test_what_was_changed_before_is_found_by_the_whole_look(house):
    grown(house, 250)
    house.services.ledger.look(house.now)
    with house.workshop.database.write() as session:
        session.execute(update(Record).where(Record.seq == 7).values(body=b"{}"))
    assert house.services.ledger.look(house.now).ok
    assert house.services.ledger.verify().bad_seq == 7


@pytest.mark.parametrize("forged", ["{}", "[]", "x", '{"body": "{}", "signature": "00"}', None])
def test_a_word_that_the_node_did_not_sign_is_none(house, forged):
    grown(house, 250)
    house.services.ledger.look(house.now)
    with house.workshop.database.write() as session:
        row = session.get_one(Setting, "ledger.checked")
        row.value = forged or row.value.replace("250", "249")
        session.execute(update(Record).where(Record.seq == 7).values(body=b"{}"))
    assert house.services.ledger.look(house.now).bad_seq == 7


def test_a_row_taken_out_before_the_word_has_all_verified_again(house):
    grown(house, 250)
    house.services.ledger.look(house.now)
    with house.workshop.database.write() as session:
        session.execute(delete(Record).where(Record.seq == 7))
    assert house.services.ledger.look(house.now).bad_seq == 7
