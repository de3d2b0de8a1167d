"""Evals for snippets/online_index.py."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.migrations import History, until
from evals.harness.shop import (
    CALLS,
    REVISION,
    scalar,
    shop_engine,
    shop_history,
    traffic,
)

shop, history = shop_engine, shop_history


async def test_an_index_is_built_beside_readers_and_writers(
    history: History, shop: AsyncEngine, database: str
) -> None:
    """The build stops at a row, and requests go on."""
    if database == "sqlite":  # one writer at a time; readers go on
        history.revision("r1", None, REVISION.format(call=CALLS["index"]))
        async with shop.connect() as reader:
            await reader.execution_options(sqlite_begin="BEGIN")
            await reader.execute(text("SELECT count(*) FROM parcel"))
            await asyncio.to_thread(history.upgrade)
        return

    await history.read(
        "CREATE FUNCTION gate(n INTEGER) RETURNS INTEGER IMMUTABLE LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM pg_advisory_lock_shared(42); RETURN n; END $$"
    )
    call = 'create_index("ix_gate", "parcel", [sa.text("gate(weight)")])'
    history.revision("r1", None, REVISION.format(call=call))
    builder = (
        "(SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'"
        " AND datname = current_database())"
    )

    async def waits() -> bool:
        query = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            f" AND pid = {builder}"
        )
        return bool(await scalar(shop, query))

    async with shop.connect() as gate:
        await gate.exec_driver_sql("SELECT pg_advisory_lock(42)")
        await gate.commit()
        task = asyncio.create_task(asyncio.to_thread(history.upgrade))
        await until(waits)
        modes = await history.read(
            f"SELECT DISTINCT mode FROM pg_locks WHERE pid = {builder}"
            " AND relation = 'parcel'::regclass"
        )
        assert modes == [("ShareUpdateExclusiveLock",)]
        async with traffic(shop) as added:
            pass
        assert added
        assert not task.done()
        await gate.exec_driver_sql("SELECT pg_advisory_unlock(42)")
        await gate.commit()
    await task
    assert await scalar(
        shop, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_gate'::regclass"
    )


@pytest.mark.trap("invalid-index-accepted")
async def test_an_index_that_failed_is_built_again_after_the_rows_are_right(
    history: History, shop: AsyncEngine, database: str
) -> None:
    await history.read("UPDATE parcel SET code = 1 WHERE id = 2")
    history.revision("r1", None, REVISION.format(call=CALLS["unique index"]))
    with pytest.raises(IntegrityError):
        history.upgrade()
    if database == "postgresql":
        # IF NOT EXISTS takes what the failed build left: a unique index on duplicates.
        async with shop.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql(
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS"
                " ix_parcel_code ON parcel (code)"
            )
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        assert await scalar(shop, invalid) == 1
        with pytest.raises(IntegrityError):
            history.upgrade()

    await history.read("UPDATE parcel SET code = 2 WHERE id = 2")
    history.upgrade()
    with pytest.raises(IntegrityError):
        await history.read("UPDATE parcel SET code = 1 WHERE id = 2")


@pytest.mark.trap("lock-timeout-cancels-build")
async def test_a_build_waits_for_older_transactions_beyond_the_lock_timeout(
    history: History, shop: AsyncEngine, database: str
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS["index"]))
    history.options["lock_timeout"] = 0.1
    if database == "sqlite":
        history.upgrade()
        assert await history.version() == "r1"
        return

    async with shop.connect() as old:
        await old.exec_driver_sql("UPDATE van SET id = 1")
        await old.exec_driver_sql("UPDATE parcel SET weight = 1 WHERE id = 1")
        async with shop.connect() as wrong:
            await wrong.execution_options(isolation_level="AUTOCOMMIT")
            await wrong.exec_driver_sql("SET lock_timeout = '100ms'")
            with pytest.raises(DBAPIError, match="lock timeout"):
                await wrong.exec_driver_sql(
                    "CREATE INDEX CONCURRENTLY ix_parcel_weight ON parcel (weight)"
                )
            await wrong.invalidate()
        task = asyncio.create_task(asyncio.to_thread(history.upgrade))

        async def waits() -> bool:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            )
            ours = "datname = current_database() AND query LIKE '%INDEX CONCURR%'"
            return bool(await scalar(shop, f"{query} AND {ours}"))

        await until(waits)
        await asyncio.sleep(0.3)  # three times the lock timeout: it must not matter
        assert await waits()
        assert not task.done()
        await old.commit()
    await task
    assert await scalar(shop, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


async def test_an_index_is_dropped_and_a_missing_one_is_no_error(
    history: History, shop: AsyncEngine
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS["index"]))
    history.upgrade()
    for number in (2, 3):
        body = REVISION.format(call='drop_index("ix_parcel_weight")')
        history.revision(f"r{number}", f"r{number - 1}", body)
        history.upgrade()
        indexes = await history.inspect(lambda c: inspect(c).get_indexes("parcel"))
        assert indexes == []


async def test_duplicates_are_refused_by_the_constraint(
    history: History, shop: AsyncEngine
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS["unique"]))
    history.upgrade()
    with pytest.raises(IntegrityError):
        await history.read("UPDATE parcel SET code = 4 WHERE id = 3")
    assert await scalar(shop, "SELECT code FROM parcel WHERE id = 3") == 3


async def test_a_unique_constraint_is_there_and_may_be_added_again(
    history: History, shop: AsyncEngine
) -> None:
    call = 'add_unique("uq_parcel_code", "parcel", ["code"])'
    history.revision("r1", None, REVISION.format(call=call))
    history.upgrade()
    found = await history.inspect(lambda c: inspect(c).get_unique_constraints("parcel"))
    assert ("uq_parcel_code", ["code"]) in [
        (u["name"], u["column_names"]) for u in found
    ]
    # As after a kill behind the last step, where the revision is not recorded.
    await history.read("DELETE FROM alembic_version")
    history.upgrade()
    with pytest.raises(IntegrityError):
        await history.read("UPDATE parcel SET code = 1 WHERE id = 2")


async def test_an_index_has_the_options_that_are_given(
    history: History, shop: AsyncEngine, database: str
) -> None:
    where = f"{database}_where=sa.text('weight > 5')"
    call = f'create_index("ix_heavy", "parcel", ["weight"], {where})'
    history.revision("r1", None, REVISION.format(call=call))
    history.upgrade()
    found = await history.inspect(lambda c: inspect(c).get_indexes("parcel"))
    (index,) = [each for each in found if each["name"] == "ix_heavy"]
    assert "weight > 5" in str(index["dialect_options"][f"{database}_where"])
