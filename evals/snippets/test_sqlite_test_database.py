"""Evals for snippets/sqlite_test_database.py."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from snippets import sqlite_test_database
from snippets.connection_leak import ConnectionLeaked, checked_out
from snippets.engine import new_engine
from snippets.sqlite_test_database import SqliteTestDatabase, open_sqlite_database


def create_schema(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE plan (name text)"))
    connection.execute(text("INSERT INTO plan VALUES ('free')"))
    connection.execute(text("CREATE TABLE song (id integer PRIMARY KEY)"))


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
async def scratch(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SqliteTestDatabase]:
    monkeypatch.setattr(sqlite_test_database, "PATIENCE", 0.2)
    async with open_sqlite_database(create_schema) as scratch:
        yield scratch
    assert files(directory) == []


def files(directory: Path, pattern: str = "*") -> list[int]:
    return [file.stat().st_size for file in directory.rglob(pattern)]


async def add(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO song VALUES (NULL)"))


async def rows(engine: AsyncEngine) -> tuple[int, list[str]]:
    async with engine.connect() as connection:
        songs = await connection.scalar(text("SELECT count(*) FROM song"))
        plans = await connection.scalars(text("SELECT name FROM plan"))
        return int(songs or 0), list(plans)


@pytest.mark.parametrize("how", ["lend", "clone"])
async def test_each_borrower_finds_what_the_schema_made_and_no_more(
    scratch: SqliteTestDatabase, how: str
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with getattr(scratch, how)() as lent:
            assert lent is scratch.engine
            await add(lent)
            async with lent.begin() as connection:
                await connection.execute(text("DELETE FROM plan"))
                await connection.execute(text("CREATE TABLE extra (id integer)"))
            raise ZeroDivisionError

    async with scratch.lend() as lent:
        assert await rows(lent) == (0, ["free"])
        with pytest.raises(OperationalError, match="no such table"):
            async with lent.connect() as connection:
                await connection.execute(text("SELECT * FROM extra"))


async def test_an_empty_one_has_no_tables(scratch: SqliteTestDatabase) -> None:
    async with scratch.clone(empty=True) as lent, lent.begin() as connection:
        await connection.execute(text("CREATE TABLE song (other text)"))
        tables = await connection.scalars(text("SELECT name FROM sqlite_master"))
        assert tables.all() == ["song"]
    async with scratch.lend() as lent:
        await add(lent)
        assert await rows(lent) == (1, ["free"])


async def test_the_connections_are_kept_from_test_to_test(
    scratch: SqliteTestDatabase,
) -> None:
    connections = set()
    for _ in range(3):
        async with scratch.lend() as lent, lent.connect() as connection:
            raw = await connection.get_raw_connection()
            connections.add(id(raw.driver_connection))
            await connection.execute(text("SELECT 1"))
    assert len(connections) == 1


async def test_the_file_does_not_grow_with_the_number_of_tests(
    scratch: SqliteTestDatabase, directory: Path
) -> None:
    for _ in range(200):
        async with scratch.lend() as lent:
            await add(lent)
    assert (
        sum(files(directory, "test1.db*")) < 6_000_000
    )  # SQLite's write-ahead log is 1,000 pages


async def test_a_connection_that_is_not_given_back_does_not_reach_the_next_test(
    scratch: SqliteTestDatabase,
) -> None:
    async with scratch.lend() as lent:
        held = await lent.connect()
        await held.execute(text("INSERT INTO song VALUES (1)"))

    async with scratch.lend() as next_one:
        assert checked_out(next_one) == 0
        await held.commit()
        assert await rows(next_one) == (0, ["free"])
    await held.invalidate()
    await held.close()


async def test_a_lock_that_another_engine_holds_is_an_error_and_no_hang(
    scratch: SqliteTestDatabase,
) -> None:
    other = new_engine(scratch.engine.url)
    async with other.connect() as held:
        with pytest.raises(ConnectionLeaked, match="of every engine"):
            async with scratch.lend() as lent:
                await add(lent)
                await held.execute(text("SELECT 1"))

    async with scratch.lend() as lent:
        assert await rows(lent) == (0, ["free"])
    await other.dispose()


async def test_tests_wait_five_seconds_for_a_lock() -> None:
    async with open_sqlite_database(create_schema) as scratch:
        async with scratch.engine.connect() as connection:
            assert await connection.scalar(text("PRAGMA busy_timeout")) == 5000


async def test_a_schema_that_fails_leaves_no_file(directory: Path) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE song (id integer)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with open_sqlite_database(fail):
            pass
    assert files(directory) == []


async def test_what_a_killed_run_left_is_removed(directory: Path) -> None:
    left = directory / "pytest-sqlite-1"
    left.mkdir()
    (left / "alive.lock").touch()
    (left / "locked").touch()
    (left / "test1.db").touch()
    async with open_sqlite_database(create_schema):
        assert not left.exists()
