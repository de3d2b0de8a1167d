"""Get a row by its key through a repository, and by hand with the same guarantees.

`session.get` is no baseline: it asks the database only for what the session does not
hold, and no base query applies to what it does. FastCRUD returns a dict. SQLModel has
no repository: its rows are what its tutorial writes in a route.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import sqlmodel
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from fastcrud import FastCRUD
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession as SqlmodelSession

from scripts.maintain.bench import contestant
from snippets.base import Base
from snippets.engine import new_engine
from snippets.repository import Repository
from snippets.session import new_sessions
from snippets.sqlmodel_base import TableModel

SUBJECT = "one row by its key, in an open session"
BASELINE = "by hand: select"
CALLS = 20
ROWS = 2_000


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int] = mapped_column(default=0)


class Thing(TableModel, table=True):
    """The same as a table of SQLModel."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    price: int = 0


class Items(Repository[Item]):
    model = Item


class Things(Repository[Thing]):
    model = Thing


class PeerItems(SQLAlchemyAsyncRepository[Item]):
    model_type = Item


FASTCRUD = FastCRUD(Item)


@dataclass
class State:
    engine: AsyncEngine
    session: AsyncSession
    sqlmodel: SqlmodelSession
    """On the same connection: `execute` and `scalars` of such a session warn."""
    numbers: count[int] = field(default_factory=count)

    def forget(self) -> None:
        self.session.expunge_all()
        self.sqlmodel.expunge_all()

    def key(self) -> int:
        """Return the next key, and forget the objects that the session holds."""
        self.forget()
        return next(self.numbers) % ROWS + 1


async def setup(url: str) -> State:
    engine = new_engine(url)
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    session = new_sessions(engine)()
    for model in (Item, Thing):
        session.add_all(model(id=n, name=f"item {n}") for n in range(1, ROWS + 1))
        await session.flush()
    await session.commit()
    own = SqlmodelSession(await session.connection(), expire_on_commit=False)
    return State(engine, session, own)


async def teardown(state: State) -> None:
    await state.sqlmodel.close()
    await state.session.close()
    await state.engine.dispose()


@contestant("by hand: select")
async def by_hand(state: State) -> None:
    stmt = select(Item).where(Item.id == state.key())
    assert (await state.session.scalars(stmt)).one_or_none()


@contestant("by hand: session.get")
async def session_get(state: State) -> None:
    assert await state.session.get(Item, state.key())


@contestant("ours: Repository.get", at_most=1.1)
async def ours(state: State) -> None:
    assert await Items(state.session).get(state.key())


@contestant("ours: Repository.get of a SQLModel table")
async def ours_of_sqlmodel(state: State) -> None:
    assert await Things(state.session).get(state.key())


@contestant("SQLModel: exec(select)")
async def sqlmodel_exec(state: State) -> None:
    stmt = sqlmodel.select(Thing).where(Thing.id == state.key())
    assert (await state.sqlmodel.exec(stmt)).one_or_none()


@contestant("advanced-alchemy: get")
async def advanced_alchemy(state: State) -> None:
    assert await PeerItems(session=state.session).get(state.key())


@contestant("FastCRUD: get, a dict")
async def fastcrud(state: State) -> None:
    assert await FASTCRUD.get(state.session, id=state.key())
