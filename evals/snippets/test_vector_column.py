"""Evals for snippets/vector_column.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import cos, radians, sin
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import URL, Connection, MetaData, event, insert, inspect, select, text
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.autogenerate import autogenerate_options
from snippets.engine import new_engine
from snippets.vector_column import (
    Vector,
    configure_vectors,
    cosine_distance,
    search_on,
    vector_index,
)


class Base(DeclarativeBase):
    pass


class Photo(Base):
    __tablename__ = "photo"

    id: Mapped[int] = mapped_column(primary_key=True)
    album: Mapped[int] = mapped_column(default=1)
    embedding: Mapped[Sequence[float] | None] = mapped_column(Vector(2))


vector_index(Photo.embedding, "photo_embedding")


@event.listens_for(Base.metadata, "before_create")
def add_extension(metadata: MetaData, conn: Connection, **options: Any) -> None:
    """Do what the revision does, for `create_all`."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))


@pytest.fixture
async def engine(engine: AsyncEngine, database: str) -> AsyncEngine:
    configure_vectors(engine)
    await engine.dispose()
    return engine


def at(degrees: float, length: float = 1) -> list[float]:
    return [length * cos(radians(degrees)), length * sin(radians(degrees))]


async def add(session: AsyncSession, *angles: float | None, album: int = 1) -> None:
    rows = [
        {"album": album, "embedding": None if a is None else at(a, 1 + i)}
        for i, a in enumerate(angles)
    ]
    await session.execute(insert(Photo), rows)


async def test_a_vector_comes_back_as_it_was_stored(session: AsyncSession) -> None:
    values = [[0.5, -2.0], [0.0, 1e30], [1 / 3, 3], None]
    for i, value in enumerate(values, 1):
        session.add(Photo(id=i, embedding=value))
    await session.flush()
    session.expunge_all()
    found = (await session.scalars(select(Photo.embedding).order_by(Photo.id))).all()
    assert found[0] == [0.5, -2.0]
    assert found[1] == [0.0, pytest.approx(1e30)]
    assert found[2] == [pytest.approx(1 / 3, abs=1e-7), 3.0]
    assert found[2] is not None
    assert [type(n) for n in found[2]] == [float, float]
    assert found[3] is None
    same = select(Photo.id).where(Photo.embedding == [0.5, -2.0])
    assert (await session.scalars(same)).all() == [1]


@pytest.mark.parametrize(
    "value",
    [[], [1.0], [1.0, 2.0, 3.0], [float("nan"), 1.0], [1.0, float("inf")], [1.0, 1e39]],
    ids=range(6),
)
async def test_what_is_no_vector_of_this_size_is_an_error(
    session: AsyncSession, value: list[float]
) -> None:
    session.add(Photo(embedding=value))
    with pytest.raises(
        StatementError, match=r"expected 2 finite numbers|inf"
    ) as caught:
        await session.flush()
    assert isinstance(caught.value.orig, (ValueError, OverflowError))


async def test_the_nearest_come_first_the_same_on_both_databases(
    session: AsyncSession,
) -> None:
    await add(session, 90, 10, 180, 45, None, 0)
    distance = cosine_distance(Photo.embedding, at(0, 7))
    stmt = select(Photo.embedding, distance).where(Photo.embedding.is_not(None))
    rows = (await session.execute(stmt.order_by(distance))).all()
    expected = [1 - cos(radians(angle)) for angle in (0, 10, 45, 90, 180)]
    assert [row[1] for row in rows] == pytest.approx(expected, abs=1e-6)
    first = stmt.order_by(distance).where(distance < 0.5).limit(2)
    assert len((await session.execute(first)).all()) == 2


async def test_what_has_no_direction_has_no_distance(
    session: AsyncSession, database: str
) -> None:
    session.add_all([Photo(id=1, embedding=None), Photo(id=2, embedding=[0.0, 0.0])])
    await session.flush()
    stmt = select(cosine_distance(Photo.embedding, [1.0, 0.0])).order_by(Photo.id)
    missing, zero = (await session.scalars(stmt)).all()
    assert missing is None
    assert zero is None or zero != zero  # NaN on PostgreSQL


