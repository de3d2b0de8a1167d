"""Evals for snippets/bulk_change.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import (
    Computed,
    Connection,
    ForeignKey,
    Identity,
    MetaData,
    bindparam,
    event,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.bulk_change import bulk_delete, bulk_update
from snippets.bulk_insert import bulk_insert, bulk_insert_keys
from snippets.bulk_rows import BadRow
from snippets.bulk_upsert import Upserted, bulk_upsert
from snippets.timestamps import Timestamps
from snippets.vector_column import Vector
from snippets.version_column import Versioned

THEN = datetime(2020, 1, 1, tzinfo=UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Color(Enum):
    RED = "red"


class Part(Versioned, Timestamps, Base):
    __tablename__ = "part"

    number: Mapped[int] = mapped_column("id", primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    price: Mapped[int] = mapped_column(default=1)
    note: Mapped[str | None]


class Use(Base):
    __tablename__ = "use"

    part: Mapped[int] = mapped_column(ForeignKey("part.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012


JSON = sa.JSON(none_as_null=True)


class Thing(Base):
    """What a driver has to be told about."""

    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    color: Mapped[Color | None]
    place: Mapped[Sequence[float] | None] = mapped_column(Vector(2))
    extra: Mapped[dict[str, Any] | None] = mapped_column(
        JSON.with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
    )
    tags: Mapped[list[str] | None] = mapped_column(
        JSON.with_variant(postgresql.ARRAY(sa.String), "postgresql")
    )
    lasts: Mapped[timedelta | None]
    data: Mapped[bytes | None]
    address: Mapped[str | None] = mapped_column(
        sa.String().with_variant(postgresql.INET(), "postgresql")
    )
    state: Mapped[str] = mapped_column(server_default="new")
    length: Mapped[int] = mapped_column(Computed("length(name)", persisted=True))


THING: dict[str, Any] = {
    "color": Color.RED,
    "place": [0.5, -1.0],
    "extra": {"a": [1, None, "ü"]},
    "tags": ["x", "y z"],
    "lasts": timedelta(hours=30, microseconds=3),
    "data": b"\0\xff",
    "address": "10.0.0.1",
}


@event.listens_for(Base.metadata, "before_create")
def add_extension(metadata: MetaData, conn: Connection, **options: Any) -> None:
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS vector")


PART = Base.metadata.tables["part"]


def parts(number: int) -> list[dict[str, Any]]:
    return [
        {"number": i, "code": f"c{i}", "updated_at": THEN} for i in range(1, number + 1)
    ]


async def prices(session: AsyncSession) -> list[int]:
    return list(await session.scalars(select(Part.price).order_by(Part.number)))


async def test_rows_are_changed_by_key_and_the_last_one_wins(
    session: AsyncSession,
) -> None:
    await bulk_insert(session, Part, parts(4))
    rows = [{"number": n, "price": p} for n, p in ((4, 4), (2, 9), (2, 2), (99, 1))]
    assert await bulk_update(session, Part, rows) == 2
    assert await prices(session) == [1, 2, 1, 4]
    one, two, *_ = await session.scalars(select(Part).order_by(Part.number))
    assert (one.version, one.updated_at) == (1, THEN)
    assert two.version == 2
    assert two.updated_at > THEN


async def test_another_unique_key_may_name_the_rows(session: AsyncSession) -> None:
    await bulk_insert(session, Part, parts(3))
    rows: list[dict[str, Any]] = [
        {"code": "c1", "note": None, "price": 7},
        {"code": "c3", "note": "x", "price": 8},
    ]
    assert await bulk_update(session, PART, rows, key=["code"]) == 2
    assert await prices(session) == [7, 1, 8]


@pytest.mark.parametrize("name", THING)
async def test_each_type_is_stored_compared_and_changed(
    session: AsyncSession, name: str
) -> None:
    rows = [{"name": "a", **THING}, {"name": "b"}]
    assert await bulk_insert(session, Thing, rows) == 2
    first, second = await session.scalars(select(Thing).order_by(Thing.name))
    assert str(getattr(first, name)) == str(THING[name])
    assert (getattr(second, name), second.state, second.length) == (None, "new", 1)
    assert len(await bulk_insert_keys(session, Thing, [{"name": "c"}])) == 1

    given = [{"name": n, name: THING[name]} for n in "abd"]
    done = await bulk_upsert(session, Thing, given, key=["name"])
    assert done == Upserted(inserted=1, updated=1, unchanged=1)
    given = [{"name": n, name: None} for n in "abx"]
    assert await bulk_update(session, Thing, given, key=["name"]) == 2
    stmt = select(Thing.name).where(getattr(Thing, name).is_not(None))
    assert (await session.scalars(stmt)).all() == ["d"]


@pytest.mark.trap("rows-not-there")
async def test_an_executemany_does_not_tell_how_many_rows_were_there(
    session: AsyncSession, database: str
) -> None:
    await bulk_insert(session, Part, parts(1))
    connection = await session.connection()
    stmt = update(PART).where(PART.c.id == bindparam("n")).values(price=5)
    result = await connection.execute(stmt, [{"n": 1}, {"n": 99}])
    assert result.rowcount == {"sqlite": 1, "postgresql": -1}[database]
    rows = [{"number": 1, "price": 5}, {"number": 99, "price": 5}]
    assert await bulk_update(session, Part, rows) == 1


async def test_composite_keys_change_and_count_their_version(
    session: AsyncSession,
) -> None:
    await bulk_insert(session, Part, parts(2))
    await bulk_insert(session, Use, [{"part": 1, "place": p} for p in (1, 2, 3)])
    rows = [{"part": 1, "place": 2, "revision": 7}]
    assert await bulk_update(session, Use, rows) == 1
    revisions = select(Use.revision).order_by(Use.place)
    assert (await session.scalars(revisions)).all() == [1, 7, 1]
    assert await bulk_delete(session, Use, [(1, 1), (1, 2), (2, 3)]) == 2
    assert (await session.scalars(select(Use.place))).all() == [3]
    with pytest.raises(ValueError, match="zip"):
        await bulk_delete(session, Use, [(1,)])


async def test_a_version_without_onupdate_counts_on(session: AsyncSession) -> None:
    await bulk_insert(session, Part, parts(2))
    await bulk_insert(session, Use, [{"part": 1, "place": 1}])
    rows = [{"place": 1, "part": 2}]
    assert await bulk_update(session, Use, rows, key=["place"]) == 1
    found = (await session.execute(select(Use.part, Use.revision))).one()
    assert found == (2, 2)


async def test_any_number_of_keys_is_deleted(session: AsyncSession, full: bool) -> None:
    number = 1_000_000 if full else 100_000
    await bulk_insert(session, Part, parts(number))

    async def arriving() -> AsyncIterator[int]:
        for i in range(2, number + 10):
            yield i

    assert (
        await bulk_update(
            session, Part, ({"number": i, "price": 2} for i in range(number))
        )
        == number - 1
    )
    assert await bulk_delete(session, Part, arriving()) == number - 1
    assert await prices(session) == [2]
    assert await bulk_delete(session, Part, ["c1", "c1"], key=["code"]) == 1
    assert await bulk_delete(session, Part, []) == 0
    assert await bulk_update(session, Part, []) == 0


async def test_a_bad_row_leaves_nothing_and_the_transaction_goes_on(
    session: AsyncSession,
) -> None:
    await bulk_insert(session, Part, parts(20))
    await bulk_insert(session, Use, [{"part": 15, "place": 1}])
    rows: list[dict[str, Any]] = [{"number": i, "price": 3} for i in range(1, 21)]
    rows[15] = {"number": 16, "price": None}
    with pytest.raises(IntegrityError):
        await bulk_update(session, Part, rows, batch=8)
    rows[15] = {"number": 16}
    with pytest.raises(BadRow, match="row 16: only some rows of its batch have: price"):
        await bulk_update(session, Part, rows, batch=8)
    with pytest.raises(BadRow, match="row 1: it has nothing but its key: number"):
        await bulk_update(session, Part, [{"number": 1}])
    assert set(await prices(session)) == {1}
    with pytest.raises(IntegrityError):
        await bulk_delete(session, Part, range(1, 21), batch=8)
    with pytest.raises(BadRow, match="row 2: its key is NULL: number"):
        await bulk_delete(session, Part, [1, None])
    assert (await session.scalars(select(func.count(Part.number)))).one() == 20
