"""Describe the schema of a database, to compare it with what it is later."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncConnection

# Kind of object -> name -> what it is.
Snapshot = dict[str, dict[str, Any]]


async def snapshot(connection: AsyncConnection) -> Snapshot:
    """Describe the tables and the enum types of the default schema."""

    def look(sync: Connection) -> Snapshot:
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
        # What reflection does not see of indexes is read from sqlite_master.
        warnings.simplefilter("ignore", SAWarning)
        described = await connection.run_sync(look)
    await connection.commit()
    return described


def _sqlite_indexes(connection: Connection, table: str) -> list[dict[str, Any]]:
    """Return the SQL of indexes and triggers, which reflection does not see whole."""
    query = "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND name <> ?"
    rows = connection.exec_driver_sql(query, (table, table)).mappings()
    return [dict(row) for row in rows]


def _table(found: Any, table: str, indexes: list[dict[str, Any]]) -> list[list[str]]:
    def sorted_texts(items: list[dict[str, Any]]) -> list[str]:
        return sorted(str({k: str(v) for k, v in item.items()}) for item in items)

    return [
        sorted_texts(found.get_columns(table)),
        sorted_texts([found.get_pk_constraint(table)]),
        sorted_texts(found.get_foreign_keys(table)),
        sorted_texts(found.get_unique_constraints(table)),
        sorted_texts(found.get_check_constraints(table)),
        sorted_texts(indexes),
    ]


def difference(expected: Snapshot, found: Snapshot) -> str:
    """Return what was lost, left or changed, such as `left tables: parcel`, or ""."""
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
                return f"{verb} {kind}: {', '.join(sorted(names))}"
    return ""
