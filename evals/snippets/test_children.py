"""Evals for snippets/children.py, and of how children are loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    Table,
    func,
    literal,
    select,
)
from sqlalchemy.exc import IntegrityError, InvalidRequestError, SAWarning
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    WriteOnlyMapped,
    aliased,
    configure_mappers,
    contains_eager,
    joinedload,
    mapped_column,
    registry,
    relationship,
    selectin_polymorphic,
    selectinload,
)
from sqlalchemy.orm.attributes import set_committed_value

from evals.harness.observe import Statements, lazy_load
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.children import count_children, first_children
from snippets.soft_delete import SoftDelete


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
        back_populates="author",
        lazy="raise",
        cascade="all, delete-orphan",
        passive_deletes=True,
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


class Seat(Base):
    """An association with data: its key is both foreign keys."""

    __tablename__ = "seat"

    author_id: Mapped[int] = mapped_column(
        ForeignKey("author.id", ondelete="CASCADE"), primary_key=True
    )
    jury_id: Mapped[int] = mapped_column(
        ForeignKey("jury.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str]
    author: Mapped[Author] = relationship(lazy="raise")
    jury: Mapped[Jury] = relationship(back_populates="seats", lazy="raise")
    votes: Mapped[list[Vote]] = relationship(
        lazy="raise", cascade="all, delete-orphan", passive_deletes=True
    )


class Jury(Base):
    __tablename__ = "jury"

    id: Mapped[int] = mapped_column(primary_key=True)
    seats: Mapped[list[Seat]] = relationship(
        back_populates="jury",
        lazy="raise",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )
    authors: Mapped[list[Author]] = relationship(
        secondary="seat", viewonly=True, lazy="raise", order_by="Author.id"
    )


class Vote(SoftDelete, Base):
    """Refers to a composite key."""

    __tablename__ = "vote"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int]
    jury_id: Mapped[int]
    stars: Mapped[int]

    __table_args__ = (
        ForeignKeyConstraint(
            ["author_id", "jury_id"],
            ["seat.author_id", "seat.jury_id"],
            ondelete="CASCADE",
        ),
    )


class Person(Base):
    """One table for all, but for those with columns of their own."""

    __tablename__ = "person"
    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_on": "kind",
        "polymorphic_identity": "person",
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]


class Editor(Person):
    __mapper_args__ = {"polymorphic_identity": "editor"}  # noqa: RUF012

    desk: Mapped[str | None]


class Critic(Person):
    __tablename__ = "critic"
    __mapper_args__ = {"polymorphic_identity": "critic"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    paper: Mapped[str]


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
    inside = select(Author.name).where(~select(literal(1)).where(number > 0).exists())
    assert (await session.scalars(inside)).all() == [f"{AUTHORS - 1:02}"]


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
    some = await first_children(session, parents[1:3], Author.books, limit=1)
    assert [(author.name, len(books)) for author, books in some] == [
        ("01", 1),
        ("02", 1),
    ]
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


async def test_children_of_every_kind_of_relationship_are_counted_and_cut(
    session: AsyncSession, authors: list[int]
) -> None:
    jury = Jury(id=1, seats=[])
    session.add_all([jury, Jury(id=2)])
    for number in range(3):
        seat = Seat(author_id=authors[number], jury=jury, role="judge", votes=[])
        seat.votes = [Vote(stars=stars) for stars in range(number + 1)]
        session.add(seat)
    root = Topic(name="root", topics=[Topic(name=name) for name in "abc"])
    session.add(root)
    await session.flush()

    async def counts(*columns: Any) -> list[Any]:
        return [tuple(row) for row in await session.execute(select(*columns))]

    number_of = count_children(Jury.authors).label("n")
    assert sorted(await counts(Jury.id, number_of)) == [(1, 3), (2, 0)]
    votes = count_children(Seat.votes)
    assert sorted(await counts(votes, Seat.jury_id)) == [(1, 1), (2, 1), (3, 1)]
    below = count_children(Topic.topics)
    assert sorted(await counts(Topic.name, below)) == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
        ("root", 3),
    ]
    top = aliased(Topic)
    assert await counts(top.name, count_children(top.topics).label("n")) != []
    alone = select(top.name).where(count_children(top.topics) == 3)
    assert (await session.scalars(alone)).all() == ["root"]

    juries = (await session.scalars(select(Jury).order_by(Jury.id))).all()
    (_, first), (_, none) = await first_children(
        session, juries, Jury.authors, Author.id.desc(), limit=2
    )
    assert [author.id for author in first] == [authors[2], authors[1]]
    assert none == []
    seats = (await session.scalars(select(Seat).order_by(Seat.author_id))).all()
    found = await first_children(session, seats, Seat.votes, Vote.stars, limit=2)
    assert [[vote.stars for vote in some] for _, some in found] == [[0], [0, 1], [0, 1]]
    ((_, topics),) = await first_children(
        session, [root], Topic.topics, Topic.name.desc(), limit=2
    )
    assert [topic.name for topic in topics] == ["c", "b"]


async def test_deleted_children_are_neither_counted_nor_shown(
    session: AsyncSession, authors: list[int]
) -> None:
    seat = Seat(author_id=authors[0], jury=Jury(id=1), role="judge", votes=[])
    seat.votes = [Vote(stars=1), Vote(stars=2)]
    session.add(seat)
    seat.votes[0].mark_deleted()
    await session.flush()
    votes = count_children(Seat.votes)
    assert await session.scalar(select(votes).select_from(Seat)) == 1
    one = select(Seat.role).where(votes == 1)
    assert (await session.scalars(one)).all() == ["judge"]
    ((_, live),) = await first_children(
        session, [seat], Seat.votes, Vote.stars, limit=2
    )
    assert [vote.stars for vote in live] == [2]


async def test_an_association_with_data_is_two_statements_in_any_number(
    session: AsyncSession, authors: list[int], statements: Statements
) -> None:
    jury = Jury(seats=[Seat(author_id=n, role="judge") for n in authors[:5]])
    session.add_all([jury, Jury(seats=[Seat(author_id=authors[0], role="chair")])])
    await session.commit()
    session.expunge_all()

    both = selectinload(Jury.seats).joinedload(Seat.author, innerjoin=True)
    stmt = select(Jury).order_by(Jury.id).options(both, selectinload(Jury.authors))
    with statements() as sent:
        found = (await session.scalars(stmt)).all()
        assert [len(jury.seats) for jury in found] == [5, 1]
        assert (found[1].seats[0].role, found[1].seats[0].author.name) == (
            "chair",
            "00",
        )
        assert [author.id for author in found[0].authors] == authors[:5]
    assert len(sent) == 3

    # A set that a client sends again: equal keys become UPDATEs, not duplicates.
    found[0].seats = [Seat(author_id=n, role="guest") for n in authors[3:7]]
    await session.commit()
    again = select(Seat.author_id, Seat.role).where(Seat.jury_id == found[0].id)
    kept = await session.execute(again.order_by(Seat.author_id))
    assert [tuple(row) for row in kept] == [(n, "guest") for n in authors[3:7]]


@pytest.mark.trap("secondary-writes-too")
def test_a_shortcut_past_the_association_that_may_write_is_warned_of() -> None:
    """`viewonly=True`, as `Jury.authors` has it, or the row is inserted twice."""

    class Own(DeclarativeBase):
        registry = registry()

    class Link(Own):
        __tablename__ = "link"

        left_id: Mapped[int] = mapped_column(ForeignKey("left.id"), primary_key=True)
        right_id: Mapped[int] = mapped_column(ForeignKey("right.id"), primary_key=True)

    class Left(Own):
        __tablename__ = "left"

        id: Mapped[int] = mapped_column(primary_key=True)
        links: Mapped[list[Link]] = relationship(Link)
        rights: Mapped[list[Right]] = relationship("Right", secondary="link")

    class Right(Own):
        __tablename__ = "right"

        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.warns(SAWarning, match="will copy column"):
        configure_mappers()
    Own.registry.dispose()


@pytest.mark.trap("replaced-one-to-one")
async def test_the_new_child_is_inserted_before_the_old_one_is_deleted(
    session: AsyncSession, authors: list[int]
) -> None:
    session.add(Profile(author_id=authors[0]))
    await session.commit()
    load = [selectinload(Author.profile)]
    author = await session.get_one(Author, authors[0], options=load)
    author.profile = Profile()
    with pytest.raises(IntegrityError):
        await session.flush()
    await session.rollback()

    session.expunge_all()
    author = await session.get_one(Author, authors[0], options=load)
    author.profile = None
    await session.flush()
    author.profile = Profile()
    await session.commit()
    assert await session.scalar(select(func.count(Profile.id))) == 1


@pytest.mark.trap("subclass-columns")
async def test_a_query_of_the_base_class_loads_no_columns_of_subclasses(
    session: AsyncSession, statements: Statements
) -> None:
    session.add_all([Editor(desk="sports"), Critic(paper="Times")])
    await session.commit()
    everyone = select(Person).order_by(Person.id)
    session.expunge_all()
    editor, critic = (await session.scalars(everyone)).all()
    assert (type(editor), type(critic)) == (Editor, Critic)
    for person, name in ((editor, "desk"), (critic, "paper")):
        with lazy_load():
            getattr(person, name)

    session.expunge_all()
    loaded = everyone.options(selectin_polymorphic(Person, [Editor, Critic]))
    with statements() as sent:
        editor, critic = (await session.scalars(loaded)).all()
        assert isinstance(editor, Editor)
        assert isinstance(critic, Critic)
        assert (editor.desk, critic.paper) == ("sports", "Times")
    assert len(sent) == 3


def below(root: str) -> Any:
    """The ids of a topic and all below it. UNION ends where a cycle begins."""
    tree = select(Topic.id).where(Topic.name == root).cte(recursive=True)
    return tree.union(select(Topic.id).join(tree, Topic.parent_id == tree.c.id))


async def test_a_whole_tree_is_put_together_from_one_statement(
    session: AsyncSession, statements: Statements
) -> None:
    leaf = Topic(name="leaf", topics=[])
    session.add(Topic(name="root", topics=[Topic(name="branch", topics=[leaf])]))
    session.add(Topic(name="other", topics=[]))
    await session.commit()
    session.expunge_all()

    tree = below("root")
    with statements() as sent:
        stmt = select(Topic).join(tree, Topic.id == tree.c.id).order_by(Topic.id)
        topics = (await session.scalars(stmt)).all()
        children: dict[int | None, list[Topic]] = defaultdict(list)
        for topic in topics:
            children[topic.parent_id].append(topic)
        for topic in topics:
            set_committed_value(topic, "topics", children[topic.id])
        (root,) = children[None]
        assert root.topics[0].topics[0].name == "leaf"
    assert len(sent) == 1
    assert not session.dirty

    session.expunge_all()
    levels = selectinload(Topic.topics, recursion_depth=-1)
    with statements() as sent:
        stmt = select(Topic).where(Topic.name == "root").options(levels)
        root = (await session.scalars(stmt)).one()
        assert root.topics[0].topics[0].topics == []
    assert len(sent) == 4


async def test_a_tree_with_a_cycle_is_read_to_its_end(session: AsyncSession) -> None:
    top = Topic(name="top", topics=[])
    session.add_all([top, Topic(name="low", topics=[])])
    await session.flush()
    low = (await session.scalars(select(Topic).where(Topic.name == "low"))).one()
    low.parent_id, top.parent_id = top.id, low.id
    await session.flush()
    ids = await session.scalars(select(below("top").c.id))
    assert sorted(ids) == sorted([top.id, low.id])


async def test_a_tree_goes_with_its_root(session: AsyncSession) -> None:
    leaf = Topic(name="leaf", topics=[])
    session.add(Topic(name="root", topics=[Topic(name="branch", topics=[leaf])]))
    await session.commit()
    session.expunge_all()

    root = (await session.scalars(select(Topic).where(Topic.parent_id.is_(None)))).one()
    await session.delete(root)
    await session.flush()
    assert await session.scalar(select(func.count(Topic.id))) == 0
