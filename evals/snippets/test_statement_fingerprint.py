"""Evals for snippets/statement_fingerprint.py."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    column,
    except_,
    extract,
    func,
    join,
    literal_column,
    or_,
    outerjoin,
    select,
    text,
    tuple_,
    union,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    aliased,
    mapped_column,
    relationship,
    selectinload,
)

from snippets.statement_fingerprint import statement_fingerprint

ROOT = Path(__file__).resolve().parents[2]


class Mood(enum.Enum):
    CALM = 1
    WILD = 2


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    room: Mapped[str]
    books: Mapped[list[Book]] = relationship(back_populates="shelf")


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey("shelf.id"))
    title: Mapped[str]
    pages: Mapped[int | None]
    added_at: Mapped[datetime | None]
    shelf: Mapped[Shelf | None] = relationship(back_populates="books")


class Opaque:
    """A value without a `repr` of its own."""


def different() -> list[Any]:
    """Return statements no two of which ask the same."""
    other, first, second = aliased(Book), aliased(Book), aliased(Book)
    a, b, c, d, e = (Book.pages == n for n in range(5))
    few = select(Book.id).where(Book.pages < 5)
    many = select(Book.id).where(Book.pages > 5)
    return [
        select(Book),
        select(Shelf),
        select(Book, Shelf),
        select(Book.id),
        *(select(Book).where(Book.pages == n) for n in (1, 2, -1)),
        *(select(Book).where(Book.title == value) for value in ("1", "é", "1, 2")),
        select(Book).where(Book.pages != 1),
        select(Book).where(Book.pages < 1),
        select(Book).where(Book.pages.is_(None)),
        select(Book).where(Book.pages.is_not(None)),
        select(Book).where(Book.id == 1),
        select(Book).where(Book.pages.in_([1, 2])),
        select(Book).where(Book.pages.in_([1, 2, 3])),
        select(Book).where(Book.pages.not_in([1, 2])),
        select(Book).where(tuple_(Book.id, Book.pages).in_([(1, 2)])),
        select(Book).where(tuple_(Book.id, Book.pages).in_([(2, 1)])),
        select(Book).where(Book.title.like("a/%", escape="/")),
        select(Book).where(Book.title.like("a/%", escape="|")),
        select(Book).where(Book.title.like("a/%")),
        select(Book).where(Book.title.ilike("a/%")),
        select(Book).where(Book.title.op("@@")("x")),
        select(Book).where(Book.title.op("<%")("x")),
        select(Book).where(func.lower(Book.title) == "x"),
        select(Book).where(func.upper(Book.title) == "x"),
        select(Book).where(Book.title.collate("C") == "x"),
        select(Book).where(Book.title.collate("NOCASE") == "x"),
        select(Book).where(cast(Book.title, Integer) == 1),
        select(Book).where(cast(Book.title, String(3)) == 1),
        select(Book).where(extract("year", Book.added_at) == 2026),
        select(Book).where(extract("month", Book.added_at) == 2026),
        select(Book).where(Book.added_at > datetime(2026, 1, 1)),
        select(Book).where(Book.added_at > datetime(2026, 1, 1, tzinfo=UTC)),
        select(Book).where(text("pages = 1")),
        select(Book).where(text("pages = :n").bindparams(n=1)),
        select(Book).where(text("pages = :n").bindparams(n=2)),
        select(literal_column("1")).select_from(Book),
        select(literal_column("2")).select_from(Book),
        # The same parts in the same order, put together differently.
        select(Book).where(or_(a, b), or_(c, d, e)),
        select(Book).where(or_(a, b, c), or_(d, e)),
        select(Book).where(or_(a, b, c, d, e)),
        select(Book).where(and_(a, c, or_(b, d))),
        select(Book).where(and_(a, or_(c, b, d))),
        select(Book.id).where(a, b).having(c),
        select(Book.id).where(a).having(b, c),
        select(Book.id).where(a, b, c),
        select(Book.id).where(a).group_by(b),
        select(Book.id).where(a, b),
        select(Book.id).group_by(a, b),
        select(Book.id).group_by(a).having(b),
        select(Book.id).distinct(),
        select(Book).where(func.sum(Book.id).over(order_by=Book.pages) == 1),
        select(Book).where(func.sum(Book.id).over(partition_by=Book.pages) == 1),
        select(Book).where(case((a, 2), else_=3) == 3),
        select(Book).where(case({2: 3}, value=a) == 3),
        select(Book).outerjoin(Book.shelf),
        select(Book).join(Book.shelf, full=True),
        select(Book).select_from(join(Book, Shelf)),
        select(first).where(first.id < second.id),
        select(first).where(second.id < first.id),
        select(Table("crate", MetaData(), Column("id", Integer))),
        select(Table("crate", MetaData(), Column("id", Integer), schema="attic")),
        select(Book).where(text("pages = 2")),
        select(Book).join(Book.shelf),
        select(Book).join(Book.shelf).where(Shelf.room == "1"),
        select(Book).where(Book.shelf.has(Shelf.room == "1")),
        select(Shelf).where(Shelf.books.any(Book.pages == 1)),
        select(Book).select_from(outerjoin(Book, Shelf)),
        select(Book).select_from(outerjoin(Book, Shelf, full=True)),
        select(Book).select_from(outerjoin(Shelf, Book)),
        select(other).where(other.id == Book.pages, Book.id == 7),
        select(other).where(other.id == Book.pages, other.id == 7),
        select(union(few, many).subquery()),
        select(except_(few, many).subquery()),
        select(few.subquery()),
        select(many.subquery()),
        select(func.count()).select_from(Book).having(func.count() > 1),
        Book.pages.desc(),
        Book.pages.asc(),
        Book.pages.desc().nulls_first(),
        Book.pages.desc().nulls_last(),
    ]


def test_two_questions_never_have_one_fingerprint() -> None:
    found: dict[bytes, Any] = {}
    for stmt in different():
        print_ = statement_fingerprint(stmt)
        assert len(print_) == 32
        assert print_ not in found, f"{stmt} is taken for {found[print_]}"
        found[print_] = stmt


def test_one_question_has_one_fingerprint() -> None:
    for first, again in zip(different(), different(), strict=True):
        assert statement_fingerprint(first) == statement_fingerprint(again)


def test_the_order_of_statements_counts() -> None:
    one, two = Book.id.asc(), Book.pages.asc()
    assert statement_fingerprint(one, two) != statement_fingerprint(two, one)
    assert statement_fingerprint(one) != statement_fingerprint(one, two)


def test_what_is_loaded_with_an_entity_does_not_count() -> None:
    plain = statement_fingerprint(select(Shelf))
    assert (
        statement_fingerprint(select(Shelf).options(selectinload(Shelf.books))) == plain
    )


def test_a_set_has_no_order() -> None:
    letters = "abcdefghijkl"
    found = {
        statement_fingerprint(select(Book).where(Book.title.in_(kind(letters))))
        for kind in (list, set, frozenset, lambda text: list(reversed(text)))
    }
    assert len(found) == 1


def test_another_process_finds_the_same() -> None:
    code = (
        "from evals.snippets.test_statement_fingerprint import *;"
        "print(*(statement_fingerprint(s).hex() for s in different()))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    here = " ".join(statement_fingerprint(stmt).hex() for stmt in different())
    assert {text.strip() for text in found} == {here}


def test_a_value_that_reads_differently_in_each_process_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        statement_fingerprint(select(Book).where(column("x") == Opaque()))
    assert str(caught.value) == (
        "Opaque has no repr() of its own: give it one that tells its values apart, or"
        " filter by a plain value"
    )
    assert statement_fingerprint(select(Book).where(column("x") == Mood.CALM))


async def test_it_changes_nothing_about_the_statement(session: AsyncSession) -> None:
    session.add(Book(title="x", pages=3))
    await session.flush()
    stmt: Select[Any] = select(Book.title).where(Book.pages.in_({3, 4}))
    statement_fingerprint(stmt)
    assert list(await session.scalars(stmt)) == ["x"]
