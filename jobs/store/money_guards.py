"""What the database itself keeps of the money: entries stay as they are, closed months are closed.

Migrations make these; a test tries to break them on both databases.
"""

from __future__ import annotations

KEPT = "money_entry_kept"  # what the guards say, in both databases
CLOSED = "money_month_closed"

_IS_CLOSED = "EXISTS (SELECT 1 FROM money_month AS closed WHERE closed.month >= NEW.month)"

SQLITE = (
    *(
        f"""
        CREATE TRIGGER money_entry_no_{verb.lower()} BEFORE {verb} ON money_entry
        BEGIN SELECT RAISE(ABORT, '{KEPT}'); END
        """
        for verb in ("UPDATE", "DELETE")
    ),
    f"""
    CREATE TRIGGER money_entry_month BEFORE INSERT ON money_entry WHEN {_IS_CLOSED}
    BEGIN SELECT RAISE(ABORT, '{CLOSED}'); END
    """,
)

POSTGRESQL = (
    f"""
    CREATE FUNCTION money_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION '{KEPT}';
      ELSIF {_IS_CLOSED} THEN
        RAISE EXCEPTION '{CLOSED}';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER money_entry_guard BEFORE INSERT OR UPDATE OR DELETE ON money_entry
    FOR EACH ROW EXECUTE FUNCTION money_guard()
    """,
)
