"""A SQLite file for tests: made once, put back after each test that commits."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from .connection_leak import LEFT_OPEN, ConnectionLeaked, checked_out
from .engine import new_engine
from .sqlite_scratch_directory import ScratchDirectory, abandoned_directories

PREFIX = "pytest-sqlite-"
PATIENCE = 5
"""Seconds that a test, and its end, waits for a lock."""


@asynccontextmanager
async def open_sqlite_database(
    create_schema: Callable[[Connection], None],
) -> AsyncGenerator[SqliteTestDatabase, None]:
    """Yield a database with the tables and rows that `create_schema` makes.

    It lies in a directory of its own, which a later run removes if this one is killed.
    """
    remove_abandoned()
    directory = ScratchDirectory(PREFIX)
    try:
        template = directory.path / "template.db"
        engine = new_engine(_url(template))
        try:
            async with engine.connect() as connection:
                await connection.run_sync(create_schema)
                await connection.commit()
        finally:
            await engine.dispose()
        database = SqliteTestDatabase(template)
        yield database
        await database.engine.dispose()
    finally:
        directory.remove()


def remove_abandoned() -> None:
    """Remove the files of runs, and of workers, that were killed."""
    for path in abandoned_directories(PREFIX):
        shutil.rmtree(path, ignore_errors=True)


class SqliteTestDatabase:
    """A copy of a template, for one test after the other."""

    def __init__(self, template: Path) -> None:
        self._template = template
        self._number = 0
        self._start()

    def _start(self) -> None:
        self._number += 1
        self._file = self._template.with_name(f"test{self._number}.db")
        shutil.copyfile(self._template, self._file)
        self.engine = new_engine(_url(self._file), lock_timeout=PATIENCE)

    async def reset(self, source: str | None = None) -> None:
        """Put back the tables and rows of `source`, the template: a copy of all pages.

        Raises:
            ConnectionLeaked: a transaction that holds the lock was left open.
        """
        template = self._connect(source or self._template)
        file = self._connect(self._file)
        with closing(template), closing(file):
            try:
                # The copy itself would wait for the lock for ever.
                file.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                await self.replace()
                raise ConnectionLeaked(LEFT_OPEN) from None
            file.execute("ROLLBACK")
            file.execute("PRAGMA synchronous = OFF")
            template.backup(file)

    async def replace(self) -> None:
        """Go on with another file: somebody holds a transaction on this one."""
        await self.engine.dispose()
        self._start()

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[AsyncEngine, None]:
        """Lend the database to a test that commits."""
        try:
            yield self.engine
        finally:
            if checked_out(self.engine):
                await self.replace()
            else:
                await self.reset()

    @asynccontextmanager
    async def clone(self, *, empty: bool = False) -> AsyncGenerator[AsyncEngine, None]:
        """Lend a database whose tables the test may change: on SQLite, that is any.
        An `empty` one has none, for tests of migrations."""
        async with self.lend() as engine:
            if empty:
                await self.reset(":memory:")
            yield engine

    def _connect(self, file: Path | str) -> sqlite3.Connection:
        return sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)


def _url(file: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(file))
