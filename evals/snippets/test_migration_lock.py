"""Evals for snippets/migration_lock.py."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.migrations import Migrated, until
from evals.harness.project import ROOT, Project
from snippets.engine import new_engine
from snippets.migration_lock import LOCK_KEY, MigrationLocked, migration_lock

# Other workers have theirs in other databases of the server.
OUR_LOCKS = (
    "locktype = 'advisory' AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)
HOLD = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from snippets.engine import new_engine
from snippets.migration_lock import migration_lock

async def main():
    async with new_engine(sys.argv[1]).connect() as connection:
        async with migration_lock(connection, patience=10):
            print("held", flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def shop(fresh_database: URL) -> AsyncIterator[AsyncEngine]:
    engine = new_engine(fresh_database)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE parcel (id INTEGER)")
    yield engine
    await engine.dispose()


def lock_file(engine: AsyncEngine) -> Path:
    return Path(f"{engine.url.database}.migration-lock")


async def is_free(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        try:
            async with migration_lock(connection, patience=0):
                return True
        except MigrationLocked:
            return False


async def test_only_one_holds_it(shop: AsyncEngine) -> None:
    async with shop.connect() as connection:
        async with migration_lock(connection, patience=0):
            assert not connection.in_transaction()
            assert not await is_free(shop)
        assert not connection.in_transaction()
        assert await is_free(shop)


async def test_whoever_waits_gets_it_when_it_is_free(shop: AsyncEngine) -> None:
    async with shop.connect() as connection:
        async with migration_lock(connection, patience=0):
            waiter = asyncio.create_task(wait(shop))
            for _ in range(3):
                assert not await is_free(shop)
            assert not waiter.done()
        await asyncio.wait_for(waiter, 30)


async def wait(engine: AsyncEngine) -> None:
    async with (
        engine.connect() as connection,
        migration_lock(connection, patience=60),
    ):
        pass


async def test_it_says_for_how_long_it_waited(shop: AsyncEngine) -> None:
    async with shop.connect() as connection, shop.connect() as other:
        async with migration_lock(connection, patience=0):
            with pytest.raises(MigrationLocked, match=r"for more than 0\.1 seconds"):
                async with migration_lock(other, patience=0.1):
                    pass
        assert not other.in_transaction()


async def test_it_is_free_after_an_error_in_the_block(shop: AsyncEngine) -> None:
    async with shop.connect() as connection:
        with pytest.raises(DBAPIError, match="nowhere"):
            async with migration_lock(connection, patience=0):
                await connection.execute(text("SELECT * FROM nowhere"))
        await until(lambda: is_free(shop))


async def test_it_is_free_when_its_process_was_killed(shop: AsyncEngine) -> None:
    url = shop.url.render_as_string(hide_password=False)
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout
    with process.stdout:
        held = await asyncio.to_thread(process.stdout.readline)
        assert held == "held\n"
        assert not await is_free(shop)
        process.send_signal(signal.SIGKILL)
        process.wait()
    await until(lambda: is_free(shop))


@pytest.mark.trap("advisory-lock-deadlock")
async def test_a_waiter_does_not_stop_a_concurrent_index_build(
    shop: AsyncEngine, database: str
) -> None:
    index = "CREATE INDEX CONCURRENTLY ix_parcel ON parcel (id)"
    if database == "sqlite":  # has no such build: a writer simply waits its turn
        async with shop.connect() as connection:
            async with migration_lock(connection, patience=0):
                waiter = asyncio.create_task(wait(shop))
                await connection.exec_driver_sql(
                    "CREATE INDEX ix_parcel ON parcel (id)"
                )
                await connection.commit()
            await waiter
        return

    auto = {"isolation_level": "AUTOCOMMIT"}
    async with shop.connect() as holder, shop.connect() as builder:
        await builder.execution_options(**auto)
        await builder.exec_driver_sql("SET lock_timeout = '400ms'")

        await holder.execute(text("SELECT pg_advisory_lock(1)"))
        await holder.commit()
        async with shop.connect() as blocked:
            blocking = blocked.execute(text("SELECT pg_advisory_lock(1)"))
            task = asyncio.create_task(blocking)
            await until(lambda: waits_for_advisory_lock(shop))
            with pytest.raises(DBAPIError, match="lock timeout"):
                await builder.exec_driver_sql(index)
            await holder.execute(text("SELECT pg_advisory_unlock(1)"))
            await task
            await blocked.invalidate()
        await builder.exec_driver_sql("DROP INDEX ix_parcel")

        async with migration_lock(holder, patience=0):
            waiter = asyncio.create_task(wait(shop))
            await builder.exec_driver_sql(index)
            assert not waiter.done()
        await waiter


async def waits_for_advisory_lock(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        query = f"SELECT count(*) FROM pg_locks WHERE {OUR_LOCKS} AND NOT granted"
        return bool(await connection.scalar(text(query)))


async def test_it_leaves_nothing_on_a_pooled_connection(
    shop: AsyncEngine, database: str
) -> None:
    async with shop.connect() as connection:
        async with migration_lock(connection, patience=0):
            pass
        if database == "postgresql":
            query = f"SELECT count(*) FROM pg_locks WHERE {OUR_LOCKS}"
            assert await connection.scalar(text(query)) == 0
        else:
            assert lock_file(shop).read_bytes() == b""


async def test_a_lock_that_cannot_be_taken_for_another_reason_is_an_error(
    shop: AsyncEngine, database: str
) -> None:
    async with shop.connect() as connection:
        if database == "sqlite":
            lock_file(shop).write_text("not a database" * 100, encoding="utf-8")
        else:
            await connection.close()
        error = {"sqlite": sqlite3.DatabaseError, "postgresql": ResourceClosedError}
        with pytest.raises(error[database]):
            async with migration_lock(connection, patience=0):
                pass


async def test_a_database_in_memory_has_nobody_to_wait_for(database: str) -> None:
    if database == "postgresql":
        assert LOCK_KEY < 2**63
        return
    engine = new_engine("sqlite://")
    async with (
        engine.connect() as connection,
        migration_lock(connection, patience=0),
        migration_lock(connection, patience=0),
    ):
        await connection.execute(text("SELECT 1"))
    await engine.dispose()
    assert not lock_file(engine).exists()


async def test_of_processes_that_start_together_one_migrates(
    project: Project, fresh_database: URL, full: bool
) -> None:
    number = 4 if full else 2
    starter = Migrated(project, fresh_database, bare=False)
    env = starter.path / "migrations" / "env.py"
    mark = "import os, pathlib\npathlib.Path(f'started-{os.getpid()}').touch()\n"
    code = env.read_text(encoding="utf-8")
    code = code.replace("\nrun_env(", f"\n{mark}\nrun_env(")
    env.write_text(code, encoding="utf-8")

    async def started() -> bool:
        return len(list(starter.path.glob("started-*"))) == number

    engine = new_engine(fresh_database)
    async with engine.connect() as connection:
        async with migration_lock(connection, patience=0):
            processes = [
                asyncio.create_task(
                    asyncio.to_thread(starter.alembic, "upgrade", "head")
                )
                for _ in range(number)
            ]
            await until(started)
        outputs = [done.stderr for done in await asyncio.gather(*processes)]
    await engine.dispose()
    assert sum("Running upgrade" in output for output in outputs) == 1
    assert await starter.version() == "5c1f0e7a2b64"
