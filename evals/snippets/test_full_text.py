"""Evals for snippets/full_text.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, event, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.full_text import BEGIN, END, FullText, mark_html
from snippets.full_text_ddl import create_full_text
from snippets.offset_pagination import Numbered


class Base(DeclarativeBase):
    pass


class Recipe(Base):
    __tablename__ = "recipe"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str | None]
    stars: Mapped[int] = mapped_column(default=0)


class Review(Base):
    __tablename__ = "review"

    key: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str] = mapped_column("text")


class Manual(Base):
    __tablename__ = "manual"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    summary: Mapped[str]
    body: Mapped[str]
    notes: Mapped[str]


PARTS = [Manual.title, Manual.summary, Manual.body, Manual.notes]


@event.listens_for(Base.metadata, "after_create")
def index_text(metadata: MetaData, conn: Connection, **options: Any) -> None:
    """Do what a revision does."""
    dialect = conn.dialect.name
    statements = create_full_text(dialect, "recipe", ["title", "body"])
    english = {"key": "key", "language": "english"}
    statements += create_full_text(dialect, "review", ["text"], **english)
    statements += create_full_text(dialect, "manual", [part.key for part in PARTS])
    for sql in statements:
        conn.exec_driver_sql(sql)


SEARCH = FullText(Recipe.title, Recipe.body)
REVIEWS = FullText(Review.words, language="english")
RECIPES = [
    (1, "Apple cake", "Sugar and flour."),
    (2, "Bread", "Flour, water; no sugar. Serve with apple butter or cake."),
    (3, "Cake of apples", None),
    (4, "Chocolate cake", "Chocolate, chocolate & <b>more</b> chocolate"),
    (5, "Éclair", "it's c++ <img src=x onerror=alert(1)// cream"),
    (6, "Pie", "An old apple cake recipe " + "with words " * 60),
]


@pytest.fixture
async def session(session: AsyncSession, database: str) -> AsyncSession:
    rows = [{"id": i, "title": t, "body": b, "stars": i % 2} for i, t, b in RECIPES]
    await session.execute(insert(Recipe), rows)
    return session


async def ids(session: AsyncSession, q: str) -> list[int]:
    stmt = select(Recipe.id).where(SEARCH.matches(q)).order_by(Recipe.id)
    return list(await session.scalars(stmt))


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("apple", [1, 2, 6]),
        ("APPLE cake", [1, 2, 6]),
        ('"apple cake"', [1, 6]),
        ("apple -sugar", [6]),
        ("apple -sugar or chocolate", [4, 6]),
        ("appl*", [1, 2, 3, 6]),
        ("choc* cake -bread", [4]),
        ('cake -"apple cake"', [2, 3, 4]),
        ("éclair", [5]),
        ("ÉCLAIR", [5]),
        ("eclair", []),
        ("it's", [5]),
        ("c++", [5]),
        ("nothing", []),
        ("", []),
        ("-apple", []),
        ("!!!", []),
        ("z' OR 9=9 --", []),
    ],
    ids=range(18),
)
async def test_a_search_finds_the_same_on_both_databases(
    session: AsyncSession, q: str, expected: list[int]
) -> None:
    assert await ids(session, q) == expected


@pytest.mark.parametrize(
    ("q", "expected"),
    [("apple cake", [1, 2, 6]), ("chocolate", [4]), ("cake", [4, 1, 3, 2, 6])],
    ids=range(3),
)
async def test_the_title_counts_more_than_the_body(
    session: AsyncSession, database: str, q: str, expected: list[int]
) -> None:
    stmt = select(Recipe.id).where(SEARCH.matches(q))
    stmt = stmt.order_by(SEARCH.rank(q).desc(), Recipe.id)
    found = (await session.scalars(stmt)).all()
    assert sorted(found) == sorted(expected)
    titles = {1, 3, 4} & set(expected)
    assert set(found[: len(titles)]) == titles


async def test_one_word_in_the_title_beats_two_in_the_body(
    session: AsyncSession,
) -> None:
    session.add_all(
        [
            Recipe(id=7, title="none", body="plum plum"),
            Recipe(id=8, title="plum", body="none none"),
        ]
    )
    await session.flush()
    stmt = select(Recipe.id).where(SEARCH.matches("plum"))
    stmt = stmt.order_by(SEARCH.rank("plum").desc(), Recipe.id)
    assert (await session.scalars(stmt)).all() == [8, 7]


async def test_each_column_counts_more_than_the_next(session: AsyncSession) -> None:
    rows = [
        {part.key: "a pump" if n == place else "a part" for n, part in enumerate(PARTS)}
        for place in (2, 0, 3, 1)
    ]
    session.add_all([Manual(id=n, **row) for n, row in enumerate(rows)])
    await session.flush()
    manuals = FullText(*PARTS)
    stmt = select(Manual.id).where(manuals.matches("pump"))
    ranked = await session.scalars(stmt.order_by(manuals.rank("pump").desc()))
    assert ranked.all() == [1, 3, 0, 2]
    both = stmt.join(Recipe, Recipe.id == Manual.id).where(SEARCH.matches("bread"))
    assert (await session.scalars(both)).all() == [2]


async def test_a_language_finds_other_forms_of_a_word(session: AsyncSession) -> None:
    texts = {1: "She was baking apples", 2: "A baker"}
    session.add_all(Review(key=key, words=text) for key, text in texts.items())
    await session.flush()
    excerpt = REVIEWS.excerpt(Review.words, "bakes apple")
    stmt = select(Review.key, excerpt).where(REVIEWS.matches("bakes apple"))
    ((key, text),) = (await session.execute(stmt)).all()
    assert key == 1
    assert mark_html(text) == "She was <mark>baking</mark> <mark>apples</mark>"


async def test_a_rank_is_a_number_that_falls(session: AsyncSession) -> None:
    rank = SEARCH.rank("cake apple")
    stmt = select(rank).where(SEARCH.matches("cake apple")).order_by(rank.desc())
    found = (await session.scalars(stmt)).all()
    assert len(found) == 3
    assert all(type(value) is float and value > 0 for value in found)
    assert found[0] > found[1] >= found[2]


async def test_the_best_part_of_the_text_is_marked(
    session: AsyncSession, database: str
) -> None:
    q = '"apple cake" or chocolate'
    stmt = select(
        SEARCH.excerpt(Recipe.title, q), SEARCH.excerpt(Recipe.body, q)
    ).where(SEARCH.matches(q))
    rows = [tuple(row) for row in await session.execute(stmt.order_by(Recipe.id))]
    titles = [mark_html(title) for title, _ in rows]
    assert titles[2] == "Pie"
    # PostgreSQL marks the words of a phrase wherever they are.
    cake = {"sqlite": "cake", "postgresql": "<mark>cake</mark>"}[database]
    assert titles[1] == f"<mark>Chocolate</mark> {cake}"
    assert titles[0].replace("</mark> <mark>", " ") == "<mark>Apple cake</mark>"
    body = mark_html(rows[2][1])
    assert "<mark>apple" in body
    words = body.replace("...", "").split()
    assert len(words) == 24 if database == "sqlite" else 12 <= len(words) <= 24
    # PostgreSQL does not tell that there is more.
    assert body.endswith("...") == (database == "sqlite")
    assert "&amp;" in mark_html(rows[1][1])


async def test_a_text_that_is_null_has_no_excerpt(session: AsyncSession) -> None:
    stmt = select(SEARCH.excerpt(Recipe.body, "apples")).where(Recipe.id == 3)
    assert await session.scalar(stmt) is None
    assert mark_html(None) == ""


async def test_a_search_is_compiled_once(session: AsyncSession) -> None:
    conn = await session.connection()
    cache: dict[Any, Any] = {}
    for q in ("apple", "cake -apple"):
        stmt = select(Recipe.id, SEARCH.rank(q)).where(SEARCH.matches(q))
        await conn.execute(stmt, execution_options={"compiled_cache": cache})
    assert len(cache) == 1


@pytest.mark.trap("marked-text-is-html")
async def test_a_database_marks_words_and_escapes_nothing(
    session: AsyncSession, database: str
) -> None:
    marked = select(SEARCH.excerpt(Recipe.body, "cream")).where(Recipe.id == 5)
    text = (await session.scalars(marked)).one()
    assert "<img src=x onerror=alert(1)//" in text
    assert f"{BEGIN}cream{END}" in text
    safe = mark_html(text)
    assert "<img" not in safe
    assert safe.endswith("&lt;img src=x onerror=alert(1)// <mark>cream</mark>")

    # Whole tags are no text to PostgreSQL.
    whole = select(SEARCH.excerpt(Recipe.body, "more")).where(Recipe.id == 4)
    text = (await session.scalars(whole)).one()
    assert ("<b>" in text) == (database == "sqlite")


async def test_rank_and_excerpt_of_no_words_are_no_error(session: AsyncSession) -> None:
    stmt = select(SEARCH.rank(""), SEARCH.excerpt(Recipe.body, "")).limit(1)
    assert len((await session.execute(stmt)).all()) == 1


async def test_the_index_is_used(
    session: AsyncSession, database: str, plan: Callable[..., Awaitable[str]]
) -> None:
    stmt = select(Recipe).where(SEARCH.matches("apple cake"))
    steps = await plan(session, stmt, seqscan=False)
    used = {"sqlite": "recipe_fts VIRTUAL TABLE INDEX", "postgresql": "recipe_fts"}
    assert used[database] in steps
    assert {"sqlite": "SEARCH recipe USING INTEGER PRIMARY KEY"}.get(
        database, ""
    ) in steps


async def test_it_joins_other_conditions_and_pages(session: AsyncSession) -> None:
    stmt = select(Recipe).where(SEARCH.matches("cake"), Recipe.stars == 0)
    pages = Numbered(Recipe, SEARCH.rank("cake").desc())
    page = await pages.fetch(session, stmt, per_page=1, count="exact")
    assert (page.items[0].id, page.total, page.has_next) == (4, 3, True)


async def test_it_is_a_part_of_an_or(session: AsyncSession) -> None:
    stmt = select(Recipe).where(SEARCH.matches("cake"), Recipe.stars == 0)
    other = stmt.where(SEARCH.matches("bread") | (func.lower(Recipe.title) == "pie"))
    assert {r.id for r in await session.scalars(other)} == {2, 6}
