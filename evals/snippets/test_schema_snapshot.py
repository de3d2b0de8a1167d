"""Evals for snippets/schema_snapshot.py."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from snippets.engine import new_engine
from snippets.schema_snapshot import Snapshot, difference, snapshot

SCHEMA = (
    "CREATE TABLE van (id INTEGER PRIMARY KEY)",
    "CREATE TABLE parcel (id INTEGER PRIMARY KEY, code VARCHAR(20), van_id INTEGER)",
    "CREATE INDEX ix_lower ON parcel (lower(code))",
    "CREATE TABLE alembic_version (version_num VARCHAR(32))",
)
CHANGES = {
    "ALTER TABLE parcel ADD COLUMN weight INTEGER": "changed tables: parcel",
    "ALTER TABLE parcel RENAME TO box": "lost tables: parcel",
    "CREATE TABLE box (id INTEGER)": "left tables: box",
    "CREATE INDEX ix ON parcel (code)": "changed tables: parcel",
    "CREATE UNIQUE INDEX ix ON parcel (code)": "changed tables: parcel",
    "DROP INDEX ix_lower": "changed tables: parcel",
    "DROP TABLE parcel": "lost tables: parcel",
    "DROP TABLE alembic_version": "",
    "INSERT INTO van VALUES (1)": "",
}
CONSTRAINTS = {
    "PRIMARY KEY (id)": "id INTEGER NOT NULL",
    "UNIQUE (id)": "id INTEGER NOT NULL",
    "CHECK (id > 0)": "id INTEGER NOT NULL",
    "FOREIGN KEY (id) REFERENCES van (id)": "id INTEGER NOT NULL",
}


@pytest.fixture
async def shop(fresh_database: URL) -> AsyncIterator[AsyncEngine]:
    engine = new_engine(fresh_database)
    async with engine.begin() as connection:
        for statement in SCHEMA:
            await connection.exec_driver_sql(statement)
    yield engine
    await engine.dispose()


async def look(engine: AsyncEngine, *statements: str) -> Snapshot:
    async with engine.connect() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
        filters = list(warnings.filters)
        found = await snapshot(connection)
        assert warnings.filters == filters
        assert not connection.in_transaction()
        return found


@pytest.mark.parametrize("statement", CHANGES)
async def test_a_change_of_the_schema_is_named_and_of_rows_is_not(
    shop: AsyncEngine, statement: str
) -> None:
    before = await look(shop)
    assert difference(before, await look(shop)) == ""
    assert difference(before, await look(shop, statement)) == CHANGES[statement]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
async def test_each_kind_of_constraint_is_seen(
    shop: AsyncEngine, constraint: str
) -> None:
    column = CONSTRAINTS[constraint]
    before = await look(shop, f"CREATE TABLE box ({column})")
    after = await look(
        shop,
        "DROP TABLE box",
        f"CREATE TABLE box ({column}, CONSTRAINT named {constraint})",
    )
    assert difference(before, after) == "changed tables: box"


async def test_a_unique_constraint_that_moves_to_another_column_is_seen(
    shop: AsyncEngine,
) -> None:
    """SQLite calls the index of both `sqlite_autoindex_box_1`."""
    columns = "a INTEGER NOT NULL, b INTEGER NOT NULL"
    before = await look(shop, f"CREATE TABLE box ({columns}, UNIQUE (a))")
    again = f"CREATE TABLE box ({columns}, UNIQUE (b))"
    after = await look(shop, "DROP TABLE box", again)
    assert difference(before, after) == "changed tables: box"


async def test_the_values_of_an_enum_are_seen(shop: AsyncEngine, database: str) -> None:
    if database == "sqlite":
        assert (await look(shop))["types"] == {}
        return
    before = await look(shop, "CREATE TYPE kind AS ENUM ('a')")
    assert before["types"] == {"kind": ["a"]}
    after = await look(shop, "ALTER TYPE kind ADD VALUE 'b'")
    assert difference(before, after) == "changed types: kind"
