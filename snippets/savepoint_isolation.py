"""Run a test inside a transaction that is rolled back, whatever the code does.

The code under test may commit, roll back and nest: each of its sessions works in a
savepoint of the one connection. What only a real COMMIT shows cannot be seen here:
concurrency, locks, NOTIFY, isolation levels, `now()` moving on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
)

from .session import new_sessions

ENDS = ("RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")


class IsolationBroken(AssertionError):
    """The test did what it must not do here; the message says what."""


@asynccontextmanager
async def isolated_sessions(
    engine: AsyncEngine,
) -> AsyncGenerator[async_sessionmaker[AsyncSession], None]:
    """Yield a factory of sessions whose commits vanish with the block.

    https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#session-external-transaction

    Raises:
        IsolationBroken: a session was left open, two worked at the same time, or the
            code under test ended the transaction around it.
        IntegrityError, IsolationBroken: a deferred constraint does not hold, which in
            production fails the commit.
    """
    async with engine.connect() as connection:
        transaction = await connection.begin()
        sent = _Statements(connection)
        sessions = new_sessions(engine)
        sessions.configure(bind=connection, join_transaction_mode="create_savepoint")
        sessions.class_ = JoinedSession
        yield sessions
        if not transaction.is_active:
            raise IsolationBroken(
                "the code under test ended the transaction of the test:"
                ' mark it @pytest.mark.isolation("commit")'
            )
        if sent.savepoints:
            raise IsolationBroken(
                "a session was left open, or two worked at the same time: close each"
                ' session, or mark the test @pytest.mark.isolation("commit")'
            )
        if sent.any:
            await _check_deferred_constraints(connection)


class JoinedSession(AsyncSession):
    """A session in a savepoint, which cannot make the transaction read-only: its
    savepoint is made so instead."""

    async def connection(
        self, bind_arguments: Any = None, execution_options: Any = None, **kw: Any
    ) -> AsyncConnection:
        options = dict(execution_options or {})
        read_only = options.pop("postgresql_readonly", False)
        connection = await super().connection(bind_arguments, options, **kw)
        if read_only and connection.dialect.name == "postgresql":
            await connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        return connection


class _Statements:
    """What is sent on a connection: anything at all, and the savepoints that are open.

    They are a stack: sessions that work at the same time would release and roll back
    each other's.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self.any = False
        self.savepoints: list[str] = []
        event.listen(connection.sync_connection, "before_cursor_execute", self._watch)

    def _watch(self, conn: Connection, cursor: Any, sql: str, *rest: Any) -> None:
        self.any = True
        name = sql.rpartition(" ")[2]
        if sql.startswith("SAVEPOINT "):
            self.savepoints.append(name)
        elif sql.startswith(ENDS) and self.savepoints.pop() != name:
            self.savepoints = ["broken"]
            raise IsolationBroken(
                "two sessions worked at the same time on the connection of the test:"
                ' mark it @pytest.mark.isolation("commit")'
            )


async def _check_deferred_constraints(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        return
    violations = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
    if violations:
        raise IsolationBroken(
            f"foreign keys do not hold, a commit would fail: {violations}"
        )
