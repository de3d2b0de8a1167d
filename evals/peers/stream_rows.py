"""Read a million rows with little memory: by the driver's cursor, with ours.

What the process holds may grow by less than 30 MB over the first batch.
"""

from __future__ import annotations

import sys

import psutil
from sqlalchemy import select

from evals.peers import bulk_insert as insert
from evals.peers.bulk_insert import GOODS, State, rows, start
from scripts.maintain.bench import contestant
from snippets.bulk_insert import bulk_insert
from snippets.row_stream import stream_batches, stream_dicts

SUBJECT = "1,000,000 rows of five columns, streamed"
BASELINE = "by hand: the driver's cursor, or Core's partitions"
ROWS = 1_000_000
LIMIT = 30 * 2**20  # bytes
EVERY = 100  # batches
STMT = select(GOODS)
GROWN: list[int] = []


def resident() -> int:
    """Return the bytes of memory that this process has."""
    held: int = psutil.Process().memory_info().rss
    return held


async def setup(url: str) -> State:
    state = await start(url, 0)
    async with state.sessions.begin() as session:
        await bulk_insert(session, GOODS, rows(ROWS))
    return state


async def teardown(state: State) -> None:
    grown = f"{max(GROWN, default=0) / 2**20:.1f} MB"
    print(f"memory grew by {grown} at most after the first batch", file=sys.stderr)
    GROWN.clear()
    await insert.teardown(state)


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
            async for batch in result.partitions(500):
                for _ in batch:
                    number += 1
    assert number == ROWS


# At least 0.8 times its rate.
@contestant("ours: stream_batches", at_most=1.25)
async def ours(state: State) -> None:
    number = batches = first = 0
    async with state.sessions() as session:
        async for batch in stream_batches(session, STMT):
            for _ in batch:
                number += 1
            if batches % EVERY == 0:
                first = first or resident()
                GROWN.append(resident() - first)
            batches += 1
    assert number == ROWS
    assert max(GROWN) < LIMIT


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
