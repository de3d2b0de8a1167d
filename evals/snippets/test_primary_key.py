"""Evals for snippets/primary_key.py."""

from __future__ import annotations

import time
from uuid import UUID

import pytest
from sqlalchemy import BigInteger, MetaData, func, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.primary_key import BigKey, UuidKey, uuid7


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Reading(Base):
    __tablename__ = "reading"

    id: Mapped[BigKey]
    value: Mapped[int] = mapped_column(default=0)


class Upload(Base):
    __tablename__ = "upload"

    id: Mapped[UuidKey]
    name: Mapped[str]


class Sensor(MappedAsDataclass, Base, kw_only=True):
    __tablename__ = "sensor"

    id: Mapped[UuidKey] = mapped_column(init=False)
    name: Mapped[str]


class Wide(Base):
    __tablename__ = "wide"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


async def test_a_big_key_counts_beyond_32_bits(session: AsyncSession) -> None:
    session.add(Reading(id=2**40))
    session.add(Reading())
    await session.flush()
    ids = (await session.scalars(select(Reading.id).order_by(Reading.id))).all()
    assert 2**40 in ids
    assert len(ids) == 2


@pytest.mark.trap("bigint-key")
async def test_a_plain_bigint_key_does_not_count_on_sqlite(
    session: AsyncSession, database: str
) -> None:
    session.add(Wide())
    if database == "postgresql":
        await session.flush()
        return
    with pytest.raises(IntegrityError):
        await session.flush()


@pytest.mark.trap("sequence-behind")
async def test_a_key_given_by_hand_does_not_move_the_sequence(
    session: AsyncSession, database: str
) -> None:
    made = Reading()
    session.add(made)
    await session.flush()
    session.add(Reading(id=made.id + 1))
    await session.flush()
    session.add(Reading())
    if database == "sqlite":
        await session.flush()
        return
    with pytest.raises(IntegrityError):
        await session.flush()
    await session.rollback()

    session.add(Reading(id=made.id + 50))
    await session.flush()
    behind = (
        "SELECT setval(pg_get_serial_sequence('reading', 'id'), max(id)) FROM reading"
    )
    await session.execute(text(behind))
    session.add(Reading())
    await session.flush()


async def test_rows_with_a_uuid_are_inserted_in_one_statement(
    session: AsyncSession, statements: Statements
) -> None:
    uploads = [Upload(name=str(n)) for n in range(200)]
    session.add_all(uploads)
    with statements() as sent:
        await session.flush()
    assert len(sent) == 1
    assert len({upload.id for upload in uploads}) == 200
    newest = select(Upload.name).order_by(Upload.id.desc()).limit(1)
    assert await session.scalar(newest) == "199"
    assert await session.get(Upload, uploads[7].id) is uploads[7]


async def test_a_uuid_is_known_after_the_flush_not_before(
    session: AsyncSession,
) -> None:
    sensor = Sensor(name="door")
    assert sensor.id is None
    session.add(sensor)
    await session.flush()
    assert isinstance(sensor.id, UUID)
    assert await session.scalar(select(func.count(Sensor.id))) == 1


@pytest.mark.trap("uuid-as-text")
async def test_a_uuid_is_not_its_text(session: AsyncSession, database: str) -> None:
    upload = Upload(name="a")
    session.add(upload)
    await session.flush()
    by_text = select(Upload.name).where(Upload.id == str(upload.id))
    if database == "postgresql":
        assert await session.scalar(by_text) == "a"
        return
    with pytest.raises(StatementError):
        await session.scalar(by_text)


@pytest.mark.parametrize(
    ("nanoseconds", "fraction"),
    [(0, 0), (250_000, 1024), (999_999, 4095)],
)
def test_a_uuid_holds_the_fraction_of_its_millisecond(
    monkeypatch: pytest.MonkeyPatch, nanoseconds: int, fraction: int
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 7_000_000 + nanoseconds)
    made = uuid7()
    assert (made.int >> 80, made.version) == (7, 7)
    assert made.int >> 64 & 0xFFF == fraction


def test_a_uuid_sorts_by_time_and_says_it() -> None:
    before = time.time_ns() // 1_000_000
    made = []
    for _ in range(50):
        made.append(uuid7())
        started = time.time_ns()
        while time.time_ns() < started + 1000:
            pass
    after = time.time_ns() // 1_000_000
    assert made == sorted(made)
    assert before <= made[0].int >> 80 <= made[-1].int >> 80 <= after
    assert {(u.version, u.variant) for u in made} == {(7, made[0].variant)}
    assert made[0].variant == UUID("0190a6f1-0000-7000-8000-000000000000").variant
    assert len({u.int & (1 << 62) - 1 for u in made}) == 50
    assert len({u.int >> 64 & 0xFFF for u in made}) > 10
