"""A PostgreSQL database for tests: made once, emptied after each test that commits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .connection_leak import LEFT_OPEN, ConnectionLeaked, checked_out
from .engine import new_engine
from .pg_empty_tables import emptying_statement
from .pg_scratch_database import ScratchDatabases, open_scratch_databases

PATIENCE = 5
"""Seconds that a test, and its end, waits for a lock."""
LOCK_NOT_AVAILABLE = "55P03"
END_OTHERS = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
""")


@asynccontextmanager
async def open_pg_database(
    server: URL, create_schema: Callable[[Connection], None]
) -> AsyncGenerator[PostgresTestDatabase, None]:
    """Yield a database with the tables and rows that `create_schema` makes, on a
    server whose role may create databases. That which `server` names is not changed.
    """
    async with open_scratch_databases(server) as databases:
        database = PostgresTestDatabase(databases, await databases.create())
        await database.connect()
        try:
            async with database.engine.connect() as connection:
                await connection.run_sync(create_schema)
                await connection.commit()
            await database.remember()
            yield database
        finally:
            await database.disconnect()


class PostgresTestDatabase:
    """A database for one test after the other, and copies for some."""

    engine: AsyncEngine
    _cleaner: AsyncConnection
    _emptying: str

    def __init__(self, databases: ScratchDatabases, url: URL) -> None:
        self._databases = databases
        self._url = url

    async def connect(self) -> None:
        self.engine = _engine(self._url)
        # Not one of the pool's: a test may have taken them all.
        cleaner = _engine(self._url, isolation_level="AUTOCOMMIT")
        self._cleaner = await cleaner.connect()

    async def disconnect(self) -> None:
        await self.engine.dispose()
        await self._cleaner.close()
        await self._cleaner.engine.dispose()

    async def remember(self) -> None:
        """Take what is there now for what each test finds."""
        self._emptying = await emptying_statement(self._cleaner)

    async def reset(self) -> None:
        """Empty the tables, and put back the rows that were there, in one round trip.

        Raises:
            ConnectionLeaked: a transaction that holds a lock was left open.
        """
        try:
            await self._cleaner.exec_driver_sql(self._emptying)
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            await self.replace()
            raise ConnectionLeaked(LEFT_OPEN) from None

    async def replace(self) -> None:
        """Go on with other connections: somebody holds a transaction on these."""
        await self._cleaner.execute(END_OTHERS)
        self.engine = _engine(self._url)
        await self._cleaner.exec_driver_sql(self._emptying)

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
        """Lend a copy to change, or an `empty` database. It costs dozens of tests."""
        # Nobody may be connected to what is copied.
        await self.disconnect()
        url = await self._databases.create(None if empty else self._url)
        await self.connect()
        engine = _engine(url)
        try:
            yield engine
        finally:
            await engine.dispose()
            await self._databases.drop(url)


def _engine(url: URL, **options: Any) -> AsyncEngine:
    return new_engine(url, lock_timeout=PATIENCE, application_name="pytest", **options)
