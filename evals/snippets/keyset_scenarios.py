"""Tables, orders and walks that evals of keyset pagination draw at random."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from sqlalchemy import (
    Enum,
    ForeignKey,
    Interval,
    Numeric,
    String,
    case,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import UtcDateTime

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
FOLDED = (
    String()
    .with_variant(String(collation="NOCASE"), "sqlite")
    .with_variant(String(collation="C"), "postgresql")
)


class Mood(enum.Enum):
    ZEST = "a"
    CALM = "z"
    AWE = "m"


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Reading(Base):
    __tablename__ = "reading"

    tray: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[UUID] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
    rank: Mapped[int]
    score: Mapped[int | None]
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)
    naive_at: Mapped[datetime | None]
    saved_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    price: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    ratio: Mapped[float]
    flag: Mapped[bool | None]
    mood: Mapped[Mood | None] = mapped_column(Enum(Mood, name="mood"))
    day: Mapped[date]
    clock: Mapped[time | None]
    took: Mapped[timedelta] = mapped_column(Interval)
    name: Mapped[str]
    label: Mapped[str | None] = mapped_column(FOLDED)
    blob: Mapped[bytes]


TEXTS = ["", "a", "A", "b", "B", "ä", "Z", "e\u0301", "é", "😀", "it's", 'x"y\\', "%\n"]
POOLS: dict[str, list[Any]] = {
    "author_id": [None, 1, 2, 3],
    "rank": [0, 1, -5, 2**30],
    "score": [None, None, 0, 7, -7],
    "taken_at": [NOON, NOON + MICRO, NOON - MICRO, NOON + timedelta(days=1, hours=5)],
    "naive_at": [None, datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 0, 999)],
    "saved_at": [None, datetime(2026, 5, 5), datetime(2026, 5, 5, 0, 0, 0, 1)],
    "price": [None, *map(Decimal, ("0", "0.1", "-1.5", "10.0001", "9999999999.9999"))],
    "ratio": [0.0, -0.0, 0.1, 0.1 + 0.2, float("inf"), float("-inf"), 5e-324, 1e22],
    "flag": [None, True, False],
    "mood": [None, *Mood],
    "day": [date(2026, 2, 28), date(1, 1, 1), date(9999, 12, 31)],
    "clock": [None, time(0), time(23, 59, 59, 999999)],
    "took": [timedelta(0), timedelta(days=3, microseconds=1), timedelta(seconds=-1)],
    "name": TEXTS,
    "label": [None, *TEXTS],
    "blob": [b"", b"\x00\xff", b"\xfe"],
}


def row(choice: bytes) -> dict[str, Any]:
    """Return the reading that a draw stands for, one byte a column."""
    tray, code, *rest = choice
    picked = zip(POOLS.items(), rest, strict=True)
    return {
        "tray": tray % 2,
        "code": UUID(int=code * 0x1357924680ACE),
        **{name: pool[byte % len(pool)] for (name, pool), byte in picked},
    }


WIDTH = len(POOLS) + 2
ROW = st.binary(min_size=WIDTH, max_size=WIDTH).map(row)
ROWS = st.lists(ROW, max_size=14, unique_by=lambda row: (row["tray"], row["code"]))
R = Reading
KEYS: list[Any] = [
    *(R.tray, R.code, R.rank, R.rank, R.score, R.score, R.taken_at, R.naive_at),
    *(R.saved_at, R.price, R.ratio, R.flag, R.mood, R.day, R.clock, R.took, R.name),
    *(R.label, R.blob, Author.name),
    func.lower(R.name),
    func.coalesce(R.score, 3),
    R.price * 2,
    R.rank + R.tray,
    case((R.flag.is_(True), "x"), else_=R.name),
    func.abs(R.rank),
]


def orders_by(keys: Sequence[Any]) -> st.SearchStrategy[list[tuple[Any, bool, bool]]]:
    """Draw the keys of an order: what, whether descending, whether NULLs come first."""
    key = st.tuples(st.sampled_from(keys), st.booleans(), st.booleans())
    return st.lists(key, min_size=0 if keys is KEYS else 1, max_size=3)


ORDERS = orders_by(KEYS)
SIZES = st.integers(1, 6)
STEPS = st.lists(st.tuples(st.booleans(), SIZES), min_size=1, max_size=12)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "delete", "edit"]),
        st.integers(0, 13),
        ROW,
    ),
    max_size=3,
)
Orders = Sequence[tuple[Any, bool, bool]]
Sessions = async_sessionmaker[AsyncSession]
# An outer join: what is NOT NULL in the author's table can be missing here.
READINGS = select(Reading).outerjoin(Author)


def arguments(order: Orders) -> list[Any]:
    """Return what `Keyset` takes, NULLs last being what it does unasked."""
    directed = [
        (key.desc() if down else key.asc(), first) for key, down, first in order
    ]
    return [key.nulls_first() if first else key for key, first in directed]


async def listed(session: AsyncSession, order: Orders) -> list[tuple[int, UUID]]:
    """Return the whole list, as the database sorts it when nothing is left unsaid."""
    clauses, down = [], False
    for key, down, first in order:
        clause = key.desc() if down else key.asc()
        clauses.append(clause.nulls_first() if first else clause.nulls_last())
    for end in (Reading.tray, Reading.code):
        if not any(key is end for key, _, _ in order):
            clauses.append(end.desc() if down else end.asc())
    stmt = READINGS.with_only_columns(Reading.tray, Reading.code).order_by(*clauses)
    return [(tray, code) for tray, code in await session.execute(stmt)]


def names(readings: Sequence[Reading]) -> list[tuple[int, UUID]]:
    return [(reading.tray, reading.code) for reading in readings]


async def fill(sessions: Sessions, rows: Sequence[dict[str, Any]]) -> None:
    """Replace all readings."""
    async with sessions.begin() as session:
        await session.execute(delete(Reading))
        await session.execute(delete(Author))
        authors = [{"id": 1, "name": "Zoe"}, {"id": 2, "name": "ann"}]
        await session.execute(insert(Author), [*authors, {"id": 3, "name": "ann"}])
        if rows:
            await session.execute(insert(Reading), list(rows))
        await shorten(session)


async def shorten(session: AsyncSession) -> None:
    """On SQLite give some timestamps the form that CURRENT_TIMESTAMP has."""
    if session.get_bind().dialect.name == "sqlite":
        cut = "UPDATE reading SET saved_at = substr(saved_at, 1, 19) WHERE rank <> 1"
        await session.execute(text(cut))


async def check_turns(
    keyset: Any, sessions: Sessions, order: Orders, steps: Sequence[tuple[bool, int]]
) -> None:
    """Turn pages to and fro, of many sizes: each is the slice that it must be."""
    keys = keyset(Reading, *arguments(order))
    async with sessions() as session:
        everything = await listed(session, order)
        forward, size = steps[0]
        page = await keys.fetch(
            session, READINGS, size=size, cursor=None if forward else "last"
        )
        begin = 0 if forward else max(0, len(everything) - size)
        end = begin + size if forward else len(everything)
        for forward, size in [*steps[1:], steps[0]]:
            assert names(page.items) == everything[begin:end]
            assert page.has_next == (end < len(everything))
            assert page.has_previous == (begin > 0)
            cursor = page.next_cursor if forward else page.previous_cursor
            if cursor is None:
                continue
            page = await keys.fetch(session, READINGS, size=size, cursor=cursor)
            if forward:
                begin, end = end, end + size
            else:
                begin, end = max(0, begin - size), begin


async def check_walk(
    keyset: Any,
    sessions: Sessions,
    order: Orders,
    size: int,
    forward: bool,
    edits: Sequence[Sequence[tuple[str, int, dict[str, Any]]]],
) -> None:
    """Walk to the end while others write: nobody else's row is lost or repeated."""
    keys = keyset(Reading, *arguments(order))
    async with sessions() as session:
        touched: set[tuple[int, UUID]] = set()
        before = await listed(session, order)
    seen: list[tuple[int, UUID]] = []
    cursor = None if forward else "last"
    for turn in range(60):
        async with sessions() as session:
            page = await keys.fetch(session, READINGS, size=size, cursor=cursor)
            now = await listed(session, order)
        found = names(page.items)
        seen = seen + found if forward else found + seen
        if found:
            begin = now.index(found[0])
            end = begin + len(found)
            assert found == now[begin:end]
        else:
            begin = end = len(now) if forward else 0
        assert page.has_previous == (begin > 0)
        assert page.has_next == (end < len(now))
        cursor = page.next_cursor if forward else page.previous_cursor
        if cursor is None:
            break
        for edit in edits[turn] if turn < len(edits) else ():
            touched.add(await write(sessions, now, *edit))
    else:
        raise AssertionError("the walk does not end")
    back = page.previous_cursor if forward else page.next_cursor
    if not found and back:
        async with sessions() as session:
            page = await keys.fetch(session, READINGS, size=size, cursor=back)
            assert names(page.items) == (now[-size:] if forward else now[:size])
    expected = [name for name in before if name not in touched]
    assert [name for name in seen if name not in touched] == expected


async def write(
    sessions: Sessions,
    now: Sequence[tuple[int, UUID]],
    action: str,
    which: int,
    row: dict[str, Any],
) -> tuple[int, UUID]:
    """Insert, delete or edit one reading; return its name."""
    name = (row["tray"], row["code"])
    if action != "insert" and now:
        name = now[which % len(now)]
    values = {column: row[column] for column in POOLS}
    async with sessions.begin() as session:
        here = (Reading.tray == name[0]) & (Reading.code == name[1])
        if action == "delete":
            await session.execute(delete(Reading).where(here))
        elif await session.scalar(select(Reading.rank).where(here)) is not None:
            await session.execute(update(Reading).where(here).values(values))
        else:
            key = {"tray": name[0], "code": name[1]}
            await session.execute(insert(Reading), [values | key])
        await shorten(session)
    return name
