"""Evals for snippets/bulk_upsert.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Index,
    MetaData,
    UniqueConstraint,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlmodel import Field

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.bulk_rows import BadRow
from snippets.bulk_upsert import Upserted, bulk_upsert
from snippets.domain_error import UnknownField
from snippets.primary_key import UuidKey
from snippets.sqlmodel_base import TableModel
from snippets.timestamps import Timestamps
from snippets.version_column import Versioned


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Stock(Versioned, Timestamps, Base):
    __tablename__ = "stock"

    id: Mapped[UuidKey]
    shop: Mapped[int]
    sku: Mapped[str] = mapped_column("stock unit")
    quantity: Mapped[int] = mapped_column("qty", default=10)
    shelf: Mapped[str | None]
    tags: Mapped[list[str] | None] = mapped_column(JSON)

    __table_args__ = (UniqueConstraint("shop", "stock unit"),)


class Slug(Base):
    __tablename__ = "slug"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    hits: Mapped[int]
    dead: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        Index(
            "uq_slug_path",
            "path",
            unique=True,
            postgresql_where=text("NOT dead"),
            sqlite_where=text("NOT dead"),
        ),
    )


class Badge(TableModel, table=True):
    metadata = Base.metadata
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    rank: int = 0


BADGE = Base.metadata.tables["badge"]
KEY = ["shop", "sku"]


def row(sku: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"shop": 1, "sku": sku, "quantity": quantity, **more}


async def stored(session: AsyncSession) -> dict[str, int]:
    found = await session.execute(select(Stock.sku, Stock.quantity))
    return {row.sku: row.quantity for row in found}


async def test_new_rows_go_in_known_ones_change_and_each_is_counted(
    session: AsyncSession,
) -> None:
    rows = [row("a"), row("b"), row("c")]
    assert await bulk_upsert(session, Stock, rows, key=KEY) == Upserted(inserted=3)
    rows = [row("c"), row("d"), row("b", 5), row("e"), row("f")]
    done = await bulk_upsert(session, Stock, rows, key=KEY)
    assert done == Upserted(inserted=3, updated=1, unchanged=1)
    expected = {"a": 1, "b": 5, "c": 1, "d": 1, "e": 1, "f": 1}
    assert await stored(session) == expected


async def test_what_a_change_touches_and_what_it_does_not(
    session: AsyncSession,
) -> None:
    then = datetime(2020, 1, 1, tzinfo=UTC)
    old = row("a", shelf="x", created_at=then, updated_at=then)
    await bulk_upsert(session, Stock, [old, old | {"sku": "b"}], key=KEY)
    ids = (await session.scalars(select(Stock.id).order_by(Stock.sku))).all()
    rows = [row("a", 2), row("b", 1)]
    done = await bulk_upsert(session, Stock, rows, key=KEY)
    assert done == Upserted(updated=1, unchanged=1)

    a, b = (await session.scalars(select(Stock).order_by(Stock.sku))).all()
    assert (a.quantity, a.shelf, a.version, a.created_at) == (2, "x", 2, then)
    assert a.updated_at > then
    assert (b.quantity, b.shelf, b.version, b.updated_at) == (1, "x", 1, then)
    assert [a.id, b.id] == ids


async def test_a_default_is_for_new_rows_only(session: AsyncSession) -> None:
    await bulk_upsert(session, Stock, [row("a", 3)], key=KEY)
    rows = [{"shop": 1, "sku": sku, "shelf": "x"} for sku in "ab"]
    assert (await bulk_upsert(session, Stock, rows, key=KEY)).updated == 1
    assert await stored(session) == {"a": 3, "b": 10}


async def test_the_keys_of_a_row_that_is_there_stay(
    session: AsyncSession, statements: Statements
) -> None:
    for ident, rank in ((7, 1), (8, 2)):
        rows = [{"id": ident, "name": "a", "rank": rank}]
        with statements() as sent:
            await bulk_upsert(session, Badge, rows, key=["name"])
        # "A" may equal "a": the database decides what is the same key.
        assert not any("name = excluded" in sql for sql in sent)
    badge = (await session.scalars(select(Badge))).one()
    assert (badge.id, badge.rank) == (7, 2)


async def test_update_names_what_may_change(session: AsyncSession) -> None:
    await bulk_upsert(session, Stock, [row("a", 1, shelf="x")], key=KEY)
    rows = [row("a", 2, shelf="y"), row("b", 2, shelf="y")]
    done = await bulk_upsert(session, Stock, rows, key=KEY, update=["shelf"])
    assert (done.inserted, done.updated) == (1, 1)
    assert await stored(session) == {"a": 1, "b": 2}

    rows = [row("a", 9), row("c", 9)]
    done = await bulk_upsert(session, Stock, rows, key=KEY, update=[])
    assert done == Upserted(inserted=1, unchanged=1)
    assert await stored(session) == {"a": 1, "b": 2, "c": 9}
    with pytest.raises(UnknownField, match="nope"):
        await bulk_upsert(session, Stock, rows, key=KEY, update=["nope"])
    with pytest.raises(UnknownField, match="shelf"):
        await bulk_upsert(session, Stock, rows, key=KEY, update=["shelf"])


@pytest.mark.trap("key-twice-in-batch")
async def test_a_key_twice_in_one_statement_is_refused_and_the_last_one_wins_here(
    session: AsyncSession, database: str
) -> None:
    rows = [
        {"name": "a", "rank": 1},
        {"name": "b", "rank": 1},
        {"name": "a", "rank": 2},
    ]
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[database]
    stmt = dialect.insert(BADGE).values(rows)
    stmt = stmt.on_conflict_do_update(
        index_elements=["name"], set_={"rank": stmt.excluded.rank}
    )
    if database == "postgresql":
        with pytest.raises(DBAPIError, match="affect row a second time"):
            await session.execute(stmt)
        await session.rollback()
    else:
        await session.execute(stmt)  # green here
    await session.rollback()

    done = await bulk_upsert(session, Badge, rows, key=["name"])
    assert done == Upserted(inserted=2, repeated=1)
    found = await session.scalars(select(Badge).order_by(Badge.name))
    assert [(b.name, b.rank) for b in found] == [("a", 2), ("b", 1)]
    done = await bulk_upsert(session, Badge, rows, key=["name"], batch=2)
    assert done == Upserted(updated=2, unchanged=1)
    assert (await session.scalars(select(func.max(Badge.rank)))).one() == 2


async def test_a_null_is_a_change_and_json_is_compared(session: AsyncSession) -> None:
    rows = [row("a", shelf=None, tags=["x"]), row("b", shelf="s", tags=None)]
    await bulk_upsert(session, Stock, rows, key=KEY)
    done = await bulk_upsert(session, Stock, rows, key=KEY)
    assert done == Upserted(unchanged=2)
    rows = [row("a", shelf="s", tags=["x"]), row("b", shelf=None, tags=None)]
    assert (await bulk_upsert(session, Stock, rows, key=KEY)).updated == 2
    rows = [row("a", shelf="s", tags=["y"])]
    assert (await bulk_upsert(session, Stock, rows, key=KEY)).updated == 1


async def test_a_partial_unique_index_is_a_key_too(session: AsyncSession) -> None:
    session.add(Slug(path="/a", hits=1, dead=True))
    live = text("NOT dead")
    for hits, expected in ((2, Upserted(inserted=1)), (3, Upserted(updated=1))):
        rows = [{"path": "/a", "hits": hits}]
        done = await bulk_upsert(session, Slug, rows, key=["path"], index_where=live)
        assert done == expected
    found = await session.scalars(select(Slug.hits).order_by(Slug.hits))
    assert found.all() == [1, 3]


async def test_a_table_and_any_number_of_rows_of_any_iterable(
    session: AsyncSession, full: bool
) -> None:
    number = 1_000_000 if full else 9_000

    async def arriving(rank: int) -> AsyncIterator[dict[str, Any]]:
        for i in range(number):
            yield {"name": f"n{i}", "rank": rank}

    done = await bulk_upsert(session, BADGE, arriving(1), key=["name"], batch=4_000)
    assert done == Upserted(inserted=number)
    done = await bulk_upsert(session, BADGE, arriving(2), key=["name"], batch=4_000)
    assert done == Upserted(updated=number)
    assert await bulk_upsert(session, BADGE, [], key=["name"]) == Upserted()


async def test_a_bad_row_in_the_middle_leaves_nothing_and_the_transaction_goes_on(
    session: AsyncSession,
) -> None:
    await bulk_upsert(session, Stock, [row("s1", 7)], key=KEY)
    rows = [row(f"s{i}") for i in range(30)]
    for bad, field in (
        (row("s20", shelf="x"), "shelf"),
        ({"shop": 1, "sku": "s20"}, "quantity"),
        (row("s20") | {"sku": None}, "sku"),
    ):
        rows[20] = bad
        with pytest.raises(BadRow, match="row 21: ") as caught:
            await bulk_upsert(session, Stock, rows, key=KEY, batch=16)
        assert field in caught.value.fields
        assert await stored(session) == {"s1": 7}
    rows[20] = row("s20") | {"quantity": None}
    with pytest.raises(IntegrityError):
        await bulk_upsert(session, Stock, rows, key=KEY, batch=16)
    assert await stored(session) == {"s1": 7}
    await session.rollback()
    assert await stored(session) == {}


async def test_two_at_once_wait_for_each_other_and_do_not_deadlock(
    sessions: async_sessionmaker[AsyncSession], session: AsyncSession, database: str
) -> None:
    names = [{"name": name, "rank": 1} for name in "ab"]
    await bulk_upsert(session, Badge, names, key=["name"])
    await session.commit()
    if database == "sqlite":
        return  # one writer at a time

    rows = [{"name": name, "rank": 2} for name in "ba"]
    mine = update(BADGE).values(rank=3)
    await session.execute(mine.where(BADGE.c.name == "a"))
    blocked = text(
        "SELECT count(*) FROM pg_locks"
        " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    async with sessions.begin() as other:
        waiting = asyncio.create_task(bulk_upsert(other, Badge, rows, key=["name"]))
        while not await session.scalar(blocked):
            pass
        # It waits for "a" and does not hold "b" yet.
        await session.execute(mine.where(BADGE.c.name == "b"))
        await session.commit()
        assert (await waiting).updated == 2
