"""Change or delete any number of rows by their keys, in one statement a batch.

changed = await bulk_update(session, Stock, [{"id": 1, "quantity": 5}, ...])
deleted = await bulk_delete(session, Stock, ids)
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    CursorResult,
    Delete,
    Table,
    Update,
    delete,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from .bulk_rows import BadRow, Row, Rows, batches, each
from .bulk_stage import last_rows, staged
from .bulk_target import Target

BATCH = 10_000


async def bulk_update(
    session: AsyncSession,
    model: type[Any] | Table,
    rows: Rows,
    *,
    key: Sequence[str] = (),
    batch: int = BATCH,
) -> int:
    """Change rows in the caller's transaction, all or none; return how many were
    there. The last row of a key wins.

    `key` is the primary key unless named. All rows of a batch give the same. Columns
    with `onupdate` and the version go on. Objects that the session holds keep their
    old values.

    Raises:
        BadRow: a row does not fit; nothing is changed, the transaction goes on.
    """
    target, found = Target.of(model), 0
    names = list(key) or target.primary_key
    async with session.begin_nested():
        connection = await session.connection()
        async for first, part in batches(rows, batch):
            kept, numbers = last_rows(part, first, names)
            given = target.collect(kept, first)
            changed = [name for name in given if name not in names]
            if not changed:
                raise BadRow(first, "it has nothing but its key", *names)
            async with staged(connection, target, given, numbers) as stage:
                source = dict(zip(given, stage.columns, strict=True))
                stmt = update(target.table)
                if target.version is not None:
                    stmt = stmt.values({target.version: target.version + 1})
                stmt = stmt.values({target.columns[n]: source[n] for n in changed})
                same = (target.columns[n] == source[n] for n in names)
                found += await _affected(connection, stmt.where(*same))
    return found


async def bulk_delete(
    session: AsyncSession,
    model: type[Any] | Table,
    idents: Iterable[Any] | AsyncIterable[Any],
    *,
    key: Sequence[str] = (),
    batch: int = BATCH,
) -> int:
    """Delete rows by key in the caller's transaction; return how many were there.

    A key of several columns is a tuple. Children go only if the foreign key says ON
    DELETE CASCADE.

    Raises:
        BadRow: a key does not fit; nothing is deleted, the transaction goes on.
    """
    target, found = Target.of(model), 0
    names = list(key) or target.primary_key
    columns = [target.columns[name] for name in names]
    async with session.begin_nested():
        connection = await session.connection()
        async for first, part in batches(_rows(idents, names), batch):
            kept, numbers = last_rows(part, first, names)
            given = target.collect(kept, first)
            async with staged(connection, target, given, numbers) as stage:
                there = tuple_(*columns).in_(select(*stage.columns))
                found += await _affected(connection, delete(target.table).where(there))
    return found


async def _rows(
    idents: Iterable[Any] | AsyncIterable[Any], names: Sequence[str]
) -> AsyncIterator[Row]:
    async for ident in each(idents):
        values = ident if len(names) > 1 else (ident,)
        yield dict(zip(names, values, strict=True))


async def _affected(connection: AsyncConnection, stmt: Update | Delete) -> int:
    result = await connection.execute(stmt)
    assert isinstance(result, CursorResult)
    return result.rowcount
