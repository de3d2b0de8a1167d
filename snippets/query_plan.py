"""See, and assert in a test, how the database would run a statement."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ClauseElement

from .explain import Explain


async def query_plan(session: AsyncSession, statement: ClauseElement) -> str:
    """Return how the database would run `statement` on a large table."""
    conn = await session.connection()
    if conn.dialect.name == "sqlite":
        rows = await conn.execute(Explain(statement, "EXPLAIN QUERY PLAN"))
        return "\n".join(str(row[-1]) for row in rows)
    # A test's tables are so small that PostgreSQL would read them whole.
    async with conn.begin_nested():
        await conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        rows = await conn.execute(Explain(statement, "EXPLAIN (COSTS OFF)"))
        await conn.exec_driver_sql("SET LOCAL enable_seqscan = on")
    return "\n".join(str(row[0]) for row in rows)


async def assert_uses_index(
    session: AsyncSession, statement: ClauseElement, index: str
) -> None:
    """Fail if `statement` would not use `index`, and show the plan."""
    plan = await query_plan(session, statement)
    if index not in plan:
        raise AssertionError(f"{index} is not used:\n{plan}")
