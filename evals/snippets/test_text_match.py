"""Evals for snippets/text_match.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import URL, Index, Select, func, insert, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evals.harness.project import Project
from evals.harness.suite import Suite
from snippets.engine import new_engine
from snippets.text_match import (
    MAX_TEXT,
    configure_folding,
    contains,
    ends,
    fold,
    fold_accents,
    starts,
)


class Base(DeclarativeBase):
    pass


class Cake(Base):
    __tablename__ = "cake"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]


CAKES = {
    1: "Éclair au café",
    2: "ECLAIR",
    3: "100% butter",
    4: "1000 leaves",
    5: "a_b/c",
    6: "axb/c",
    7: "ΟΔΟΣ",
    8: "Straße",
    9: None,
    10: "100\uff05 wide",
}


@pytest.fixture
async def engine(engine: AsyncEngine, database: str) -> AsyncEngine:
    """The eval's engine, whose connections can fold."""
    configure_folding(engine)
    await engine.dispose()
    return engine


async def found(session: AsyncSession, condition: Any) -> list[int]:
    rows = [{"id": i, "name": name} for i, name in CAKES.items()]
    if await session.get(Cake, 1) is None:
        await session.execute(insert(Cake), rows)
    stmt = select(Cake.id).where(condition).order_by(Cake.id)
    return list(await session.scalars(stmt))


@pytest.mark.trap("ascii-folding")
async def test_like_and_lower_fold_ascii_only_on_sqlite(
    session: AsyncSession, database: str
) -> None:
    by_hand = {
        "like": Cake.name.like("%eclair"),
        "ilike": Cake.name.ilike("%éclair%"),
        "lower": func.lower(Cake.name).contains("éclair"),
    }
    lost = {
        "sqlite": {"like": [2], "ilike": [], "lower": []},
        "postgresql": {"like": [], "ilike": [1], "lower": [1]},
    }
    for name, condition in by_hand.items():
        assert await found(session, condition) == lost[database][name], name
    assert await found(session, contains(Cake.name, "éclair")) == [1]
    assert await found(session, contains(Cake.name, "ÉCLAIR")) == [1]
    assert await found(session, contains(Cake.name, "eclair")) == [2]


@pytest.mark.trap("wildcard-in-search")
async def test_a_percent_sign_by_hand_matches_everything(session: AsyncSession) -> None:
    assert await found(session, Cake.name.icontains("%")) == [*range(1, 9), 10]
    assert await found(session, contains(Cake.name, "%")) == [3]


@pytest.mark.parametrize(
    ("match", "text", "expected"),
    [
        (contains, "_", [5]),
        (contains, "B/C", [5, 6]),
        (contains, "/", [5, 6]),
        (contains, "0%", [3]),
        (contains, "\\", []),
        (contains, "", [*range(1, 9), 10]),
        (contains, "οδος", []),
        (contains, "οδοσ", [7]),
        (contains, "straße", [8]),
        (contains, "strasse", []),
        (starts, "éclair", [1]),
        (starts, "CAFÉ", []),
        (starts, "100%", [3]),
        (starts, "b/c", []),
        (ends, "CAFÉ", [1]),
        (ends, "éclair", []),
        (ends, "_b/C", [5]),
    ],
)
async def test_the_text_is_found_as_it_is(
    session: AsyncSession, match: Any, text: str, expected: list[int]
) -> None:
    assert await found(session, match(Cake.name, text)) == expected


