"""Evals for snippets/keyset_reader.py."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ForeignKey, insert, literal, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from evals.harness.observe import Statements
from snippets.cursor_codec import Cursor, InvalidCursor
from snippets.keyset_reader import KeysetReader
from snippets.total_order import total_order


class Base(DeclarativeBase):
    pass


class Ship(Base):
    __tablename__ = "ship"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    tons: Mapped[int | None]
    crew: Mapped[list[Sailor]] = relationship()


class Sailor(Base):
    __tablename__ = "sailor"

    id: Mapped[int] = mapped_column(primary_key=True)
    ship_id: Mapped[int] = mapped_column(ForeignKey("ship.id"))


BY_TONS = KeysetReader(total_order(Ship, Ship.tons))
SHIPS = select(Ship)


async def add_ships(session: AsyncSession, *tons: int | None) -> None:
    ships = [{"id": i, "name": f"s{i}", "tons": t} for i, t in enumerate(tons, 1)]
    await session.execute(insert(Ship), ships)
    await session.execute(insert(Sailor), [{"ship_id": 1}, {"ship_id": 1}])


async def read(session: AsyncSession, start: Cursor, limit: int = 9) -> list[int]:
    rows = await BY_TONS.read(session, SHIPS, start, limit)
    return [row[0].id for row in rows]


async def test_rows_come_from_a_place_on_in_either_direction(
    session: AsyncSession,
) -> None:
    await add_ships(session, 30, None, 10, 20, None)
    assert await read(session, Cursor(())) == [3, 4, 1, 2, 5]
    assert await read(session, Cursor((), backward=True)) == [5, 2, 1, 4, 3]
    assert await read(session, Cursor((20, 4))) == [4, 1, 2, 5]
    assert await read(session, Cursor((20, 4), backward=True)) == [4, 3]
    assert await read(session, Cursor((None, 2), backward=True)) == [2, 1, 4, 3]
    assert await read(session, Cursor((25, 9)), 2) == [1, 2]


async def test_another_range_is_asked_only_while_the_page_is_not_full(
    session: AsyncSession, statements: Statements
) -> None:
    await add_ships(session, 30, None, 10, 20, None)
    for limit, number in ((2, 1), (3, 1), (4, 2), (9, 2)):
        with statements() as sent:
            await read(session, Cursor(()), limit)
        assert len(sent) == number


async def test_rows_that_tie_are_sought_on_their_own_where_row_values_are_not(
    session: AsyncSession, statements: Statements, database: str
) -> None:
    await add_ships(session, 10, 10, 10, 20)
    places = [Cursor((10, 2), tied=1), Cursor((10, 3), tied=1), Cursor((10, 2))]
    found = []
    with statements() as sent:
        for place in places:
            found.append(await read(session, place))
    assert found == [[2, 3, 4], [3, 4], [2, 3, 4]]
    tied, rest = "ship.tons = ", "(ship.tons, ship.id) >= "
    counts = [sum(part in sql for sql in sent) for part in (tied, rest)]
    assert (len(sent), *counts) == {
        # Those that tie, those behind them, NULL; and once a row value, NULL.
        "sqlite": (3 + 3 + 2, 2, 1),
        "postgresql": (2 + 2 + 2, 0, 3),
    }[database]


@pytest.mark.trap("stale-cursor")
async def test_a_place_is_the_rows_and_not_that_of_an_object_held_since(
    session: AsyncSession,
) -> None:
    await add_ships(session, 30, 10)
    held = await session.get_one(Ship, 2)
    await session.execute(
        update(Ship).where(Ship.id == 2).values(tons=40),
        execution_options={"synchronize_session": False},
    )
    rows = await BY_TONS.read(session, SHIPS, Cursor(()), 9)
    assert [row[0].tons for row in rows] == [30, 10]
    assert held.tons == 10
    assert [tuple(BY_TONS.place(row)) for row in rows] == [(30, 1), (40, 2)]


async def test_order_offset_and_limit_of_the_statement_give_way(
    session: AsyncSession,
) -> None:
    await add_ships(session, 30, 10, 20)
    stmt = SHIPS.order_by(Ship.name).limit(1).offset(1)
    rows = await BY_TONS.read(session, stmt, Cursor(()), 9)
    assert [row[0].id for row in rows] == [2, 3, 1]


async def test_a_row_that_comes_twice_is_an_error(session: AsyncSession) -> None:
    await add_ships(session, 30, 10)
    with pytest.raises(ValueError, match="a row comes twice") as caught:
        await BY_TONS.read(session, SHIPS.join(Ship.crew), Cursor(()), 9)
    assert str(caught.value) == (
        "a row comes twice: filter a collection with .any() instead of a join, or pass"
        " unique=[...]"
    )
    crews = KeysetReader(total_order(Ship, Ship.tons, unique=[Ship.id, Sailor.id]))
    rows = await crews.read(session, SHIPS.join(Ship.crew), Cursor(()), 9)
    assert [row[0].id for row in rows] == [1, 1]


async def test_what_stands_behind_a_place_is_found(session: AsyncSession) -> None:
    await add_ships(session, 10, 20, 30)
    for start, behind in (
        (Cursor(()), False),
        (Cursor((), backward=True), False),
        (Cursor((15, 0)), True),
        (Cursor((5, 0)), False),
        (Cursor((25, 0), backward=True), True),
        (Cursor((35, 0), backward=True), False),
        # The row at an inclusive place belongs to the page.
        (Cursor((10, 1), inclusive=True), False),
        (Cursor((20, 2), inclusive=True), True),
        (Cursor((30, 3), inclusive=True, backward=True), False),
    ):
        assert await BY_TONS.is_any_behind(session, SHIPS, start) is behind, start


async def test_a_row_is_told_by_its_unique_key_alone(session: AsyncSession) -> None:
    await add_ships(session, 10)
    (row,) = await BY_TONS.read(session, SHIPS, Cursor(()), 9)
    assert BY_TONS.is_at(row, Cursor((10, 1)))
    assert BY_TONS.is_at(row, Cursor((99, 1)))
    assert not BY_TONS.is_at(row, Cursor((10, 2)))


@pytest.mark.parametrize(
    "start",
    [
        Cursor((1,)),
        Cursor((1, 2, 3)),
        Cursor((1, None)),
        Cursor((1, 2), tied=2),
        Cursor((datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=UTC), 2)),
        Cursor((date(2026, 1, 1), 2)),
        Cursor((time(1), 2)),
        Cursor((timedelta(1), 2)),
    ],
    ids=repr,
)
async def test_a_place_that_only_a_forger_can_name_is_refused(
    session: AsyncSession, start: Cursor
) -> None:
    await add_ships(session, 10)
    with pytest.raises(InvalidCursor):
        await BY_TONS.read(session, SHIPS, start, 9)


async def test_a_number_of_another_type_is_refused_or_taken_for_its_integer(
    session: AsyncSession, database: str
) -> None:
    await add_ships(session, 10)
    for values in ((Decimal("1.5"), 2), (1, UUID(int=1))):
        if database == "sqlite":
            with pytest.raises(InvalidCursor):
                await read(session, Cursor(values))
        else:
            assert await read(session, Cursor(values)) == [1]


async def test_a_value_out_of_its_columns_range_is_refused_or_finds_nothing(
    session: AsyncSession, database: str
) -> None:
    await add_ships(session, 10)
    for values in (("x", 1), (2**62, 1), (b"x", 1), (float("inf"), 1)):
        if database == "sqlite":
            assert await read(session, Cursor(values)) == []
        else:
            with pytest.raises(InvalidCursor):
                await read(session, Cursor(values))


async def test_text_with_nul_finds_its_place_or_is_refused(
    session: AsyncSession, database: str
) -> None:
    await add_ships(session, 10)
    by_name = KeysetReader(total_order(Ship, Ship.name))
    start = Cursor(("a\0b", 1))
    if database == "sqlite":
        rows = await by_name.read(session, SHIPS, start, 9)
        assert [row[0].id for row in rows] == [1]
    else:
        with pytest.raises(InvalidCursor) as caught:
            await by_name.read(session, SHIPS, start, 9)
        assert isinstance(caught.value.__cause__, DBAPIError)


async def test_an_error_of_the_statement_itself_is_not_blamed_on_the_cursor(
    session: AsyncSession, database: str
) -> None:
    await add_ships(session, 10)
    broken: dict[str, Any] = {
        "sqlite": SHIPS.where(literal(1).op("MATCH")(Ship.name)),
        "postgresql": SHIPS.where(Ship.tons / (Ship.id - 1) > 1),
    }
    with pytest.raises(DBAPIError):
        await BY_TONS.read(session, broken[database], Cursor(()), 9)
