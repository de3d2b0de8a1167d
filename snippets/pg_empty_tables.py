"""Empty all tables of a PostgreSQL database in one round trip, seed data excepted.

DELETE, not TRUNCATE: that makes new files for each table and index, which costs a
hundred times as much when a test left a few rows.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

# Not those of extensions: the rows of PostGIS's `spatial_ref_sys` are no test's.
TABLES = text("""
    SELECT format('%I.%I', n.nspname, c.relname),
        (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0
           AND NOT a.attisdropped AND a.attgenerated = '')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname !~ '^pg_' AND c.oid >= 16384  -- below are the system's own
      AND c.relname <> 'alembic_version'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid
                      AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
""")


async def emptying_statement(connection: AsyncConnection) -> str:
    """Return the statement that empties the tables, and puts back what is there now.

    It belongs to `connection`, which must be in no transaction.
    """
    tables = (await connection.execute(TABLES)).all()
    deletes = [f"DELETE FROM {table}" for table, _ in tables]
    inserts: list[str] = []
    for table, columns in tables:
        rows = await connection.exec_driver_sql(
            f"SELECT quote_literal(array_agg(whole.*)::text) FROM {table} AS whole"
        )
        if (literal := rows.scalar_one()) is not None:
            inserts.append(
                f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
                f" SELECT {columns} FROM unnest({literal}::{table}[])"
            )
    steps = [deletes, inserts]
    try:
        # A trigger that fires on DELETE would fill its audit table.
        await connection.exec_driver_sql("SET session_replication_role = replica")
    except DBAPIError:
        # Only a superuser may: empty the audit table once more.
        steps = [deletes, deletes, inserts]
    statements = [_at_once(step) for step in steps if step]
    if len(statements) < 2:
        return "".join(statements) or "SELECT 1"  # prepared, and planned once
    return f"DO $reset$ BEGIN {'; '.join(statements)}; END $reset$"


def _at_once(statements: list[str]) -> str:
    """Return one statement that does all: foreign keys are checked at its end, so the
    order of the tables does not matter, and keys may go round in a circle."""
    *first, last = statements
    parts = [f"s{n} AS ({statement})" for n, statement in enumerate(first)]
    return f"WITH {', '.join(parts)} {last}" if parts else last
