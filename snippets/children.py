"""Children of many rows without loading them all: how many, and the first few of each.

select(Author, count_children(Author.books).label("books"))
await first_children(session, authors, Author.books, Book.year.desc(), limit=3)

Of any relationship: many-to-many, of a tree, with a composite key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnExpressionArgument,
    ScalarSelect,
    func,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

P = TypeVar("P", bound=object)
C = TypeVar("C", bound=object)


def count_children(children: InstrumentedAttribute[list[Any]]) -> ScalarSelect[int]:
    """Return the number of children of a row, for a select of its model. It is a
    subquery: no join that repeats rows, and parents without children count 0."""
    child = aliased(children.property.mapper.class_)
    stmt = select(func.count()).select_from(child).where(children.of_type(child))
    parent: Any = children.parent
    return stmt.correlate(parent.selectable).scalar_subquery()


async def first_children(
    session: AsyncSession,
    parents: Sequence[P],
    children: InstrumentedAttribute[list[C]],
    *order_by: ColumnExpressionArgument[Any],
    limit: int,
) -> list[tuple[P, list[C]]]:
    """Return each parent with its first `limit` children, in one statement."""
    if not parents:
        return []
    mapper = children.property.parent
    parent = aliased(mapper.class_)
    names = [mapper.get_property_by_column(key).key for key in mapper.primary_key]
    keys = [getattr(parent, name) for name in names]

    def ident(row: object) -> tuple[Any, ...]:
        return tuple(getattr(row, name) for name in names)

    found: dict[tuple[Any, ...], list[C]] = {ident(row): [] for row in parents}
    model = children.property.mapper.class_
    rank = func.row_number().over(partition_by=keys, order_by=order_by)
    ranked = (
        select(model, *keys, rank)
        .join(getattr(parent, children.key))
        .where(tuple_(*keys).in_(found))
        .subquery()
    )
    *key, place = list(ranked.c)[-1 - len(keys) :]
    stmt = select(aliased(model, ranked), *key).where(place <= limit).order_by(place)
    for child, *parent_key in await session.execute(stmt):
        found[tuple(parent_key)].append(child)
    return [(row, found[ident(row)]) for row in parents]
