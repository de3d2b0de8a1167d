"""Get a row and change one of its fields through a repository, and by hand."""

from __future__ import annotations

import sqlmodel
from pydantic import BaseModel
from sqlalchemy import select

from evals.peers.repository_get import (
    FASTCRUD,
    Item,
    Items,
    PeerItems,
    State,
    Thing,
    setup,
    teardown,
)
from scripts.maintain.bench import contestant

__all__ = ["setup", "teardown"]

SUBJECT = "one row got and changed from a schema, in an open session, flushed"
BASELINE = "by hand: select, setattr, flush"
CALLS = 20


class Patch(BaseModel):
    name: str | None = None
    price: int | None = None


@contestant("by hand: select, setattr, flush")
async def by_hand(state: State) -> None:
    stmt = select(Item).where(Item.id == state.key())
    item = (await state.session.scalars(stmt)).one()
    patch = Patch(price=item.price + 1)
    for name, value in patch.model_dump(exclude_unset=True).items():
        setattr(item, name, value)
    await state.session.flush()


@contestant("ours: Repository.get and update", at_most=1.1)
async def ours(state: State) -> None:
    items = Items(state.session)
    item = await items.get_one(state.key())
    await items.update(item, Patch(price=item.price + 1))


@contestant("SQLModel: exec(select), sqlmodel_update, add, flush")
async def sqlmodel_update(state: State) -> None:
    stmt = sqlmodel.select(Thing).where(Thing.id == state.key())
    thing = (await state.sqlmodel.exec(stmt)).one()
    patch = Patch(price=thing.price + 1)
    thing.sqlmodel_update(patch.model_dump(exclude_unset=True))
    state.sqlmodel.add(thing)
    await state.sqlmodel.flush()


@contestant("advanced-alchemy: get and update")
async def advanced_alchemy(state: State) -> None:
    items = PeerItems(session=state.session)
    item = await items.get(state.key())
    item.price += 1
    await items.update(item)


@contestant("FastCRUD: get and update, a dict")
async def fastcrud(state: State) -> None:
    key = state.key()
    item = await FASTCRUD.get(state.session, id=key)
    patch = Patch(price=item["price"] + 1)
    await FASTCRUD.update(state.session, patch, id=key, commit=False)
