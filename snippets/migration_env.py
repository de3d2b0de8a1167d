"""Alembic's environment: all that `migrations/env.py` does, in one call.

It runs for the command line, inside a process that migrates itself (also in a
running event loop), on a connection that is handed to it, and offline (`--sql`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, Connection, MetaData

from .autogenerate import autogenerate_options
from .migration_run import run_migrations
from .model_discovery import import_models
from .revision_check import explain_conflict, load_revisions, refuse_unknown_revision
from .sqlite_batch import safe_batch

READING = {"check", "current", "history", "revision"}


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
    that connection is used, and waiting is its owner's affair.

    All times are seconds. A statement waits `lock_timeout` for a lock; then its
    revision is rolled back and tried again, for `patience` seconds in all, so that
    requests never queue behind a migration. `options` go to `context.configure`.

    Raises:
        CommandError: the command cannot run; the message says what to do.
    """
    config = context.config
    if config.cmd_opts is not None:
        # Only for the command line: an application has its own logging, and
        # `fileConfig` would replace its handlers.
        logging.basicConfig(format="%(levelname)s %(message)s")
        logging.getLogger("alembic").setLevel(logging.INFO)
    load_revisions()
    package = models.__name__.rpartition(".")[0]
    import_models(package)
    if not metadata.tables:
        raise CommandError(
            f"no module of {package} declares a table on this metadata: autogenerate"
            " would drop every table; give run_env the metadata of your Base, and a"
            " module of the package that holds your models"
        )
    defaults: dict[str, Any] = {
        "target_metadata": metadata,
        "transaction_per_migration": True,
        "transactional_ddl": True,
        "render_as_batch": True,
    }
    options = defaults | autogenerate_options() | options

    if context.is_offline_mode():
        context.configure(url=_or_command_error(url), literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
    elif (connection := config.attributes.get("connection")) is not None:
        _migrate(connection, options)
    else:
        run_migrations(
            _or_command_error(url),
            lambda connection: _migrate(connection, options),
            lock=not _only_reads(),
            lock_timeout=lock_timeout,
            statement_timeout=statement_timeout,
            patience=patience,
        )


def _or_command_error(url: Callable[[], URL]) -> URL:
    try:
        return url()
    except ValueError as exc:
        raise CommandError(str(exc)) from None


def _only_reads() -> bool:
    """Tell whether the command changes nothing: a probe must not wait for the lock."""
    command = getattr(context.config.cmd_opts, "cmd", None)
    return command is not None and command[0].__name__ in READING


def _migrate(connection: Connection, options: dict[str, Any]) -> None:
    if connection.in_transaction():
        raise CommandError(
            "the connection has an open transaction, and the migration would be"
            " rolled back with it: open it with engine.connect(), not begin(), and"
            " commit what you executed before"
        )
    try:
        with explain_conflict(), safe_batch(connection) as guards:
            context.configure(connection=connection, **options, **guards)
            refuse_unknown_revision()
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
    finally:
        connection.rollback()
