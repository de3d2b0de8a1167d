"""Evals for snippets/sqlite_engine.py."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from sqlalchemy import (
    URL,
    AsyncAdaptedQueuePool,
    ForeignKey,
    event,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError, SAWarning
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.connection_leak import checked_out
from snippets.sqlite_engine import configure_sqlite, in_memory, sqlite_arguments

WORKERS = 6


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Booking(Base):
    __tablename__ = "booking"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    payer_id: Mapped[int | None] = mapped_column(
        ForeignKey("account.id", deferrable=True, initially="DEFERRED")
    )


def ours(url: URL, *, pool_timeout: float = 5, busy_timeout: float = 10) -> AsyncEngine:
    arguments = sqlite_arguments(
        url, pool_size=WORKERS, pool_timeout=pool_timeout, busy_timeout=busy_timeout
    )
    engine = create_async_engine(url, **arguments)
    configure_sqlite(engine.sync_engine)
    return engine


@asynccontextmanager
async def filled(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session, session.begin():
        session.add(Account(id=1, balance=0))
    try:
        yield engine
    finally:
        await engine.dispose()


async def increments(engine: AsyncEngine) -> tuple[int, list[str]]:
    """Read, think, write in several tasks; return the balance and what failed."""
    read = asyncio.Barrier(WORKERS)

    async def increment() -> None:
        async with AsyncSession(engine) as session, session.begin():
            balance = await session.scalar(select(Account.balance))
            assert balance is not None
            # Without a lock all of them have read before the first one writes.
            with suppress(TimeoutError, asyncio.BrokenBarrierError):
                await asyncio.wait_for(read.wait(), 0.3)
            await session.execute(update(Account).values(balance=balance + 1))

    done = await asyncio.gather(
        *(increment() for _ in range(WORKERS)), return_exceptions=True
    )
    failed = [str(error.orig) for error in done if isinstance(error, OperationalError)]
    async with AsyncSession(engine) as session:
        balance = await session.scalar(select(Account.balance))
    return balance or 0, failed


async def test_no_increment_is_lost(fresh_database: URL) -> None:
    async with filled(ours(fresh_database)) as engine:
        assert await increments(engine) == (WORKERS, [])


@pytest.mark.trap("lost-update")
async def test_the_driver_loses_increments_and_reports_nothing(
    fresh_database: URL,
) -> None:
    plain = create_async_engine(fresh_database, pool_size=WORKERS)
    async with filled(plain) as engine:
        assert await increments(engine) == (1, [])


@pytest.mark.trap("database-is-locked")
async def test_a_deferred_begin_fails_at_once_whatever_the_timeout(
    fresh_database: URL,
) -> None:
    engine = create_async_engine(
        fresh_database, pool_size=WORKERS, connect_args={"timeout": 60}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: object, record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]

    event.listen(engine.sync_engine, "begin", lambda c: c.exec_driver_sql("BEGIN"))
    async with filled(engine):
        balance, failed = await increments(engine)

    assert set(failed) == {"database is locked"}
    assert balance + len(failed) == WORKERS


async def count_after_rollback(engine: AsyncEngine) -> int | None:
    async with AsyncSession(engine) as session:
        async with session.begin_nested():
            session.add(Account(id=2, balance=0))
        await session.rollback()
        return await session.scalar(select(func.count()).select_from(Account))


async def test_a_rollback_undoes_what_a_savepoint_released(
    fresh_database: URL,
) -> None:
    async with filled(ours(fresh_database)) as engine:
        assert await count_after_rollback(engine) == 1


@pytest.mark.trap("savepoint-commits")
async def test_the_driver_commits_a_savepoint_that_came_first(
    fresh_database: URL,
) -> None:
    async with filled(create_async_engine(fresh_database)) as engine:
        assert await count_after_rollback(engine) == 2


async def test_tables_are_rolled_back_too(fresh_database: URL) -> None:
    engine = ours(fresh_database)
    async with engine.connect() as conn:
        await conn.run_sync(Base.metadata.create_all)
        await conn.rollback()
        tables = await conn.scalars(text("SELECT name FROM sqlite_master"))
        assert tables.all() == []
    await engine.dispose()


async def test_an_orphan_is_refused(fresh_database: URL) -> None:
    async with filled(ours(fresh_database)) as engine:
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            async with AsyncSession(engine) as session, session.begin():
                session.add(Booking(account_id=99))


@pytest.mark.trap("foreign-keys-off")
async def test_the_driver_stores_an_orphan(fresh_database: URL) -> None:
    async with filled(create_async_engine(fresh_database)) as engine:
        async with AsyncSession(engine) as session, session.begin():
            session.add(Booking(account_id=99))


async def test_a_commit_that_fails_leaves_nothing_behind(fresh_database: URL) -> None:
    async with filled(ours(fresh_database, busy_timeout=0.5)) as engine:
        session = AsyncSession(engine)
        session.add(Booking(account_id=1, payer_id=99))
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            await session.commit()  # no block around it that would roll back
        await session.close()

        async with AsyncSession(engine) as other, other.begin():
            seen = await other.scalar(select(func.count()).select_from(Booking))
            other.add(Booking(account_id=1))
        assert seen == 0


async def test_what_follows_a_rollback_by_sqlite_itself_is_rolled_back_too(
    fresh_database: URL,
) -> None:
    async with filled(ours(fresh_database)) as engine:
        async with AsyncSession(engine) as session:
            with pytest.raises(IntegrityError, match="UNIQUE"):
                await session.execute(
                    text("INSERT OR ROLLBACK INTO account VALUES (1, 0)")
                )
            session.add(Account(id=2, balance=0))
            await session.flush()
            await session.rollback()
            assert (await session.scalars(select(Account.id))).all() == [1]


async def test_a_connection_that_nobody_closed_is_let_go_of_without_an_error(
    fresh_database: URL, caplog: pytest.LogCaptureFixture
) -> None:
    async with filled(ours(fresh_database)) as engine:
        conn = await engine.connect()
        await conn.execute(text("SELECT 1"))
        kept: list[object] = [conn]
        kept.append(kept)  # until the garbage collector comes
        del conn, kept
        with pytest.warns(SAWarning, match="garbage collector"):
            gc.collect()
        assert "Exception" not in caplog.text


async def cancel_within(engine: AsyncEngine, end: Callable[[], object]) -> None:
    """Cancel a task while its statement runs, with rows written and more to come."""
    loop, told = asyncio.get_running_loop(), threading.Event()

    def cancel() -> None:
        end()
        told.set()

    def tell(value: int) -> int:
        if value == 2:
            loop.call_soon_threadsafe(cancel)
            told.wait(10)
        return value

    async with engine.begin() as conn:
        driver = (await conn.get_raw_connection()).driver_connection
        assert driver
        await driver.create_function("tell", 1, tell)
        sql = "INSERT INTO account (id, balance) VALUES (tell(?), 0)"
        await conn.exec_driver_sql(sql, [(i,) for i in range(2, 5)])


async def test_a_write_that_is_cancelled_holds_no_lock(fresh_database: URL) -> None:
    async with filled(ours(fresh_database, busy_timeout=1)) as engine:
        task = asyncio.create_task(cancel_within(engine, lambda: task.cancel()))
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        # The error keeps the frames, and they keep the cursor.
        assert caught.traceback
        async with AsyncSession(engine) as session, session.begin():
            assert await session.scalar(select(func.max(Account.id))) == 1


async def test_a_write_in_a_cancelled_scope_gives_its_connection_back(
    fresh_database: URL,
) -> None:
    """anyio cancels each wait of the clean-up again."""
    async with filled(ours(fresh_database, busy_timeout=1)) as engine:
        with anyio.CancelScope() as scope:
            await cancel_within(engine, scope.cancel)
        assert scope.cancelled_caught
        assert checked_out(engine) == 0
        async with AsyncSession(engine) as session, session.begin():
            assert await session.scalar(select(func.max(Account.id))) == 1


async def test_a_reader_goes_on_while_a_writer_holds_the_lock(
    fresh_database: URL,
) -> None:
    async with filled(ours(fresh_database, busy_timeout=0.2)) as engine:
        async with AsyncSession(engine) as writer, AsyncSession(engine) as reader:
            writer.add(Account(id=2, balance=0))
            await writer.flush()
            await reader.connection(execution_options={"sqlite_begin": "BEGIN"})
            count = await reader.scalar(select(func.count()).select_from(Account))
            assert count == 1
            async with AsyncSession(engine) as second:
                with pytest.raises(OperationalError, match="database is locked"):
                    await second.connection()


async def test_a_file_survives_a_crash_of_the_process_without_a_fsync_per_commit(
    fresh_database: URL,
) -> None:
    async with filled(ours(fresh_database)) as engine, engine.connect() as conn:
        assert (await conn.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await conn.exec_driver_sql("PRAGMA synchronous")).scalar() == 1


@pytest.mark.parametrize("name", [None, "", ":memory:"])
async def test_sessions_in_memory_take_turns(name: str | None) -> None:
    url = URL.create("sqlite+aiosqlite", database=name)
    assert in_memory(url)
    async with filled(ours(url, pool_timeout=0.1)) as engine:
        async with AsyncSession(engine) as session, session.begin():
            session.add(Account(id=2, balance=0))
            await session.flush()
            async with AsyncSession(engine) as other:
                with pytest.raises(PoolTimeout):
                    await other.connection()
        async with AsyncSession(engine) as session:
            count = await session.scalar(select(func.count()).select_from(Account))
            assert count == 2


@pytest.mark.trap("memory-shared")
async def test_sessions_in_memory_share_a_transaction_by_default() -> None:
    async with filled(create_async_engine("sqlite+aiosqlite://")) as engine:
        async with AsyncSession(engine) as one, AsyncSession(engine) as other:
            one.add(Account(id=2, balance=0))
            await one.flush()
            await other.execute(select(Account))
            await other.rollback()
            await one.commit()
        async with AsyncSession(engine) as session:
            count = await session.scalar(select(func.count()).select_from(Account))
            assert count == 1


def test_a_file_is_not_in_memory(fresh_database: URL) -> None:
    arguments: Callable[..., dict[str, object]] = sqlite_arguments
    assert not in_memory(fresh_database)
    options = arguments(fresh_database, pool_size=3, pool_timeout=1, busy_timeout=2)
    assert (options["pool_size"], options["max_overflow"]) == (3, 0)


async def test_a_file_has_the_limits_that_were_asked_for(fresh_database: URL) -> None:
    engine = ours(fresh_database, pool_timeout=1.5, busy_timeout=2.5)
    assert isinstance(engine.pool, AsyncAdaptedQueuePool)
    assert engine.pool.timeout() == 1.5
    async with engine.connect() as conn:
        assert (await conn.exec_driver_sql("PRAGMA busy_timeout")).scalar() == 2_500
    await engine.dispose()
