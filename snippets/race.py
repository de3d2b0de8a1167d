"""Let a test come between two statements of the code under test: a race, each time.

    with before_statement("UPDATE account", withdraw_elsewhere):
        await withdraw(sessions)

`asyncio.gather` only hopes for it: the tasks seldom meet where it hurts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event


@contextmanager
def before_statement(
    start: str, work: Callable[[], Awaitable[object]]
) -> Generator[None, None, None]:
    """Await `work` once, before the first statement that begins with `start` is sent.

    `work` needs a session of its own, and real commits. It must not wait for what the
    code under test holds: that goes on only when `work` has returned.
    https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#using-awaitable-only-driver-methods-in-connection-pool-and-other-events

    Raises:
        AssertionError: no such statement was sent.
    """
    waiting = [work]

    async def come_between(driver: object) -> None:
        await waiting.pop()()

    def interrupt(conn: Connection, cursor: Any, sql: str, *rest: Any) -> None:
        if waiting and sql.startswith(start):
            connection: Any = conn.connection.dbapi_connection
            connection.run_async(come_between)

    event.listen(Engine, "before_cursor_execute", interrupt)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", interrupt)
    assert not waiting, f"no statement began with {start!r}: nothing came between"
