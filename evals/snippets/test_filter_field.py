"""Evals for snippets/filter_field.py."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from sqlalchemy import JSON, ForeignKey, MetaData, func, insert, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.filter_field import COMPARE, MAX_VALUES, FilterField
from snippets.text_match import configure_folding


class Kind(Enum):
    NOVEL = "novel"
    ATLAS = "atlas"


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None]
    pages: Mapped[int | None]
    kind: Mapped[Kind]
    author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
    extra: Mapped[Any] = mapped_column(JSON, nullable=True)
    author: Mapped[Author | None] = relationship()
    words: Mapped[list[Word]] = relationship()


class Word(Base):
    __tablename__ = "word"

    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"), primary_key=True)
    word: Mapped[str] = mapped_column(primary_key=True)


BOOKS = [
    (1, "Élan 50%", 10, Kind.NOVEL, 1),
    (2, "ÉLAN 501", 20, Kind.ATLAS, 2),
    (3, None, None, Kind.NOVEL, None),
    (4, "plain", 30, Kind.NOVEL, 3),
]
WORDS = [(1, "red"), (1, "blue"), (2, "red"), (4, "green")]
TITLE, PAGES, KIND = map(FilterField, (Book.title, Book.pages, Book.kind))
WORD = FilterField(Word.word, exists=Book.words.any)
AUTHOR = FilterField(Author.name, exists=Book.author.has)


@pytest.fixture
async def engine(engine: AsyncEngine, database: str) -> AsyncEngine:
    configure_folding(engine)
    await engine.dispose()
    return engine


@pytest.fixture
async def session(session: AsyncSession, database: str) -> AsyncSession:
    names = ("id", "title", "pages", "kind", "author_id")
    authors = [{"id": i, "name": name} for i, name in enumerate(["Ann", "Bo", None], 1)]
    await session.execute(insert(Author), authors)
    books = [dict(zip(names, book, strict=True)) for book in BOOKS]
    await session.execute(insert(Book), books)
    words = [{"book_id": book, "word": word} for book, word in WORDS]
    await session.execute(insert(Word), words)
    return session


async def ids(session: AsyncSession, condition: Any) -> list[int]:
    stmt = select(Book.id).where(condition).order_by(Book.id)
    return list(await session.scalars(stmt))


@pytest.mark.parametrize(
    ("field", "operator", "texts", "expected"),
    [
        (PAGES, "eq", ["20"], [2]),
        (PAGES, "ne", ["20"], [1, 3, 4]),
        (PAGES, "lt", ["20"], [1]),
        (PAGES, "le", ["20"], [1, 2]),
        (PAGES, "gt", ["20"], [4]),
        (PAGES, "ge", ["20"], [2, 4]),
        (PAGES, "in", ["10", "30", "99"], [1, 4]),
        (PAGES, "not_in", ["10", "30"], [2, 3]),
        (PAGES, "isnull", ["true"], [3]),
        (PAGES, "isnull", ["false"], [1, 2, 4]),
        (KIND, "eq", ["atlas"], [2]),
        (KIND, "not_in", ["atlas"], [1, 3, 4]),
        (TITLE, "eq", ["élan 50%"], []),
        (TITLE, "eq", ["Élan 50%"], [1]),
        (TITLE, "contains", ["LAN 50"], [1, 2]),
        (TITLE, "contains", ["50%"], [1]),
        (TITLE, "not_contains", ["50%"], [2, 3, 4]),
        (TITLE, "starts", ["élan"], [1, 2]),
        (TITLE, "starts", ["501"], []),
        (TITLE, "ends", ["501"], [2]),
        (TITLE, "ends", ["élan"], []),
        (WORD, "eq", ["red"], [1, 2]),
        (WORD, "ne", ["red"], [3, 4]),
        (WORD, "in", ["blue", "green"], [1, 4]),
        (WORD, "not_in", ["blue", "green"], [2, 3]),
        (WORD, "contains", ["E"], [1, 2, 4]),
        (WORD, "not_contains", ["R"], [3]),
        (WORD, "isnull", ["true"], [3]),
        (WORD, "isnull", ["false"], [1, 2, 4]),
        (AUTHOR, "eq", ["Ann"], [1]),
        (AUTHOR, "ne", ["Ann"], [2, 3, 4]),
        (AUTHOR, "isnull", ["true"], [3, 4]),
        (AUTHOR, "isnull", ["false"], [1, 2]),
    ],
    ids=range(33),
)
async def test_an_operator_finds_its_rows(
    session: AsyncSession,
    field: FilterField,
    operator: str,
    texts: list[str],
    expected: list[int],
) -> None:
    condition = field.filters()[operator].condition(texts)
    assert await ids(session, condition) == expected


@pytest.mark.trap("not-equal-null")
async def test_not_equal_by_hand_loses_rows_without_a_value(
    session: AsyncSession,
) -> None:
    assert await ids(session, Book.pages != 20) == [1, 4]
    assert await ids(session, not_(or_(Book.pages == 20, Book.pages == 10))) == [4]
    assert await ids(session, Book.title.not_like("%50%")) == [4]
    assert await ids(session, PAGES.filters()["ne"].condition(["20"])) == [1, 3, 4]


async def test_an_operator_and_its_opposite_find_each_row_once(
    session: AsyncSession,
) -> None:
    for field, text in (PAGES, "20"), (TITLE, "%"), (WORD, "red"), (AUTHOR, "Ann"):
        filters = field.filters()
        for yes, no in ("eq", "ne"), ("in", "not_in"), ("contains", "not_contains"):
            if yes in filters:
                kept = await ids(session, filters[yes].condition([text]))
                others = await ids(session, filters[no].condition([text]))
                assert sorted(kept + others) == [1, 2, 3, 4], (field.column, yes)


def test_not_equal_is_one_operator_on_a_column() -> None:
    assert str(PAGES.filters()["ne"].condition(["1"])) == (
        "book.pages IS DISTINCT FROM :pages_1"
    )
    # PostgreSQL turns a plain NOT EXISTS into a join.
    related = str(WORD.filters()["ne"].condition(["red"]))
    assert related.startswith("NOT (EXISTS (SELECT 1")


async def test_each_condition_on_related_rows_looks_for_a_row_of_its_own(
    session: AsyncSession,
) -> None:
    red, blue = (WORD.filters()["eq"].condition([word]) for word in ("red", "blue"))
    stmt = select(Book.id).where(red, blue)
    assert (await session.scalars(stmt)).all() == [1]


async def test_a_path_of_relationships_is_an_exists_in_an_exists(
    session: AsyncSession,
) -> None:
    of_author = FilterField(
        Author.name,
        exists=lambda rule: Book.author.has(Author.name.is_not(None) & rule),
    )
    assert await ids(session, of_author.filters()["ne"].condition(["Bo"])) == [1, 3, 4]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (FilterField(Book.id), "eq ne in not_in lt le gt ge"),
        (PAGES, "eq ne in not_in lt le gt ge isnull"),
        (TITLE, "eq ne in not_in contains not_contains starts ends isnull"),
        (KIND, "eq ne in not_in"),
        (WORD, "eq ne in not_in contains not_contains starts ends isnull"),
        (FilterField(Book.pages, "ge le"), "ge le"),
        (
            FilterField(func.coalesce(Book.pages, 0)),
            "eq ne in not_in lt le gt ge isnull",
        ),
        (FilterField(Book.pages, ""), ""),
    ],
    ids=range(8),
)
def test_a_field_has_the_operators_of_its_type(
    field: FilterField, expected: str
) -> None:
    assert " ".join(field.filters()) == expected


def test_what_does_not_suit_fails_when_it_is_declared() -> None:
    with pytest.raises(ValueError, match="cannot filter") as caught:
        FilterField(Book.pages, "eq matches contains").filters()
    assert str(caught.value) == (
        "cannot filter Book.pages by contains, matches:"
        " expected some of eq, ne, in, not_in, lt, le, gt, ge, isnull"
    )
    with pytest.raises(ValueError, match=r"cannot filter Book.id by isnull"):
        FilterField(Book.id, "isnull").filters()
    with pytest.raises(TypeError, match="cannot filter by JSON"):
        FilterField(Book.extra).filters()


def test_a_value_comes_once_and_a_list_has_an_end() -> None:
    filters = PAGES.filters()
    limit = [str(n) for n in range(MAX_VALUES)]
    assert filters["in"].condition(limit) is not None
    with pytest.raises(ValueError, match="expected it 100 times at most, not 101"):
        filters["not_in"].condition([*limit, "1"])
    with pytest.raises(ValueError, match="expected it 1 times at most, not 2"):
        filters["eq"].condition(["1", "2"])
    with pytest.raises(ValueError, match="expected an integer"):
        filters["in"].condition(["1", "x"])
    with pytest.raises(ValueError, match="expected one of true, false"):
        filters["isnull"].condition(["1"])


def test_an_operator_says_what_it_means() -> None:
    filters = TITLE.filters() | PAGES.filters()
    assert filters.keys() == COMPARE.keys()
    assert {name for name, found in filters.items() if found.many} == {"in", "not_in"}
    assert {name: found.meaning for name, found in filters.items()} == {
        "eq": "equals this",
        "ne": "does not equal this, or has no value",
        "lt": "is less",
        "le": "is less or equal",
        "gt": "is greater",
        "ge": "is greater or equal",
        "in": "is one of these",
        "not_in": "is none of these, or has no value",
        "contains": "contains this, in any case",
        "not_contains": "does not contain this, or has no value",
        "starts": "starts with this, in any case",
        "ends": "ends with this, in any case",
        "isnull": "has no value (true), or has one (false)",
    }
