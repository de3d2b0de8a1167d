"""Upsert 10,000 rows of which 5,000 are there, and commit.

The baseline is one statement by hand: arrays and `unnest` on PostgreSQL, Core's
executemany with ON CONFLICT on SQLite. Neither counts, orders or leaves equal rows be.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import sqlite

from evals.peers.bulk_insert import (
    FASTCRUD,
    GOODS,
    ROWS,
    Goods,
    New,
    PeerGoods,
    State,
    rows,
    start,
    teardown,
)
from scripts.maintain.bench import contestant
from snippets.bulk_insert import bulk_insert
from snippets.bulk_upsert import Upserted, bulk_upsert

__all__ = ["setup", "teardown"]

SUBJECT = "10,000 rows upserted and committed, half of them known"
BASELINE = "by hand: unnest, or Core's executemany"
# Far from where the counter of the database is.
HALF = [*rows(ROWS)][::2]
KNOWN = [row | {"price": -1, "id": 10**9 + i} for i, row in enumerate(HALF)]
COLUMNS = ("sku", "name", "price", "stock")
NAMES = ", ".join(COLUMNS)
SET = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
CONFLICT = f"ON CONFLICT (sku) DO UPDATE SET {SET}"
MERGE = f"INSERT INTO goods ({NAMES}) SELECT * FROM staged {CONFLICT}"
UNNEST = (
    f"INSERT INTO goods ({NAMES})"
    f" SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[]) {CONFLICT}"
)


async def setup(url: str) -> State:
    state = await start(url, ROWS)
    await reset(state)
    return state


async def reset(state: State) -> None:
    async with state.sessions.begin() as session:
        await session.execute(GOODS.delete())
        await bulk_insert(session, GOODS, KNOWN)


async def seconds(state: State, work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    took = time.perf_counter() - started
    async with state.sessions() as session:
        stmt = select(func.count()).where(GOODS.c.price >= 0)
        assert await session.scalar(stmt) == ROWS
    await reset(state)
    return took


def records(state: State) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in COLUMNS) for row in state.rows]


@contestant("by hand: unnest, or Core's executemany")
async def by_hand(state: State) -> float:
    columns = list(zip(*records(state), strict=True))

    async def core() -> None:
        stmt = sqlite.insert(GOODS)
        changed = {name: stmt.excluded[name] for name in COLUMNS[1:]}
        stmt = stmt.on_conflict_do_update(index_elements=["sku"], set_=changed)
        async with state.engine.begin() as connection:
            await connection.execute(stmt, state.rows)

    unnest = state.driver.execute(UNNEST, *columns) if state.driver else core()
    return await seconds(state, unnest)


@contestant("by hand: COPY and merge", database="postgresql")
async def copy_and_merge(state: State) -> float:
    given = records(state)

    async def merge() -> None:
        async with state.driver.transaction():
            await state.driver.execute(
                "CREATE TEMP TABLE staged ON COMMIT DROP AS"
                f" SELECT {NAMES} FROM goods WITH NO DATA"
            )
            await state.driver.copy_records_to_table("staged", records=given)
            await state.driver.execute(MERGE)

    return await seconds(state, merge())


@contestant("ours: bulk_upsert", at_most=1.3)
async def ours(state: State) -> float:
    async def work() -> None:
        async with state.sessions.begin() as session:
            done = await bulk_upsert(session, Goods, state.rows, key=["sku"])
        assert done == Upserted(inserted=ROWS // 2, updated=ROWS // 2)

    return await seconds(state, work())


@contestant("advanced-alchemy: upsert_many")
async def advanced_alchemy(state: State) -> float:
    async def work() -> None:
        async with state.sessions.begin() as session:
            goods = [Goods(**row) for row in state.rows]
            repository = PeerGoods(session=session)
            await repository.upsert_many(goods, match_fields=["sku"])

    return await seconds(state, work())


@contestant("FastCRUD: upsert_multi, by primary key")
async def fastcrud(state: State) -> float:
    # It knows no other key: the rows have theirs here.
    ids = {row["sku"]: row["id"] for row in KNOWN}
    new = [
        New(id=ids.get(row["sku"], 10**9 + ROWS + i), **row)
        for i, row in enumerate(state.rows)
    ]

    async def work() -> None:
        async with state.sessions.begin() as session:
            await FASTCRUD.upsert_multi(session, new)

    return await seconds(state, work())
