"""Run migrations on a connection of their own: locked, with timeouts, tried again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from alembic.util import CommandError
from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from .connection_check import DatabaseUnavailable, check_connection
from .engine import new_engine
from .migration_lock import MigrationLocked, migration_lock

# A child of Alembic's logger: what the command line shows of that, it shows of this.
log = logging.getLogger("alembic.run")
# lock_not_available, deadlock_detected, and SQLite's "database is locked".
LOST_LOCK = {"55P03", "40P01", "SQLITE_BUSY"}


def run_migrations(
    url: URL,
    migrate: Callable[[Connection], None],
    *,
    lock: bool,
    lock_timeout: float,
    statement_timeout: float,
    patience: float,
) -> None:
    """Call `migrate` with a connection, also where an event loop runs already.

    With `lock` it waits for its turn, up to `patience` seconds, and calls `migrate`
    again, up to as long, while that fails for want of a lock: each failure rolled a
    transaction back, and `migrate` must go on from there.

    Raises:
        CommandError: no connection, no turn, or no lock; the message says why.
    """

    async def main() -> None:
        engine = new_engine(
            url,
            pool_size=1,
            max_overflow=0,
            lock_timeout=lock_timeout,
            statement_timeout=statement_timeout,
            application_name="alembic",
        )
        try:
            await check_connection(engine)
            async with engine.connect() as connection:
                if not lock:
                    await connection.run_sync(migrate)
                    return
                async with migration_lock(connection, patience=patience):
                    await _stop_when_killed(connection)
                    await _retry(connection, migrate, patience)
        except (DatabaseUnavailable, MigrationLocked) as exc:
            # The driver's thread reports to the event loop once more after a failed
            # connection, and the loop must still be there.
            await asyncio.sleep(0.1)
            raise CommandError(str(exc)) from None
        finally:
            await engine.dispose()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(main())
        return
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, main()).result()


async def _stop_when_killed(connection: AsyncConnection) -> None:
    """Let the server end the statement, and free its locks, when this process dies.

    A server on Windows cannot, and refuses the setting.
    """
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(
            "SELECT set_config('client_connection_check_interval', '1000', false)"
            " WHERE version() !~ 'Visual C|mingw|windows'"
        )
        await connection.commit()


async def _retry(
    connection: AsyncConnection, migrate: Callable[[Connection], None], patience: float
) -> None:
    """Call `migrate`, again while it does not get a lock."""
    deadline = time.monotonic() + patience
    while True:
        try:
            await connection.run_sync(migrate)
            return
        except DBAPIError as exc:
            if not _lost_a_lock(exc):
                raise
            if time.monotonic() >= deadline:
                raise CommandError(
                    f"a table was in use for more than {patience:g} seconds, nothing of"
                    " the revision was done: end the transaction that holds it (see"
                    " pg_stat_activity), then run the command again"
                ) from None
        log.info("a table is in use: trying again")
        # Requests that waited behind the statement run now.
        await asyncio.sleep(0.5 + random.random())


def _lost_a_lock(exc: DBAPIError) -> bool:
    state = getattr(exc.orig, "sqlstate", None)
    name = getattr(exc.orig, "sqlite_errorname", None)
    return bool({state, name} & LOST_LOCK)
