"""Evals for snippets/savepoint_isolation.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol
from unittest.mock import AsyncMock, Mock

import pytest
from sqlalchemy import URL, ForeignKey, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evals.harness.observe import Statements
from snippets.database_error import savepoint
from snippets.domain_error import AlreadyExists
from snippets.savepoint_isolation import IsolationBroken, isolated_sessions

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(
        ForeignKey("author.id", deferrable=True, initially="DEFERRED")
    )


async def commits(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Author(name="app"))


async def commits_twice_in_one_session(sessions: Sessions) -> None:
    async with sessions() as session:
        session.add(Author(name="app"))
        await session.commit()
        await session.execute(select(Author))
        await session.commit()


async def rolls_back_and_goes_on(sessions: Sessions) -> None:
    async with sessions() as session:
        session.add(Author(name="arranged"))
        with pytest.raises(IntegrityError):
            await session.commit()
        await session.rollback()
        session.add(Author(name="app"))
        await session.commit()


async def nests(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                session.add(Author(name="arranged"))
        async with session.begin_nested():
            session.add(Author(name="app"))


async def names(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return sorted(await session.scalars(select(Author.name)))


async def arrange(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Author(name="arranged"))


SHAPES = [commits, commits_twice_in_one_session, rolls_back_and_goes_on, nests]


@pytest.mark.parametrize("code", SHAPES)
async def test_what_the_code_commits_is_seen_in_the_test_and_gone_after_it(
    engine: AsyncEngine, sessions: Sessions, code: Callable[[Sessions], Awaitable[None]]
) -> None:
    async with isolated_sessions(engine) as isolated:
        await arrange(isolated)
        await code(isolated)
        assert await names(isolated) == ["app", "arranged"]

    assert await names(sessions) == []


async def test_a_rollback_undoes_what_the_code_did_and_nothing_else(
    engine: AsyncEngine,
) -> None:
    async with isolated_sessions(engine) as isolated:
        await arrange(isolated)
        async with isolated() as session:
            session.add(Author(name="app"))
            await session.flush()
            await session.rollback()
        async with isolated() as session:
            session.add(Author(name="forgot to commit"))
            await session.flush()

        assert await names(isolated) == ["arranged"]


@pytest.mark.trap("join-mode")
async def test_with_the_default_join_mode_a_rollback_ends_the_isolation(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    async with engine.connect() as connection:
        outer = await connection.begin()
        joined = async_sessionmaker(connection)
        await arrange(joined)
        await rolls_back_and_goes_on(joined)
        assert await names(joined) == ["app"]  # what was arranged is gone
        assert not outer.is_active

    assert await names(sessions) == ["app"]  # and the next test finds this


@pytest.mark.trap("driver-begins")
async def test_with_the_default_driver_mode_sqlite_commits_each_savepoint(
    fresh_database: URL, database: str
) -> None:
    engine = create_async_engine(fresh_database)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with isolated_sessions(engine) as isolated:
        await commits(isolated)

    left = {"sqlite": ["app"], "postgresql": []}
    assert await names(async_sessionmaker(engine)) == left[database]
    await engine.dispose()


async def test_sessions_keep_the_options_of_production(engine: AsyncEngine) -> None:
    async with isolated_sessions(engine) as isolated:
        async with isolated() as session:
            author = Author(name="app")
            session.add(author)
            await session.commit()
            assert author.name == "app"  # not expired
        with pytest.raises(InvalidRequestError, match="closed"):
            await session.execute(select(Author))


async def test_code_that_ends_the_outer_transaction_fails_the_test(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    ended = r"ended the transaction of the test: .*isolation\(.commit.\)"
    with pytest.raises(IsolationBroken, match=ended):
        async with isolated_sessions(engine) as isolated:
            async with isolated() as session:
                await (await session.connection()).rollback()

    async with engine.begin():  # the connection came back clean
        pass


async def test_a_session_left_open_fails_the_test(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    with pytest.raises(IsolationBroken, match=r"left open.*isolation\(.commit.\)"):
        async with isolated_sessions(engine) as isolated:
            forgotten = isolated()
            forgotten.add(Author(name="app"))
            await forgotten.flush()

    assert await names(sessions) == []


@pytest.mark.trap("one-connection")
@pytest.mark.filterwarnings("ignore:nested transaction already deassociated")
async def test_sessions_that_work_at_the_same_time_fail_the_test(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    second_began, first_ended = asyncio.Event(), asyncio.Event()

    async def first(isolated: Sessions) -> None:
        try:
            async with isolated.begin() as session:
                session.add(Author(name="first"))
                await session.flush()
                await second_began.wait()
        finally:
            first_ended.set()

    async def second(isolated: Sessions) -> None:
        async with isolated.begin() as session:
            session.add(Author(name="second"))
            await session.flush()
            second_began.set()
            await first_ended.wait()

    with pytest.raises(IsolationBroken, match="two worked at the same time"):
        async with isolated_sessions(engine) as isolated:
            both = (first(isolated), second(isolated))
            results = await asyncio.gather(*both, return_exceptions=True)

    assert [type(result) for result in results] == [IsolationBroken] * 2
    assert all("two sessions worked at" in str(result) for result in results)
    assert all('mark it @pytest.mark.isolation("commit")' in str(r) for r in results)
    assert await names(sessions) == []


async def test_sessions_in_one_another_do_not_disturb_each_other(
    engine: AsyncEngine,
) -> None:
    async with isolated_sessions(engine) as isolated:
        async with isolated() as outer:
            assert await outer.scalar(select(func.count()).select_from(Author)) == 0
            await commits(isolated)
            assert await outer.scalar(select(func.count()).select_from(Author)) == 1
            outer.add(Author(name="outer"))
            await outer.commit()

        assert await names(isolated) == ["app", "outer"]


async def test_statements_that_only_look_like_savepoints_do_not_matter(
    engine: AsyncEngine,
) -> None:
    async with isolated_sessions(engine) as isolated:
        async with isolated.begin() as session:
            for statement in ("ANALYZE", "SELECT 'ROLLBACK TO SAVEPOINT x' AS a"):
                await session.execute(text(statement))


@pytest.mark.trap("deferred-constraint")
async def test_a_deferred_constraint_is_checked_at_the_end(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    with pytest.raises((IntegrityError, IsolationBroken), match=r"(?i)foreign key"):
        async with isolated_sessions(engine) as isolated:
            async with isolated.begin() as session:
                session.add(Book(author_id=-1))
            # The commit was a RELEASE SAVEPOINT, which checks nothing.

    with pytest.raises(IntegrityError):
        async with sessions.begin() as session:
            session.add(Book(author_id=-1))


async def test_a_session_may_be_read_only(engine: AsyncEngine, database: str) -> None:
    options = {"postgresql_readonly": True, "sqlite_begin": "BEGIN"}
    async with isolated_sessions(engine) as isolated:
        await arrange(isolated)
        async with isolated() as session:
            await session.connection(execution_options=options)
            assert await session.scalar(select(Author.name)) == "arranged"
            session.add(Author(name="app"))
            if database == "postgresql":
                with pytest.raises(DBAPIError, match="read-only"):
                    await session.flush()
        async with isolated.begin() as session:  # the next one writes
            await session.connection()
            session.add(Author(name="app"))
            with pytest.raises(TypeError):
                await session.connection(no_such_argument=True)

        assert await names(isolated) == ["app", "arranged"]


@pytest.mark.trap("isolation-level")
async def test_an_isolation_level_cannot_be_set(engine: AsyncEngine) -> None:
    async with isolated_sessions(engine) as isolated:
        async with isolated() as session:
            with pytest.raises(InvalidRequestError, match="may not be altered"):
                await session.connection(
                    execution_options={"isolation_level": "SERIALIZABLE"}
                )


@pytest.mark.trap("lock-granted")
async def test_a_lock_is_granted_to_everybody(
    engine: AsyncEngine, database: str
) -> None:
    """Both sessions are one backend; on two connections the second is refused."""
    async with isolated_sessions(engine) as isolated:
        await arrange(isolated)
        async with isolated() as first, isolated() as second:
            locked = select(Author).with_for_update(nowait=True)
            await first.scalars(locked)
            assert (await second.scalars(locked)).one().name == "arranged"


@pytest.mark.trap("notify-unsent")
async def test_a_notification_is_sent_by_a_real_commit_only(
    engine: AsyncEngine, sessions: Sessions, database: str
) -> None:
    async def notify(sessions: Sessions, payload: str) -> None:
        async with sessions.begin() as session:
            await session.execute(text(f"NOTIFY songs, '{payload}'"))

    if database == "sqlite":
        with pytest.raises(DBAPIError, match="syntax error"):
            await notify(sessions, "on SQLite there is no such thing")
        return
    received: asyncio.Queue[str] = asyncio.Queue()

    def listener(connection: object, pid: int, channel: str, payload: str) -> None:
        received.put_nowait(payload)

    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.add_listener("songs", listener)
        async with isolated_sessions(engine) as isolated:
            await notify(isolated, "in isolation")
        await notify(sessions, "committed")
        assert await received.get() == "committed"
        await raw.remove_listener("songs", listener)


@pytest.mark.trap("frozen-now")
async def test_the_time_of_the_database_stands_still(
    engine: AsyncEngine, database: str
) -> None:
    moments = set()
    async with isolated_sessions(engine) as isolated:
        for _ in range(2):
            async with isolated.begin() as session:
                moments.add(await session.scalar(select(func.now())))
                if database == "postgresql":
                    before = await session.scalar(select(func.clock_timestamp()))
                    await session.execute(text("SELECT pg_sleep(0.01)"))
                    after = await session.scalar(select(func.clock_timestamp()))
                    assert before != after

    # On SQLite a second has one name, whoever commits.
    assert len(moments) == 1 or database == "sqlite"


class Authors(Protocol):
    """What the service needs to know of the database."""

    async def find(self, name: str) -> Author | None: ...
    async def add(self, author: Author) -> None: ...


async def register(authors: Authors, name: str) -> str:
    """A service: rules and no database."""
    name = " ".join(name.split())
    if not name or await authors.find(name):
        return "refused"
    await authors.add(Author(name=name))
    return "registered"


class StoredAuthors:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def find(self, name: str) -> Author | None:
        return await self.session.scalar(select(Author).filter_by(name=name))

    async def add(self, author: Author) -> None:
        async with savepoint(self.session, Base.metadata):
            self.session.add(author)


class FakeAuthors:
    def __init__(self) -> None:
        self.rows: dict[str, Author] = {}

    async def find(self, name: str) -> Author | None:
        return self.rows.get(name)

    async def add(self, author: Author) -> None:
        if author.name in self.rows:
            raise AlreadyExists
        self.rows[author.name] = author


async def test_a_service_is_tested_with_a_repository_that_keeps_a_dict() -> None:
    authors = FakeAuthors()
    assert await register(authors, " ann  lee ") == "registered"
    assert await register(authors, "ann lee") == "refused"
    assert await register(authors, " ") == "refused"
    assert list(authors.rows) == ["ann lee"]


@pytest.mark.parametrize("kind", ["fake", "stored"])
async def test_the_fake_does_what_the_stored_one_does(
    engine: AsyncEngine, kind: str
) -> None:
    """Without this test a fake proves nothing: it drifts away from the database."""
    async with isolated_sessions(engine) as isolated, isolated() as session:
        authors = FakeAuthors() if kind == "fake" else StoredAuthors(session)
        assert await authors.find("ann") is None
        await authors.add(Author(name="ann"))
        with pytest.raises(AlreadyExists):
            await authors.add(Author(name="ann"))
        found = await authors.find("ann")
        assert found is not None
        assert found.name == "ann"
        assert await authors.find("Ann") is None


@pytest.mark.trap("mocked-session")
async def test_a_mocked_session_takes_what_the_database_refuses(
    engine: AsyncEngine,
) -> None:
    async def rename_all(session: AsyncSession) -> int:
        authors = (await session.scalars(select(Author))).all()
        for author in authors:
            author.name = "the same"
        await session.commit()
        return len(authors)

    mocked = AsyncMock(spec=AsyncSession)
    found = [Author(name="ann"), Author(name="bob")]
    mocked.scalars.return_value = Mock(all=lambda: found)
    assert await rename_all(mocked) == 2  # green
    mocked.commit.assert_awaited_once()

    async with isolated_sessions(engine) as isolated, isolated() as session:
        session.add_all([Author(name="ann"), Author(name="bob")])
        with pytest.raises(IntegrityError):
            await rename_all(session)


async def test_a_test_that_sends_nothing_is_checked_for_nothing(
    engine: AsyncEngine, statements: Statements
) -> None:
    with statements() as sent:
        async with isolated_sessions(engine):
            pass
    assert sent == []
