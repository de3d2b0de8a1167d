"""SQLite that behaves: foreign keys, real transactions, writers that wait their turn.

The driver's defaults enforce no foreign key, commit a released savepoint behind an
open transaction, and fail at once with "database is locked" when two transactions
read, then write.
"""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import suppress
from typing import Any

from sqlalchemy import (
    URL,
    AsyncAdaptedQueuePool,
    Connection,
    Engine,
    PoolResetState,
    event,
)
from sqlalchemy.engine.interfaces import DBAPIConnection


def sqlite_arguments(
    url: URL, *, pool_size: int, pool_timeout: float, busy_timeout: float
) -> dict[str, Any]:
    """Return the arguments of `create_async_engine` for a file or for `:memory:`.

    An in-memory database lives in its one connection, so sessions take turns: with
    SQLAlchemy's default they would share a transaction, and one's rollback would
    undo the other's work. A second session inside the first waits for `pool_timeout`
    seconds and fails; use a file for anything but a script.
    """
    return {
        "poolclass": AsyncAdaptedQueuePool,
        "pool_size": 1 if in_memory(url) else pool_size,
        "max_overflow": 0,
        "pool_timeout": pool_timeout,
        "connect_args": {"timeout": busy_timeout},
    }


def in_memory(url: URL) -> bool:
    """Tell whether the database goes away with its connection."""
    return url.database in (None, "", ":memory:")


def configure_sqlite(engine: Engine) -> None:
    """Make each connection of `engine` enforce keys, and each transaction real.

    A transaction takes the write lock when it begins, where SQLite does wait for its
    turn (`busy_timeout`). One that only reads needs no lock:
    `await session.connection(execution_options={"sqlite_begin": "BEGIN"})`.
    https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
    """

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        if not in_memory(engine.url):
            # Readers go on while a writer commits, which waits for one fsync less.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction is open before the driver would begin one, so its own come
        # only where SQLite ended ours: after an ON CONFLICT ROLLBACK, or a full disk.
        options = connection.get_execution_options()
        connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN IMMEDIATE"))

    @event.listens_for(engine, "reset")
    def reset(
        connection: DBAPIConnection, record: object, state: PoolResetState
    ) -> None:
        # A COMMIT that fails (a deferred foreign key) leaves the transaction open,
        # and its write lock taken, while SQLAlchemy takes it for ended.
        if state.asyncio_safe:
            connection.rollback()

    @event.listens_for(engine, "invalidate")
    def invalidate(
        connection: DBAPIConnection, record: object, error: BaseException | None
    ) -> None:
        # A cancelled statement goes on in its thread, and a connection that is closed
        # behind it keeps the write lock for as long as anybody holds the cursor.
        # Cancelled once more, as anyio does it, the rollback runs all the same.
        if isinstance(error, CancelledError):
            with suppress(CancelledError):
                connection.rollback()
