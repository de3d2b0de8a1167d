"""A SQLite file for tests: made once, put back after each test that committed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from .engine import new_engine
from .scratch_directory import ScratchDirectory, abandoned_directories

PREFIX = "pytest-sqlite-"


class SqliteTestDatabase:
    """A file in a directory of its own, and a copy of it as the schema left it."""

    engine: AsyncEngine

    def __init__(self) -> None:
        for path in abandoned_directories(PREFIX):
            shutil.rmtree(path, ignore_errors=True)
        self._directory = ScratchDirectory(PREFIX)
        self._template = self._directory.path / "template.db"
        self._files = 0

    async def open(self, create_schema: Callable[[Connection], None]) -> None:
        """Make the tables, with the rows that `create_schema` puts there."""
        engine = new_engine(_url(self._template))
        async with engine.connect() as connection:
            await connection.run_sync(create_schema)
            await connection.commit()
        await engine.dispose()
        self._pristine = sqlite3.connect(self._template)
        self._start()

    def _start(self) -> None:
        self._files += 1
        file = self._directory.path / f"test{self._files}.db"
        shutil.copyfile(self._template, file)
        self.engine = new_engine(_url(file), lock_timeout=5)
        self._file = sqlite3.connect(file)
        self._file.execute("PRAGMA synchronous = OFF")

    async def reset(self) -> None:
        """Put back the rows and tables that `open` made: a copy of all pages."""
        self._pristine.backup(self._file)

    @asynccontextmanager
    async def clone(self) -> AsyncGenerator[AsyncEngine, None]:
        """Lend a database whose tables may be changed: here, that is any."""
        try:
            yield self.engine
        finally:
            await self.reset()

    async def replace(self) -> None:
        """Go on with another file: somebody holds a transaction on this one."""
        self._file.close()
        self._start()

    async def close(self) -> None:
        await self.engine.dispose()
        self._file.close()
        self._pristine.close()
        self._directory.remove()


def _url(file: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(file))
