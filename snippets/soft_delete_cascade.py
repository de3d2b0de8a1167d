"""Soft-delete a row with its children, and restore exactly those again.

Children are what a relationship with `cascade="all"` (or "delete") leads to. They
get their parent's time: a child that was deleted earlier stays deleted when its
parent is restored. Costs two statements for each relationship and level, for any
number of rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import object_mapper

from .soft_delete import HasDeletedAt


async def delete_with_children(session: AsyncSession, *rows: HasDeletedAt) -> None:
    """Mark live rows of one model, and their live children, as deleted now."""
    deleted_at = datetime.now(UTC)
    live = [row for row in rows if not row.is_deleted]
    for row in live:
        row.deleted_at = deleted_at
    async for child in _descendants(session, live, None):
        child.deleted_at = deleted_at
    await session.flush()


async def restore_with_children(session: AsyncSession, *rows: HasDeletedAt) -> None:
    """Restore rows of one model, and the children that were deleted with them.

    Raises:
        IntegrityError: a live row has taken a name that is unique meanwhile.
    """
    for deleted_at in {row.deleted_at for row in rows if row.is_deleted}:
        together = [row for row in rows if row.deleted_at == deleted_at]
        for row in together:
            row.restore()
        async for child in _descendants(session, together, deleted_at):
            child.restore()
    await session.flush()


async def _descendants(
    session: AsyncSession, rows: Sequence[HasDeletedAt], deleted_at: datetime | None
) -> AsyncIterator[HasDeletedAt]:
    """Yield the children whose time is `deleted_at`. The caller changes it: each
    level is flushed before the next is read, so a cycle of rows ends."""
    if not rows:
        return
    mapper = object_mapper(rows[0])
    for relation in mapper.relationships:
        model = relation.mapper.class_
        if not (relation.cascade.delete and issubclass(model, HasDeletedAt)):
            continue
        pairs = relation.local_remote_pairs or ()
        local = [mapper.get_property_by_column(here).key for here, _ in pairs]
        remote = [there for _, there in pairs]
        keys = [tuple(getattr(row, name) for name in local) for row in rows]
        stmt = (
            select(model)
            .where(tuple_(*remote).in_(keys))
            .where(model.deleted_at.is_not_distinct_from(deleted_at))
            .execution_options(include_deleted=True)
        )
        children = (await session.scalars(stmt)).all()
        for child in children:
            yield child
        async for child in _descendants(session, children, deleted_at):
            yield child
