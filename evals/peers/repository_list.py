"""List 50 rows in a total order through a repository, and by hand."""

from __future__ import annotations

from typing import Any

import sqlmodel
from advanced_alchemy.filters import LimitOffset, OrderBy
from sqlalchemy import select

from evals.peers.repository_get import (
    FASTCRUD,
    ROWS,
    Item,
    Items,
    PeerItems,
    State,
    Thing,
    setup,
    teardown,
)
from scripts.maintain.bench import contestant

__all__ = ["ROWS", "setup", "teardown"]

SUBJECT = "50 rows of 2,000 in the order of name and key, in an open session"
BASELINE = "by hand: select"
CALLS = 10


@contestant("by hand: select")
async def by_hand(state: State) -> None:
    offset = state.key() % 1000
    stmt = select(Item).order_by(Item.name, Item.id).limit(50).offset(offset)
    assert len((await state.session.scalars(stmt)).all()) == 50


@contestant("ours: Repository.list", at_most=1.1)
async def ours(state: State) -> None:
    offset = state.key() % 1000
    found = await Items(state.session).list(
        order_by=[Item.name], limit=50, offset=offset
    )
    assert len(found) == 50


@contestant("SQLModel: exec(select)")
async def sqlmodel_list(state: State) -> None:
    offset = state.key() % 1000
    order: Any = (Thing.name, Thing.id)
    stmt = sqlmodel.select(Thing).order_by(*order).limit(50).offset(offset)
    assert len((await state.sqlmodel.exec(stmt)).all()) == 50


@contestant("advanced-alchemy: list")
async def advanced_alchemy(state: State) -> None:
    offset = state.key() % 1000
    found = await PeerItems(session=state.session).list(
        OrderBy("name"), OrderBy("id"), LimitOffset(50, offset)
    )
    assert len(found) == 50


@contestant("FastCRUD: get_multi without the count, dicts")
async def fastcrud(state: State) -> None:
    offset = state.key() % 1000
    found = await FASTCRUD.get_multi(
        state.session,
        offset=offset,
        limit=50,
        sort_columns=["name", "id"],
        return_total_count=False,
    )
    assert len(found["data"]) == 50
