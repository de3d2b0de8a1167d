"""Tell at start-up, in one line, why a database cannot be used and what to do.

Left alone, the same faults come out as five unrelated exception classes under
forty lines of traceback, at the first request.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

# https://www.postgresql.org/docs/current/errcodes-appendix.html
REFUSED_PASSWORD = {"28P01", "28000"}
NO_SUCH_DATABASE = "3D000"
TOO_MANY_CONNECTIONS = "53300"


class DatabaseUnavailable(Exception):
    """The database cannot be used; the message says what to do about it."""


async def check_connection(engine: AsyncEngine) -> None:
    """Connect once.

    Raises:
        DatabaseUnavailable: with a message of one line, without the password.
    """
    try:
        async with engine.connect():
            pass
    except Exception as exc:
        # Connecting fails as OSError, as SQLAlchemyError or, on SQLAlchemy 2.0, as
        # asyncpg's own exceptions; whatever is none of them is not about connecting.
        message = explain(engine.url, exc)
        if message is None:
            raise
        raise DatabaseUnavailable(message) from None


def explain(url: URL, exc: BaseException) -> str | None:
    """Return what to do about `exc`, or None if it is no failure to connect."""
    where = f"{url.host or url.query.get('host') or 'localhost'}:{url.port or 5432}"
    state = _sqlstate(exc)
    if url.get_backend_name() == "sqlite" and isinstance(exc, SQLAlchemyError):
        return _explain_sqlite(url, exc)
    if state in REFUSED_PASSWORD:
        return (
            f"{where} refused the password of {url.username}:"
            " correct it in DATABASE_URL (or DATABASE_USER and DATABASE_PASSWORD)"
        )
    if state == NO_SUCH_DATABASE:
        host = f"-h {url.host} -p {url.port or 5432} -U {url.username} "
        return (
            f"database {url.database} does not exist on {where}: create it with"
            f" `createdb {host}{url.database}`, then run `alembic upgrade head`"
        )
    if state == TOO_MANY_CONNECTIONS:
        return (
            f"{where} has no connection left: lower DATABASE_POOL_SIZE, or the number"
            " of processes, below the server's max_connections"
        )
    if isinstance(exc, OSError):
        return (
            f"{where} cannot be reached ({_one_line(exc)}): start the server"
            " (`docker compose up -d db`) or correct the host and port in DATABASE_URL"
        )
    if state is not None or isinstance(exc, SQLAlchemyError):
        return f"{where} refused the connection: {_one_line(exc)}"
    return None


def _explain_sqlite(url: URL, exc: SQLAlchemyError) -> str:
    folder = Path(url.database or "").absolute().parent
    if not folder.is_dir():
        return (
            f"the folder of the SQLite file does not exist: create {folder}, or"
            " correct DATABASE_URL (three slashes before a relative path, four"
            " before an absolute one)"
        )
    return f"the SQLite file {url.database} cannot be opened: {_one_line(exc)}"


def _sqlstate(exc: BaseException) -> str | None:
    """Return PostgreSQL's error code: of the driver's exception, or of its wrapper."""
    driver = getattr(exc, "orig", None) or exc
    state: str | None = getattr(driver, "sqlstate", None)
    return state


def _one_line(exc: BaseException) -> str:
    text = str(getattr(exc, "orig", None) or exc) or type(exc).__name__
    return text.splitlines()[0]
