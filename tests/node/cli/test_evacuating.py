"""`fabnode house who` at a terminal, with no node running."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.domain.people import Actor, Role
from jobs.services.house_visits import HouseVisits
from node.cli.offline import console_actor, opened


def test_who_is_in_is_told_without_a_node(fabnode, home, monkeypatch):
    assert fabnode("init").code == 0
    monkeypatch.setenv("FABNODE_HOME", str(home))
    assert "In the house: 0" in fabnode("house", "who").out
    now = datetime.now(UTC)
    with opened() as node:
        view = node.services.people.create(
            "mia", "Mia Rossi", Role.ADMIN, password=None, actor=console_actor(), now=now
        )
        mia = Actor(view.id, view.name, view.role)
        visits = HouseVisits(node.services.workshop)
        visits.check_in(mia, now - timedelta(hours=1))
        visits.visitor_in(mia, "Kim\x1b[2J", now, is_minor=True)
    said = fabnode("house", "who")
    assert said.code == 0
    assert "In the house: 2" in said.out
    assert "Mia Rossi" in said.out
    assert "\x1b" not in said.out
    assert "visitor · minor · host: Mia Rossi" in said.out
    told = fabnode("house", "who", "--json").json
    assert (told["count"], told["visitors"], told["minors"]) == (2, 1, 1)
    assert told["changed_at"]
    assert told["unsaid"] == []
