"""Sessions: one transaction per unit of work, one session per task.

    async with sessions.begin() as session:
        ...  # commits when the block ends, rolls back when it raises

Whoever opens the block decides; what is called inside never commits.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker


def new_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Return the factory of sessions on `engine`.

    Objects keep their values after a commit: to load one again would need an
    `await` that attribute access cannot make (`MissingGreenlet`). They are a
    snapshot; a rollback still expires them. A session that was closed raises when
    it is used again instead of taking another connection.
    https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#asyncio-orm-avoid-lazyloads
    """
    return async_sessionmaker(engine, expire_on_commit=False, close_resets_only=False)


@asynccontextmanager
async def open_sessions(
    engine: AsyncEngine,
) -> AsyncGenerator[async_sessionmaker[AsyncSession], None]:
    """Yield the factory of sessions, and dispose of `engine` at the end.

    One event loop, one engine: connections cannot move to another loop ("attached
    to a different loop"). Enter this inside `asyncio.run(main())`, in a server's
    lifespan, or in a worker's start-up hook, never at import or before a fork.
    """
    try:
        yield new_sessions(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_reader(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncGenerator[AsyncSession, None]:
    """Yield a session that only reads: it waits for no writer on SQLite. What it
    writes is never kept there; PostgreSQL refuses it."""
    async with sessions() as session:
        await session.connection(
            execution_options={"sqlite_begin": "BEGIN", "postgresql_readonly": True}
        )
        yield session
