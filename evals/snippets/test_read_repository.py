"""Evals for snippets/read_repository.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import ForeignKey, MetaData, Select, event, select, update
from sqlalchemy.exc import DBAPIError, MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.base_query import Condition
from snippets.domain_error import NotFound
from snippets.read_repository import ReadRepository
from snippets.soft_delete import SoftDelete


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Book(SoftDelete, Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(default=1)
    title: Mapped[str]
    pages: Mapped[int] = mapped_column(default=100)
    chapters: Mapped[list[Chapter]] = relationship(
        lazy="raise", order_by="Chapter.number"
    )


class Chapter(Base):
    __tablename__ = "chapter"

    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class Books(ReadRepository[Book]):
    model = Book


class ShopBooks(Books):
    """What one shop sees: the tenant of a request."""

    def __init__(self, session: AsyncSession, shop_id: int) -> None:
        super().__init__(session)
        self.shop_id = shop_id

    def visible(self) -> Sequence[Condition]:
        return (Book.shop_id == self.shop_id,)

    def query(self) -> Select[Any]:
        return super().query().options(selectinload(Book.chapters)).order_by(Book.pages)

    async def thick(self) -> Sequence[Book]:
        """A query of one's own, on the same base."""
        stmt = self.query().where(Book.pages > 200)
        return (await self.session.scalars(stmt)).all()


class Chapters(ReadRepository[Chapter]):
    model = Chapter


@pytest.fixture
async def books(sessions: async_sessionmaker[AsyncSession]) -> list[int]:
    """Three books of shop 1 with two chapters each, one of shop 2; return the ids."""
    async with sessions.begin() as session:
        made = [Book(title=title) for title in ("b", "a", "c")]
        made.append(Book(title="other", shop_id=2, pages=300))
        session.add_all(made)
        await session.flush()
        session.add_all(Chapter(book_id=b.id, number=n) for b in made for n in (1, 2))
        return [book.id for book in made]


@pytest.fixture
def repository(session: AsyncSession) -> Books:
    return Books(session)


def titles(books: Sequence[Book]) -> list[str]:
    return [book.title for book in books]


async def test_a_row_is_found_by_its_key_in_one_statement(
    repository: Books, books: list[int], statements: Statements
) -> None:
    with statements() as sent:
        found = await repository.get(books[1])
        assert found is not None
        assert found.title == "a"
    assert len(sent) == 1
    assert await repository.get(-1) is None
    assert await repository.get_one(books[1]) is found
    with pytest.raises(NotFound):
        await repository.get_one(-1)


async def test_a_composite_key_is_a_tuple(
    session: AsyncSession, books: list[int]
) -> None:
    chapters = Chapters(session)
    found = await chapters.get((books[0], 2))
    assert found is not None
    assert (found.book_id, found.number) == (books[0], 2)
    assert await chapters.get((books[0], 3)) is None

    keys = [(books[1], 2), (books[0], 1), (books[0], 9)]
    many = await chapters.get_many(keys)
    assert [(c.book_id, c.number) for c in many] == keys[:2]


async def test_many_rows_come_in_the_order_of_their_keys(
    repository: Books, books: list[int], statements: Statements
) -> None:
    asked = [books[2], -1, books[0], books[2]]
    with statements() as sent:
        found = await repository.get_many(iter(asked))
    assert [book.id for book in found] == [books[2], books[0], books[2]]
    assert len(sent) == 1


async def test_no_keys_are_no_rows(repository: Books, statements: Statements) -> None:
    with statements() as sent:
        assert await repository.get_many([]) == []
    assert sent == []


@pytest.mark.trap("parameter-limit")
async def test_more_keys_than_a_statement_takes_are_asked_in_parts(
    repository: Books, books: list[int], statements: Statements, database: str
) -> None:
    at_once = repository.list(Book.id.in_(range(-40_000, 0)))
    if database == "sqlite":
        assert await at_once == []
    else:
        with pytest.raises(DBAPIError, match="cannot exceed 32767"):
            async with repository.session.begin_nested():
                await at_once

    with statements() as sent:
        found = await repository.get_many([*books, *range(-40_000, 0), *books])
    assert [book.id for book in found] == [*books, *books]
    assert len(sent) == 21

    chapters = Chapters(repository.session)
    keys = [(book, 1) for book in range(-2_000, 0)]
    with statements() as sent:
        assert len(await chapters.get_many([*keys, (books[0], 1)])) == 1
    assert len(sent) == 2


async def test_one_row_is_found_by_a_condition(
    repository: Books, books: list[int]
) -> None:
    found = await repository.find_one(Book.title == "c")
    assert found is not None
    assert found.id == books[2]
    assert await repository.find_one(Book.title == "none") is None


@pytest.mark.usefixtures("books")
async def test_several_rows_are_not_one_and_two_are_enough_to_know(
    repository: Books,
) -> None:
    loaded: list[Book] = []

    def load(book: Book, context: object) -> None:
        loaded.append(book)

    event.listen(Book, "load", load)
    try:
        with pytest.raises(MultipleResultsFound):
            await repository.find_one(Book.pages > 0)
    finally:
        event.remove(Book, "load", load)
    assert len(loaded) == 2


@pytest.mark.usefixtures("books")
async def test_a_list_is_in_a_total_order_and_takes_a_part(
    repository: Books, statements: Statements
) -> None:
    assert titles(await repository.list()) == ["b", "a", "c", "other"]
    by_title = await repository.list(Book.shop_id == 1, order_by=[Book.title.desc()])
    assert titles(by_title) == ["c", "b", "a"]
    with statements() as sent:
        part = await repository.list(order_by=[Book.pages], limit=2, offset=1)
    assert titles(part) == ["a", "c"]
    assert len(sent) == 1
    assert "ORDER BY book.pages, book.id" in " ".join(sent[0].split())
    assert await repository.list(Book.title == "none") == []


