"""Evals for snippets/base.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, MappedAsDataclass, mapped_column, relationship

from evals.harness.observe import Statements, lazy_load
from snippets.base import Base
from snippets.json_column import JsonDict

NOON = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
CEST = timezone(timedelta(hours=2))


class Kind(Enum):
    BENCH = "bench"
    CHAIR = "chair"


class Venue(Base):
    __tablename__ = "venue"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    city: Mapped[str]

    __table_args__ = (
        UniqueConstraint("name", "city"),
        CheckConstraint("name <> ''", "named"),
    )


class Concert(Base):
    __tablename__ = "concert"

    id: Mapped[int] = mapped_column(primary_key=True)
    venue_id: Mapped[int | None] = mapped_column(ForeignKey("venue.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    plain: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Seat(Base):
    """What each query needs an index for."""

    __tablename__ = "seat"

    id: Mapped[int] = mapped_column(primary_key=True)
    hall: Mapped[int]
    row: Mapped[int]
    guest: Mapped[str | None]
    note: Mapped[str | None]
    sold: Mapped[bool] = mapped_column(default=False)
    price: Mapped[Decimal | None]
    label: Mapped[str] = mapped_column(
        Computed("guest || ' in ' || hall", persisted=True), nullable=True, index=True
    )
    kind: Mapped[Kind] = mapped_column(default=Kind.BENCH)
    ticket: Mapped[UUID | None]
    extras: Mapped[JsonDict | None]

    __table_args__ = (
        Index("ix_seat_hall_row", "hall", "row"),
        Index(
            "ix_seat_free",
            "row",
            postgresql_where=text("NOT sold"),
            sqlite_where=text("NOT sold"),
        ),
        Index("ix_seat_guest", "guest", postgresql_include=["row"]),
        Index(
            "ix_seat_bench",
            "hall",
            postgresql_where=text("kind = 'bench'"),
            sqlite_where=text("kind = 'bench'"),
        ),
    )


Index("ix_seat_lower_guest", func.lower(Seat.guest))
# One condition, which each database spells in its own way.
SOLD = Seat.sold.is_(True)
Index("ix_seat_sold", Seat.note, postgresql_where=SOLD, sqlite_where=SOLD)


class Stage(Base):
    """Its values are known after each flush."""

    __tablename__ = "stage"
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    width: Mapped[int] = mapped_column(CheckConstraint("width > 0", name="wide"))
    depth: Mapped[int]
    area: Mapped[int] = mapped_column(Computed("width * depth", persisted=True))

    __table_args__ = (CheckConstraint("depth < 9", name="flat"),)


class DataBase(MappedAsDataclass, Base, eq=False, kw_only=True):
    __abstract__ = True


class Band(DataBase):
    __tablename__ = "band"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    players: Mapped[list[Player]] = relationship(
        default_factory=list, repr=False, back_populates="band"
    )


class Player(DataBase):
    __tablename__ = "player"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    name: Mapped[str]
    band_id: Mapped[int | None] = mapped_column(
        ForeignKey("band.id"), index=True, default=None
    )
    band: Mapped[Band | None] = relationship(
        init=False, repr=False, back_populates="players"
    )


class LoudBase(MappedAsDataclass, Base):
    """As one writes it at first."""

    __abstract__ = True


class Loud(LoudBase):
    __tablename__ = "loud"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("loud.id"), init=False)
    children: Mapped[list[Loud]] = relationship(init=False)


async def reload(session: AsyncSession, concert: Concert) -> Concert:
    await session.commit()
    await session.refresh(concert)
    return concert


async def test_a_moment_comes_back_equal_and_aware(session: AsyncSession) -> None:
    concert = Concert(starts_at=NOON.astimezone(CEST), ends_at=None)
    session.add(concert)
    await reload(session, concert)

    assert concert.starts_at == NOON
    assert concert.starts_at.utcoffset() == timedelta(0)
    assert concert.ends_at is None


@pytest.mark.trap("offset-dropped")
async def test_the_plain_type_loses_the_offset_on_sqlite(
    session: AsyncSession, database: str
) -> None:
    concert = Concert(starts_at=NOON, plain=NOON.astimezone(CEST))
    session.add(concert)
    await reload(session, concert)

    two_hours_late = NOON.replace(tzinfo=None) + timedelta(hours=2)
    read = {"sqlite": two_hours_late, "postgresql": NOON}
    assert concert.plain == read[database]


async def test_moments_from_several_zones_sort_and_compare_in_sql(
    session: AsyncSession,
) -> None:
    times = [
        NOON + timedelta(hours=1),
        NOON.astimezone(CEST),
        NOON - timedelta(hours=1),
    ]
    session.add_all(Concert(starts_at=time) for time in times)
    await session.commit()
    column = Concert.starts_at

    ordered = (await session.scalars(select(column).order_by(column))).all()
    assert ordered == [times[2], times[1], times[0]]
    later = await session.scalars(select(column).where(column > NOON.astimezone(CEST)))
    assert later.all() == [times[0]]


async def test_a_naive_moment_is_refused(session: AsyncSession) -> None:
    session.add(Concert(starts_at=datetime(2026, 6, 1, 12, 0)))
    with pytest.raises(
        StatementError, match=r"has no time zone: use .*, or \.replace\(tzinfo="
    ) as caught:
        await session.flush()
    assert isinstance(caught.value.orig, ValueError)


async def test_statements_with_moments_are_compiled_once(
    session: AsyncSession,
) -> None:
    cache: dict[Any, Any] = {}
    options = {"compiled_cache": cache}
    for moment in (NOON, NOON.astimezone(CEST)):
        stmt = select(Concert.id).where(Concert.starts_at > moment)
        await session.execute(stmt, execution_options=options)
    assert len(cache) == 1


async def test_every_constraint_has_a_name_that_can_be_dropped(
    engine: AsyncEngine,
) -> None:
    def names(conn: Any) -> set[str | None]:
        found = inspect(conn)
        return {
            found.get_pk_constraint("venue")["name"],
            *(unique["name"] for unique in found.get_unique_constraints("venue")),
            *(check["name"] for check in found.get_check_constraints("venue")),
            *(key["name"] for key in found.get_foreign_keys("concert")),
            *(index["name"] for index in found.get_indexes("venue")),
        }

    async with engine.connect() as conn:
        assert await conn.run_sync(names) >= {
            "pk_venue",
            "uq_venue_name_city",
            "ck_venue_named",
            "fk_concert_venue_id_venue",
            "ix_venue_name",
        }


async def test_a_foreign_key_is_enforced(session: AsyncSession) -> None:
    session.add(Concert(starts_at=NOON, venue_id=-1))
    with pytest.raises(IntegrityError):
        await session.flush()


@pytest.mark.parametrize(
    ("condition", "order", "index"),
    [
        ((Seat.hall == 1,), (Seat.row,), "ix_seat_hall_row"),
        ((text("NOT sold"), Seat.row > 3), (), "ix_seat_free"),
        ((Seat.guest == "Ann",), (), "ix_seat_guest"),
        ((func.lower(Seat.guest) == "ann",), (), "ix_seat_lower_guest"),
        ((Seat.label == "Ann in 1",), (), "ix_seat_label"),
        ((Seat.sold.is_(True), Seat.note == "x"), (), "ix_seat_sold"),
    ],
    ids=["composite", "partial", "covering", "expression", "computed", "flag"],
)
async def test_each_query_is_served_by_its_index(
    session: AsyncSession, plan: Any, condition: Any, order: Any, index: str
) -> None:
    stmt = select(Seat.row).where(*condition).order_by(*order).limit(1)
    found = await plan(session, stmt, seqscan=False)
    assert index in found
    assert "Sort" not in found
    assert "TEMP B-TREE" not in found


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ((Seat.sold, Seat.row > 3), "ix_seat_free"),
        ((Seat.row > 3,), "ix_seat_free"),
        ((func.upper(Seat.guest) == "ANN",), "ix_seat_lower_guest"),
        ((Seat.guest == "ann",), "ix_seat_lower_guest"),
    ],
    ids=["another condition", "no condition", "another function", "no function"],
)
async def test_an_index_serves_nothing_but_what_it_says(
    session: AsyncSession, plan: Any, condition: Any, index: str
) -> None:
    stmt = select(Seat.note).where(*condition)
    assert index not in await plan(session, stmt, seqscan=False)


async def test_after_a_range_the_next_column_is_in_no_order(
    session: AsyncSession, plan: Any
) -> None:
    for halls, sorted_anew in ((Seat.hall == 1, False), (Seat.hall > 1, True)):
        stmt = select(Seat.row).where(halls).order_by(Seat.row).limit(1)
        found = await plan(session, stmt, seqscan=False)
        assert ("Sort" in found or "TEMP B-TREE" in found) is sorted_anew


async def test_a_covering_index_answers_without_the_table(
    session: AsyncSession, database: str, plan: Any
) -> None:
    covered = select(Seat.row).where(Seat.guest == "Ann")
    more = select(Seat.row, Seat.note).where(Seat.guest == "Ann")
    if database == "postgresql":
        await session.execute(text("SET LOCAL enable_bitmapscan = off"))
        assert "Index Only Scan" in await plan(session, covered, seqscan=False)
        assert "Index Only Scan" not in await plan(session, more, seqscan=False)
    # SQLite has no INCLUDE: there a covering index has the column among its own.
    listed = select(Seat.row).where(Seat.hall == 1)
    only = {"sqlite": "USING COVERING INDEX", "postgresql": "Index Only Scan"}
    found = await plan(session, listed, seqscan=False)
    assert only[database] in found
    assert "ix_seat_hall_row" in found


async def test_a_partial_index_serves_a_parameter_that_meets_its_condition(
    session: AsyncSession, plan: Any
) -> None:
    """It need not be in the text: both plan with the value that they are given."""
    for kind, served in ((Kind.BENCH, True), (Kind.CHAIR, False)):
        stmt = select(Seat.note).where(Seat.hall > 1, Seat.kind == kind)
        found = await plan(session, stmt, seqscan=False)
        assert ("ix_seat_bench" in found) is served


async def test_values_of_each_kind_come_back_as_they_are(
    session: AsyncSession,
) -> None:
    ticket, extras = uuid4(), {"meals": ["soup"]}
    seat = Seat(hall=1, row=2, guest="Ann", price=Decimal("12345678901234.5678"))
    seat.ticket, seat.extras = ticket, extras
    session.add(seat)
    await session.flush()
    await session.refresh(seat)
    assert (seat.price, seat.kind) == (Decimal("12345678901234.5678"), Kind.BENCH)
    assert seat.label == "Ann in 1"
    assert (seat.ticket, seat.extras) == (ticket, extras)
    same = select(Seat.id).where(Seat.ticket == ticket, Seat.kind == Kind.BENCH)
    assert await session.scalar(same) == seat.id
    assert await session.scalar(text("SELECT kind FROM seat")) == "bench"


@pytest.mark.filterwarnings("ignore:Computed column ruler.double is being created")
async def test_a_computed_column_that_is_not_stored_has_no_index(
    session: AsyncSession, database: str
) -> None:
    """`persisted=True` means the same in all releases."""
    conn = await session.connection()
    virtual = (
        database == "postgresql"
        and not sqlalchemy.__version__.startswith("2.0.")
        and (conn.dialect.server_version_info or (0,)) >= (18,)
    )

    async def create(**options: Any) -> None:
        metadata = MetaData()
        double = Column("double", Integer, Computed("half * 2", **options), index=True)
        Table("ruler", metadata, Column("half", Integer), double)
        async with session.begin_nested():
            await conn.run_sync(metadata.create_all)
            await conn.run_sync(metadata.drop_all)

    await create(persisted=True)
    if virtual:
        with pytest.raises(DBAPIError, match="virtual generated columns"):
            await create()
    else:
        await create()


async def test_a_computed_column_is_read_again_after_an_update_or_returned_by_it(
    session: AsyncSession, statements: Statements
) -> None:
    seat, stage = Seat(hall=1, row=1, guest="Ann"), Stage(width=2, depth=3)
    session.add_all([seat, stage])
    await session.commit()
    assert (seat.label, stage.area) == ("Ann in 1", 6)
    seat.guest, stage.width = "Ben", 4
    await session.flush()
    with lazy_load():
        _ = seat.label
    assert stage.area == 12
    stage.width = 5
    with statements() as sent:
        await session.flush()
        assert stage.area == 15
    assert len(sent) == 1


async def test_a_rule_has_its_name_wherever_it_is_declared(
    session: AsyncSession,
) -> None:
    for values, name in (({"width": 0}, "wide"), ({"depth": 9}, "flat")):
        stage = Stage(**{"width": 2, "depth": 1} | values)
        with pytest.raises(IntegrityError, match=f"ck_stage_{name}"):
            async with session.begin_nested():
                session.add(stage)


async def test_dataclass_models_can_be_shown_hashed_and_linked_by_key(
    session: AsyncSession,
) -> None:
    band = Band()
    session.add(band)
    await session.flush()
    session.add(Player(name="Ann", band_id=band.id))
    await session.commit()
    session.expunge_all()

    player = (await session.scalars(select(Player))).one()
    assert player.band_id is not None
    assert "Ann" in repr(player)
    assert len({player, (await session.scalars(select(Band))).one()}) == 2


@pytest.mark.trap("dataclass-repr")
async def test_a_plain_dataclass_model_loads_when_it_is_shown(
    session: AsyncSession,
) -> None:
    session.add(Loud())
    await session.commit()
    session.expunge_all()
    loud = (await session.scalars(select(Loud))).one()
    with lazy_load():
        repr(loud)
    with pytest.raises(TypeError, match="unhashable"):
        hash(loud)
