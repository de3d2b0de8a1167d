"""Try every revision up, down and up again, with rows in the tables: for CI.

    async def test_migrations(engine: AsyncEngine) -> None:
        await check_migrations(Config("alembic.ini"), engine)

On a database of its own, which is empty and is thrown away. One command per
revision finds what `upgrade head` from nothing hides: a type that a downgrade left, a
value of an enum that is used where it was added, a step that only works on no rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .schema_snapshot import Snapshot, difference, snapshot

Fill = Callable[[AsyncConnection, str], Awaitable[None]]


class MigrationFault(Exception):
    """A revision does not do what it must; the message says which, and what."""


async def check_migrations(
    config: Config,
    engine: AsyncEngine,
    *,
    fill: Fill | None = None,
    irreversible: Collection[str] = (),
) -> None:
    """Run all revisions on `engine`; at the end models and schema must agree.

    `fill(connection, revision)` is called after each upgrade, to put rows into the
    tables that it made. Revisions in `irreversible` are not downgraded, nor are
    merges and the first ones of parallel branches.

    Raises:
        MigrationFault: two heads; tables are there already (nothing was done); or a
            downgrade does not lead back to where the upgrade began.
        CommandError: models and schema differ (`alembic check`).
    """
    script = ScriptDirectory.from_config(config)
    if len(heads := script.get_heads()) != 1:
        raise MigrationFault(
            f"there are {len(heads)} heads ({', '.join(sorted(heads))}): join them with"
            " `alembic merge heads`, or give the newer one, if no database has it, the"
            " other as its down_revision"
        )
    async with engine.connect() as connection:
        if tables := (await snapshot(connection))["tables"]:
            raise MigrationFault(
                f"{engine.url!r} has tables ({', '.join(tables)}), and downgrades lose"
                " data: use an empty database that can be thrown away"
            )
        for revision in reversed(list(script.walk_revisions())):
            await _up_down_up(connection, config, script, revision, fill, irreversible)
        await _run(connection, config, command.check)


async def _up_down_up(
    connection: AsyncConnection,
    config: Config,
    script: ScriptDirectory,
    revision: Script,
    fill: Fill | None,
    irreversible: Collection[str],
) -> None:
    name, down = revision.revision, revision.down_revision or "base"
    before = await snapshot(connection)
    await _run(connection, config, command.upgrade, name)
    after = await snapshot(connection)
    if fill is not None:
        await fill(connection, name)
        await connection.commit()
    branches = isinstance(down, str) and down != "base" and _branches(script, down)
    if name in irreversible or not isinstance(down, str) or branches:
        return
    await _run(connection, config, command.downgrade, down)
    _expect(before, await snapshot(connection), f"the downgrade of {name}")
    await _run(connection, config, command.upgrade, name)
    _expect(after, await snapshot(connection), f"the second upgrade to {name}")
    if fill is not None:
        await fill(connection, name)
        await connection.commit()


def _branches(script: ScriptDirectory, revision: str) -> bool:
    return script.get_revision(revision).is_branch_point


async def _run(
    connection: AsyncConnection, config: Config, action: Any, *args: str
) -> None:
    def call(sync: Connection) -> None:
        config.attributes["connection"] = sync
        try:
            action(config, *args)
        finally:
            del config.attributes["connection"]

    await connection.run_sync(call)


def _expect(expected: Snapshot, found: Snapshot, what: str) -> None:
    if fault := difference(expected, found):
        raise MigrationFault(f"{what} {fault}")
