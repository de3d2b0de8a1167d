"""Evals for snippets/engine.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import URL, AsyncAdaptedQueuePool, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from evals.harness import observe
from evals.harness.network import answering
from snippets.database_url import InvalidDatabaseURL
from snippets.engine import MissingDriver, new_engine

SLOW = {
    # Far longer than any limit below, and bounded.
    "postgresql": "SELECT pg_sleep(20)",
    "sqlite": "SELECT 1",
}


@asynccontextmanager
async def opened(url: str | URL, **options: Any) -> AsyncIterator[AsyncEngine]:
    engine = new_engine(url, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


async def setting(conn: AsyncConnection, name: str) -> str | None:
    found = await conn.scalar(text("SELECT current_setting(:name)"), {"name": name})
    return str(found)


def state(exc: DBAPIError) -> object:
    return getattr(exc.orig, "sqlstate", None)


async def test_a_url_in_any_form_gives_a_working_engine(
    fresh_database: URL, database: str
) -> None:
    plain = fresh_database.set(drivername=database.replace("postgresql", "postgres"))
    async with opened(plain.render_as_string(hide_password=False)) as engine:
        async with engine.connect() as conn:
            assert await conn.scalar(text("SELECT 40 + 2")) == 42
        assert engine.dialect.is_async


async def test_the_limits_hold_on_every_connection(
    fresh_database: URL, database: str
) -> None:
    limits = {"statement_timeout": 1.5, "lock_timeout": 0.25}
    async with (
        opened(
            fresh_database,
            idle_transaction_timeout=7,
            application_name="till",
            **limits,
        ) as engine,
        engine.connect() as conn,
    ):
        if database == "sqlite":
            # The one limit that SQLite has: how long a writer waits.
            pragma = await conn.exec_driver_sql("PRAGMA busy_timeout")
            assert pragma.scalar() == 250
            return
        assert await setting(conn, "statement_timeout") == "1500ms"
        assert await setting(conn, "lock_timeout") == "250ms"
        assert await setting(conn, "idle_in_transaction_session_timeout") == "7s"
        assert await setting(conn, "application_name") == "till"


async def test_the_defaults_bound_every_wait(
    fresh_database: URL, database: str
) -> None:
    async with opened(fresh_database) as engine, engine.connect() as conn:
        if database == "sqlite":
            pragma = await conn.exec_driver_sql("PRAGMA busy_timeout")
            assert pragma.scalar() == 10_000
            return
        assert await setting(conn, "statement_timeout") == "30s"
        assert await setting(conn, "lock_timeout") == "10s"
        assert await setting(conn, "idle_in_transaction_session_timeout") == "1min"
        assert await setting(conn, "application_name") == ""


async def test_the_defaults_bound_connections_and_the_wait_for_them(
    fresh_database: URL, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(fresh_database) as engine:
        given: dict[str, Any] = {}

        @event.listens_for(engine.sync_engine, "do_connect")
        def connecting(dialect: Any, record: Any, args: Any, options: Any) -> None:
            given.update(options)

        pool = engine.pool
        assert isinstance(pool, AsyncAdaptedQueuePool)
        assert (pool.size(), pool.timeout()) == (5, 10)
        most = 5 if database == "sqlite" else 10
        read = {"sqlite_begin": "BEGIN"}
        async with AsyncExitStack() as stack:
            for number in range(most):
                conn = await stack.enter_async_context(engine.connect())
                conn = await conn.execution_options(**read)
                assert await conn.scalar(text(f"SELECT {number}")) == number
            assert pool.checkedout() == most
            assert pool.overflow() == most - 5
            monkeypatch.setattr(pool, "_timeout", 0.1)  # rather than wait for it
            with pytest.raises(PoolTimeout):
                await engine.connect()
        assert given["timeout"] == 10
    async with opened(fresh_database, pool_timeout=2.5) as engine:
        assert isinstance(engine.pool, AsyncAdaptedQueuePool)
        assert engine.pool.timeout() == 2.5


async def test_the_url_may_name_the_application(
    fresh_database: URL, database: str
) -> None:
    if database == "postgresql":
        named = fresh_database.update_query_dict({"application_name": "cron"})
        async with opened(named) as engine, engine.connect() as conn:
            assert await setting(conn, "application_name") == "cron"
            assert await setting(conn, "lock_timeout") == "10s"
        async with opened(named, application_name="till") as engine:
            async with engine.connect() as conn:
                assert await setting(conn, "application_name") == "till"
    else:
        async with opened(fresh_database, echo=False) as engine:
            async with engine.connect() as conn:
                assert await conn.scalar(text("PRAGMA foreign_keys")) == 1


async def test_a_statement_that_takes_too_long_is_cancelled_by_the_server(
    fresh_database: URL, database: str
) -> None:
    async with opened(fresh_database, statement_timeout=0.2) as engine:
        async with engine.connect() as conn:
            if database == "sqlite":  # no limit there, and no server
                assert await conn.scalar(text(SLOW[database])) == 1
                return
            with pytest.raises(DBAPIError) as caught:
                await conn.execute(text(SLOW[database]))
            assert state(caught.value) == "57014"
            await conn.rollback()
            assert await conn.scalar(text("SELECT 1")) == 1


async def test_a_pool_that_is_used_up_says_so(fresh_database: URL) -> None:
    sizes = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
    async with opened(fresh_database, **sizes) as engine, engine.connect() as first:
        await first.execute(text("SELECT 1"))
        with pytest.raises(PoolTimeout, match="QueuePool limit of size 1 overflow 0"):
            await engine.connect()


async def test_the_pool_overflows_on_postgresql_only(
    fresh_database: URL, database: str
) -> None:
    read = {"execution_options": {"sqlite_begin": "BEGIN"}}
    sizes = {"pool_size": 1, "max_overflow": 1, "pool_timeout": 0.1}
    async with opened(fresh_database, **sizes, **read) as engine:
        async with engine.connect() as first:
            await first.execute(text("SELECT 1"))
            if database == "postgresql":
                async with engine.connect() as second:
                    assert await second.scalar(text("SELECT 1")) == 1
            else:
                with pytest.raises(PoolTimeout):
                    await engine.connect()


async def close_idle_connections(url: URL) -> None:
    """Do what a restart, a failover or an idle limit of the host does."""
    admin = create_async_engine(url.set(database="postgres"))
    async with admin.connect() as conn:
        await conn.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = :name"
            ),
            {"name": url.database},
        )
    await admin.dispose()


async def test_a_connection_that_the_server_closed_is_replaced_unseen(
    fresh_database: URL, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sqlalchemy.pool")
    async with opened(fresh_database, pool_size=2) as engine:
        async with engine.connect() as conn:
            await conn.execute(text("SELECT 1"))
        if database == "postgresql":
            await close_idle_connections(fresh_database)
        with observe.recording(engine, control=True) as sent:
            async with engine.connect() as conn:
                assert await conn.scalar(text("SELECT 41 + 1")) == 42
        # Nothing asks whether the connection lives: `pool_pre_ping` would.
        begin = {"sqlite": ["BEGIN IMMEDIATE"], "postgresql": []}
        assert sent[-2:] == [*begin[database], "SELECT 41 + 1"][-2:]
        told = "the server closed this connection" in caplog.text
        assert told == (database == "postgresql")  # a file closes nothing


@pytest.mark.trap("stale-connection")
async def test_a_plain_engine_hands_out_a_closed_connection(
    fresh_database: URL, database: str
) -> None:
    engine = create_async_engine(fresh_database)
    async with engine.connect() as conn:
        await conn.execute(text("SELECT 1"))
    if database == "postgresql":
        await close_idle_connections(fresh_database)
        with pytest.raises(InterfaceError, match="closed"):
            async with engine.connect() as conn:
                await conn.execute(text("SELECT 1"))
    else:  # a file closes nothing by itself
        async with engine.connect() as conn:
            assert await conn.scalar(text("SELECT 1")) == 1
    await engine.dispose()


async def test_behind_pgbouncer_limits_travel_with_each_transaction(
    fresh_database: URL, database: str
) -> None:
    options = {"pgbouncer": True, "lock_timeout": 3, "statement_timeout": 4}
    async with opened(fresh_database, idle_transaction_timeout=5, **options) as engine:
        async with engine.connect() as conn:
            if database == "sqlite":  # there is no bouncer to choose
                assert await conn.scalar(text("SELECT 1")) == 1
                return
            for _ in range(2):
                assert await setting(conn, "lock_timeout") == "3s"
                assert await setting(conn, "statement_timeout") == "4s"
                idle = "idle_in_transaction_session_timeout"
                assert await setting(conn, idle) == "5s"
                await conn.commit()
            prepared = text("SELECT count(*) FROM pg_prepared_statements")
            # Not one named statement stays on the server for another client to meet.
            assert await conn.scalar(prepared) == 0
            raw = await conn.get_raw_connection()
            driver = raw.driver_connection
            assert driver is not None
            await conn.rollback()
            # Outside the transaction the server's own settings hold again.
            assert await driver.fetchval("SHOW lock_timeout") == "0"


@pytest.mark.trap("another-loop")
def test_an_engine_does_not_outlive_its_loop(
    fresh_database: URL, database: str
) -> None:
    # In a process of its own: this one has a loop already.
    script = (
        "import asyncio, sys\n"
        "from sqlalchemy import text\n"
        "from snippets.engine import new_engine\n"
        "engine = new_engine(sys.argv[1])\n"
        "async def job():\n"
        "    async with engine.connect() as conn:\n"
        "        return await conn.scalar(text('SELECT 1'))\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        print(asyncio.run(job()))\n"
        "    except Exception as exc:\n"
        "        print(type(exc).__name__, 'different loop' in str(exc))\n"
    )
    url = fresh_database.render_as_string(hide_password=False)
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split("\n")
    second = {"sqlite": "1", "postgresql": "RuntimeError True"}
    assert printed[:2] == ["1", second[database]]


def test_nothing_connects_before_the_first_statement() -> None:
    engine = new_engine("postgresql://nobody:s3cret@127.0.0.1:1/none")
    assert "s3cret" not in f"{engine!r} {engine.url}"


@pytest.mark.parametrize("url", ["sqlite:///x.db", "postgresql://localhost/x"])
def test_a_missing_driver_is_named_with_the_command_that_installs_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "aiosqlite" if url.startswith("sqlite") else "asyncpg"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDriver) as caught:
        new_engine(url)
    assert str(caught.value) == (
        f"{name} is not installed: run `uv add {name}` (or `pip install {name}`)"
    )


def test_a_wrong_url_is_refused() -> None:
    with pytest.raises(InvalidDatabaseURL):
        new_engine("mysql://localhost/shop")


async def test_an_unreachable_server_is_given_up_in_time(database: str) -> None:
    if database == "sqlite":
        async with opened("sqlite:////nowhere/at/all.db") as engine:
            with pytest.raises(OperationalError, match="unable to open"):
                await engine.connect()
        return
    async with answering(None) as port:
        url = f"postgresql://ann@127.0.0.1:{port}/shop?sslmode=disable"
        async with opened(url, connect_timeout=0.2) as engine:
            with pytest.raises(TimeoutError):
                await engine.connect()
