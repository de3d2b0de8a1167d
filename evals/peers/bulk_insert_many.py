"""Insert 100,000 rows and commit: by the driver's COPY, by Core, with ours."""

from __future__ import annotations

from evals.peers import bulk_insert
from evals.peers.bulk_insert import State, start, teardown

__all__ = ["setup", "teardown"]

SUBJECT = "100,000 rows inserted and committed"
BASELINE = bulk_insert.BASELINE
ROWS = 100_000

by_hand = bulk_insert.by_hand
core = bulk_insert.core_on_postgresql
ours_on_postgresql = bulk_insert.ours_on_postgresql
ours_on_sqlite = bulk_insert.ours_on_sqlite


async def setup(url: str) -> State:
    return await start(url, ROWS)
