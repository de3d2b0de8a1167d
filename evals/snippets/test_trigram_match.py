"""Evals for snippets/trigram_match.py.

The embedded PostgreSQL has no pg_trgm: `evals/servers/test_trigram.py` runs the same on
a server that has.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.text_match import contains
from snippets.trigram_match import (
    configure_similarity,
    create_trigram_index,
    measure,
    similar,
    similarity,
)


class Base(DeclarativeBase):
    pass


class City(Base):
    __tablename__ = "city"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]


CITIES = [
    "Amsterdam",
    "Rotterdam",
    "Ålesund",
    "Den Haag",
    None,
    "amstelveen",
    "a_b-c 1",
]


@pytest.fixture
async def engine(engine: AsyncEngine, database: str) -> AsyncEngine:
    configure_similarity(engine)
    await engine.dispose()
    return engine


async def add_cities(session: AsyncSession) -> None:
    rows = [{"id": i, "name": name} for i, name in enumerate(CITIES, 1)]
    await session.execute(insert(City), rows)
    await session.commit()


async def found(session: AsyncSession, typed: str) -> list[int]:
    stmt = select(City.id).where(similar(City.name, typed))
    stmt = stmt.order_by(similarity(City.name, typed).desc(), City.id)
    return list(await session.scalars(stmt))


EXPECTED = [
    ("amsterdam", [1, 2, 6]),
    ("AMSTREDAM", [1]),
    ("roterdam", [2, 1]),
    ("ÅLESUND", [3]),
    ("åles", [3]),
    ("haag den", [4]),
    ("c a b 1", [7]),
    ("xyz", []),
    ("", []),
    ("haag\0den\ud800", [4]),
    (f"den haag {'x' * 200}", [4]),
    ("%_\\'\"", []),
]


async def check(session: AsyncSession) -> None:
    """See that each search finds its cities, the most similar first."""
    await add_cities(session)
    for typed, expected in EXPECTED:
        assert await found(session, typed) == expected, typed
    assert (
        await session.scalar(select(similarity(City.name, "x")).where(City.id == 5))
        is None
    )


async def test_typing_errors_are_forgiven_where_the_server_can(
    session: AsyncSession, database: str
) -> None:
    if database == "sqlite":
        await check(session)
    else:
        await add_cities(session)
        with pytest.raises(DBAPIError, match="operator does not exist"):
            await found(session, "amsterdam")


async def test_a_statement_is_compiled_once(
    session: AsyncSession, database: str
) -> None:
    conn = await session.connection()
    cache: dict[Any, Any] = {}
    for typed in ("a", "b"):
        stmt = select(similarity(City.name, typed)).where(similar(City.name, typed))
        with suppress(DBAPIError):  # the embedded server lacks the function
            await conn.execute(stmt, execution_options={"compiled_cache": cache})
        await session.rollback()
        conn = await session.connection()
    assert len(cache) == 1


@pytest.mark.trap("no-such-extension")
async def test_a_server_without_the_extension_says_so_when_it_is_made(
    session: AsyncSession, database: str
) -> None:
    extension, index = create_trigram_index("city", "name")
    assert extension == "CREATE EXTENSION IF NOT EXISTS pg_trgm"
    expected = {"sqlite": 'near "EXTENSION"', "postgresql": "gin_trgm_ops"}
    with pytest.raises(DBAPIError) as caught:
        await session.execute(text(index if database == "postgresql" else extension))
    assert expected[database] in str(caught.value)
    await session.rollback()
    if database == "postgresql":
        with pytest.raises(DBAPIError, match="is not available"):
            await session.execute(text(extension))


async def test_what_no_driver_can_send_parts_two_words(session: AsyncSession) -> None:
    stmt = select(similar(City.name, "haag\0den"))
    sql = stmt.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
    assert "'haag den'" in str(sql)


async def test_contains_still_folds(session: AsyncSession) -> None:
    await add_cities(session)
    stmt = select(City.id).where(contains(City.name, "ÅLES"))
    assert (await session.scalars(stmt)).all() == [3]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("word", "word", 1),
        ("word", "two words", 4 / 11),
        ("a", "b", 0),
        ("", "", 0),
        ("", "a", 0),
        ("a_b", "a b", 1),
        ("Ab", "aB", 1),
    ],
    ids=range(7),
)
def test_similarity_counts_groups_of_three(
    left: str, right: str, expected: float
) -> None:
    assert measure(left, right) == pytest.approx(expected)
    assert measure(None, right) is measure(left, None) is None
