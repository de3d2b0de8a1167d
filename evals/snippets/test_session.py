"""Evals for snippets/session.py."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext

import pytest
from sqlalchemy import URL, ForeignKey, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from evals.harness.observe import lazy_load
from snippets.engine import new_engine
from snippets.session import new_sessions, open_reader, open_sessions

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list[Book]] = relationship()


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))


async def names(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(select(Author.name).order_by(Author.name)))


async def test_a_block_commits_as_a_whole_or_not_at_all(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Author(name="Ann"))
    with pytest.raises(IntegrityError):
        async with sessions.begin() as session:
            session.add(Author(name="Bob"))
            await session.flush()
            session.add(Author(name="Ann"))

    assert await names(sessions) == ["Ann"]


async def test_an_object_can_be_read_after_the_commit(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        ann = Author(name="Ann")
        session.add(ann)

    assert (ann.name, ann.id > 0) == ("Ann", True)


@pytest.mark.trap("expired-on-commit")
async def test_sqlalchemys_default_expires_it(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        ann = Author(name="Ann")
        session.add(ann)
        await session.commit()
        with lazy_load():
            _ = ann.name


@pytest.mark.trap("rollback-expires")
async def test_a_rollback_expires_objects_all_the_same(sessions: Sessions) -> None:
    async with sessions() as session:
        ann = Author(name="Ann")
        session.add(ann)
        await session.commit()
        key = ann.id  # read what the message needs before anything can fail
        session.add(Author(name="Ann"))
        with pytest.raises(IntegrityError):
            await session.commit()
        await session.rollback()
        with lazy_load():
            _ = ann.name
        assert key > 0


@pytest.mark.trap("stale-read")
async def test_a_select_does_not_refresh_what_the_session_holds(
    sessions: Sessions,
) -> None:
    async with sessions() as session:
        ann = Author(name="Ann")
        session.add(ann)
        await session.commit()
        async with sessions.begin() as other:
            await other.execute(update(Author).values(name="Anna"))
        stmt = select(Author).where(Author.id == ann.id)

        assert (await session.scalars(stmt)).one().name == "Ann"
        fresh = stmt.execution_options(populate_existing=True)
        assert (await session.scalars(fresh)).one().name == "Anna"


@pytest.mark.trap("unloaded-collection")
async def test_a_collection_of_a_new_object_is_not_loaded(sessions: Sessions) -> None:
    async with sessions() as session:
        given, bare = Author(name="Ann", books=[]), Author(name="Bob")
        session.add_all([given, bare])
        await session.flush()

        assert given.books == []
        with lazy_load():
            _ = bare.books


async def test_a_closed_session_raises_when_it_is_used(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    async with sessions() as session:
        await session.execute(select(Author))
    with pytest.raises(InvalidRequestError, match="closed"):
        await session.execute(select(Author))
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.trap("closed-session-reopens")
async def test_by_default_a_closed_session_takes_another_connection(
    engine: AsyncEngine,
) -> None:
    async with async_sessionmaker(engine)() as session:
        pass
    await session.execute(select(Author))
    assert engine.pool.checkedout() == 1  # type: ignore[attr-defined]
    await session.close()


@pytest.mark.trap("begin-after-read")
async def test_begin_after_a_read_raises(sessions: Sessions) -> None:
    async with sessions() as session:
        await session.execute(select(Author))
        with pytest.raises(InvalidRequestError, match="already begun"):
            await session.begin()


@pytest.mark.trap("shared-session")
async def test_tasks_that_share_a_session_disturb_each_other(
    sessions: Sessions,
) -> None:
    async with sessions() as session:
        session.add_all([Author(name="Ann"), Author(name="Bob")])
        flushes = (session.flush(), session.flush())
        failed = [
            error
            for error in await asyncio.gather(*flushes, return_exceptions=True)
            if error
        ]
        assert [str(error) for error in failed] == ["Session is already flushing"]
        await session.rollback()


async def test_each_task_has_a_session_of_its_own(sessions: Sessions) -> None:
    async def add(name: str) -> None:
        async with sessions.begin() as session:
            session.add(Author(name=name))

    async with asyncio.TaskGroup() as tasks:
        for name in ("Ann", "Bob", "Cid"):
            tasks.create_task(add(name))

    assert await names(sessions) == ["Ann", "Bob", "Cid"]


@pytest.mark.trap("generator-in-a-loop")
async def test_a_dependency_used_as_a_loop_drops_its_commit(sessions: Sessions) -> None:
    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session
            await session.commit()

    async def job() -> str:
        async for session in get_session():
            session.add(Author(name="Ann"))
            await session.flush()
            return "done"
        raise AssertionError

    assert await job() == "done"
    gc.collect()
    await asyncio.sleep(0)  # the loop closes the generator
    assert await names(sessions) == []


async def test_the_engine_is_disposed_of_when_the_block_ends(
    fresh_database: URL,
) -> None:
    engine = new_engine(fresh_database)
    with pytest.raises(KeyError):
        async with open_sessions(engine) as sessions:
            async with sessions.begin() as session:
                assert await session.scalar(text("SELECT 42")) == 42
            pool = engine.pool
            assert pool.checkedin() == 1  # type: ignore[attr-defined]
            raise KeyError
    assert engine.pool is not pool
    assert engine.pool.checkedin() == 0  # type: ignore[attr-defined]


SCRIPT = """
import asyncio, sys
from sqlalchemy import text
from snippets.engine import new_engine
from snippets.session import open_sessions

async def main():
    async with open_sessions(new_engine(sys.argv[1])) as sessions:
        async with sessions.begin() as session:
            return await session.scalar(text("SELECT 42"))

for _ in range(3):
    print(asyncio.run(main()))
"""


def test_a_script_may_run_several_loops(fresh_database: URL) -> None:
    url = fresh_database.render_as_string(hide_password=False)
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert printed.stdout.split() == ["42", "42", "42"]


@pytest.mark.trap("nested-checkout")
async def test_a_session_inside_a_session_needs_a_second_connection(
    fresh_database: URL,
) -> None:
    sizes = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
    engine = create_async_engine(fresh_database, **sizes)
    sessions = new_sessions(engine)
    async with sessions() as outer:
        await outer.scalar(select(func.now()))
        async with sessions() as inner:
            with pytest.raises(PoolTimeout):
                await inner.scalar(select(func.now()))
    await engine.dispose()


async def test_a_reader_is_a_transaction_that_waits_for_no_writer(
    sessions: Sessions, database: str
) -> None:
    count = select(func.count()).select_from(Author)
    async with sessions.begin() as writer:
        writer.add(Author(name="Ann"))
        await writer.flush()
        async with open_reader(sessions) as reader:
            before = await reader.scalar(count)
            await writer.commit()
            after = await reader.scalar(count)
    # SQLite reads one state; PostgreSQL, as READ COMMITTED, what each statement finds.
    assert (before, after) == (0, {"sqlite": 0, "postgresql": 1}[database])


async def test_a_reader_stores_nothing(sessions: Sessions, database: str) -> None:
    refused: dict[str, AbstractContextManager[object]] = {
        "sqlite": nullcontext(),
        "postgresql": pytest.raises(DBAPIError),
    }
    with refused[database]:
        async with open_reader(sessions) as reader:
            reader.add(Author(name="Ann"))
            await reader.flush()
    assert await names(sessions) == []
