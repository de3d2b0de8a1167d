"""Evals for snippets/schema_check.py."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from evals.harness.migrations import History
from snippets.engine import new_engine
from snippets.schema_check import SchemaBehind, check_schema


@pytest.fixture
def history(empty_history: History) -> History:
    empty_history.revision("r1", None)
    empty_history.revision("r2", "r1")
    return empty_history


async def check(history: History) -> None:
    engine = new_engine(history.url, lock_timeout=0.2)
    try:
        await check_schema(engine, history.path / "migrations")
    finally:
        await engine.dispose()


async def test_a_database_behind_the_code_is_told_from_one_that_is_current(
    history: History,
) -> None:
    with pytest.raises(SchemaBehind, match="is at nothing, this code needs r2"):
        await check(history)
    history.upgrade("r1")
    with pytest.raises(SchemaBehind, match=r"at r1, .* run `alembic upgrade head`"):
        await check(history)
    history.upgrade()
    await check(history)


async def test_old_code_is_ready_on_a_newer_schema(history: History) -> None:
    history.upgrade()
    (history.versions / "r2.py").unlink()
    await check(history)


async def test_both_heads_are_needed_where_there_are_two(history: History) -> None:
    history.upgrade()
    history.revision("r3", "r1")
    with pytest.raises(SchemaBehind, match="this code needs r2, r3"):
        await check(history)
    history.upgrade("heads")
    await check(history)
    history.revision("r4", "r2")
    with pytest.raises(SchemaBehind, match="is at r2, r3, this code needs r3, r4"):
        await check(history)


async def test_it_does_not_wait_for_a_migration_that_writes(history: History) -> None:
    history.upgrade()
    engine = new_engine(history.url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE alembic_version SET version_num = 'r1'"
        )
        await check(history)
    with pytest.raises(SchemaBehind):
        await check(history)
    await engine.dispose()


async def test_a_database_that_does_not_answer_is_no_schema_fault(
    history: History, database: str
) -> None:
    history.upgrade()
    if database == "sqlite":
        await history.read("DROP TABLE alembic_version")
        with pytest.raises(SchemaBehind):
            await check(history)
        return
    await history.read("ALTER TABLE alembic_version RENAME version_num TO number")
    with pytest.raises(DBAPIError):
        await check(history)
