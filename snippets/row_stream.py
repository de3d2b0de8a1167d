"""Large results with little memory: as rows, dictionaries or entities.

async for note in stream_entities(session, select(Note)): ...
async for rows in stream_batches(session, select(Note.id, Note.title)): ...
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Executable, Row, Select
from sqlalchemy.ext.asyncio import AsyncResult, AsyncSession

BATCH = 500


async def stream_batches(
    session: AsyncSession, stmt: Executable, *, batch: int = BATCH
) -> AsyncGenerator[Sequence[Row[Any]], None]:
    """Yield rows in lists while they arrive; `batch` of them are in memory.

    The transaction must not end before the last one: a commit in the loop breaks it
    on PostgreSQL; `pass_through` writes while it reads. A loop that may be left early
    stands in `async with aclosing(stream_batches(...)) as batches`.
    """
    async with open_stream(session, stmt, batch) as result:
        async for rows in result.partitions():
            yield rows


async def stream_dicts(
    session: AsyncSession, stmt: Executable, *, batch: int = BATCH
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield rows as dictionaries, by the names of the columns."""
    async with open_stream(session, stmt, batch) as result:
        names = list(result.keys())
        async for rows in result.partitions():
            for row in rows:
                yield dict(zip(names, row, strict=True))


async def stream_entities(
    session: AsyncSession, stmt: Select[Any], *, batch: int = BATCH
) -> AsyncGenerator[Any, None]:
    """Yield entities. The session forgets each one that nothing else holds, unless
    it was changed.

    Relationships load a batch at a time with `selectinload`; with `joinedload` of a
    collection SQLAlchemy refuses to stream.
    """
    async with open_stream(session, stmt, batch) as result:
        async for entities in result.scalars().partitions():
            for entity in entities:
                yield entity


@asynccontextmanager
async def open_stream(
    session: AsyncSession, stmt: Executable, batch: int
) -> AsyncGenerator[AsyncResult[Any], None]:
    """Open a result of which `batch` rows at a time are in memory, and close it."""
    # Without yield_per, entities are all loaded before the first one.
    options = {"yield_per": batch}
    result = await session.stream(stmt, execution_options=options)
    try:
        yield result
    finally:
        await result.close()
