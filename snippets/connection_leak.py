"""Find connections that were not given back to their pool.

A session that nobody closes keeps its transaction, and its locks, for as long as the
process lives.
"""

from __future__ import annotations

from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine

LEFT_OPEN = (
    "a transaction was left open: close every session and connection, of every engine,"
    " before the test ends"
)


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
