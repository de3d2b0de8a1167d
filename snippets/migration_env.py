"""Alembic's environment: all that `migrations/env.py` does, in one call.

It runs for the command line, inside a process that migrates itself (also in a
running event loop), on a connection that is handed to it, and offline (`--sql`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, Connection, MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from .autogenerate import render_item
from .connection_check import DatabaseUnavailable, check_connection
from .engine import new_engine
from .migration_lock import MigrationLocked, migration_lock
from .model_discovery import import_models
from .sqlite_batch import safe_batch


def run_env(
    metadata: MetaData,
    url: Callable[[], URL],
    *,
    models: ModuleType,
    lock_timeout: float = 2,
    statement_timeout: float = 30,
    patience: float = 300,
    **options: Any,
) -> None:
    """Run the command that Alembic was given.

    Every module of the package around `models` that declares a table is imported.
    `url` is called only if a database has to be found: with
    `config.attributes["connection"]` (what `AsyncConnection.run_sync` hands over)
    that connection is used. All times are seconds: a statement waits `lock_timeout`
    for a lock and is then tried again, `patience` in all. `options` go to
    `context.configure`.

    Raises:
        CommandError: the command cannot run; the message says what to do.
    """
    config = context.config
    if config.cmd_opts is not None:
        # Only for the command line: an application has its own logging, and
        # `fileConfig` would replace its handlers.
        logging.basicConfig(format="%(levelname)s %(message)s")
        logging.getLogger("alembic").setLevel(logging.INFO)
    package = models.__name__.rpartition(".")[0]
    import_models(package)
    if not metadata.tables:
        raise CommandError(
            f"no module of {package} declares a table on this metadata:"
            " autogenerate would drop every table; give run_env the metadata of your"
            " Base and the package that holds your models"
        )
    defaults: dict[str, Any] = {
        "target_metadata": metadata,
        "compare_server_default": True,
        "render_as_batch": True,
        "render_item": render_item,
        "transaction_per_migration": True,
        "transactional_ddl": True,
    }
    options = defaults | options

    if context.is_offline_mode():
        context.configure(url=_or_command_error(url), literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
    elif (connection := config.attributes.get("connection")) is not None:
        _migrate(connection, options)
    else:
        _run(
            _online(
                _or_command_error(url),
                options,
                lock_timeout=lock_timeout,
                statement_timeout=statement_timeout,
                patience=patience,
            )
        )


def _or_command_error(url: Callable[[], URL]) -> URL:
    try:
        return url()
    except ValueError as exc:
        raise CommandError(str(exc)) from None


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end, also where an event loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(main)
        return
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, main).result()


async def _online(
    url: URL,
    options: dict[str, Any],
    *,
    lock_timeout: float,
    statement_timeout: float,
    patience: float,
) -> None:
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
        async with (
            engine.connect() as connection,
            migration_lock(connection, patience=patience),
        ):
            await _prepare(connection)
            await _retry(connection, options, time.monotonic() + patience)
    except (DatabaseUnavailable, MigrationLocked) as exc:
        raise CommandError(str(exc)) from None
    finally:
        await engine.dispose()


async def _prepare(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        # When this process is killed, its statement stops too and frees its locks.
        await connection.exec_driver_sql("SET client_connection_check_interval = 1000")
        await connection.commit()


async def _retry(
    connection: AsyncConnection, options: dict[str, Any], deadline: float
) -> None:
    """Run the migrations; again from the failed one if it did not get its lock."""
    while True:
        try:
            await connection.run_sync(_migrate, options)
            return
        except DBAPIError as exc:
            if not _lost_a_lock(exc) or time.monotonic() >= deadline:
                raise
        # Requests that waited behind the statement run now.
        await asyncio.sleep(0.5 + random.random())


def _lost_a_lock(exc: DBAPIError) -> bool:
    """Tell lock_not_available, deadlock_detected and SQLite's busy from the rest."""
    state = getattr(exc.orig, "sqlstate", None)
    return state in {"55P03", "40P01"}


def _migrate(connection: Connection, options: dict[str, Any]) -> None:
    if connection.in_transaction():
        raise CommandError(
            "the connection has an open transaction, and the migration would be"
            " rolled back with it: open it with engine.connect(), not begin(), and"
            " commit what you executed before"
        )
    try:
        with safe_batch(connection) as guards:
            context.configure(connection=connection, **options, **guards)
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
    finally:
        connection.rollback()
