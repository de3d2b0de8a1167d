"""Children of many rows without loading them all: how many, and the first few of each.

select(Author, count_children(Author.books).label("books"))
await first_children(session, authors, Author.books, Book.year.desc(), limit=3)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnExpressionArgument, ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased, object_mapper

P = TypeVar("P", bound=object)
C = TypeVar("C", bound=object)


def count_children(children: InstrumentedAttribute[list[Any]]) -> ScalarSelect[int]:
    """Return the number of children of a row, for a select of its model. It is a
    subquery: no join that repeats rows, and parents without children count 0."""
    relation = children.property
    stmt = select(func.count()).select_from(relation.mapper.class_)
    stmt = stmt.where(relation.primaryjoin).correlate(relation.parent.local_table)
    return stmt.scalar_subquery()


async def first_children(
    session: AsyncSession,
    parents: Sequence[P],
    children: InstrumentedAttribute[list[C]],
    *order_by: ColumnExpressionArgument[Any],
    limit: int,
) -> dict[P, list[C]]:
    """Return the first `limit` children of each parent, in one statement."""
    if not parents:
        return {}
    mapper = object_mapper(parents[0])
    here, there = children.property.local_remote_pairs[0]
    name = mapper.get_property_by_column(here).key
    model = children.property.mapper.class_
    ids = [getattr(parent, name) for parent in parents]
    rank = func.row_number().over(partition_by=there, order_by=order_by).label("rank")
    ranked = select(model, there.label("parent"), rank).where(there.in_(ids)).subquery()
    child = aliased(model, ranked)
    stmt = select(ranked.c.parent, child).where(ranked.c.rank <= limit)
    stmt = stmt.order_by(ranked.c.rank)
    found: dict[P, list[C]] = {parent: [] for parent in parents}
    by_id = dict(zip(ids, parents, strict=True))
    for ident, row in await session.execute(stmt):
        found[by_id[ident]].append(row)
    return found
