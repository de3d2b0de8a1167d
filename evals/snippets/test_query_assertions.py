"""Evals for snippets/query_assertions.py."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import (
    AsyncAttrs,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
    selectinload,
)

from snippets.query_assertions import (
    assert_no_lazy_load,
    assert_statements,
    count_rows,
    recorded_statements,
)
from snippets.savepoint_isolation import isolated_sessions


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship()


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))


Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture(autouse=True)
async def five_authors(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add_all(Author(name=f"{n}", books=[Book()]) for n in range(5))


async def one_by_one(session: AsyncSession) -> int:
    authors = (await session.scalars(select(Author))).all()
    return sum([len(await author.awaitable_attrs.books) for author in authors])


async def together(session: AsyncSession) -> int:
    load = select(Author).options(selectinload(Author.books))
    return sum(len(author.books) for author in await session.scalars(load))


@pytest.mark.trap("n-plus-one")
async def test_a_load_one_by_one_gives_the_same_answer_and_fails_the_assertion(
    sessions: Sessions,
) -> None:
    async with sessions() as session:
        with assert_statements(at_most=2) as sent:
            assert await together(session) == 5
    assert len(sent) == 2

    with pytest.raises(AssertionError) as caught:
        async with sessions() as session:
            with assert_statements(at_most=2):
                assert await one_by_one(session) == 5
    first, second, *_ = str(caught.value).splitlines()
    assert first == "6 statements were sent, at most 2 were expected:"
    assert second.startswith("5 x SELECT book.id")
    assert "\n1 x SELECT author.id" in str(caught.value)


@pytest.mark.trap("savepoints-counted")
async def test_the_savepoints_of_the_isolation_do_not_count(
    engine: AsyncEngine,
) -> None:
    with recorded_statements() as sent:
        async with isolated_sessions(engine) as isolated:
            async with isolated.begin() as session:
                session.add_all(Author(id=n, name="a") for n in range(100, 200))
    assert [sql.split()[0] for sql in sent] == ["INSERT"]  # an executemany

    await engine.dispose()
    with recorded_statements() as sent_later:
        async with engine.connect() as connection:
            await connection.execute(select(Author))
    assert len(sent_later) == 1


async def test_nothing_is_recorded_outside_the_block(sessions: Sessions) -> None:
    with suppress(ZeroDivisionError), recorded_statements() as sent:
        raise ZeroDivisionError
    async with sessions() as session:
        await session.scalars(select(Author))
    assert sent == []


async def test_an_error_of_the_block_is_not_replaced(sessions: Sessions) -> None:
    with pytest.raises(ZeroDivisionError):
        with assert_statements(at_most=0):
            async with sessions() as session:
                await session.scalars(select(Author))
            raise ZeroDivisionError


LAZY = (
    r"^Author loads a relationship on access: load it in the query,"
    r" options\(selectinload\(\.\.\.\)\)$"
)


async def test_a_lazy_load_fails_where_it_happens_and_an_eager_one_does_not(
    sessions: Sessions,
) -> None:
    with assert_no_lazy_load():
        async with sessions() as session:
            assert await together(session) == 5
        async with sessions() as session:
            with pytest.raises(AssertionError, match=LAZY):
                await one_by_one(session)
    async with sessions() as session:
        assert await one_by_one(session) == 5


@pytest.mark.trap("own-session")
async def test_rows_are_counted_in_a_new_session(sessions: Sessions) -> None:
    async with sessions() as session:
        author = (await session.scalars(select(Author).limit(1))).one()
        await session.commit()
        async with sessions.begin() as other:
            (await other.get_one(Author, author.id)).name = "changed"
        again = (await session.scalars(select(Author).filter_by(id=author.id))).one()
        assert again.name != "changed"  # the identity map answers

    assert await count_rows(sessions, Author) == 5
    assert await count_rows(sessions, Author, Author.name == "changed") == 1
    assert await count_rows(sessions, Author, Author.name == "0", Author.id < 0) == 0
