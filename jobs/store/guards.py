"""The overlap guard: the database itself keeps two claims off one machine at one time.

Claims (reservations and holds) exclude each other. A fact (run, outage, closure) always
enters, but its transaction must have displaced other people's claims first. Check-then-insert
in the program is how every peer double-books, so the rule lives where the rows live.
"""

from __future__ import annotations

_CLAIM = "('reservation', 'hold')"

# A person's own run may lie inside their own reservation, and the other way round.
_CONFLICT = f"""
  SELECT 1 FROM allocation AS other
  WHERE other.machine_id = NEW.machine_id
    AND other.id <> NEW.id
    AND other.state = 'active'
    AND other.start_at < NEW.end_at
    AND NEW.start_at < other.end_at
    AND (
      (NEW.kind IN {_CLAIM} AND other.kind IN {_CLAIM})
      OR (
        (NEW.kind IN {_CLAIM}) <> (other.kind IN {_CLAIM})
        AND NOT (
          (NEW.kind = 'run' OR other.kind = 'run')
          AND NEW.person_id IS NOT NULL
          AND other.person_id IS NOT NULL
          AND NEW.person_id = other.person_id
        )
      )
    )
"""

OVERLAP = "allocation_overlap"  # what the guard says, in both databases

SQLITE_GUARDS = tuple(
    f"""
    CREATE TRIGGER allocation_no_overlap_{verb.lower()}
    BEFORE {verb} ON allocation
    WHEN NEW.state = 'active'
    BEGIN
      SELECT RAISE(ABORT, '{OVERLAP}') WHERE EXISTS ({_CONFLICT});
    END
    """
    for verb in ("INSERT", "UPDATE")
)

POSTGRESQL_GUARDS = (
    "CREATE EXTENSION IF NOT EXISTS btree_gist",
    f"""
    ALTER TABLE allocation ADD CONSTRAINT {OVERLAP} EXCLUDE USING gist (
      machine_id WITH =, int8range(start_at, end_at, '[)') WITH &&
    ) WHERE (state = 'active' AND kind IN {_CLAIM})
    """,
    # The lock makes the look and the write one act for each machine: without it two
    # transactions that cannot see each other could both pass.
    f"""
    CREATE FUNCTION allocation_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock(hashtext(NEW.machine_id));
      IF EXISTS ({_CONFLICT}) THEN
        RAISE EXCEPTION '{OVERLAP}' USING ERRCODE = 'exclusion_violation';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER allocation_no_overlap
    BEFORE INSERT OR UPDATE ON allocation
    FOR EACH ROW WHEN (NEW.state = 'active')
    EXECUTE FUNCTION allocation_guard()
    """,
)
