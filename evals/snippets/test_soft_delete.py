"""Evals for snippets/soft_delete.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    MetaData,
    UniqueConstraint,
    delete,
    exists,
    func,
    insert,
    not_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    aliased,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
)

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION, UtcDateTime
from snippets.base import Base as PackBase
from snippets.soft_delete import SoftDeletable, SoftDelete, live_rows


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


LIVE = text("deleted_at IS NULL")
THEN = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE_2_1 = sqlalchemy.__version__.startswith("2.0.")


class Author(SoftDelete, AsyncAttrs, Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    nick: Mapped[str | None]
    articles: Mapped[list[Article]] = relationship(
        back_populates="author", order_by="Article.id"
    )

    __table_args__ = (
        Index(
            "uq_author_email",
            "email",
            unique=True,
            postgresql_where=LIVE,
            sqlite_where=LIVE,
        ),
        UniqueConstraint("nick", "deleted_at"),
    )


class Article(SoftDelete, AsyncAttrs, Base):
    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"), index=True)
    title: Mapped[str] = mapped_column(default="")
    author: Mapped[Author] = relationship(back_populates="articles")


class Flagged(SoftDeletable):
    """An old table's own flag drives the filter."""

    is_active: Mapped[bool] = mapped_column(default=True)

    @hybrid_property
    def is_deleted(self) -> bool:
        return not self.is_active

    @is_deleted.inplace.expression
    @classmethod
    def is_deleted_in_sql(cls) -> ColumnElement[bool]:
        return not_(cls.is_active)


class Member(Flagged, Base):
    __tablename__ = "member"

    id: Mapped[int] = mapped_column(primary_key=True)


class Draft(SoftDeletable, Base):
    """Marked as deletable, and nothing says yet when it is."""

    __tablename__ = "draft"

    id: Mapped[int] = mapped_column(primary_key=True)


class Letter(SoftDelete, MappedAsDataclass, Base, kw_only=True):
    __tablename__ = "letter"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    deleted_at: Mapped[datetime | None] = mapped_column(init=False)


AUTHORS = Base.metadata.tables["author"]