@pytest.mark.parametrize("load", [selectinload, joinedload])
async def test_every_read_takes_loader_options(
    repository: Books,
    books: list[int],
    load: Any,
    statements: Statements,
) -> None:
    options = [load(Book.chapters)]
    session = repository.session
    held = await repository.get(books[0])

    found = await repository.get(books[0], options=options)
    assert found is held
    one = await repository.get_one(books[1], options=options)
    only = await repository.find_one(Book.title == "c", options=options)
    assert found is not None
    assert only is not None
    assert [len(book.chapters) for book in (found, one, only)] == [2, 2, 2]

    session.expunge_all()
    many = await repository.get_many(books, options=options)
    assert [len(book.chapters) for book in many] == [2, 2, 2, 2]
    session.expunge_all()
    with statements() as sent:
        listed = await repository.list(options=options)
    assert [len(book.chapters) for book in listed] == [2, 2, 2, 2]
    assert len(sent) == (2 if load is selectinload else 1)


@pytest.mark.usefixtures("books")
async def test_a_count_is_of_rows_and_loads_none(
    repository: Books, statements: Statements
) -> None:
    with statements() as sent:
        assert await repository.count() == 4
        assert await repository.count(Book.shop_id == 1, Book.title != "a") == 2
        assert await repository.count(Book.title == "none") == 0
    assert len(sent) == 3
    assert all("title," not in sql for sql in sent)


@pytest.mark.usefixtures("books")
async def test_existence_stops_at_the_first_row(
    repository: Books, statements: Statements
) -> None:
    with statements() as sent:
        assert await repository.exists() is True
        assert await repository.exists(Book.title == "a") is True
        assert await repository.exists(Book.title == "none") is False
    assert len(sent) == 3
    assert all("LIMIT" in sql and "count(" not in sql for sql in sent)
    assert all("book.title," not in sql and "book.pages" not in sql for sql in sent)


async def test_an_empty_table_has_no_rows(repository: Books) -> None:
    assert await repository.exists() is False
    assert await repository.count() == 0


@pytest.mark.trap("stream-loads-all")
async def test_a_stream_holds_one_batch_and_a_plain_one_holds_all(
    sessions: async_sessionmaker[AsyncSession],
) -> None:
    async with sessions.begin() as session:
        session.add_all(Book(title=str(n), pages=n) for n in range(30))
    loaded: list[Book] = []

    def load(book: Book, context: object) -> None:
        loaded.append(book)

    event.listen(Book, "load", load)
    try:
        async with sessions() as session:
            async for _ in await session.stream_scalars(select(Book)):
                break
        assert len(loaded) == 30
        loaded.clear()
        async with sessions() as session:
            rows = Books(session).stream(order_by=[Book.pages.desc()], batch=10)
            first = await anext(rows)
            assert (first.pages, len(loaded)) == (29, 10)
            assert [book.pages async for book in rows] == [*range(28, -1, -1)]
    finally:
        event.remove(Book, "load", load)


@pytest.mark.usefixtures("books")
async def test_a_stream_that_is_left_frees_its_connection(
    repository: Books,
) -> None:
    rows = repository.stream(
        Book.shop_id == 1, options=[selectinload(Book.chapters)], batch=1
    )
    assert len((await anext(rows)).chapters) == 2
    await rows.aclose()  # type: ignore[attr-defined]
    await repository.session.execute(update(Book).values(pages=1))
    await repository.session.commit()


async def test_all_reads_share_the_base_query(
    session: AsyncSession, books: list[int], statements: Statements
) -> None:
    second = ShopBooks(session, shop_id=2)
    await Books(session).list()  # the session holds every row

    assert await second.get(books[0]) is None
    assert (await second.get_one(books[3])).title == "other"
    assert [book.id for book in await second.get_many(books)] == [books[3]]
    assert await second.find_one(Book.title == "a") is None
    assert titles(await second.list()) == ["other"]
    assert await second.count() == 1
    with statements() as sent:
        assert not await second.exists(Book.title == "a")
    assert "ORDER BY" not in sent[0]
    assert [book.title async for book in second.stream()] == ["other"]
    none = second.stream(Book.title == "a")
    assert [book.title async for book in none] == []
    assert titles(await second.thick()) == ["other"]
    assert len((await second.list())[0].chapters) == 2


async def test_no_read_sees_a_row_that_is_soft_deleted(
    repository: Books, books: list[int]
) -> None:
    held = await repository.get_one(books[0])
    held.mark_deleted()

    assert await repository.get(books[0]) is None
    assert len(await repository.get_many(books)) == 3
    assert await repository.find_one(Book.id == books[0]) is None
    assert len(await repository.list()) == 3
    assert await repository.count() == 3
    assert not await repository.exists(Book.id == books[0])
    assert len([book async for book in repository.stream()]) == 3


async def test_ties_are_broken_by_the_key_on_every_page(
    repository: Books, books: list[int]
) -> None:
    stmt = update(Book).where(Book.id == books[0]).values(title="moved")
    await repository.session.execute(stmt)
    pages: list[int] = []
    for offset in range(3):
        part = await repository.list(
            Book.shop_id == 1, order_by=[Book.pages], limit=1, offset=offset
        )
        pages += [book.id for book in part]
    assert pages == books[:3]
