"""Evals for snippets/children.py, and of how children are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, Table, func, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    WriteOnlyMapped,
    contains_eager,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from evals.harness.observe import Statements, lazy_load
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.children import count_children, first_children


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


AUTHORS = 12
BOOKS = 4

author_genre = Table(
    "author_genre",
    Base.metadata,
    Column("author_id", ForeignKey("author.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "genre_id",
        ForeignKey("genre.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)


class Author(AsyncAttrs, Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(
        back_populates="author",
        lazy="raise",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )
    lazy_books: Mapped[list[Book]] = relationship(viewonly=True)
    events: WriteOnlyMapped[Event] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="Event.id"
    )
    genres: Mapped[list[Genre]] = relationship(
        secondary=author_genre, lazy="raise", passive_deletes=True
    )
    profile: Mapped[Profile | None] = relationship(
        back_populates="author", lazy="raise", cascade="all", passive_deletes=True
    )


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(
        ForeignKey("author.id", ondelete="CASCADE"), index=True
    )
    year: Mapped[int]
    author: Mapped[Author] = relationship(back_populates="books", lazy="raise")


class Event(Base):
    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(
        ForeignKey("author.id", ondelete="CASCADE"), index=True
    )


class Genre(Base):
    __tablename__ = "genre"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Profile(Base):
    """One to one: the unique key holds it."""

    __tablename__ = "profile"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(
        ForeignKey("author.id", ondelete="CASCADE"), unique=True
    )
    author: Mapped[Author] = relationship(back_populates="profile", lazy="raise")


class Topic(Base):
    """A tree."""

    __tablename__ = "topic"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("topic.id", ondelete="CASCADE"), index=True
    )
    topics: Mapped[list[Topic]] = relationship(
        lazy="raise", cascade="all, delete-orphan", passive_deletes=True
    )


@pytest.fixture
async def authors(sessions: async_sessionmaker[AsyncSession]) -> list[int]:
    """Authors with books of 2000, 2001, ...; the last one has none."""
    async with sessions.begin() as session:
        genre = Genre(name="novel")
        made = [Author(name=f"{n:02}", genres=[genre]) for n in range(AUTHORS)]
        for author in made[:-1]:
            author.books = [Book(year=2000 + n) for n in range(BOOKS)]
        session.add_all(made)
        await session.flush()
        return [author.id for author in made]


def by_id() -> Any:
    return select(Author).order_by(Author.id)


async def all_of(session: AsyncSession, stmt: Any) -> Sequence[Author]:
    return (await session.scalars(stmt)).unique().all()


@pytest.mark.usefixtures("authors")
async def test_a_list_with_children_is_two_statements(
    session: AsyncSession, statements: Statements
) -> None:
    stmt = by_id().options(selectinload(Author.books), selectinload(Author.genres))
    with statements() as sent:
        found = await all_of(session, stmt)
        assert [len(author.books) for author in found] == [BOOKS] * (AUTHORS - 1) + [0]
        assert all(author.genres[0].name == "novel" for author in found)
    assert len(sent) == 3


@pytest.mark.trap("awaited-in-a-loop")
@pytest.mark.usefixtures("authors")
async def test_awaitable_attributes_in_a_loop_are_a_statement_each(
    session: AsyncSession, statements: Statements
) -> None:
    with statements() as sent:
        for author in await all_of(session, by_id()):
            await author.awaitable_attrs.lazy_books
    assert len(sent) == 1 + AUTHORS


@pytest.mark.usefixtures("authors")
async def test_what_was_not_loaded_raises_at_once_whoever_asks(
    session: AsyncSession,
) -> None:
    author = (await all_of(session, by_id()))[0]
    with pytest.raises(InvalidRequestError, match="lazy='raise'"):
        _ = author.books
    with pytest.raises(InvalidRequestError, match="lazy='raise'"):
        await author.awaitable_attrs.books
    await session.refresh(author, ["books"])
    assert len(author.books) == BOOKS


@pytest.mark.trap("get-ignores-options")
async def test_get_of_a_held_object_ignores_loader_options(
    session: AsyncSession, authors: list[int]
) -> None:
    held = await session.get_one(Author, authors[0])
    options = [selectinload(Author.lazy_books)]
    assert await session.get_one(Author, authors[0], options=options) is held
    with lazy_load():
        _ = held.lazy_books
    await all_of(session, by_id().where(Author.id == authors[0]).options(*options))
    assert len(held.lazy_books) == BOOKS


@pytest.mark.trap("new-collection")
async def test_the_collection_of_a_new_object_is_not_loaded(
    session: AsyncSession,
) -> None:
    bare, full = Author(name="bare"), Author(name="full", lazy_books=[], books=[])
    session.add_all([bare, full])
    await session.flush()
    with lazy_load():
        _ = bare.lazy_books
    assert full.books == []


@pytest.mark.trap("child-not-added")
@pytest.mark.filterwarnings("ignore:Object of type <Book> not in session")
async def test_a_child_is_saved_only_if_it_is_added(
    session: AsyncSession, authors: list[int]
) -> None:
    author = await session.get_one(Author, authors[-1])
    Book(author=author, year=1)
    await session.commit()
    count = select(func.count(Book.id)).where(Book.author_id == author.id)
    assert await session.scalar(count) == 0
    session.add(Book(author=author, year=1))
    await session.commit()
    assert await session.scalar(count) == 1


@pytest.mark.trap("limit-of-joined-rows")
@pytest.mark.usefixtures("authors")
async def test_a_limit_is_of_parents_but_with_contains_eager_of_rows(
    session: AsyncSession,
) -> None:
    def sizes(found: Sequence[Author]) -> list[int]:
        return [len(author.books) for author in found]

    joined = by_id().options(joinedload(Author.books)).limit(2)
    assert sizes(await all_of(session, joined)) == [BOOKS, BOOKS]
    session.expunge_all()
    rows = select(Author).join(Author.books).options(contains_eager(Author.books))
    assert sizes(await all_of(session, rows.order_by(Author.id).limit(2))) == [2]
    session.expunge_all()
    having = by_id().where(Author.books.any(Book.year == 2001)).limit(2)
    loaded = having.options(selectinload(Author.books))
    assert sizes(await all_of(session, loaded)) == [BOOKS, BOOKS]


@pytest.mark.usefixtures("authors")
async def test_children_are_counted_without_being_loaded(
    session: AsyncSession, statements: Statements
) -> None:
    number = count_children(Author.books)
    with statements() as sent:
        rows = await session.execute(select(Author, number).order_by(Author.id))
        found = [(author.name, count) for author, count in rows]
    assert len(sent) == 1
    assert found[0] == ("00", BOOKS)
    assert found[-1] == (f"{AUTHORS - 1:02}", 0)
    none = select(Author.name).where(number == 0)
    assert (await session.scalars(none)).all() == [f"{AUTHORS - 1:02}"]


@pytest.mark.usefixtures("authors")
async def test_the_first_children_of_each_parent_come_in_one_statement(
    session: AsyncSession, statements: Statements
) -> None:
    parents = list(await all_of(session, by_id()))
    with statements() as sent:
        found = await first_children(
            session, parents, Author.books, Book.year.desc(), limit=2
        )
    assert len(sent) == 1
    assert [author for author, _ in found] == parents
    assert [book.year for book in found[0][1]] == [2003, 2002]
    assert {book.author_id for book in found[3][1]} == {parents[3].id}
    assert found[-1][1] == []
    with statements() as sent:
        assert await first_children(session, [], Author.books, limit=2) == []
    assert sent == []


async def test_a_write_only_collection_is_read_in_parts_and_never_whole(
    session: AsyncSession, authors: list[int], statements: Statements
) -> None:
    author = await session.get_one(Author, authors[0])
    with statements() as sent:
        author.events.add_all(Event() for _ in range(5))
        await session.flush()
    assert not any(sql.startswith("SELECT") for sql in sent)
    first = (await session.scalars(author.events.select().limit(2))).all()
    assert len(first) == 2
    many = select(func.count()).select_from(author.events.select().subquery())
    assert await session.scalar(many) == 5


async def test_children_of_every_kind_go_with_their_parent_in_the_database(
    session: AsyncSession, authors: list[int], statements: Statements
) -> None:
    author = await session.get_one(Author, authors[0])
    session.add_all([Profile(author_id=author.id), Event(author_id=author.id)])
    await session.commit()
    session.expunge_all()
    author = await session.get_one(Author, authors[0])
    with statements() as sent:
        await session.delete(author)
        await session.flush()
    assert len(sent) == 1
    for model in (Book, Profile, Event):
        left = select(func.count()).where(model.author_id == authors[0])
        assert await session.scalar(left) == 0
    links = select(func.count()).where(author_genre.c.author_id == authors[0])
    assert await session.scalar(links) == 0


async def test_a_tree_is_loaded_in_one_statement_and_goes_with_its_root(
    session: AsyncSession, statements: Statements
) -> None:
    leaf = Topic(name="leaf", topics=[])
    session.add(Topic(name="root", topics=[Topic(name="branch", topics=[leaf])]))
    await session.commit()
    session.expunge_all()

    tree = select(Topic).where(Topic.name == "root").cte(recursive=True)
    below = select(Topic).join(tree, Topic.parent_id == tree.c.id)
    tree = tree.union_all(below)
    names = select(tree.c.name).order_by(tree.c.id)
    with statements() as sent:
        assert set(await session.scalars(names)) == {"root", "branch", "leaf"}
    assert len(sent) == 1

    root = (await session.scalars(select(Topic).where(Topic.parent_id.is_(None)))).one()
    await session.delete(root)
    await session.flush()
    assert await session.scalar(select(func.count(Topic.id))) == 0
