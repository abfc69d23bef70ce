"""One database: SQLite in WAL by default, PostgreSQL by URL. Tables, migrations, guards."""
