"""Insert 10,000 rows and commit: by the driver's COPY, by Core, with ours, with peers.

The baseline is what is fastest by hand: asyncpg's COPY of tuples that are there
already, and Core's executemany on SQLite. Emptying the table is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from fastcrud import FastCRUD
from pydantic import BaseModel
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Mapped, mapped_column

from scripts.maintain.bench import contestant
from snippets.base import Base
from snippets.bulk_insert import bulk_insert, bulk_insert_keys
from snippets.engine import new_engine
from snippets.session import new_sessions

SUBJECT = "10,000 rows inserted and committed"
BASELINE = "by hand: COPY, or Core's executemany"
ROWS = 10_000


class Goods(Base):
    __tablename__ = "goods"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    price: Mapped[int]
    stock: Mapped[int] = mapped_column(default=0)


GOODS = Base.metadata.tables["goods"]


class New(BaseModel):
    id: int
    sku: str
    name: str
    price: int
    stock: int


class PeerGoods(SQLAlchemyAsyncRepository[Goods]):
    model_type = Goods


FASTCRUD = FastCRUD(Goods)


@dataclass
class State:
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    driver: Any
    rows: list[dict[str, Any]]

    async def seconds(self, work: Awaitable[object]) -> float:
        """Return what the work took; empty the table afterwards."""
        started = time.perf_counter()
        await work
        took = time.perf_counter() - started
        async with self.engine.begin() as connection:
            number = await connection.scalar(select(func.count()).select_from(GOODS))
            assert number == len(self.rows)
            await connection.execute(GOODS.delete())
        return took


def rows(number: int) -> Iterator[dict[str, Any]]:
    for i in range(number):
        yield {"sku": f"sku-{i}", "name": f"goods {i}", "price": i, "stock": 1}


async def start(url: str, number: int) -> State:
    engine = new_engine(url, statement_timeout=300)
    async with engine.begin() as connection:
        await connection.run_sync(GOODS.create)
    driver = None
    if engine.dialect.name == "postgresql":
        driver = await asyncpg.connect(url.replace("+asyncpg", ""))
    return State(engine, new_sessions(engine), driver, [*rows(number)])


async def setup(url: str) -> State:
    return await start(url, ROWS)


async def teardown(state: State) -> None:
    if state.driver:
        await state.driver.close()
    await state.engine.dispose()


@contestant("by hand: COPY, or Core's executemany")
async def by_hand(state: State) -> float:
    columns = list(state.rows[0])
    records = [tuple(row.values()) for row in state.rows]

    async def copy() -> None:
        await state.driver.copy_records_to_table(
            "goods", columns=columns, records=records
        )

    return await state.seconds(copy() if state.driver else core(state))


async def core(state: State) -> None:
    async with state.engine.begin() as connection:
        await connection.execute(insert(GOODS), state.rows)


async def ours(state: State) -> float:
    async def work() -> None:
        async with state.sessions.begin() as session:
            await bulk_insert(session, Goods, state.rows)

    return await state.seconds(work())


enter = contestant("ours: bulk_insert", database="postgresql", at_most=1.2)
ours_on_postgresql = enter(ours)
enter = contestant("ours: bulk_insert", database="sqlite", at_most=1.3)
ours_on_sqlite = enter(ours)


@contestant("ours: bulk_insert_keys")
async def ours_keys(state: State) -> float:
    async def work() -> None:
        async with state.sessions.begin() as session:
            await bulk_insert_keys(session, Goods, state.rows)

    return await state.seconds(work())


@contestant("Core: executemany", database="postgresql")
async def core_on_postgresql(state: State) -> float:
    return await state.seconds(core(state))


@contestant("ORM: add_all")
async def add_all(state: State) -> float:
    async def work() -> None:
        async with state.sessions.begin() as session:
            session.add_all([Goods(**row) for row in state.rows])

    return await state.seconds(work())


@contestant("advanced-alchemy: add_many")
async def advanced_alchemy(state: State) -> float:
    async def work() -> None:
        async with state.sessions.begin() as session:
            goods = [Goods(**row) for row in state.rows]
            await PeerGoods(session=session).add_many(goods)

    return await state.seconds(work())


@contestant("FastCRUD: upsert_multi")
async def fastcrud(state: State) -> float:
    async def work() -> None:
        async with state.sessions.begin() as session:
            new = [New(id=i, **row) for i, row in enumerate(state.rows)]
            await FASTCRUD.upsert_multi(session, new)

    return await state.seconds(work())
