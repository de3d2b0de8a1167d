"""Read and change every row of a table once: in batches, a commit each, to be resumed.

async def fold(session: AsyncSession, notes: Sequence[Note]) -> None:
    for note in notes:
        note.folded = note.title.casefold()

async for last in pass_through(sessions, select(Note), fold):
    save_progress(last)  # and pass_through(..., after=last) goes on behind it
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import class_mapper

M = TypeVar("M", bound=object)
Work = Callable[[AsyncSession, Sequence[M]], Awaitable[None]]


async def pass_through(
    sessions: async_sessionmaker[AsyncSession],
    stmt: Select[Any],
    work: Work[M],
    *,
    batch: int = 1_000,
    after: Any = None,
) -> AsyncIterator[Any]:
    """Give the entities of `stmt` to `work`, by primary key, and commit after each
    batch; yield the key of its last row then.

    Each batch is a transaction of its own, and its rows are locked: others wait for
    one batch, not for all. What `work` raises undoes its batch and ends the pass.
    Rows that are inserted behind the place where the pass is belong to it. `stmt` has
    no order and no limit of its own, and loads collections with `selectinload`. A
    composite key is a tuple.
    """
    model = stmt.column_descriptions[0]["entity"]
    columns = class_mapper(model).primary_key
    key = columns[0] if len(columns) == 1 else tuple_(*columns)
    while True:
        async with sessions.begin() as session:
            rest = stmt if after is None else stmt.where(key > after)
            rest = rest.order_by(*columns).limit(batch).with_for_update(of=model)
            rows: Sequence[M] = (await session.scalars(rest)).all()
            if not rows:
                return
            # Before the work, which may delete the row.
            values = class_mapper(model).primary_key_from_instance(rows[-1])
            await work(session, rows)
        after = values[0] if len(values) == 1 else tuple(values)
        yield after