@pytest.mark.parametrize("match", [contains, starts, ends])
async def test_what_no_column_can_hold_is_found_nowhere(
    session: AsyncSession, match: Any
) -> None:
    long = "\U0001f9c1%" * (MAX_TEXT // 2)
    session.add(Cake(id=11, name=long))
    await session.flush()
    assert await found(session, match(Cake.name, long)) == [11]
    for text in ("\0", "a\0b", "\ud800", "Éclair\udfff", long + "x"):
        assert await found(session, match(Cake.name, text)) == []
        assert 11 in await found(session, ~match(Cake.name, text))


@pytest.mark.trap("search-for-nul")
async def test_nul_by_hand_is_an_error_on_postgresql(
    session: AsyncSession, database: str
) -> None:
    if database == "postgresql":
        with pytest.raises(DBAPIError, match="invalid byte sequence"):
            await found(session, Cake.name.icontains("\0", autoescape=True))
    else:
        assert await found(session, Cake.name.icontains("\0", autoescape=True)) != []
    await session.rollback()
    with pytest.raises((DBAPIError, UnicodeEncodeError)):
        await found(session, Cake.name.icontains("\ud800", autoescape=True))
    await session.rollback()
    assert await found(session, contains(Cake.name, "\0")) == []


@pytest.mark.parametrize(
    ("match", "text", "expected"),
    [
        (contains, "ECLAIR", [1, 2]),
        (contains, "ÉCLAIR", [1, 2]),
        (starts, "éClair a", [1]),
        (ends, "CAFE\u0301", [1]),
        (contains, "100\uff05", [10]),
        (contains, "strasse", []),
    ],
)
async def test_accents_fold_where_asked(
    session: AsyncSession, match: Any, text: str, expected: list[int]
) -> None:
    assert await found(session, match(Cake.name, text, fold_accents)) == expected


@pytest.mark.parametrize("key", [fold, fold_accents], ids=["case", "accents"])
async def test_what_is_null_stays_null(session: AsyncSession, key: Any) -> None:
    assert await found(session, key(Cake.name).is_(None)) == [9]


@pytest.mark.parametrize("key", [fold, fold_accents], ids=["case", "accents"])
async def test_an_index_on_the_folded_text_serves_equality(
    session: AsyncSession, plan: Callable[..., Awaitable[str]], key: Any
) -> None:
    index = Index("cake_folded", key(Cake.name))
    conn = await session.connection()
    await conn.run_sync(index.create)
    Cake.__table__.indexes.discard(index)  # type: ignore[attr-defined]
    stmt: Select[Any] = select(Cake.id).where(key(Cake.name) == key("ECLAIR"))
    assert "cake_folded" in await plan(session, stmt, seqscan=False)
    assert await found(session, key(Cake.name) == key("ECLAIR")) in ([2], [1, 2])


@pytest.mark.parametrize("key", [fold, fold_accents], ids=["case", "accents"])
async def test_a_statement_is_compiled_once(session: AsyncSession, key: Any) -> None:
    conn = await session.connection()
    cache: dict[Any, Any] = {}
    for text in ("a", "b"):
        stmt = select(Cake.id).where(contains(Cake.name, text, key))
        await conn.execute(stmt, execution_options={"compiled_cache": cache})
    assert len(cache) == 1


@pytest.mark.trap("no-function-fold")
async def test_an_engine_that_was_not_told_cannot_fold(
    fresh_database: Any, database: str
) -> None:
    engine = new_engine(fresh_database)
    async with engine.connect() as conn:
        if database == "sqlite":
            with pytest.raises(OperationalError, match="no such function: fold"):
                await conn.scalar(select(fold("É")))
        else:
            assert await conn.scalar(select(fold("É"))) == "é"
    await engine.dispose()


@pytest.mark.trap("ascii-folding")
async def test_a_database_that_was_made_in_locale_c_folds_ascii_only(
    fresh_database: URL, database: str
) -> None:
    name = f"{fresh_database.database}_c"
    create = f"CREATE DATABASE \"{name}\" TEMPLATE template0 LOCALE 'C'"
    admin = new_engine(fresh_database, isolation_level="AUTOCOMMIT")
    async with admin.connect() as conn:
        if database == "postgresql":
            await conn.exec_driver_sql(create)
            fresh_database = fresh_database.set(database=name)
        engine = new_engine(fresh_database)
        configure_folding(engine)
        async with engine.connect() as inside:
            folded = await inside.scalar(select(fold("ÉE")))
        await engine.dispose()
        if database == "postgresql":
            await conn.exec_driver_sql(f'DROP DATABASE "{name}"')
    await admin.dispose()
    assert folded == {"sqlite": "ée", "postgresql": "Ée"}[database]


FINDS = """
from sqlalchemy import select
from app.db.text_match import contains
from app.models import Note


async def test_it_is_found(session):
    session.add(Note(text="Éclair"))
    await session.flush()
    found = await session.scalars(select(Note).where(contains(Note.text, "éCL")))
    assert len(found.all()) == 1
"""


@pytest.mark.trap("no-function-fold")
async def test_the_line_of_the_page_belongs_behind_configure_sqlite(
    project: Project, engine: AsyncEngine, database: str
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    suite = Suite(project, database, url if database == "postgresql" else None)
    suite.write(FINDS)
    file = project.path / "app/db/engine.py"
    plain = file.read_text("utf-8")
    import_it = "\nfrom .text_match import configure_folding\nfrom .sqlite_engine"
    plain = plain.replace("\nfrom .sqlite_engine", import_it)

    def place(behind: str) -> None:
        place = f"{behind}\n"
        assert plain.count(place) == 1
        line = "configure_folding(engine)"
        indent = " " * (len(behind) - len(behind.lstrip()))
        file.write_text(plain.replace(place, f"{place}{indent}{line}\n"), "utf-8")

    # SQLite's branch has returned by then.
    place("    _replace_closed_connections(engine.sync_engine)")
    green = database == "postgresql"
    outcome = suite.run(code=0 if green else 1)
    assert ("no such function: fold" in outcome.output) != green
    place("        configure_sqlite(engine.sync_engine)")
    assert suite.run().counts == {"PASSED": 1}


async def test_every_connection_can_fold(fresh_database: Any, database: str) -> None:
    engine = new_engine(fresh_database)
    configure_folding(engine)
    for _ in range(2):
        async with engine.connect() as conn:
            assert await conn.scalar(select(fold("É"))) == "é"
        await engine.dispose()
