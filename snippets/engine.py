"""An async engine for PostgreSQL or SQLite, configured for production, from a URL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .database_url import parse_database_url
from .sqlite_engine import configure_sqlite, sqlite_arguments


class MissingDriver(ImportError):
    """The package that talks to the database is not installed."""


def new_engine(
    url: str | URL,
    *,
    pool_size: int = 5,
    max_overflow: int = 5,
    pool_timeout: float = 10,
    connect_timeout: float = 10,
    statement_timeout: float = 30,
    lock_timeout: float = 10,
    idle_transaction_timeout: float = 60,
    application_name: str | None = None,
    pgbouncer: bool = False,
    **options: Any,
) -> AsyncEngine:
    """Return an engine for `url`, in any form that a host hands out.

    Make it where an event loop starts and `await engine.dispose()` where that ends:
    connections belong to the loop that opened them. Nothing connects before the
    first statement.

    All times are seconds. A process holds at most `pool_size + max_overflow`
    connections: keep processes x that below the server's `max_connections`. On
    SQLite `max_overflow` does not count, `lock_timeout` is how long a writer waits,
    and the other limits do not exist. `pgbouncer=True` is for transaction pooling.
    `options` go to `create_async_engine`.

    Raises:
        InvalidDatabaseURL: the URL cannot be used.
        MissingDriver: asyncpg or aiosqlite is not installed.
    """
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == "sqlite":
        sqlite = sqlite_arguments(
            parsed,
            pool_size=pool_size,
            pool_timeout=pool_timeout,
            busy_timeout=lock_timeout,
        )
        engine = _create(parsed, sqlite | options)
        configure_sqlite(engine.sync_engine)
        return engine

    limits = {
        "statement_timeout": statement_timeout,
        "lock_timeout": lock_timeout,
        "idle_in_transaction_session_timeout": idle_transaction_timeout,
    }
    server = {name: f"{seconds * 1000:.0f}" for name, seconds in limits.items()}
    name = {"application_name": application_name} if application_name else {}
    arguments: dict[str, Any] = {"timeout": connect_timeout}
    if pgbouncer:
        # Without a cache asyncpg prepares unnamed statements, which cannot meet
        # another client's. The limits travel with each transaction instead.
        arguments |= {"statement_cache_size": 0, "server_settings": name}
    else:
        arguments["server_settings"] = server | name
    pool = {
        "pool_size": pool_size,
        "max_overflow": max_overflow,
        "pool_timeout": pool_timeout,
        "connect_args": arguments,
    }
    engine = _create(parsed, pool | options)
    _replace_closed_connections(engine.sync_engine)
    if pgbouncer:
        _limit_each_transaction(engine.sync_engine, server)
    return engine


def _create(url: URL, options: dict[str, Any]) -> AsyncEngine:
    try:
        return create_async_engine(url, **options)
    except ModuleNotFoundError as exc:
        raise MissingDriver(
            f"{exc.name} is not installed: run `uv add {exc.name}`"
            f" (or `pip install {exc.name}`)"
        ) from None


def _replace_closed_connections(engine: Engine) -> None:
    """Hand out no connection that the server has closed.

    The driver knows it without asking, so this costs no round trip, where
    `pool_pre_ping` costs three.
    """

    @event.listens_for(engine, "checkout")
    def checkout(connection: Any, record: object, proxy: object) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server closed this connection")


def _limit_each_transaction(engine: Engine, limits: dict[str, str]) -> None:
    """Set the limits for one transaction: PgBouncer refuses them at connection."""
    calls = (f"set_config('{name}', '{ms}', true)" for name, ms in limits.items())
    statement = f"SELECT {', '.join(calls)}"

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
