"""What happens every second or minute never reads ten years of history: its plans are asked."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import event

from jobs.domain.people import Actor
from tests.jobs.services.way.conftest import House

# Tables that grow for ever; of these indexes each holds only what is open.
GROWS = re.compile(
    r"SCAN (allocation|arming|attempt|job|job_step|notice|offer|outbox|preflight|record|run_time"
    r"|usage_event|wait|clearing)\b(?!.*USING (COVERING )?INDEX"
    r" (ix_arming_unused|ix_allocation_expires|uq_attempt_open_machine|uq_usage_open_machine))"
)
TICKS: dict[str, Callable[[House], object]] = {
    "lapsing": lambda house: house.services.lapsing.tick(house.now),
    "dispatch": lambda house: house.services.dispatch.tick(house.now),
    "overruns": lambda house: house.services.runs.overruns(house.now),
    "foresight": lambda house: house.services.foresight.tick(house.now),
    "approvals": lambda house: house.services.approvals.release(house.now),
    "outbox": lambda house: house.services.outbox.pending(),
    "calendar": lambda house: house.services.bookings.all_days(
        house.now.date(), 7, None, house.now
    ),
    "board": lambda house: house.services.machines.board(house.now, None),
    "queue": lambda house: house.services.queue.list(house.now, None),
    "recent": lambda house: house.services.queue.recent(house.now, None),
}


@pytest.mark.parametrize("tick", list(TICKS))
def test_no_tick_and_no_first_page_reads_a_table_that_grows_from_end_to_end(
    tick: str, house: House, running: tuple[str, str], add_waiting, printer: str, member: Actor
) -> None:
    add_waiting(member, printer)
    engine = house.workshop.database.engine
    asked: dict[str, object] = {}

    def note(_c: object, _cursor: object, text: str, params: object, _x: object, _m: bool) -> None:
        asked[text] = params

    event.listen(engine, "before_cursor_execute", note)
    TICKS[tick](house)
    event.remove(engine, "before_cursor_execute", note)
    assert asked
    with engine.connect() as connection:
        for text, params in asked.items():
            if text.lstrip().startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", params).all()
                read = [row[3] for row in plan if GROWS.search(row[3])]
                assert read == [], text


def test_the_sweep_finds_the_runs_of_what_it_removes_by_an_index(house: House) -> None:
    """Else each old word would be held against every run there ever was, and once more to go."""
    with house.workshop.database.engine.connect() as connection:
        for column in ("arming_id", "preflight_id"):
            text = f"EXPLAIN QUERY PLAN SELECT 1 FROM attempt WHERE {column} = 'x'"
            (row,) = connection.exec_driver_sql(text).all()
            assert f"ix_attempt_{column}" in row[3]
