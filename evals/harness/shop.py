"""A shop whose tables change while requests read and write them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from evals.harness.migrations import History
from snippets.engine import new_engine

REVISION = """
from snippets.online_index import add_unique, create_index, drop_index
from snippets.online_schema import (
    add_check, add_enum_value, add_foreign_key, set_not_null
)


def upgrade():
    {call}


def downgrade():
    pass
"""
CALLS = {
    "index": 'create_index("ix_parcel_weight", "parcel", ["weight"])',
    "unique index": 'create_index("ix_parcel_code", "parcel", ["code"], unique=True)',
    "unique": 'add_unique("uq_parcel_code", "parcel", ["code"])',
    "check": 'add_check("ck_parcel_heavy", "parcel", "weight > 0")',
    "foreign key": (
        'add_foreign_key("fk_parcel_van", "parcel", "van", ["van_id"], ["id"],'
        ' ondelete="CASCADE")'
    ),
    "not null": 'set_not_null("parcel", "weight")',
}

# Notes, at the end of each DDL statement and in its transaction, which locks on the
# tables it holds, and how many of their rows it has read.
RECORD = [
    "CREATE TABLE seen (query TEXT, mode TEXT, rows_read BIGINT)",
    """
    CREATE FUNCTION rows_read() RETURNS BIGINT LANGUAGE sql AS $$
        SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_all_tables
        WHERE relname IN ('parcel', 'van', 'parcel_before')
    $$
    """,
    """
    CREATE FUNCTION note_start() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM set_config('seen.before', rows_read()::text, false);
    END $$
    """,
    """
    CREATE FUNCTION note_end() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO seen SELECT current_query(), l.mode,
            rows_read() - current_setting('seen.before')::bigint
        FROM pg_locks l WHERE l.pid = pg_backend_pid()
            AND l.relation IN (to_regclass('parcel'), to_regclass('van'),
                to_regclass('parcel_before'));
    END $$
    """,
    "CREATE EVENT TRIGGER note_start ON ddl_command_start"
    " EXECUTE FUNCTION note_start()",
    "CREATE EVENT TRIGGER note_end ON ddl_command_end EXECUTE FUNCTION note_end()",
]


async def record(connection: AsyncConnection) -> None:
    """Note in the table `seen` what DDL locks, and how many rows it reads, from now on
    (PostgreSQL)."""
    for statement in RECORD:
        await connection.exec_driver_sql(statement)


# Locks beside which rows are read and written.
# https://www.postgresql.org/docs/current/explicit-locking.html#TABLE-LOCK-COMPATIBILITY
HARMLESS = {
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
}


@asynccontextmanager
async def open_shop(url: URL, full: bool) -> AsyncIterator[AsyncEngine]:
    """Parcels, each in a van; many with `full`."""
    engine = new_engine(url)
    rows = 200_000 if full else 2_000
    numbers = (
        "(WITH RECURSIVE n(i) AS"
        f" (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n)"
    )
    async with engine.begin() as connection:
        for statement in (
            "CREATE TABLE van (id INTEGER PRIMARY KEY)",
            "INSERT INTO van VALUES (1)",
            "CREATE TABLE parcel (id INTEGER PRIMARY KEY, code INTEGER, weight INTEGER,"
            " van_id INTEGER)",
            f"INSERT INTO parcel SELECT i, i, i, 1 FROM {numbers} AS numbers",
        ):
            await connection.exec_driver_sql(statement)
    try:
        yield engine
    finally:
        await engine.dispose()


# An eval names them: `shop, history = shop_engine, shop_history`.
@pytest.fixture
async def shop_engine(fresh_database: URL, full: bool) -> AsyncIterator[AsyncEngine]:
    async with open_shop(fresh_database, full) as engine:
        yield engine


@pytest.fixture
def shop_history(empty_history: History) -> History:
    """Revisions that wait longer than the traffic holds a lock."""
    empty_history.options["patience"] = 30
    return empty_history


async def scalar(engine: AsyncEngine, statement: str) -> Any:
    async with engine.begin() as connection:
        return (await connection.exec_driver_sql(statement)).scalar()


@asynccontextmanager
async def traffic(engine: AsyncEngine) -> AsyncIterator[list[int]]:
    """Read and write parcels while the block runs; yields the keys that were added."""
    added: list[int] = []
    stop = asyncio.Event()

    async def write() -> None:
        key = 1_000_000
        while not stop.is_set() or not added:
            key += 1
            async with engine.begin() as connection:
                insert = text("INSERT INTO parcel VALUES (:key, :key, 5, 1)")
                await connection.execute(insert, {"key": key})
                update = text("UPDATE parcel SET weight = weight + 1 WHERE id = :key")
                await connection.execute(update, {"key": key % 1000 + 1})
            added.append(key)
            await asyncio.sleep(0)

    async def read() -> None:
        while not stop.is_set():
            async with engine.connect() as connection:
                await connection.execution_options(sqlite_begin="BEGIN")
                found = await connection.execute(
                    text("SELECT weight FROM parcel WHERE id = 7")
                )
                assert len(found.all()) == 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read())
        try:
            yield added
        finally:
            stop.set()


@asynccontextmanager
async def meanwhile(*works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Call each again and again while the block runs, and at least once."""
    stop = asyncio.Event()

    async def repeat(work: Callable[[], Awaitable[None]]) -> None:
        await work()
        while not stop.is_set():
            await asyncio.sleep(0)
            await work()

    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(repeat(work))
        try:
            yield
        finally:
            stop.set()