@pytest.fixture
async def rows(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Ann is live with a live and a deleted article; Ben is deleted; Cid's are gone."""
    gone = datetime.now(UTC)
    async with sessions.begin() as session:
        ann, ben, cid = (Author(id=n, email=f"{n}@example.com") for n in (1, 2, 3))
        ben.deleted_at = gone
        session.add_all([ann, ben, cid])
        session.add(Article(id=1, author=ann))
        session.add(Article(id=2, author=ann, deleted_at=gone))
        session.add(Article(id=3, author=cid, deleted_at=gone))
        session.add(Article(id=4, author=ben))


async def ids(session: AsyncSession, stmt: Any, **options: Any) -> list[int]:
    return sorted((await session.scalars(stmt, execution_options=options)).all())


def articles_of(authors: Any) -> list[tuple[int, list[int]]]:
    return sorted((a.id, [article.id for article in a.articles]) for a in authors)


@pytest.mark.usefixtures("rows")
async def test_no_select_of_the_orm_sees_deleted_rows(session: AsyncSession) -> None:
    other = aliased(Author)
    inside = select(Author.id).subquery()

    assert [a.id for a in await session.scalars(select(Author))] == [1, 3]
    assert await ids(session, select(Author.id)) == [1, 3]
    assert await ids(session, select(other.id)) == [1, 3]
    assert await ids(session, select(inside.c.id)) == [1, 3]
    assert await ids(session, select(Author.id).join(Author.articles)) == [1]
    written = select(Author.id).where(Author.id.in_(select(Article.author_id)))
    assert await ids(session, written) == [1]
    assert await session.scalar(select(func.count()).select_from(Author)) == 2
    assert await session.scalar(select(func.count(Author.id))) == 2
    assert await session.get(Author, 2) is None


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("load", [selectinload, joinedload, subqueryload])
async def test_no_relationship_loads_deleted_rows(
    session: AsyncSession, load: Any
) -> None:
    stmt = select(Author).options(load(Author.articles))
    assert articles_of((await session.scalars(stmt)).unique()) == [(1, [1]), (3, [])]


@pytest.mark.usefixtures("rows")
async def test_a_lazy_load_does_not_see_deleted_rows(session: AsyncSession) -> None:
    ann = await session.get_one(Author, 1)
    assert [article.id for article in await ann.awaitable_attrs.articles] == [1]

    new = Author(id=9, email="new@example.com")
    session.add(new)
    await session.flush()
    gone = Article(id=8, author_id=9, deleted_at=THEN)
    session.add_all([gone, Article(id=9, author_id=9)])
    await session.flush()
    assert [article.id for article in await new.awaitable_attrs.articles] == [9]


@pytest.mark.usefixtures("rows")
async def test_the_condition_is_sent_once_for_each_table(
    session: AsyncSession, statements: Statements
) -> None:
    with statements() as sent:
        await session.scalars(select(Author).options(selectinload(Author.articles)))
    assert [sql.count("deleted_at IS NULL") for sql in sent] == [1, 1]


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("load", [selectinload, joinedload])
async def test_deleted_rows_are_seen_when_asked_for_with_their_children(
    session: AsyncSession, load: Any
) -> None:
    stmt = select(Author).options(load(Author.articles))
    found = await session.scalars(stmt.execution_options(include_deleted=True))
    assert articles_of(found.unique()) == [(1, [1, 2]), (2, [4]), (3, [3])]


@pytest.mark.usefixtures("rows")
async def test_a_deleted_parent_is_none(session: AsyncSession) -> None:
    stmt = select(Article).where(Article.id == 4)
    left = await session.scalars(stmt.options(joinedload(Article.author)))
    assert left.one().author is None
    session.expunge_all()

    inner = await session.scalars(
        stmt.options(joinedload(Article.author, innerjoin=True))
    )
    assert inner.one_or_none() is None


@pytest.mark.usefixtures("rows")
async def test_updates_and_deletes_of_many_leave_deleted_rows_alone(
    session: AsyncSession,
) -> None:
    await session.execute(update(Article).values(title="changed"))
    await session.execute(delete(Article).where(Article.author_id == 3))
    changed = select(Article.id).where(Article.title == "changed")
    assert await ids(session, changed, include_deleted=True) == [1, 4]
    assert await ids(session, select(Article.id), include_deleted=True) == [1, 2, 3, 4]

    purge = delete(Article).where(Article.is_deleted)
    await session.execute(purge, execution_options={"include_deleted": True})
    assert await ids(session, select(Article.id), include_deleted=True) == [1, 4]


@pytest.mark.trap("unfiltered-path")
@pytest.mark.usefixtures("rows")
async def test_text_tables_and_held_objects_show_deleted_rows(
    session: AsyncSession,
) -> None:
    assert await ids(session, select(AUTHORS.c.id)) == [1, 2, 3]
    assert await session.scalar(text("SELECT count(*) FROM author")) == 3

    stmt = select(Author).where(Author.id == 2)
    ben = (
        await session.scalars(stmt, execution_options={"include_deleted": True})
    ).one()
    assert await session.get(Author, 2) is ben
    await session.refresh(ben)
    assert (await session.scalars(stmt)).one_or_none() is None


@pytest.mark.trap("any-on-2-0")
@pytest.mark.usefixtures("rows")
async def test_what_only_where_names_is_not_filtered_before_2_1(
    session: AsyncSession,
) -> None:
    stmt = select(Author.id).where(Author.articles.any())
    assert await ids(session, stmt) == ([1, 3] if BEFORE_2_1 else [1])
    alone = select(exists().where(Author.id == 2))
    assert await session.scalar(alone) is BEFORE_2_1

    said = select(Author.id).where(Author.articles.any(not_(Article.is_deleted)))
    assert await ids(session, said) == [1]


async def test_marking_and_restoring_work_in_python_and_in_sql(
    session: AsyncSession,
) -> None:
    author = Author(email="ann@example.com")
    session.add(author)
    await session.flush()
    assert not author.is_deleted

    before = datetime.now(UTC)
    author.mark_deleted()
    assert author.is_deleted
    assert author.deleted_at is not None
    assert before <= author.deleted_at <= datetime.now(UTC)
    seen = {"include_deleted": True}
    deleted = select(Author.id).where(Author.is_deleted)
    assert await ids(session, deleted, **seen) == [author.id]
    assert await ids(session, select(Author.id)) == []

    author.deleted_at = THEN
    author.mark_deleted()
    assert author.deleted_at == THEN

    author.restore()
    assert not author.is_deleted
    assert await ids(session, deleted, **seen) == []
    assert await ids(session, select(Author.id)) == [author.id]


async def test_a_name_is_unique_among_live_rows(session: AsyncSession) -> None:
    first = Author(email="same@example.com")
    session.add(first)
    await session.flush()
    first.mark_deleted()
    session.add(Author(email="same@example.com"))
    await session.commit()

    session.add(Author(email="same@example.com"))
    with pytest.raises(IntegrityError):
        await session.flush()


async def test_a_row_whose_name_is_taken_cannot_be_restored(
    session: AsyncSession,
) -> None:
    first = Author(email="same@example.com", deleted_at=THEN)
    session.add_all([first, Author(email="same@example.com")])
    await session.commit()

    first.restore()
    with pytest.raises(IntegrityError):
        await session.flush()


@pytest.mark.trap("unique-with-null")
async def test_a_constraint_that_holds_deleted_at_holds_nothing(
    session: AsyncSession,
) -> None:
    session.add_all([Author(email=f"{n}@x", nick="same") for n in range(2)])
    await session.flush()
    same = select(func.count()).where(Author.nick == "same")
    assert await session.scalar(same) == 2


async def test_a_flag_column_can_drive_the_filter(session: AsyncSession) -> None:
    session.add_all([Member(id=1), Member(id=2, is_active=False)])
    await session.flush()

    assert await ids(session, select(Member.id)) == [1]
    assert await ids(session, select(Member.id), include_deleted=True) == [1, 2]
    hidden = select(Member.id).where(Member.is_deleted)
    assert await ids(session, hidden, include_deleted=True) == [2]


async def test_what_says_nothing_about_deletion_is_live(session: AsyncSession) -> None:
    draft = Draft(id=1)
    session.add(draft)
    await session.flush()
    assert draft.is_deleted is False
    assert await ids(session, select(Draft.id)) == [1]


async def test_a_dataclass_model_declares_the_column_again(
    session: AsyncSession,
) -> None:
    gone = Letter()
    session.add_all([gone, Letter()])
    assert not gone.is_deleted
    gone.mark_deleted()
    await session.commit()
    await session.refresh(gone)
    assert gone.deleted_at is not None
    assert gone.deleted_at.tzinfo is not None
    assert len((await session.scalars(select(Letter))).all()) == 1


def test_the_time_is_utc_on_any_base() -> None:
    class Own(DeclarativeBase):
        pass

    class Stamp(SoftDelete, Own):
        __tablename__ = "stamp"

        id: Mapped[int] = mapped_column(primary_key=True)

    assert isinstance(Own.metadata.tables["stamp"].c.deleted_at.type, UtcDateTime)


def test_the_filter_is_made_once() -> None:
    assert live_rows() is live_rows()


async def test_other_statements_pass(session: AsyncSession) -> None:
    await session.execute(insert(Author), [{"email": "a"}, {"email": "b"}])
    await session.execute(insert(AUTHORS).values(email="c"))
    assert await session.scalar(select(func.count()).select_from(Author)) == 3
    assert await session.scalar(select(1)) == 1
