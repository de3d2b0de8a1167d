"""Numbered pages with `OFFSET`, for lists that change seldom and are left early.

The order is total, so that pages do not share rows while nobody writes. When somebody
does, rows move from page to page, and a page costs as much as all before it together:
for a feed, an export or a deep list take `keyset_pagination`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import FromClause, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .explain import Explain
from .total_order import OrderBy, SortKey, refuse_repeats, total_order

T = TypeVar("T")
Count = Literal["none", "exact", "capped", "estimated"]
COUNT_CAP = 10_000  # rows: what `capped` counts at most
MAX_OFFSET = 100_000  # rows: what a page may pass over


class PageTooDeep(ValueError):
    """The client asked for a page that would pass over too many rows: answer 4xx."""


@dataclass(frozen=True)
class NumberedPage(Generic[T]):
    """Part of a list. `total` is None if nobody counted; see `total_is_exact`."""

    items: list[T]
    page: int
    per_page: int
    has_next: bool
    total: int | None
    total_is_exact: bool

    @property
    def pages(self) -> int | None:
        return None if self.total is None else ceil(self.total / self.per_page)


class Numbered(Generic[T]):
    """An order of `entity`: make it once, use it for any number of requests."""

    def __init__(
        self,
        entity: type[T] | FromClause,
        *order_by: OrderBy,
        unique: Sequence[OrderBy] = (),
    ) -> None:
        """Take the arguments of `total_order`."""
        self.keys = total_order(entity, *order_by, unique=unique)
        unique_keys = [key.raw for key in self.keys if key.unique]
        self.columns = [raw.label(None) for raw in unique_keys]

    async def fetch(
        self,
        session: AsyncSession,
        stmt: Select[Any],
        *,
        page: int = 1,
        per_page: int = 50,
        count: Count = "none",
    ) -> NumberedPage[T]:
        """Return page `page`, from 1 on; beyond the end it has no items.

        `capped` counts up to `COUNT_CAP` rows, `estimated` asks PostgreSQL's planner
        (SQLite has none: it counts). Both leave `total_is_exact` false where they
        do not know.

        Raises:
            PageTooDeep: the page begins behind row `MAX_OFFSET`.
            ValueError: `page` or `per_page` is below 1.
        """
        if page < 1 or per_page < 1:
            raise ValueError(f"page {page} of {per_page} rows: both begin at 1")
        offset = (page - 1) * per_page
        if offset > MAX_OFFSET:
            raise PageTooDeep(
                f"page {page} is too deep: expected {MAX_OFFSET // per_page + 1} at"
                " most; filter the list, or follow cursors"
            )
        ordered = stmt.order_by(None).order_by(*(key.order_by for key in self.keys))
        ordered = ordered.add_columns(*self.columns)
        rows = await session.execute(ordered.limit(per_page + 1).offset(offset))
        found = rows.all()
        refuse_repeats([row[-len(self.columns) :] for row in found])
        total, exact = await count_rows(session, stmt, self.keys, count)
        items = [row[0] for row in found[:per_page]]
        more = len(found) > per_page
        return NumberedPage(items, page, per_page, more, total, exact)


async def count_rows(
    session: AsyncSession, stmt: Select[Any], keys: Sequence[SortKey], count: Count
) -> tuple[int | None, bool]:
    """Return how many rows `stmt` has, and whether that is certain.

    Its order, limit and columns do not count, only its unique keys: no function over
    a window, and nothing that a loader option joins.
    """
    if count == "none":
        return None, False
    unique = [key.expression for key in keys if key.unique]
    bare = stmt.order_by(None).limit(None).offset(None).with_only_columns(*unique)
    if count == "estimated" and session.get_bind().dialect.name == "postgresql":
        explain = Explain(bare, "EXPLAIN (FORMAT JSON)")
        plan = await (await session.connection()).scalar(explain)
        found = json.loads(plan) if isinstance(plan, str) else plan
        return int(found[0]["Plan"]["Plan Rows"]), False
    if count == "capped":
        bare = bare.limit(COUNT_CAP + 1)
    counted = select(func.count()).select_from(bare.subquery())
    total = (await session.execute(counted)).scalar_one()
    if count == "capped" and total > COUNT_CAP:
        return COUNT_CAP, False
    return total, True
