"""List 50 rows by four filters from a query string, and by hand.

Nothing is cached: each call reads other values, as requests do. The libraries take
values that are parsed already.
"""

from __future__ import annotations

from functools import lru_cache

from advanced_alchemy.filters import (
    CollectionFilter,
    ComparisonFilter,
    LimitOffset,
    OrderBy,
)
from sqlalchemy import UnaryExpression, select

from evals.peers.repository_get import (
    FASTCRUD,
    ROWS,
    Item,
    PeerItems,
    State,
    setup,
    teardown,
)
from scripts.maintain.bench import contestant
from snippets.filter_field import FilterField
from snippets.filtering import FilterFields
from snippets.sorting import SortFields
from snippets.total_order import total_order

__all__ = ["ROWS", "setup", "teardown"]

SUBJECT = "50 rows of 2,000 by four filters, in an open session"
BASELINE = "by hand: select"
CALLS = 10
FILTERS = FilterFields(
    {
        "id": FilterField(Item.id, "ge lt"),
        "name": Item.name,
        "price": FilterField(Item.price, "in"),
    }
)
SORTS = SortFields({"name": Item.name}, default="name")


@contestant("by hand: select")
async def by_hand(state: State) -> None:
    start = state.key() % 1000
    stmt = (
        select(Item)
        .where(Item.id >= start, Item.id < start + 900)
        .where(Item.name.is_distinct_from("none"), Item.price.in_([0, 1]))
        .order_by(Item.name, Item.id)
        .limit(50)
    )
    assert len((await state.session.scalars(stmt)).all()) == 50


def params(state: State) -> list[tuple[str, str]]:
    start = state.key() % 1000
    return [
        ("id__ge", str(start)),
        ("id__lt", str(start + 900)),
        ("name__ne", "none"),
        ("price__in", "0"),
        ("price__in", "1"),
    ]


@contestant("ours: FilterFields", at_most=1.1)
async def filters(state: State) -> None:
    stmt = select(Item).where(*FILTERS.parse(params(state)))
    stmt = stmt.order_by(Item.name, Item.id).limit(50)
    assert len((await state.session.scalars(stmt)).all()) == 50


@lru_cache(maxsize=100)
def ordered(*order: UnaryExpression[object]) -> list[UnaryExpression[object]]:
    return [key.order_by for key in total_order(Item, *order)]


@contestant("ours: FilterFields and SortFields", at_most=1.1)
async def sorted_too(state: State) -> None:
    stmt = select(Item).where(*FILTERS.parse(params(state)))
    stmt = stmt.order_by(*ordered(*SORTS.parse("name"))).limit(50)
    assert len((await state.session.scalars(stmt)).all()) == 50


@contestant("advanced-alchemy: list")
async def advanced_alchemy(state: State) -> None:
    start = state.key() % 1000
    found = await PeerItems(session=state.session).list(
        ComparisonFilter("id", "ge", start),
        ComparisonFilter("id", "lt", start + 900),
        ComparisonFilter("name", "ne", "none"),
        CollectionFilter("price", [0, 1]),
        OrderBy("name"),
        OrderBy("id"),
        LimitOffset(50, 0),
    )
    assert len(found) == 50


@contestant("FastCRUD: get_multi without the count, dicts")
async def fastcrud(state: State) -> None:
    start = state.key() % 1000
    found = await FASTCRUD.get_multi(
        state.session,
        limit=50,
        sort_columns=["name", "id"],
        return_total_count=False,
        id__gte=start,
        id__lt=start + 900,
        name__ne="none",
        price__in=[0, 1],
    )
    assert len(found["data"]) == 50
