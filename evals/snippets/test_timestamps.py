"""Evals for snippets/timestamps.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from evals.harness.observe import Statements, lazy_load
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.timestamps import CreatedAt, Timestamps, UpdatedAt, now, utc_now


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Letter(Timestamps, Base):
    __tablename__ = "letter"

    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(unique=True)
    read_at: Mapped[datetime | None] = mapped_column(onupdate=func.now())


class Stamp(MappedAsDataclass, Base, kw_only=True):
    __tablename__ = "stamp"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    created_at: Mapped[CreatedAt] = mapped_column(init=False)
    updated_at: Mapped[UpdatedAt] = mapped_column(init=False)
    taken_at: Mapped[datetime] = mapped_column(init=False, server_default=func.now())


LETTERS = Base.metadata.tables["letter"]


async def old_letter(session: AsyncSession, subject: str = "hello") -> Letter:
    letter = Letter(subject=subject, created_at=LONG_AGO, updated_at=LONG_AGO)
    session.add(letter)
    await session.commit()
    return letter


async def times(session: AsyncSession) -> tuple[datetime, datetime]:
    """Read both times as they are stored."""
    row = (await session.execute(select(Letter.created_at, Letter.updated_at))).one()
    return row.created_at, row.updated_at


def upsert(session: AsyncSession) -> Any:
    dialect = session.get_bind().dialect.name
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](Letter)


async def test_both_times_are_known_after_the_flush_without_another_statement(
    session: AsyncSession, statements: Statements
) -> None:
    before = now()
    letter = Letter(subject="hello")
    session.add(letter)
    with statements() as sent:
        await session.flush()
        assert before <= letter.created_at <= letter.updated_at <= now()
    assert len(sent) == 1
    assert await times(session) == (letter.created_at, letter.updated_at)


async def test_a_change_moves_updated_at_alone_and_it_can_be_read(
    session: AsyncSession, statements: Statements
) -> None:
    letter = await old_letter(session)
    letter.subject = "changed"
    with statements() as sent:
        await session.flush()
        assert letter.updated_at > LONG_AGO
    assert len(sent) == 1
    assert await times(session) == (LONG_AGO, letter.updated_at)


@pytest.mark.trap("expired-after-update")
async def test_a_time_that_the_server_sets_cannot_be_read_after_an_update(
    session: AsyncSession,
) -> None:
    letter = await old_letter(session)
    letter.subject = "changed"
    await session.flush()

    with lazy_load():
        _ = letter.read_at


async def test_an_update_of_the_core_moves_updated_at(session: AsyncSession) -> None:
    await old_letter(session)
    await session.execute(update(LETTERS).values(subject="changed"))
    created, updated = await times(session)
    assert created == LONG_AGO < updated


async def test_an_update_of_many_moves_updated_at_in_loaded_objects_too(
    session: AsyncSession,
) -> None:
    letter = await old_letter(session)
    await session.execute(update(Letter).values(subject="changed"))
    assert letter.updated_at > LONG_AGO
    assert await times(session) == (LONG_AGO, letter.updated_at)


async def test_rows_of_the_core_and_of_plain_sql_get_both_times(
    session: AsyncSession,
) -> None:
    before = now() - timedelta(seconds=1)
    await session.execute(insert(LETTERS).values(subject="core"))
    await session.execute(text("INSERT INTO letter (subject) VALUES ('plain')"))
    rows = (await session.execute(select(Letter.created_at, Letter.updated_at))).all()
    assert len(rows) == 2
    assert all(before <= moment <= now() for row in rows for moment in row)


async def test_an_upsert_that_names_updated_at_moves_it(session: AsyncSession) -> None:
    await old_letter(session)
    stmt = upsert(session).values(subject="hello")
    stmt = stmt.on_conflict_do_update(
        index_elements=[Letter.subject], set_={"updated_at": stmt.excluded.updated_at}
    )
    await session.execute(stmt)
    created, updated = await times(session)
    assert created == LONG_AGO < updated


@pytest.mark.trap("upsert-skips-onupdate")
async def test_an_upsert_and_plain_sql_leave_updated_at_alone(
    session: AsyncSession,
) -> None:
    await old_letter(session)
    stmt = upsert(session).values(subject="hello")
    await session.execute(
        stmt.on_conflict_do_update(
            index_elements=[Letter.subject], set_={"subject": stmt.excluded.subject}
        )
    )
    await session.execute(text("UPDATE letter SET subject = 'plain'"))
    assert await times(session) == (LONG_AGO, LONG_AGO)


async def test_times_of_plain_sql_sort_among_ours(
    session: AsyncSession, sessions: async_sessionmaker[AsyncSession]
) -> None:
    # Two transactions: on PostgreSQL the server's time is that of the start.
    for number in range(3):
        async with sessions.begin() as other:
            other.add(Letter(subject=f"ours {number}"))
        async with sessions.begin() as other:
            sql = f"INSERT INTO letter (subject) VALUES ('plain {number}')"
            await other.execute(text(sql))

    found = await session.scalars(select(Letter).order_by(Letter.created_at, Letter.id))
    letters = found.all()
    assert [letter.created_at for letter in letters] == sorted(
        letter.created_at for letter in letters
    )
    for letter in letters:
        same = select(Letter.id).where(Letter.created_at == letter.created_at)
        assert letter.id in (await session.scalars(same)).all()


@pytest.mark.trap("text-timestamp")
async def test_current_timestamp_is_not_equal_to_itself_on_sqlite(
    session: AsyncSession, database: str
) -> None:
    stamp = Stamp()
    session.add(stamp)
    await session.commit()
    await session.refresh(stamp)

    same = select(Stamp.id).where(Stamp.taken_at == stamp.taken_at)
    found = {"sqlite": [], "postgresql": [stamp.id]}
    assert (await session.scalars(same)).all() == found[database]


async def test_the_clock_of_the_database_can_be_compared_in_a_query(
    session: AsyncSession,
) -> None:
    await old_letter(session)
    moment = await session.scalar(select(utc_now()))
    assert moment is not None
    assert abs(moment - now()) < timedelta(minutes=1)
    earlier = select(Letter.id).where(Letter.created_at < utc_now())
    assert len((await session.scalars(earlier)).all()) == 1
    in_an_hour = literal(now() + timedelta(hours=1), Letter.created_at.type)
    assert await session.scalar(select(in_an_hour > utc_now()))


async def test_a_dataclass_gets_the_times_without_arguments(
    session: AsyncSession,
) -> None:
    stamp = Stamp()
    session.add(stamp)
    await session.flush()
    assert stamp.created_at <= stamp.updated_at <= now()


async def test_a_naive_time_is_refused(session: AsyncSession) -> None:
    session.add(Letter(subject="naive", created_at=LONG_AGO.replace(tzinfo=None)))
    with pytest.raises(StatementError, match="has no time zone"):
        await session.flush()
