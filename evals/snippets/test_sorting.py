"""Evals for snippets/sorting.py."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

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
