"""Evals for snippets/base.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    UniqueConstraint,
    inspect,
    select,
)
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from snippets.base import Base

NOON = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
CEST = timezone(timedelta(hours=2))


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
    with pytest.raises(StatementError, match="has no time zone") as caught:
        await session.flush()
    assert isinstance(caught.value.orig, ValueError)


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
