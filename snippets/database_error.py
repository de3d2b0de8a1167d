"""Database errors as domain errors, the same on both databases.

    async with savepoint(session, Base.metadata):
        session.add(User(email=email))  # AlreadyExists, fields == ("email",)

By SQLSTATE and constraint name on PostgreSQL, by extended result code on SQLite:
messages change with the release and the language of the server.
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from traceback import walk_tb
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from . import domain_error as domain

CODES: dict[str, type[domain.DomainError]] = {
    "23505": domain.AlreadyExists,
    "SQLITE_CONSTRAINT_UNIQUE": domain.AlreadyExists,
    "SQLITE_CONSTRAINT_PRIMARYKEY": domain.AlreadyExists,
    "23P01": domain.AlreadyExists,  # an exclusion constraint: ranges overlap
    "23503": domain.ReferenceMissing,
    "23001": domain.ReferenceMissing,  # ON DELETE RESTRICT, from PostgreSQL 18
    "SQLITE_CONSTRAINT_FOREIGNKEY": domain.ReferenceMissing,
    "SQLITE_CONSTRAINT_TRIGGER": domain.ReferenceMissing,  # ON DELETE RESTRICT
    "23502": domain.FieldRequired,
    "SQLITE_CONSTRAINT_NOTNULL": domain.FieldRequired,
    "23514": domain.CheckFailed,
    "SQLITE_CONSTRAINT_CHECK": domain.CheckFailed,
    "40001": domain.TryAgain,  # serialization
    "40P01": domain.TryAgain,  # deadlock
    "55P03": domain.TryAgain,  # lock timeout
    "SQLITE_BUSY": domain.TryAgain,
    "SQLITE_BUSY_SNAPSHOT": domain.TryAgain,
}
# "UNIQUE constraint failed: user.email, user.team" or "...: index 'uq_user_lower'"
SQLITE = re.compile(r"constraint failed: (?:index '(.+)'|(\w+\..+)|(.+))")


@asynccontextmanager
async def savepoint(session: AsyncSession, metadata: MetaData) -> AsyncGenerator[None]:
    """Undo this block alone when the database refuses it, so that the transaction
    goes on. Objects that the block changed are expired: `await session.refresh(it)`.

    Raises:
        DomainError: what was refused, and in which field.
    """
    try:
        async with session.begin_nested():
            yield
    except Exception as exc:
        if error := as_domain_error(exc, metadata):
            raise error from exc
        raise


def as_domain_error(exc: Exception, metadata: MetaData) -> domain.DomainError | None:
    """Return what `exc` means, or None for a fault of the program or the server.

    `fields` are the columns of the constraint, looked up in `metadata`. SQLite does
    not say which foreign key failed.
    """
    if isinstance(exc, StaleDataError):
        return domain.ChangedMeanwhile()
    if isinstance(exc, (OverflowError, UnicodeEncodeError)):
        # sqlite3 raises these bare. Others are no error of the database.
        *_, (frame, _line) = walk_tb(exc.__traceback__)
        ours = frame.f_globals["__name__"].startswith("aiosqlite")
        return domain.InvalidValue() if ours else None
    if not isinstance(exc, StatementError):
        return None
    if isinstance(exc.orig, (ValueError, LookupError)):
        return domain.InvalidValue()  # a type refused it: a naive time, an unknown enum

    sqlstate: str = getattr(exc.orig, "sqlstate", None) or ""
    kind = CODES.get(sqlstate or getattr(exc.orig, "sqlite_errorname", ""))
    if kind is None:
        return domain.InvalidValue() if sqlstate.startswith("22") else None
    deleting = exc.statement and exc.statement.startswith("DELETE")
    if kind is domain.ReferenceMissing and deleting:
        return domain.StillReferenced()
    name, columns = _postgresql(exc) if sqlstate else _sqlite(str(exc.orig))
    for rule, fields in _rules(metadata):
        # SQLite names the columns of a unique constraint, and the name of any other.
        if rule == name or (kind is domain.AlreadyExists and [] != columns == fields):
            name, columns = rule, fields
    return kind([column.partition(".")[2] for column in columns], name)


def _postgresql(exc: StatementError) -> tuple[str | None, list[str]]:
    # asyncpg's own exception knows more than the one that SQLAlchemy makes of it.
    driver: Any = exc.orig and exc.orig.__cause__
    column = [f"{driver.table_name}.{driver.column_name}"]
    return driver.constraint_name, column if driver.column_name else []


def _sqlite(message: str) -> tuple[str | None, list[str]]:
    match = SQLITE.search(message)
    if match is None:
        return None, []
    return match[1] or match[3], match[2].split(", ") if match[2] else []


def _rules(metadata: MetaData) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the columns, as `table.column`, of all that can be broken."""
    for table in metadata.tables.values():
        unique = (index for index in table.indexes if index.unique)
        rules: list[Any] = [*table.constraints, *unique]
        for rule in rules:
            yield rule.name, [f"{table.name}.{c.name}" for c in rule.columns]
