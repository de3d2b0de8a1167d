"""Tell that connections were not given back: a session that nobody closed keeps its
transaction, and its locks, for as long as the process lives."""

from __future__ import annotations

from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine


class ConnectionLeaked(AssertionError):
    """A session or connection is still open; the message says what to do."""


def checked_out(engine: AsyncEngine) -> int:
    """Return how many connections of `engine` are in use.

    0 for a pool that does not count, such as `NullPool`.
    """
    return engine.pool.checkedout() if isinstance(engine.pool, QueuePool) else 0


def assert_released(engine: AsyncEngine) -> None:
    """Check that every connection is back in the pool of `engine`.

    Raises:
        ConnectionLeaked: one is not.
    """
    if number := checked_out(engine):
        raise ConnectionLeaked(
            f"{number} connections were not given back: close every session and"
            " connection (`async with sessions() as session`)"
        )
