"""Designs come from a commons into the library, and from there to a machine."""

from __future__ import annotations

import pytest

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.job import JobState
from jobs.services.intake import licence_finding
from jobs.store.tables import Design, DesignFile


def test_our_own_example_is_always_there(house):
    assert [source.name for source in house.services.designs.sources()] == ["example"]
    (listed,) = house.services.designs.browse("example")
    assert listed.manifest == "okh.toml"


@pytest.fixture
def comb(house, member):
    return house.services.designs.fetch(member, "example", ".", house.now)


def test_a_fetched_design_has_its_licence_and_what_can_be_made(house, comb):
    assert (comb.title, comb.licence) == ("Bench comb", "CERN-OHL-P-2.0")
    assert comb.printable[0] == "bench-comb.stl"
    assert house.services.designs.list() == [comb]
    assert house.services.designs.get(comb.id) == comb
    files = {row.path: row for row in house.rows(DesignFile)}
    assert files["bench-comb.stl"].printable
    assert not files["okh.toml"].printable


def test_the_same_state_twice_is_one_design(house, comb, member):
    again = house.services.designs.fetch(member, "example", ".", house.later(days=1))
    assert again == comb
    assert len(house.rows(Design)) == 1


def test_a_design_becomes_a_job_and_its_record_cites_it(house, comb, member, printer):
    view = house.services.queue.submit_design(member, comb.id, now=house.now)
    assert (view.title, view.input_name) == ("Bench comb", "bench-comb.stl")
    house.services.preparation.prepare_next(lambda: house.now)
    assert house.job(view.id).state == JobState.WAITING
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.now)
    (record,) = house.services.ledger.by_job(view.id)
    design = house.row(Design)
    assert record.body["design"] == {
        "sha256": design.release_sha256,
        "licence": "CERN-OHL-P-2.0",
    }
    assert record.body["events"][0]["action"] == "cite"
    (consumed,) = [one for one in record.body["events"] if one["action"] == "consume"]
    assert consumed["material"] == "PLA"
    assert consumed["mass_mg"] > 1000
    assert house.services.queue.get(view.id, house.now, member).design == comb


def test_a_file_the_design_does_not_have_is_refused(house, comb, member):
    for path in ("nothing.stl", "../okh.toml"):
        with pytest.raises(InvalidError):
            house.services.queue.submit_design(member, comb.id, path, now=house.now)
    with pytest.raises(NotFoundError):
        house.services.queue.submit_design(member, "none", now=house.now)


def test_a_source_is_added_by_an_operator_and_checked_at_once(house, operator, member, tmp_path):
    designs = house.services.designs
    with pytest.raises(NotAllowedError):
        designs.add_source(member, "stick", "folder", str(tmp_path))
    for name, kind, address in (
        ("Stick!", "folder", str(tmp_path)),
        ("example", "folder", str(tmp_path)),
        ("stick", "carrier-pigeon", "x"),
    ):
        with pytest.raises(InvalidError):
            designs.add_source(operator, name, kind, address)
    with pytest.raises(NotFoundError):
        designs.add_source(operator, "stick", "folder", str(tmp_path / "nothing"))
    designs.add_source(operator, "stick", "folder", str(tmp_path))
    assert [source.name for source in designs.sources()] == ["example", "stick"]
    assert designs.browse("stick") == []
    designs.remove_source(operator, "stick")
    with pytest.raises(NotFoundError):
        designs.browse("stick")


def test_a_licence_that_forbids_the_purpose_blocks_and_an_unclear_one_warns():
    summary = {"licence": {"permissions": {"own": "yes", "sale": "no", "client": "declare"}}}
    assert licence_finding(summary, "CC-BY-NC-4.0", "own") is None
    for purpose, code, severity in (
        ("sale", "licence-forbids", "block"),
        ("client", "licence-unclear", "note"),
        ("internal", "licence-unclear", "note"),
    ):
        finding = licence_finding(summary, "CC-BY-NC-4.0", purpose)
        assert finding is not None
        assert (finding.code, finding.severity) == (code, severity)


def test_a_job_for_a_forbidden_purpose_is_held(house, comb, member, printer):
    with house.workshop.database.write() as session:
        row = session.get_one(Design, comb.id)
        row.summary = {**row.summary, "licence": {"permissions": {"sale": "no"}}}
    view = house.services.queue.submit_design(member, comb.id, purpose="sale", now=house.now)
    house.services.preparation.prepare_next(lambda: house.now)
    assert house.job(view.id).hold_reason == "findings"
