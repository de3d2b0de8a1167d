"""Evals for snippets/bulk_rows.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import JSON, DateTime, Integer, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from snippets.base import UtcDateTime
from snippets.bulk_rows import (
    ABSENT,
    BadRow,
    Gaps,
    Row,
    Rows,
    Values,
    batches,
    bind,
    each,
    unwrapped,
)
from snippets.bulk_upsert import bulk_upsert


class Base(DeclarativeBase):
    pass


class Stock(Base):
    __tablename__ = "stock_of_rows"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(unique=True)
    quantity: Mapped[int]


Types = list[TypeEngine[Any]]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def rows(number: int) -> AsyncIterator[Row]:
    for i in range(number):
        yield {"n": i}


async def numbers(rows: Rows, size: int) -> list[tuple[int, list[int]]]:
    return [
        (first, [row["n"] for row in part]) async for first, part in batches(rows, size)
    ]


async def test_batches_know_the_number_of_their_first_row() -> None:
    expected = [(1, [0, 1]), (3, [2, 3]), (5, [4])]
    assert await numbers(rows(5), 2) == expected
    assert await numbers(({"n": i} for i in range(5)), 2) == expected
    assert await numbers([{"n": 0}, {"n": 1}], 2) == [(1, [0, 1])]
    assert await numbers([], 2) == []
    with pytest.raises(ValueError, match="a batch has 1 row or more"):
        await numbers([{"n": 0}], 0)


async def import_stock(
    sessions: async_sessionmaker[AsyncSession], rows: Rows
) -> AsyncIterator[tuple[int, dict[str, int]]]:
    async for first, part in batches(rows, 10):
        async with sessions.begin() as session:
            await bulk_upsert(session, Stock, part, key=["sku"])
            these = Stock.sku.in_([row["sku"] for row in part])
            found = await session.execute(select(Stock.sku, Stock.id).where(these))
        yield first - 1 + len(part), {row.sku: row.id for row in found}


async def test_an_upsert_in_batches_keeps_those_before_an_error_and_tells_the_ids(
    sessions: async_sessionmaker[AsyncSession], session: AsyncSession
) -> None:
    rows: list[Row] = [{"sku": f"s{i}", "quantity": i} for i in range(25)]
    bad = {**rows[14], "quantity": None}
    told: dict[int, dict[str, int]] = {}
    with pytest.raises(IntegrityError):
        async for done, ids in import_stock(sessions, [*rows[:14], bad, *rows[15:]]):
            told[done] = ids
    stored = {stock.sku: stock.id for stock in await session.scalars(select(Stock))}
    assert told == {10: stored}
    assert len(stored) == 10
    await session.rollback()

    again = [ids async for _, ids in import_stock(sessions, rows)]
    assert again[0] == stored
    assert [len(ids) for ids in again] == [10, 10, 5]


async def test_no_row_is_read_before_it_is_needed() -> None:
    source = rows(5)
    parts = batches(source, 2)
    await anext(parts)
    assert await anext(source) == {"n": 2}


@pytest.mark.parametrize("rows", [[{"n": 0}, {}, ["n"]], {"n": 0}, [("n", 0)]])
async def test_what_is_no_mapping_is_named_with_its_row(rows: Any) -> None:
    async def arriving() -> AsyncIterator[Any]:
        for row in rows:
            yield row

    for source, size in (rows, 2), (arriving(), 1), (arriving(), 2):
        with pytest.raises(TypeError, match=r"^row [13] is a (list|str|tuple): pass"):
            async for _ in batches(source, size):
                pass


async def test_values_go_through_the_types_of_their_columns(
    session: AsyncSession, database: str
) -> None:
    connection = await session.connection()
    dialect = connection.dialect
    types: Types = [UtcDateTime(), Integer(), JSON(), Integer()]
    values: Values = {
        "at": [NOON, None],
        "n": Gaps([1, ABSENT]),
        "tags": Gaps([ABSENT, None]),
        "size": [5, 6],
    }
    first, second = zip(*bind(values, types, [1, 2], dialect), strict=True)
    at = {"sqlite": "2026-01-01 12:00:00.000000", "postgresql": NOON}[database]
    assert first == (at, 1, None, 5)
    # A JSON null is a value; what is absent is none.
    assert second == (None, None, "null", 6)
    with pytest.raises(ValueError, match="shorter"):
        bind(values, types[1:], [1, 2], dialect)
    sql = {"sqlite": "SELECT ?, ?", "postgresql": "SELECT $1::timestamptz, $2::int"}
    found = await connection.exec_driver_sql(sql[database], first[:2])
    assert tuple(found.one()) == (at, 1)


async def test_a_value_that_its_type_refuses_is_named_with_its_row(
    session: AsyncSession,
) -> None:
    dialect = (await session.connection()).dialect
    values: Values = {"at": [NOON, "noon"], "a": ["x", "y"]}
    types: Types = [UtcDateTime(), String()]
    with pytest.raises(BadRow) as caught:
        bind(values, types, [11, 14], dialect)
    assert str(caught.value) == "row 14: this value is refused: at"
    assert (caught.value.number, caught.value.fields) == (14, ("at",))
    assert isinstance(caught.value.__cause__, AttributeError)


async def test_items_of_either_kind_are_taken_one_by_one() -> None:
    assert [item async for item in each(iter("ab"))] == ["a", "b"]
    assert [row async for row in each(rows(2))] == [{"n": 0}, {"n": 1}]


class Wrapped(TypeDecorator[datetime]):
    impl = UtcDateTime
    cache_ok = True


async def test_a_type_is_what_the_database_has_under_decorators_and_variants(
    session: AsyncSession, database: str
) -> None:
    dialect = (await session.connection()).dialect
    assert isinstance(unwrapped(Wrapped(), dialect), DateTime)
    kind = unwrapped(String().with_variant(Integer(), "sqlite"), dialect)
    assert isinstance(kind, {"sqlite": Integer, "postgresql": String}[database])
