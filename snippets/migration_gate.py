"""Try every revision up, down and up again, with rows in the tables: for CI.

    async def test_migrations(engine: AsyncEngine) -> None:
        await check_migrations(Config("alembic.ini"), engine)

On a database of its own, which is empty and is thrown away. One command per
revision finds what `upgrade head` from nothing hides: a type that a downgrade left, a
value of an enum that is used where it was added, a step that only works on no rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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
        if tables := (await _schema(connection))["tables"]:
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
    before = await _schema(connection)
    await _run(connection, config, command.upgrade, name)
    after = await _schema(connection)
    if fill is not None:
        await fill(connection, name)
        await connection.commit()
    branches = isinstance(down, str) and down != "base" and _branches(script, down)
    if name in irreversible or not isinstance(down, str) or branches:
        return
    await _run(connection, config, command.downgrade, down)
    _compare(before, await _schema(connection), f"the downgrade of {name}")
    await _run(connection, config, command.upgrade, name)
    _compare(after, await _schema(connection), f"the second upgrade to {name}")
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


def _compare(expected: dict[str, Any], found: dict[str, Any], what: str) -> None:
    for kind in expected:
        lost = expected[kind].keys() - found[kind].keys()
        left = found[kind].keys() - expected[kind].keys()
        other = {
            name
            for name in expected[kind].keys() & found[kind].keys()
            if expected[kind][name] != found[kind][name]
        }
        for names, verb in ((lost, "lost"), (left, "left"), (other, "changed")):
            if names:
                raise MigrationFault(
                    f"{what} {verb} {kind}: {', '.join(sorted(names))}"
                )


async def _schema(connection: AsyncConnection) -> dict[str, dict[str, Any]]:
    """Describe what the database holds, by kind and name."""

    def look(sync: Connection) -> dict[str, dict[str, Any]]:
        found: Any = inspect(sync)
        names = [name for name in found.get_table_names() if name != "alembic_version"]
        indexes = found.get_indexes
        if sync.dialect.name == "sqlite":
            indexes = partial(_sqlite_indexes, sync)
        enums: list[Any] = (
            found.get_enums() if sync.dialect.name == "postgresql" else []
        )
        return {
            "tables": {name: _table(found, name, indexes(name)) for name in names},
            "types": {enum["name"]: enum["labels"] for enum in enums},
        }

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", SAWarning)
        described = await connection.run_sync(look)
    await connection.commit()
    return described


def _sqlite_indexes(connection: Connection, table: str) -> list[dict[str, Any]]:
    """Return the SQL of indexes and triggers, which reflection does not see whole."""
    query = "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND name <> ?"
    rows = connection.exec_driver_sql(query, (table, table)).mappings()
    return [dict(row) for row in rows]


def _table(found: Any, table: str, indexes: list[dict[str, Any]]) -> dict[str, Any]:
    def sorted_texts(items: list[dict[str, Any]]) -> list[str]:
        return sorted(str({k: str(v) for k, v in item.items()}) for item in items)

    return {
        "columns": sorted_texts(found.get_columns(table)),
        "primary key": sorted_texts([found.get_pk_constraint(table)]),
        "foreign keys": sorted_texts(found.get_foreign_keys(table)),
        "unique": sorted_texts(found.get_unique_constraints(table)),
        "checks": sorted_texts(found.get_check_constraints(table)),
        "indexes": sorted_texts(indexes),
    }
