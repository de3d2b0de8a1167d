"""Do a unit of work again when the database could not do it beside others' work.

    total = await retry(sessions, lambda session: transfer(session, 1, 2, 50))

A serialization failure, a deadlock, a lock that was not granted, SQLite's "database is
locked": the transaction is lost, and all that it read may be out of date.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .database_error import as_domain_error
from .domain_error import TryAgain

T = TypeVar("T")
PAUSE = 0.05
"""Seconds before the second attempt, on average; twice as long before each other."""


async def retry(
    sessions: async_sessionmaker[AsyncSession],
    work: Callable[[AsyncSession], Awaitable[T]],
    *,
    attempts: int = 4,
) -> T:
    """Return what `work` returns, committed. Each attempt has a session of its own.

    What `work` does besides, such as sending a mail, it does again: do that after.
    https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html

    Raises:
        DBAPIError: that of the last attempt, or at once one that will come again.
    """
    for attempt in range(1, attempts):
        try:
            return await _once(sessions, work)
        except DBAPIError as exc:
            if not isinstance(as_domain_error(exc, MetaData()), TryAgain):
                raise
        # By chance, or those that met would meet again.
        await asyncio.sleep(PAUSE * 2**attempt * random.random())
    return await _once(sessions, work)


async def _once(
    sessions: async_sessionmaker[AsyncSession],
    work: Callable[[AsyncSession], Awaitable[T]],
) -> T:
    # The COMMIT may fail too, and belongs to the attempt.
    async with sessions.begin() as session:
        return await work(session)
