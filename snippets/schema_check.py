"""Tell whether the database has the schema that this code needs: for a readiness probe.

@app.get("/ready")
async def ready() -> dict[str, str]:
    await check_schema(engine, "migrations")
    return {"schema": "current"}
"""

from __future__ import annotations

from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine


class SchemaBehind(Exception):
    """Migrations are missing; the message says which, and what to do."""


async def check_schema(engine: AsyncEngine, migrations: str | Path) -> None:
    """Compare the database's revision with the newest of the directory `migrations`.

    A database that is ahead is no error: while a release is rolled out, or back, old
    code runs on the new schema. It takes no lock, and needs no `env.py`.

    Raises:
        SchemaBehind: the database has not got every revision of this code.
    """
    script = ScriptDirectory(str(migrations))
    async with engine.connect() as connection:
        # Reads only: on SQLite it must not wait for a migration that is writing.
        await connection.execution_options(sqlite_begin="BEGIN")
        found = await connection.run_sync(_current)
    known = {revision.revision for revision in script.walk_revisions()}
    if not found <= known:
        return
    heads = set(script.get_heads())
    if found != heads:
        now = ", ".join(sorted(found)) or "nothing"
        raise SchemaBehind(
            f"the database is at {now}, this code needs {', '.join(sorted(heads))}:"
            " run `alembic upgrade head`"
        )


def _current(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())
