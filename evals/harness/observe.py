"""See what was sent to a database, and how it would run a statement."""

from __future__ import annotations

import gc
import json
import re
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Pool, event
from sqlalchemy.exc import MissingGreenlet, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from snippets.explain import Explain

CONTROL = re.compile(
    r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA)\b", re.IGNORECASE
)

Statements = Callable[..., AbstractContextManager[list[str]]]

sent: Counter[str] = Counter()
"""Statements that the run's evals sent so far, by name of the dialect."""
uses = 0
"""How often the run's evals took a connection from a pool."""


@event.listens_for(Engine, "before_cursor_execute")
def count(
    conn: Connection, cursor: Any, sql: str, args: Any, context: Any, many: bool
) -> None:
    sent[conn.dialect.name] += 1


@event.listens_for(Pool, "checkout")
def count_use(connection: Any, record: Any, proxy: Any) -> None:
    global uses
    uses += 1


def activity() -> int:
    """Return a number that grows with whatever evals do on databases: what a raw
    connection does too, if a pool gave it."""
    return uses + sent.total()


@contextmanager
def recording(
    engine: AsyncEngine | Engine, *, control: bool = False
) -> Iterator[list[str]]:
    """Collect the SQL that `engine` sends while the block runs.

    BEGIN, SAVEPOINT and their like do not count unless `control` is set. An
    executemany is one statement. COMMIT never shows: it is no statement of the driver.
    """
    found: list[str] = []

    def record(
        conn: Connection, cursor: Any, sql: str, args: Any, context: Any, many: bool
    ) -> None:
        if control or not CONTROL.match(sql):
            found.append(sql)

    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    event.listen(target, "before_cursor_execute", record)
    try:
        yield found
    finally:
        event.remove(target, "before_cursor_execute", record)


async def plan_text(
    on: AsyncSession | AsyncConnection,
    statement: Any,
    *,
    seqscan: bool = True,
    analyze: bool = False,
) -> str:
    """Return how the database runs `statement`, one line a step.

    With `seqscan=False` PostgreSQL shows the plan of a table too large to scan.
    With `analyze=True` it runs the statement and adds the rows that were read.
    """
    conn = await on.connection() if isinstance(on, AsyncSession) else on
    if conn.dialect.name == "sqlite":
        rows = (await conn.execute(Explain(statement, "EXPLAIN QUERY PLAN"))).all()
        return "\n".join(str(row[-1]) for row in rows)
    switch = "on" if seqscan else "off"
    await conn.exec_driver_sql(f"SET LOCAL enable_seqscan = {switch}")
    options = "ANALYZE, COSTS OFF, TIMING OFF" if analyze else "COSTS OFF"
    rows = (await conn.execute(Explain(statement, f"EXPLAIN ({options})"))).all()
    await conn.exec_driver_sql("SET LOCAL enable_seqscan = on")
    return "\n".join(str(row[0]) for row in rows)


async def rows_read(on: AsyncSession | AsyncConnection, statement: Any) -> int:
    """Return how many rows PostgreSQL's scans touched, filtered ones included."""
    conn = await on.connection() if isinstance(on, AsyncSession) else on
    explain = Explain(statement, "EXPLAIN (ANALYZE, FORMAT JSON)")
    found = (await conn.execute(explain)).scalar_one()
    plan = json.loads(found) if isinstance(found, str) else found

    def total(node: dict[str, Any]) -> int:
        children = node.get("Plans", [])
        if children:
            return sum(total(child) for child in children)
        removed = node.get("Rows Removed by Filter", 0)
        return int((node["Actual Rows"] + removed) * node["Actual Loops"])

    return total(plan[0]["Plan"])


@contextmanager
def lazy_load() -> Iterator[None]:
    """Expect that the block touches what is not loaded (`MissingGreenlet`).

    SQLAlchemy 2.1 wraps the exception on SQLite, and leaves a coroutine of the
    driver that nobody awaits: it is collected here, not in another eval.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited")
        with pytest.raises((MissingGreenlet, StatementError)) as caught:
            yield
        found = getattr(caught.value, "orig", None) or caught.value
        assert isinstance(found, MissingGreenlet)
        # The driver's coroutine lives in the frames of these exceptions.
        chain: BaseException | None = caught.value
        while chain is not None:
            traceback.clear_frames(chain.__traceback__)
            chain = chain.__cause__ or chain.__context__
        del found, caught
        gc.collect()
