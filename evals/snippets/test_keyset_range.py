"""Evals for snippets/keyset_range.py."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest
from sqlalchemy import (
    ColumnElement,
    Index,
    Select,
    and_,
    bindparam,
    insert,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import NullType

from evals.harness.observe import rows_read
from snippets.keyset_range import ranges
from snippets.total_order import SortKey, total_order

Plan = Callable[..., Awaitable[str]]
MANY = 100_000
PAGE = 52


class Base(DeclarativeBase):
    pass


class Card(Base):
    __tablename__ = "card"

    id: Mapped[int] = mapped_column(primary_key=True)
    suit: Mapped[int | None]
    face: Mapped[int | None]


class Play(Base):
    """A hundred thousand of these: three genres, every third without a score."""

    __tablename__ = "play"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int] = mapped_column()
    genre: Mapped[int] = mapped_column()
    score: Mapped[int | None] = mapped_column()

    __table_args__ = (
        Index("by_time", at, id),
        Index("by_genre", genre, at, id),
        Index("by_genre_newest", genre, at.desc(), id.desc()),
        Index("by_score", score, id),
    )


FILL = """
INSERT INTO play (id, at, genre, score)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)
SELECT i, i / 2, i % 3, CASE WHEN i % 3 = 0 THEN NULL ELSE i % 40 END FROM n
"""


def directed(key: Any, descending: bool, nulls_first: bool) -> Any:
    order = key.desc() if descending else key.asc()
    return order.nulls_first() if nulls_first else order


async def test_ranges_hold_all_from_a_place_on_and_nothing_else(
    session: AsyncSession,
) -> None:
    faces = list(product((None, 1, 2), (None, 1, 2)))
    await session.execute(
        insert(Card),
        [{"id": i, "suit": s, "face": f} for i, (s, f) in enumerate([*faces, *faces])],
    )
    flags = [False, True]
    for first_down, first_nulls, down, nulls in product(flags, repeat=4):
        keys = total_order(
            Card,
            directed(Card.suit, first_down, first_nulls),
            directed(Card.face, down, nulls),
        )
        everything = select(Card.suit, Card.face, Card.id)
        ordered = everything.order_by(*(key.order_by for key in keys))
        rows = [tuple(row) for row in await session.execute(ordered)]
        places, ties = [None, *range(0, len(rows), 4)], (0, 1, 2)
        for place, tied, seek in product(places, ties, flags):
            if seek and not tied:
                continue
            values = () if place is None else rows[place]
            found: list[Any] = []
            for part in ranges(keys, values, tied=tied, rows_seek=seek):
                stmt = everything.where(*part.where).order_by(*part.order_by)
                found += [tuple(row) for row in await session.execute(stmt)]
            assert found == rows[place or 0 :], (values, tied)


def spelled(clause: ColumnElement[Any]) -> str:
    compiled = clause.compile()
    values = compiled.params
    return re.sub(r":(\w+)", lambda name: str(values[name[1]]), str(compiled))


def shape(
    keys: tuple[SortKey, ...], *values: Any, tied: int = 0, rows_seek: bool = True
) -> list[str]:
    found = ranges(keys, values, tied=tied, rows_seek=rows_seek)
    return [" AND ".join(spelled(clause) for clause in part.where) for part in found]


def test_one_direction_is_one_row_value() -> None:
    keys = total_order(Play, Play.at.desc())
    assert shape(keys, 7, 1) == ["(play.at, play.id) <= (7, 1)"]
    assert shape(keys, 7, 1, tied=1) == ["(play.at, play.id) <= (7, 1)"]
    assert shape(keys, 7, 1, tied=1, rows_seek=False) == [
        "play.at = 7 AND play.id <= 1",
        "play.at < 7",
    ]
    assert shape(keys) == [""]


def test_two_directions_begin_with_what_an_index_can_seek() -> None:
    keys = total_order(Play, Play.genre, Play.at.desc())
    assert shape(keys, 7, 5, 1) == [
        "play.genre >= 7 AND (play.genre > 7 OR (play.at, play.id) <= (5, 1))"
    ]
    assert shape(keys, 7, 5, 1, tied=2) == [
        "play.genre = 7 AND (play.at, play.id) <= (5, 1)",
        "play.genre > 7",
    ]
    assert shape(keys, 7, 5, 1, tied=2, rows_seek=False) == [
        "play.genre = 7 AND play.at = 5 AND play.id <= 1",
        "play.genre = 7 AND play.at < 5",
        "play.genre > 7",
    ]


def test_null_is_a_range_of_its_own_on_its_side() -> None:
    last, first = (
        total_order(Card, Card.suit),
        total_order(Card, Card.suit.nulls_first()),
    )
    assert shape(last) == ["card.suit IS NOT NULL", "card.suit IS NULL"]
    assert shape(first) == ["card.suit IS NULL", "card.suit IS NOT NULL"]
    assert shape(last, 7, 1) == ["(card.suit, card.id) >= (7, 1)", "card.suit IS NULL"]
    assert shape(first, 7, 1) == ["(card.suit, card.id) >= (7, 1)"]
    assert shape(last, None, 1) == ["card.suit IS NULL AND card.id >= 1"]
    assert shape(first, None, 1) == [
        "card.suit IS NULL AND card.id >= 1",
        "card.suit IS NOT NULL",
    ]


def test_ties_that_end_with_null_are_not_joined_to_what_follows() -> None:
    keys = total_order(Card, Card.suit, Card.face)
    assert shape(keys, 7, None, 1, tied=2) == [
        "card.suit = 7 AND card.face IS NULL AND card.id >= 1",
        "card.suit > 7",
        "card.suit IS NULL",
    ]
    assert shape(keys, None, 5, 1, tied=2) == [
        "card.suit IS NULL AND (card.face, card.id) >= (5, 1)",
        "card.suit IS NULL AND card.face IS NULL",
    ]
    assert shape(keys, 7, 5, 1, tied=2) == [
        "card.suit = 7 AND (card.face, card.id) >= (5, 1)",
        "card.suit = 7 AND card.face IS NULL",
        "card.suit > 7",
        "card.suit IS NULL",
    ]


def test_a_value_may_be_a_parameter_and_else_has_no_type_of_its_own() -> None:
    keys = total_order(Play, Play.at)
    (part,) = ranges(keys, (bindparam("at"), 1), tied=0, rows_seek=True)
    compiled = part.where[0].compile()
    assert str(compiled).endswith(">= (:at, :param_1)")
    assert isinstance(compiled.binds["param_1"].type, NullType)


def test_only_the_settled_keys_need_no_place_for_null() -> None:
    keys = total_order(Card, Card.suit, Card.face)
    first = next(ranges(keys, (), tied=0, rows_seek=True))
    assert [str(order) for order in first.order_by] == [
        "card.suit ASC",
        "card.face ASC NULLS LAST",
        "card.id ASC",
    ]
    plain = total_order(Play, Play.at, Play.score)
    first = next(ranges(plain, (), tied=0, rows_seek=True))
    assert [str(order) for order in first.order_by] == [
        "play.at ASC",
        "play.score ASC NULLS LAST",
        "play.id ASC",
    ]


async def fill(session: AsyncSession) -> None:
    await session.execute(text(FILL), {"many": MANY})
    await session.commit()
    await session.execute(text("ANALYZE play"))


async def work(session: AsyncSession, stmt: Select[Any]) -> int:
    """Return rows that PostgreSQL touched, or tens of SQLite's instructions."""
    conn = await session.connection()
    if conn.dialect.name == "postgresql":
        return await rows_read(conn, stmt)
    driver = (await conn.get_raw_connection()).driver_connection
    assert driver is not None
    ticks: list[int] = []
    await driver.set_progress_handler(lambda: ticks.append(1), 10)
    await session.execute(stmt)
    await driver.set_progress_handler(None, 0)
    return len(ticks)


