"""Evals for snippets/sorting.py."""

from __future__ import annotations

import pytest
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, relationship

from snippets.sorting import InvalidSort, SortFields
from snippets.total_order import total_order


class Base(DeclarativeBase):
    pass


class Player(Base):
    __tablename__ = "player"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    score: Mapped[int | None]
    password_hash: Mapped[str]
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    team: Mapped[Team | None] = relationship()


class Team(Base):
    __tablename__ = "team"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


SORTS = SortFields(
    {
        "name": func.lower(Player.name),
        "score": Player.score,
        "rank": Player.score.nulls_first(),
    },
    default="-score",
)


async def ids(session: AsyncSession, sort: str | None) -> list[int]:
    keys = total_order(Player, *SORTS.parse(sort))
    stmt = select(Player.id).order_by(*(key.order_by for key in keys))
    return list(await session.scalars(stmt))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, [3, 4, 2, 1]),
        ("", [3, 4, 2, 1]),
        ("score", [2, 4, 3, 1]),
        ("-rank", [1, 3, 4, 2]),
        ("rank,name", [1, 4, 2, 3]),
        ("rank, -name", [1, 2, 4, 3]),
        ("name", [1, 4, 3, 2]),
        ("-name", [2, 3, 4, 1]),
    ],
)
async def test_a_list_comes_in_the_order_that_was_asked_for(
    session: AsyncSession, sort: str | None, expected: list[int]
) -> None:
    people = [("Ann", None), ("dora", 5), ("Cleo", 7), ("bob", 5)]
    session.add_all(
        Player(id=i, name=name, score=score, password_hash="x")
        for i, (name, score) in enumerate(people, 1)
    )
    await session.flush()
    assert await ids(session, sort) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("team", [2, 5, 3, 4, 1]),
        ("-team", [4, 3, 5, 2, 1]),
        ("size", [1, 3, 4, 2, 5]),
        ("-size,-team", [5, 2, 4, 3, 1]),
    ],
)
async def test_a_joined_column_and_a_subquery_are_orders_too(
    session: AsyncSession, sort: str, expected: list[int]
) -> None:
    mates = aliased(Player)
    size = select(func.count()).where(mates.team_id == Player.team_id)
    sorts = SortFields(
        {"team": Team.name, "size": size.scalar_subquery()}, default="team"
    )
    session.add_all([Team(id=1, name="b"), Team(id=2, name="a"), Team(id=3, name="c")])
    await session.flush()
    teams = {1: None, 2: 2, 3: 1, 4: 3, 5: 2}
    session.add_all(
        Player(id=i, name="x", password_hash="x", team_id=team)
        for i, team in teams.items()
    )
    await session.flush()
    stmt = select(Player.id).outerjoin(Player.team)
    keys = total_order(Player, *sorts.parse(sort))
    found = await session.scalars(stmt.order_by(*(key.order_by for key in keys)))
    assert found.all() == expected


def test_an_order_is_the_same_object_each_time() -> None:
    orders = {SORTS.parse(sort): sort for sort in ("-rank,name", "name", "-rank, name")}
    assert list(orders.values()) == ["-rank, name", "name"]


def test_a_long_text_is_cut_in_the_answer() -> None:
    with pytest.raises(InvalidSort) as caught:
        SORTS.parse("x" * 100_000)
    assert str(caught.value).startswith(f"cannot sort by '{'x' * 80}': expected names")


@pytest.mark.trap("sort-by-any-column")
@pytest.mark.parametrize(
    "sort",
    ["password_hash", "id", "-", ",", "name,", "name,-name", "--name", "+name", "NAME"],
)
def test_what_is_not_on_the_list_is_refused(sort: str) -> None:
    with pytest.raises(InvalidSort) as caught:
        SORTS.parse(sort)
    assert str(caught.value) == (
        f"cannot sort by {sort!r}: expected names from name, score, rank, each once,"
        " with commas between them and - before one for descending"
    )


def test_a_default_that_is_not_on_the_list_fails_at_once() -> None:
    with pytest.raises(InvalidSort, match="cannot sort by '-age'"):
        SortFields({"name": Player.name}, default="-age")
