"""Evals for snippets/total_order.py."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from sqlalchemy import (
    ForeignKey,
    Table,
    column,
    func,
    nulls_first,
    select,
    table,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from sqlalchemy.types import NullType

from snippets.total_order import SortKey, refuse_repeats, split_order, total_order


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "team"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Player(Base):
    __tablename__ = "player"

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    name: Mapped[str]
    score: Mapped[int | None]


class Captain(Player):
    __tablename__ = "captain"

    player_id: Mapped[int] = mapped_column(ForeignKey("player.id"), primary_key=True)
    badge: Mapped[str]


class Seat(Base):
    __tablename__ = "seat"

    line: Mapped[int] = mapped_column("row_number", primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[int]


def sql(keys: tuple[SortKey, ...]) -> list[str]:
    return [str(key.order_by) for key in keys]


async def add_players(session: AsyncSession, *scores: int | None) -> None:
    session.add_all(
        Player(id=i, name=f"p{i}", score=score) for i, score in enumerate(scores)
    )
    await session.flush()


@pytest.mark.trap("null-position")
async def test_an_order_that_says_nothing_of_nulls_is_two_orders(
    session: AsyncSession, database: str
) -> None:
    await add_players(session, 5, None, 7)

    found = (await session.scalars(select(Player.id).order_by(Player.score))).all()
    assert found == {"sqlite": [1, 0, 2], "postgresql": [0, 2, 1]}[database]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Player.score, [0, 2, 1]),
        (Player.score.desc(), [2, 0, 1]),
        (Player.score.nulls_first(), [1, 0, 2]),
        (Player.score.desc().nulls_first(), [1, 2, 0]),
        (Player.score.nulls_first().desc(), [1, 2, 0]),
        (nulls_first(Player.score.desc()), [1, 2, 0]),
        (Player.score.desc().nulls_last(), [2, 0, 1]),
    ],
)
async def test_nulls_stand_where_the_key_says_and_else_last(
    session: AsyncSession, order: Any, expected: list[int]
) -> None:
    await add_players(session, 5, None, 7)
    keys = total_order(Player, order)

    stmt = select(Player.id).order_by(*(key.order_by for key in keys))
    assert (await session.scalars(stmt)).all() == expected
    back = select(Player.id).order_by(*(key.reversed().order_by for key in keys))
    assert (await session.scalars(back)).all() == expected[::-1]


@pytest.mark.trap("unstable-order")
async def test_rows_that_tie_swap_places_on_postgresql_when_one_is_updated(
    session: AsyncSession, database: str
) -> None:
    await add_players(session, 1, 1, 1)

    async def pages(*order: Any) -> list[int]:
        seen: list[int] = []
        for offset in (0, 1, 2):
            stmt = select(Player.id).order_by(*order).limit(1).offset(offset)
            seen += await session.scalars(stmt)
            if not offset:
                await session.execute(
                    update(Player).where(Player.id == seen[0]).values(name="new")
                )
        return seen

    seen = {"sqlite": [0, 1, 2], "postgresql": [0, 2, 0]}
    assert await pages(Player.score) == seen[database]
    total = [key.order_by for key in total_order(Player, Player.score)]
    assert await pages(*total) == [0, 1, 2]


def test_the_primary_key_is_put_behind_in_the_direction_of_the_last_key() -> None:
    assert sql(total_order(Player, Player.name.desc())) == [
        "player.name DESC",
        "player.id DESC",
    ]
    assert sql(total_order(Player, Player.name.desc(), Player.score)) == [
        "player.name DESC",
        "player.score ASC NULLS LAST",
        "player.id ASC",
    ]
    assert sql(total_order(Player)) == ["player.id ASC"]


def test_a_composite_primary_key_is_put_behind_whole_and_never_twice() -> None:
    assert sql(total_order(Seat, Seat.price)) == [
        "seat.price ASC",
        "seat.row_number ASC",
        "seat.number ASC",
    ]
    assert sql(total_order(Seat, Seat.number.desc(), Seat.price)) == [
        "seat.number DESC",
        "seat.price ASC",
        "seat.row_number ASC",
    ]
    keys = total_order(Seat, Seat.number.desc(), Seat.price)
    assert [key.unique for key in keys] == [True, False, True]


def test_only_a_column_that_must_have_a_value_is_not_nullable() -> None:
    other = aliased(Player)
    few = select(Player.id, Player.name).subquery()
    cases: list[tuple[Any, Any, bool]] = [
        (Player, Player.name, False),
        (Player, Player.id, False),
        (Player, Player.score, True),
        (Player, Player.name.label("n"), False),
        (Player, Team.name, True),
        (Player, func.lower(Player.name), True),
        (other, other.name, False),
        (other, other.score, True),
        (other, Player.name, True),
        (Player, other.name, True),
        (few, few.c.name, True),
        (few, few.c.id, False),
        (Captain, Captain.name, False),
        (Captain, Captain.badge, True),
        (Player.__table__, Player.name, False),
        (Player.__table__, Player.__table__.c.name, False),
    ]
    for entity, key, nullable in cases:
        assert total_order(entity, key)[0].nullable is nullable, f"{entity}: {key}"


def test_unique_columns_of_several_tables_can_end_an_order() -> None:
    keys = total_order(Player, Team.name, unique=[Player.id, Team.id])
    assert sql(keys) == ["team.name ASC", "player.id ASC", "team.id ASC"]
    assert [key.unique for key in keys] == [False, True, True]


def test_an_entity_without_a_primary_key_needs_unique_columns() -> None:
    view = table("ranking", column("place"))
    with pytest.raises(ValueError, match=r"ranking has no primary key: pass unique="):
        total_order(view, view.c.place)
    assert sql(total_order(view, unique=[view.c.place])) == ["ranking.place ASC"]


def test_an_order_comes_apart() -> None:
    name = func.lower(Player.name)
    assert split_order(name) == (name, False, False)
    assert split_order(name.desc().nulls_first()) == (name, True, True)
    assert split_order(name.label("n").asc().nulls_last()) == (name, False, False)
    assert split_order(-Player.score)[0].compare(-Player.score)


def test_an_order_without_nulls_says_nothing_of_them() -> None:
    key = SortKey(Player.score.asc().element, descending=True, nullable=True)
    assert str(key.order_by) == "player.score DESC NULLS LAST"
    assert str(key.order_by_plain) == "player.score DESC"
    assert isinstance(Player.__table__, Table)


def test_a_key_is_ascending_and_its_value_is_the_drivers() -> None:
    key = SortKey(Player.__table__.c.name)
    assert str(key.order_by) == "player.name ASC"
    assert isinstance(key.raw.type, NullType)
    assert key.raw is key.raw  # made once: each page asks for it several times
    with pytest.raises(FrozenInstanceError):
        key.descending = True  # type: ignore[misc]


def test_a_row_that_comes_twice_is_refused() -> None:
    refuse_repeats([])
    refuse_repeats([(1, "a"), (1, "b"), (2, "b")])
    for rows in ([(1,), (1,)], [(1,), (2,), (3,), (3,)]):
        with pytest.raises(ValueError, match=r"^a row comes twice: .* or pass unique="):
            refuse_repeats(rows)
