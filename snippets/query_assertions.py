"""Assertions on the SQL that code sends: how many statements, no lazy load, rows.

They see every engine of the process, also sessions that are joined to a test's
transaction: its savepoints do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, event, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import ORMExecuteState, Session

CONTROL = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT", "PRAGMA", "SET")


@contextmanager
def recorded_statements() -> Generator[list[str], None, None]:
    """Collect the SQL that is sent while the block runs. An executemany is one."""
    found: list[str] = []

    def record(conn: Connection, cursor: Any, sql: str, *rest: Any) -> None:
        if not sql.startswith(CONTROL):
            found.append(sql)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", record)


@contextmanager
def assert_statements(at_most: int) -> Generator[list[str], None, None]:
    """Fail if the block sends more than `at_most` statements: a list that loads one
    row at a time ("N+1") passes every other assertion.

    Raises:
        AssertionError: lists the statements; those that were repeated come first.
    """
    with recorded_statements() as found:
        yield found
    if len(found) > at_most:
        listed = (
            f"{n} x {' '.join(s.split())}" for s, n in Counter(found).most_common()
        )
        raise AssertionError(
            f"{len(found)} statements were sent, at most {at_most} were expected:\n"
            + "\n".join(listed)
        )


@contextmanager
def assert_no_lazy_load() -> Generator[None, None, None]:
    """Fail when an attribute is loaded on access: by `awaitable_attrs`, or in
    `run_sync`, where no `MissingGreenlet` tells of it.

    Raises:
        AssertionError: where the load happens; it names the class.
    """

    def refuse(state: ORMExecuteState) -> None:
        if (parent := state.lazy_loaded_from) is not None:
            raise AssertionError(
                f"{parent.class_.__name__} loads a relationship on access: load it"
                " in the query, options(selectinload(...))"
            )

    event.listen(Session, "do_orm_execute", refuse)
    try:
        yield
    finally:
        event.remove(Session, "do_orm_execute", refuse)


async def count_rows(
    sessions: async_sessionmaker[AsyncSession],
    model: type[Any],
    *where: ColumnElement[bool],
) -> int:
    """Return how many rows a new session finds: what was committed, not what an
    identity map remembers."""
    async with sessions() as session:
        counted = select(func.count()).select_from(model).where(*where)
        return await session.scalar(counted) or 0
