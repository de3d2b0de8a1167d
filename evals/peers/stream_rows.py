"""Read 200,000 rows with little memory: by the driver's cursor, with ours."""

from __future__ import annotations

from sqlalchemy import select

from evals.peers.bulk_insert import GOODS, State, start, teardown
from scripts.maintain.bench import contestant
from snippets.bulk_insert import bulk_insert
from snippets.row_stream import stream_batches, stream_dicts

__all__ = ["setup", "teardown"]

SUBJECT = "200,000 rows of five columns, streamed"
BASELINE = "by hand: the driver's cursor, or Core's partitions"
ROWS = 200_000
STMT = select(GOODS)


async def setup(url: str) -> State:
    state = await start(url, ROWS)
    async with state.sessions.begin() as session:
        await bulk_insert(session, GOODS, state.rows)
    return state


@contestant("by hand: the driver's cursor, or Core's partitions")
async def by_hand(state: State) -> None:
    number = 0
    if state.driver:
        async with state.driver.transaction():
            async for _ in state.driver.cursor("SELECT * FROM goods", prefetch=500):
                number += 1
    else:
        async with state.engine.connect() as connection:
            result = await connection.stream(STMT)
            async for rows in result.partitions(500):
                for _ in rows:
                    number += 1
    assert number == ROWS


# At least 0.8 times its rate.
@contestant("ours: stream_batches", at_most=1.25)
async def ours(state: State) -> None:
    number = 0
    async with state.sessions() as session:
        async for rows in stream_batches(session, STMT):
            for _ in rows:
                number += 1
    assert number == ROWS


@contestant("ours: stream_dicts")
async def ours_dicts(state: State) -> None:
    number = 0
    async with state.sessions() as session:
        async for _ in stream_dicts(session, STMT):
            number += 1
    assert number == ROWS


@contestant("by hand: Core's stream, row by row")
async def core(state: State) -> None:
    number = 0
    async with state.engine.connect() as connection:
        async for _ in await connection.stream(STMT):
            number += 1
    assert number == ROWS
