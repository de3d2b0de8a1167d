"""Evals for snippets/migration_run.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from alembic.util import CommandError
from sqlalchemy import URL, Connection, inspect, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from evals.harness.migrations import until
from snippets.engine import new_engine
from snippets.migration_lock import migration_lock
from snippets.migration_run import run_migrations

ALTER = "ALTER TABLE parcel ADD COLUMN weight INTEGER"


async def run(
    url: URL,
    migrate: Callable[[Connection], None],
    *,
    lock: bool = True,
    lock_timeout: float = 0.2,
    statement_timeout: float = 30,
    patience: float = 30,
) -> None:
    """Run the migration beside the eval, as a process of its own would."""
    await asyncio.to_thread(
        run_migrations,
        url,
        migrate,
        lock=lock,
        lock_timeout=lock_timeout,
        statement_timeout=statement_timeout,
        patience=patience,
    )


class Migration:
    """One ALTER TABLE in a transaction, and how often it was tried."""

    def __init__(self, *statements: str) -> None:
        self.statements = statements or (ALTER,)
        self.tries = 0
        self.tried = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def __call__(self, connection: Connection) -> None:
        self.tries += 1
        if self.tries == 3:
            self.loop.call_soon_threadsafe(self.tried.set)
        try:
            for statement in self.statements:
                connection.exec_driver_sql(statement)
            connection.commit()
        finally:
            connection.rollback()


@pytest.fixture
async def shop(fresh_database: URL) -> Any:
    """An engine on a database with two tables."""
    engine = new_engine(fresh_database)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE parcel (id INTEGER)")
        await connection.exec_driver_sql("CREATE TABLE van (id INTEGER)")
    yield engine
    await engine.dispose()


async def columns(engine: AsyncEngine) -> list[str]:
    def names(sync: Connection) -> list[str]:
        return [str(column["name"]) for column in inspect(sync).get_columns("parcel")]

    async with engine.connect() as connection:
        return await connection.run_sync(names)


async def use(connection: AsyncConnection) -> None:
    """Hold what makes the ALTER wait: a read on PostgreSQL, a write on SQLite."""
    await connection.execute(text("SELECT id FROM parcel"))


async def waiting(engine: AsyncEngine, statement: str) -> bool:
    async with engine.connect() as connection:
        query = text(
            "SELECT 1 FROM pg_stat_activity WHERE query = :query"
            " AND datname = current_database()"
            " AND cardinality(pg_blocking_pids(pid)) > 0"
        )
        return await connection.scalar(query, {"query": statement}) is not None


async def test_it_tries_again_until_the_table_is_free(shop: AsyncEngine) -> None:
    migration = Migration()
    async with shop.connect() as holder:
        await use(holder)
        task = asyncio.create_task(run(shop.url, migration))
        await asyncio.wait_for(migration.tried.wait(), 30)
        assert not task.done()
        await holder.rollback()
        await task
    assert await columns(shop) == ["id", "weight"]


async def test_it_gives_up_with_a_message_when_its_time_is_over(
    shop: AsyncEngine,
) -> None:
    async with shop.connect() as holder:
        await use(holder)
        with pytest.raises(CommandError, match=r"in use for more than 0\.1 seconds"):
            await run(shop.url, Migration(), patience=0.1)
    assert await columns(shop) == ["id"]
    await run(shop.url, Migration())


async def test_an_error_that_is_not_about_a_lock_is_raised_at_once(
    shop: AsyncEngine,
) -> None:
    migration = Migration("SELECT * FROM nowhere")
    with pytest.raises(DBAPIError, match="nowhere"):
        await run(shop.url, migration)
    assert migration.tries == 1


@pytest.mark.trap("queue-behind-alter")
async def test_a_request_does_not_queue_behind_a_migration_that_waits(
    shop: AsyncEngine, database: str
) -> None:
    """Behind one long reader, an ALTER without a timeout stops every later reader."""
    if database == "sqlite":  # where a reader never waits: nothing queues
        async with shop.connect() as holder, shop.connect() as reader:
            await use(holder)
            options = {"sqlite_begin": "BEGIN"}
            await reader.execution_options(**options)
            assert (await reader.execute(text("SELECT id FROM parcel"))).all() == []
        return

    async with shop.connect() as holder:
        await use(holder)
        patient = new_engine(shop.url, lock_timeout=0)
        async with patient.connect() as wrong:
            alter = asyncio.create_task(wrong.exec_driver_sql(ALTER))
            await until(lambda: waiting(shop, ALTER))
            async with shop.connect() as reader:
                await reader.exec_driver_sql("SET LOCAL lock_timeout = 300")
                with pytest.raises(DBAPIError, match="lock timeout"):
                    await reader.execute(text("SELECT id FROM parcel"))
            await holder.rollback()
            await alter
            await wrong.rollback()
        await patient.dispose()

        await use(holder)
        migration = Migration()
        task = asyncio.create_task(run(shop.url, migration, lock_timeout=0.5))
        await until(lambda: waiting(shop, ALTER))
        async with shop.connect() as reader:  # waits for the ALTER, which gives up
            assert (await reader.execute(text("SELECT id FROM parcel"))).all() == []
        assert not task.done()
        await holder.rollback()
        await task


async def test_a_deadlock_is_tried_again(shop: AsyncEngine, database: str) -> None:
    migration = Migration("UPDATE parcel SET id = 1", "UPDATE van SET id = 1")
    if database == "sqlite":  # one writer at a time: there is none
        await run(shop.url, migration)
        assert migration.tries == 1
        return
    for table in ("parcel", "van"):
        async with shop.begin() as connection:
            await connection.exec_driver_sql(f"INSERT INTO {table} VALUES (0)")
    async with shop.connect() as other:
        await other.exec_driver_sql("SET deadlock_timeout = '10s'")
        await other.exec_driver_sql("UPDATE van SET id = 2")
        task = asyncio.create_task(run(shop.url, migration, lock_timeout=20))
        await until(lambda: waiting(shop, "UPDATE van SET id = 1"))
        await other.exec_driver_sql("UPDATE parcel SET id = 2")
        await other.commit()
    await task
    assert migration.tries == 2


async def test_a_statement_that_takes_too_long_is_ended(
    shop: AsyncEngine, database: str
) -> None:
    long = {
        "postgresql": "SELECT pg_sleep(20)",
        "sqlite": "SELECT 1",
    }
    migration = Migration(long[database], ALTER)
    if database == "sqlite":  # has no such limit
        await run(shop.url, migration, statement_timeout=2)
        return
    with pytest.raises(DBAPIError, match="statement timeout"):
        await run(shop.url, migration, statement_timeout=2)
    assert migration.tries == 1


async def test_the_server_notices_when_the_process_is_killed(
    shop: AsyncEngine, database: str
) -> None:
    seen: list[Any] = []

    def look(connection: Connection) -> None:
        names = ("client_connection_check_interval", "application_name")
        seen.extend(
            connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names
        )
        assert connection.in_transaction()
        connection.rollback()

    if database == "sqlite":  # the process is the database
        with pytest.raises(DBAPIError, match="SHOW"):
            await run(shop.url, look)
        return
    await run(shop.url, look)
    assert seen == ["1s", "alembic"]


async def test_without_the_lock_it_does_not_wait_for_a_turn(shop: AsyncEngine) -> None:
    async with (
        shop.connect() as connection,
        migration_lock(connection, patience=10),
    ):
        with pytest.raises(CommandError, match="another process is migrating"):
            await run(shop.url, Migration(), patience=0.1)
        await run(shop.url, Migration(), lock=False)
    assert await columns(shop) == ["id", "weight"]


async def test_a_database_that_cannot_be_reached_is_a_message(
    shop: AsyncEngine, database: str
) -> None:
    nowhere = {
        "sqlite": ("/nowhere/at/all.db", "the folder of the SQLite file"),
        "postgresql": ("nowhere", "database nowhere does not exist"),
    }
    name, message = nowhere[database]
    with pytest.raises(CommandError, match=message):
        await run(shop.url.set(database=name), Migration())


async def test_a_running_event_loop_is_no_obstacle(shop: AsyncEngine) -> None:
    def migrate(connection: Connection) -> None:
        connection.exec_driver_sql(ALTER)
        connection.commit()

    run_migrations(
        shop.url, migrate, lock=True, lock_timeout=1, statement_timeout=1, patience=1
    )
    assert await columns(shop) == ["id", "weight"]
    with pytest.raises((ProgrammingError, DBAPIError), match="weight"):
        run_migrations(
            shop.url,
            migrate,
            lock=True,
            lock_timeout=1,
            statement_timeout=1,
            patience=1,
        )
