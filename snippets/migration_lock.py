"""One migration at a time, however many processes start together."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from .sqlite_engine import in_memory

# Any number that nothing else in the database takes as an advisory lock.
LOCK_KEY = 7_274_617_263
POLL = 0.2


class MigrationLocked(Exception):
    """Another process held the lock for longer than this one waits."""


@asynccontextmanager
async def migration_lock(
    connection: AsyncConnection, *, patience: float
) -> AsyncGenerator[None, None]:
    """Hold the database's migration lock; wait for it at most `patience` seconds.

    The lock ends with the process, however that ends. On PostgreSQL it is an
    advisory lock of the session, so `connection` must not go through PgBouncer in
    transaction mode. On SQLite it is a lock on the file `<database>.migration-lock`.
    The waiter asks again and again instead of blocking: CREATE INDEX CONCURRENTLY
    waits for every statement that runs, and a blocked one would never end.

    Raises:
        MigrationLocked: the time is over.
    """
    if connection.dialect.name == "sqlite":
        if in_memory(connection.engine.url):
            yield
            return
        file = f"{connection.engine.url.database}.migration-lock"
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as lock:
            await _poll(lambda: _lock_file(lock), patience)
            yield
        return

    await _poll(lambda: _lock_session(connection), patience)
    try:
        yield
    except BaseException:
        # Ends the session, which frees the lock, whatever state it is in.
        await connection.invalidate()
        raise
    await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
    await connection.commit()


async def _poll(take: Callable[[], Awaitable[bool]], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not await take():
        if time.monotonic() >= deadline:
            raise MigrationLocked(
                f"another process is migrating this database for more than {patience:g}"
                " seconds: wait until it ends, then run the command again"
            )
        await asyncio.sleep(POLL * (0.5 + random.random()))


async def _lock_file(lock: sqlite3.Connection) -> bool:
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


async def _lock_session(connection: AsyncConnection) -> bool:
    taken = await connection.scalar(
        text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}
    )
    # Between two tries nothing is open that another transaction could wait for.
    await connection.commit()
    return bool(taken)
