"""Insert rows, or change those whose key is there: any number, and count which.

done = await bulk_upsert(session, Stock, rows, key=["shop", "sku"])
print(done.inserted, done.updated, done.unchanged, done.repeated)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from .bulk_merge import Merge
from .bulk_rows import Rows, batches
from .bulk_stage import last_rows, staged
from .bulk_target import Target
from .domain_error import UnknownField

BATCH = 10_000


@dataclass
class Upserted:
    """How many rows are new, were changed, were equal already, or had a later row of
    their batch with the same key, which won."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0


async def bulk_upsert(
    session: AsyncSession,
    model: type[Any] | Table,
    rows: Rows,
    *,
    key: Sequence[str],
    update: Sequence[str] | None = None,
    index_where: ColumnElement[bool] | TextClause | None = None,
    batch: int = BATCH,
) -> Upserted:
    """Insert or update rows in the caller's transaction, all or none.

    `key` has a unique index; `index_where` is its condition if it is a partial one.
    `update` is what changes in a row that is there: all that the rows give, unless
    named; nothing, with `[]`. `onupdate` columns and the version go on in rows that
    change, and only there. Objects that the session holds keep their old values.

    Raises:
        BadRow: a row does not fit; nothing is written, the transaction goes on.
        UnknownField: `update` has what the rows do not give.
    """
    target, done = Target.of(model), Upserted()
    async with session.begin_nested():
        connection = await session.connection()
        async for first, part in batches(rows, batch):
            kept, numbers = last_rows(part, first, key)
            given = target.collect(kept, first)
            fixed = {*target.primary_key, *key}
            changed = [k for k in given if k not in fixed] if update is None else update
            if unknown := set(changed) - given.keys():
                raise UnknownField(sorted(unknown))
            target.complete(given, kept)
            async with staged(connection, target, given, numbers) as stage:
                names = list(given)
                merge = Merge(target, stage, names, key, changed, index_where)
                inserted, updated = await merge.run(connection)
            done.inserted += inserted
            done.updated += updated
            done.unchanged += len(kept) - inserted - updated
            done.repeated += len(part) - len(kept)
    return done
