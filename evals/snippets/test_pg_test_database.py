"""Evals for snippets/pg_test_database.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from snippets import pg_test_database
from snippets.connection_leak import ConnectionLeaked, checked_out
from snippets.engine import new_engine
from snippets.pg_test_database import PostgresTestDatabase, open_pg_database

metadata = MetaData()


def create_schema(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE plan (name text)"))
    connection.execute(text("INSERT INTO plan VALUES ('free')"))
    connection.execute(text("CREATE TABLE song (id int PRIMARY KEY)"))


@pytest.fixture
async def scratch(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresTestDatabase]:
    monkeypatch.setattr(pg_test_database, "PATIENCE", 0.2)
    async with open_pg_database(engine.url, create_schema) as scratch:
        yield scratch


async def add(engine: AsyncEngine, number: int = 1) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO song VALUES (:n)"), {"n": number})


async def rows(engine: AsyncEngine) -> tuple[int, list[str]]:
    async with engine.connect() as connection:
        songs = await connection.scalar(text("SELECT count(*) FROM song"))
        plans = await connection.scalars(text("SELECT name FROM plan"))
        return int(songs or 0), list(plans)


async def test_each_borrower_finds_the_rows_of_the_schema_and_no_other(
    scratch: PostgresTestDatabase, engine: AsyncEngine
) -> None:
    assert scratch.engine.url.database != engine.url.database
    with pytest.raises(ZeroDivisionError):
        async with scratch.lend() as lent:
            assert lent is scratch.engine
            await add(lent)
            async with lent.begin() as connection:
                await connection.execute(text("DELETE FROM plan"))
            assert await rows(lent) == (1, [])
            raise ZeroDivisionError

    async with scratch.lend() as lent:
        assert await rows(lent) == (0, ["free"])


async def test_the_connections_are_kept_from_test_to_test(
    scratch: PostgresTestDatabase,
) -> None:
    backends = set()
    for _ in range(3):
        async with scratch.lend() as lent, lent.connect() as connection:
            backends.add(await connection.scalar(text("SELECT pg_backend_pid()")))
    assert len(backends) == 1


async def test_a_connection_that_is_not_given_back_does_not_reach_the_next_test(
    scratch: PostgresTestDatabase,
) -> None:
    async with scratch.lend() as lent:
        held = await lent.connect()
        await held.execute(text("INSERT INTO song VALUES (1)"))

    async with scratch.lend() as next_one:
        assert checked_out(next_one) == 0
        await add(next_one)
        with pytest.raises(DBAPIError):
            await held.commit()
        assert await rows(next_one) == (1, ["free"])
    await held.invalidate()
    await held.close()


@pytest.mark.trap("left-open")
async def test_a_lock_that_another_engine_holds_is_an_error_and_no_hang(
    scratch: PostgresTestDatabase,
) -> None:
    other = new_engine(scratch.engine.url)
    async with other.connect() as held:
        with pytest.raises(ConnectionLeaked, match="of every engine"):
            async with scratch.lend() as lent:
                await add(lent)
                await held.execute(text("SELECT FROM song FOR UPDATE"))
        await held.invalidate()

    async with scratch.lend() as lent:
        assert await rows(lent) == (0, ["free"])
    await other.dispose()


async def test_an_error_of_another_kind_is_shown_as_it_is(
    scratch: PostgresTestDatabase,
) -> None:
    with pytest.raises(ProgrammingError, match="song"):
        async with scratch.lend() as lent, lent.begin() as connection:
            await connection.execute(text("DROP TABLE song"))


async def test_a_clone_may_lose_its_tables(scratch: PostgresTestDatabase) -> None:
    async with scratch.clone() as clone:
        assert await rows(clone) == (0, ["free"])
        async with clone.begin() as connection:
            await connection.execute(text("DROP TABLE song"))
        name = clone.url.database

    async with scratch.lend() as lent, lent.connect() as connection:
        await connection.execute(text("SELECT FROM song"))
        databases = await connection.scalars(text("SELECT datname FROM pg_database"))
        assert name not in databases.all()


async def test_an_empty_one_has_no_tables_and_is_dropped(
    scratch: PostgresTestDatabase, engine: AsyncEngine
) -> None:
    async with scratch.clone(empty=True) as lent:
        async with lent.begin() as connection:
            await connection.execute(text("CREATE TABLE song (other text)"))
        name = lent.url.database
    async with scratch.lend() as lent:
        await add(lent)
        assert await rows(lent) == (1, ["free"])
    async with engine.connect() as connection:
        names = await connection.scalars(text("SELECT datname FROM pg_database"))
        assert name not in names.all()


async def test_tests_wait_five_seconds_for_a_lock_and_do_not_wait_for_the_disk(
    engine: AsyncEngine,
) -> None:
    async with open_pg_database(engine.url, lambda connection: None) as scratch:
        async with scratch.engine.connect() as connection:
            show = "SELECT current_setting(:name)"
            settings = [
                await connection.scalar(text(show), {"name": name})
                for name in ("lock_timeout", "synchronous_commit", "application_name")
            ]
    assert settings == ["5s", "off", "pytest"]


async def test_a_schema_that_fails_leaves_no_database(engine: AsyncEngine) -> None:
    made: list[str | None] = []

    def fail(connection: Connection) -> None:
        made.append(connection.engine.url.database)
        connection.execute(text("CREATE TABLE song (id int)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with open_pg_database(engine.url, fail):
            pass
    # By its name: other workers make and drop databases of theirs meanwhile.
    (name,) = made
    assert name is not None
    async with engine.connect() as connection:
        names = await connection.scalars(text("SELECT datname FROM pg_database"))
        assert name not in names.all()
    assert len(asyncio.all_tasks()) == 1
