"""Evals for snippets/bulk_stage.py."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import JSON, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import UtcDateTime
from snippets.bulk_rows import BadRow
from snippets.bulk_stage import last_rows, staged
from snippets.bulk_target import Target

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Base(DeclarativeBase):
    pass


class Box(Base):
    __tablename__ = "window"  # a word that PostgreSQL reserves, and SQL did not

    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[Size]
    tags: Mapped[list[str]] = mapped_column(JSON)
    packed_at: Mapped[datetime] = mapped_column("packed at", UtcDateTime)
    weight: Mapped[float]
    metal: Mapped[str]


class Lid(Base):
    __tablename__ = "lid"

    id: Mapped[str] = mapped_column(primary_key=True)


VALUES: dict[str, list[Any]] = {
    "packed_at": [NOON, NOON],
    "size": [Size.SMALL, None],
    "tags": [["a"], None],
    "weight": [1.5, 2.0],
    "metal": ["tin", "tin"],
}


async def test_the_rows_are_there_with_the_types_of_their_columns(
    session: AsyncSession, database: str
) -> None:
    session.add(Box(size=Size.LARGE, tags=[], packed_at=NOON, weight=9.0, metal="iron"))
    await session.flush()
    async with session.begin_nested():
        connection = await session.connection()
        async with staged(connection, Target.of(Box), VALUES, [1, 2]) as stage:
            first, second = (await connection.execute(select(stage))).all()
            assert tuple(first) == (NOON, Size.SMALL, ["a"], 1.5, "tin")
            assert tuple(second) == (NOON, None, None, 2.0, "tin")
            assert (await session.scalars(select(func.count(Box.id)))).one() == 1
            temporary = {"sqlite": "temp", "postgresql": "pg_temp"}[database]
            assert stage.schema == temporary


async def test_one_may_follow_another_and_none_is_left(
    session: AsyncSession,
) -> None:
    box, lid = Target.of(Box), Target.of(Lid)
    rounds: list[tuple[Target, dict[str, list[Any]]]] = [
        (box, {"id": [1]}),
        (lid, {"id": ["x"]}),
        (box, {"weight": [0.5]}),
        (box, {"id": [2]}),
    ]
    for target, values in rounds:
        async with session.begin_nested():
            connection = await session.connection()
            async with staged(connection, target, values, [1]) as stage:
                found = (await connection.scalars(select(stage))).all()
                assert found == next(iter(values.values()))
            with pytest.raises(DBAPIError):
                async with connection.begin_nested():
                    await connection.execute(select(stage))


async def test_a_block_that_raises_takes_the_table_with_it(
    session: AsyncSession,
) -> None:
    for _ in range(2):
        with pytest.raises(KeyError):
            async with session.begin_nested():
                connection = await session.connection()
                async with staged(connection, Target.of(Lid), {"id": ["a"]}, [1]):
                    raise KeyError


async def test_it_copies_the_table_of_the_schema_that_the_connection_says(
    engine: AsyncEngine, database: str
) -> None:
    other = {"sqlite": "temp", "postgresql": "pg_temp"}[database]
    async with engine.connect() as connection:
        await connection.execution_options(schema_translate_map={None: other})
        await connection.exec_driver_sql(f"CREATE TABLE {other}.lid (id int)")
        async with staged(connection, Target.of(Lid), {"id": [7]}, [1]) as stage:
            kind = {"sqlite": "typeof", "postgresql": "pg_typeof"}[database]
            sql = f"SELECT CAST({kind}(c0) AS VARCHAR) FROM {stage.fullname}"
            assert (await connection.exec_driver_sql(sql)).scalar() == "integer"


def test_the_last_row_of_a_key_is_kept_with_its_number() -> None:
    rows = [{"a": 1, "b": b, "c": c} for c, b in enumerate("xyxz")]
    kept, numbers = last_rows(rows, 11, ["a", "b"])
    assert [row["c"] for row in kept] == [1, 2, 3]
    assert numbers == [12, 13, 14]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": 2}, "row 12: only some rows of its batch have: b"),
        ({"a": 2, "b": 1, "c": 1}, "row 12: only some rows of its batch have: c"),
        ({"a": None, "b": 1}, "row 12: its key is NULL: a"),
    ],
    ids=["lacks", "has-more", "null"],
)
def test_rows_that_do_not_fit_each_other_are_named(
    row: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRow, match=f"^{message}$"):
        last_rows([{"a": 1, "b": 2}, row], 11, ["a"])


def test_rows_without_their_key_are_named() -> None:
    with pytest.raises(BadRow, match="row 11: it lacks its key: c"):
        last_rows([{"a": 1, "b": 2}], 11, ["a", "c"])