def page_from(
    session: AsyncSession, keys: tuple[SortKey, ...], values: Any, tied: int
) -> Any:
    """Return the first statement of a page; it alone is sent while it fills one."""
    seek = session.get_bind().dialect.name != "sqlite"
    part = next(ranges(keys, values, tied=tied, rows_seek=seek))
    stmt = select(Play.id, Play.at, Play.genre, Play.score)
    return stmt.where(*part.where).order_by(*part.order_by).limit(PAGE)


async def test_a_deep_page_is_sought_in_an_index_and_costs_what_the_first_costs(
    session: AsyncSession, plan: Plan, database: str
) -> None:
    await fill(session)
    orders: list[list[Any]] = [
        [Play.at],
        [Play.at.desc()],
        [Play.genre, Play.at],
        [Play.genre.desc(), Play.at.desc()],
        [Play.genre, Play.at.desc()],
        [Play.genre.desc(), Play.at],
        [Play.score],
        [Play.score.desc()],
        [Play.score.nulls_first()],
        [Play.score.desc().nulls_first()],
    ]
    sought = {"sqlite": "SEARCH play USING", "postgresql": "Index Cond: "}[database]
    for order in orders:
        keys = total_order(Play, *order)
        columns = [key.expression for key in keys]
        listed = select(*columns).order_by(*(key.order_by for key in keys))
        first = await work(session, page_from(session, keys, (), 0))
        for depth in (1_000, 33_320, 40_000, 66_000, 99_900):
            shown = listed.offset(depth).limit(50)
            rows = (await session.execute(shown)).all()
            tied = 0
            while rows[0][tied] == rows[-1][tied]:
                tied += 1
            stmt = page_from(session, keys, tuple(rows[-1]), tied)
            steps = await plan(session, stmt)
            cost = await work(session, stmt)
            case = f"{order} at {depth}: {cost} after {first}\n{steps}"
            assert sought in steps, case
            assert "TEMP B-TREE" not in steps, case
            assert cost <= (3 * PAGE if database == "postgresql" else 4 * first), case


@pytest.mark.trap("keyset-or")
async def test_the_predicate_from_the_textbook_reads_all_that_was_shown_before(
    session: AsyncSession, database: str
) -> None:
    await fill(session)
    at, id_ = MANY // 4, MANY // 2
    page = select(Play.id).order_by(Play.at, Play.id).limit(PAGE)
    textbook = page.where(or_(Play.at > at, and_(Play.at == at, Play.id > id_)))
    row_value = page.where(tuple_(Play.at, Play.id) > (at, id_))

    slow, fast = await work(session, textbook), await work(session, row_value)
    if database == "sqlite":
        assert slow > 100 * fast
    else:
        assert slow > MANY * 0.4
        assert fast <= PAGE


@pytest.mark.trap("row-value-ties")
async def test_a_row_value_reads_all_ties_on_sqlite_where_it_ends_with_the_rowid(
    session: AsyncSession, database: str
) -> None:
    await fill(session)
    await session.execute(text("UPDATE play SET at = 0"))
    page = select(Play.id).order_by(Play.at, Play.id).limit(PAGE)
    row_value = page.where(tuple_(Play.at, Play.id) > (0, MANY - 100))
    keys = total_order(Play, Play.at)
    ours = page_from(session, keys, (0, MANY - 100), 1)

    slow, fast = await work(session, row_value), await work(session, ours)
    if database == "sqlite":
        assert slow > 100 * fast
    else:
        assert slow <= PAGE
    assert fast <= (PAGE if database == "postgresql" else 200)
