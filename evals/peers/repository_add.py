"""Insert a row from a schema through a repository, and by hand."""

from __future__ import annotations

from pydantic import BaseModel

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

__all__ = ["setup", "teardown"]

SUBJECT = "one row inserted from a schema, in an open session, flushed"
BASELINE = "by hand: add, flush"
CALLS = 20


class New(BaseModel):
    id: int
    name: str
    price: int = 0


def new(state: State) -> New:
    state.forget()
    number = ROWS + next(state.numbers) + 1
    return New(id=number, name=f"item {number}")


@contestant("by hand: add, flush")
async def by_hand(state: State) -> None:
    state.session.add(Item(**new(state).model_dump()))
    await state.session.flush()


@contestant("ours: Repository.create", at_most=1.1)
async def ours(state: State) -> None:
    await Items(state.session).create(new(state))


@contestant("SQLModel: model_validate, add, flush")
async def sqlmodel_add(state: State) -> None:
    state.sqlmodel.add(Thing.model_validate(new(state).model_dump()))
    await state.sqlmodel.flush()


@contestant("advanced-alchemy: add")
async def advanced_alchemy(state: State) -> None:
    await PeerItems(session=state.session).add(Item(**new(state).model_dump()))


@contestant("FastCRUD: create")
async def fastcrud(state: State) -> None:
    await FASTCRUD.create(state.session, new(state), commit=False)
