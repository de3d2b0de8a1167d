"""Evals for snippets/enum_column.py."""

from __future__ import annotations

from enum import Enum, IntEnum

import pytest
import sqlalchemy
from sqlalchemy import MetaData, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.enum_column import enum_type


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Status(Enum):
    OPEN = "open"
    DONE = "done"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Ticket(Base):
    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[Status] = mapped_column(server_default=Status.OPEN.value)
    before: Mapped[Status | None] = mapped_column(enum_type(Status, name="before"))
    level: Mapped[Level | None]
    plain: Mapped[Status | None] = mapped_column(
        sqlalchemy.Enum(Status, native_enum=False, length=32)
    )


async def test_values_are_stored_and_members_come_back(session: AsyncSession) -> None:
    ticket = Ticket(status=Status.DONE, before=Status.OPEN, level=Level.HIGH)
    session.add(ticket)
    await session.flush()
    stored = text("SELECT status, before, level FROM ticket")
    assert (await session.execute(stored)).one() == ("done", "open", "2")
    await session.refresh(ticket)
    assert (ticket.status, ticket.before) == (Status.DONE, Status.OPEN)
    assert ticket.level is Level.HIGH
    done = select(Ticket.id).where(Ticket.status == Status.DONE)
    assert (await session.scalars(done)).one() == ticket.id


async def test_a_server_default_is_a_value(session: AsyncSession) -> None:
    ticket = Ticket()
    session.add(ticket)
    await session.flush()
    assert ticket.status is Status.OPEN


@pytest.mark.parametrize("column", ["status", "before", "level"])
async def test_no_client_can_store_another_value(
    session: AsyncSession, column: str
) -> None:
    with pytest.raises(IntegrityError, match="ck_ticket_"):
        await session.execute(text(f"INSERT INTO ticket ({column}) VALUES ('gone')"))


async def test_another_value_is_refused(session: AsyncSession) -> None:
    session.add(Ticket(status="gone"))
    with pytest.raises(IntegrityError, match="ck_ticket_status"):
        await session.flush()


@pytest.mark.trap("enum-names")
async def test_the_plain_type_stores_names_and_lets_any_text_in(
    session: AsyncSession,
) -> None:
    session.add(Ticket(plain=Status.DONE))
    await session.flush()
    assert await session.scalar(text("SELECT plain FROM ticket")) == "DONE"
    await session.execute(text("UPDATE ticket SET plain = 'done'"))
    with pytest.raises(LookupError):
        await session.scalar(select(Ticket.plain))


def test_a_value_may_grow_to_the_given_length() -> None:
    assert enum_type(Status).length == 32
    assert enum_type(Status, length=64).length == 64