async def test_the_index_serves_the_nearest(
    session: AsyncSession, database: str, plan: Callable[..., Awaitable[str]]
) -> None:
    conn = await session.connection()
    found = await conn.run_sync(lambda c: inspect(c).get_indexes("photo"))
    assert [index["name"] for index in found] == ["photo_embedding"]
    stmt = select(Photo.id).order_by(cosine_distance(Photo.embedding, at(0))).limit(5)
    steps = await plan(session, stmt, seqscan=False)
    assert ("Index Scan using photo_embedding" in steps) == (database == "postgresql")


@pytest.mark.trap("filtered-neighbours")
async def test_neighbours_that_a_filter_removes_leave_the_result_short(
    session: AsyncSession, database: str
) -> None:
    await add(session, *(i / 10 for i in range(300)))
    await add(session, 170, 175, 180, album=2)
    nearest = cosine_distance(Photo.embedding, at(0))
    stmt = select(Photo.id).where(Photo.album == 2).order_by(nearest).limit(3)
    if database == "postgresql":
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        await session.execute(text("SET LOCAL enable_sort = off"))
    short = {"sqlite": 3, "postgresql": 0}
    assert len((await session.scalars(stmt)).all()) == short[database]
    await search_on(session)
    assert len((await session.scalars(stmt)).all()) == 3


async def test_a_statement_is_compiled_once(session: AsyncSession) -> None:
    conn = await session.connection()
    cache: dict[Any, Any] = {}
    for angle in (10, 20):
        stmt = select(cosine_distance(Photo.embedding, at(angle)))
        await conn.execute(stmt, execution_options={"compiled_cache": cache})
    assert len(cache) == 1


async def test_it_is_compiled_as_its_statement_is(session: AsyncSession) -> None:
    distance = cosine_distance(Photo.embedding, at(10))
    options = {"include_table": False}  # as in the expression of an index
    sql = str(distance.compile(session.get_bind(), compile_kwargs=options))
    assert "embedding" in sql
    assert "." not in sql


def test_autogenerate_takes_it_for_no_plain_bytes() -> None:
    stored = repr(Vector(3).impl_instance)
    assert stored == "PostgresqlVector(3)"


async def test_reading_on_ends_with_the_transaction(
    session: AsyncSession, database: str
) -> None:
    if database == "postgresql":
        await session.scalars(select(cosine_distance(Photo.embedding, at(0))))
        await search_on(session)
        setting = text("SHOW hnsw.iterative_scan")
        assert await session.scalar(setting) == "strict_order"
        await session.commit()
        assert await session.scalar(setting) == "off"
    else:
        await search_on(session)
        assert not session.in_transaction()


def upgrade(op: Operations) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.add_column("photo", sa.Column("embedding", Vector(2)))
    op.create_index(
        "photo_embedding",
        "photo",
        ["embedding"],
        postgresql_using="hnsw",
        postgresql_ops={"embedding": "vector_cosine_ops"},
        sqlite_where=sa.false(),
    )


async def test_the_revision_makes_what_the_model_has(fresh_database: URL) -> None:
    options = autogenerate_options()
    del options["process_revision_directives"]  # it asks for a command

    def migrate(conn: Connection) -> list[Any]:
        context = MigrationContext.configure(conn, opts=options)
        plain = Photo.__table__.columns.id, Photo.__table__.columns.album
        Operations(context).create_table("photo", *(c._copy() for c in plain))
        upgrade(Operations(context))
        return list(compare_metadata(context, Base.metadata))

    engine = new_engine(fresh_database)
    async with engine.begin() as conn:
        assert await conn.run_sync(migrate) == []
    await engine.dispose()


async def test_inspection_knows_the_column_and_the_index(
    session: AsyncSession, database: str
) -> None:
    def inspected(conn: Connection) -> tuple[str, dict[str, Any]]:
        *_, column = inspect(conn).get_columns("photo")
        (index,) = inspect(conn).get_indexes("photo")
        return str(column["type"]), dict(index["dialect_options"])

    kind, options = await (await session.connection()).run_sync(inspected)
    assert kind == {"sqlite": "BLOB", "postgresql": "vector(2)"}[database]
    # SQLite has no such index: this one holds no row.
    empty = {"sqlite": ["sqlite_where"], "postgresql": ["postgresql_using"]}
    assert [name for name in options if name in empty[database]] == empty[database]
