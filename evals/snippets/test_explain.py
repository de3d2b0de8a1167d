"""Evals for snippets/explain.py."""

from __future__ import annotations

import pytest
from sqlalchemy import Dialect, String, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from snippets.explain import Explain

PREFIX = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}


class Shouted(TypeDecorator[str]):
    """A type that reads what a column holds."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> str:
        raise NotImplementedError(value)


class Base(DeclarativeBase):
    pass


class Song(Base):
    __tablename__ = "song"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


async def test_values_are_bound(session: AsyncSession, database: str) -> None:
    connection = await session.connection()
    session.add(Song(title="it's :x %"))
    await session.flush()
    stmt = select(Song).where(Song.title == "it's :x %").with_for_update()
    rows = (await connection.execute(Explain(stmt, PREFIX[database]))).all()
    assert rows
    assert all(isinstance(row[-1], str) for row in rows)


@pytest.mark.parametrize("columns", [1, 4])
async def test_a_plan_is_text_whatever_the_types_of_the_columns_are(
    session: AsyncSession, database: str, columns: int
) -> None:
    connection = await session.connection()
    stmt = select(*[type_coerce(Song.title, Shouted)] * columns)
    for _ in range(2):
        rows = (await connection.execute(Explain(stmt, PREFIX[database]))).all()
        assert "song" in "\n".join(str(row[-1]) for row in rows)


async def test_two_statements_have_a_plan_each(
    session: AsyncSession, database: str
) -> None:
    connection = await session.connection()
    seen = set()
    for stmt in (select(Song.id).where(Song.id == 1), select(Song.title)):
        rows = (await connection.execute(Explain(stmt, PREFIX[database]))).all()
        seen.add(str(rows))
    assert len(seen) == 2


async def test_it_is_compiled_as_the_statement_is(session: AsyncSession) -> None:
    explain = Explain(select(Song.id).where(Song.title == "one"), "EXPLAIN")
    options = {"literal_binds": True}
    sql = str(explain.compile(session.get_bind(), compile_kwargs=options))
    assert sql.endswith("song.title = 'one'")
