"""Evals for snippets/audit_columns.py."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, String, insert, select, update
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from snippets.actor import NoActor, acting_as
from snippets.audit_columns import AuditColumns, CreatedBy, UpdatedBy
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.unique_row import upsert


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Invoice(AuditColumns, Base):
    __tablename__ = "invoice"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    paid: Mapped[bool] = mapped_column(default=False)


class Receipt(MappedAsDataclass, Base, kw_only=True):
    __tablename__ = "receipt"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    created_by: Mapped[CreatedBy] = mapped_column(init=False)
    updated_by: Mapped[UpdatedBy] = mapped_column(init=False)


async def stamps(session: AsyncSession) -> list[tuple[str, str]]:
    query = select(Invoice.created_by, Invoice.updated_by).order_by(Invoice.number)
    return [(row.created_by, row.updated_by) for row in await session.execute(query)]


async def test_the_orm_stamps_who_made_and_who_changed_a_row(
    session: AsyncSession,
) -> None:
    invoice, receipt = Invoice(number="1"), Receipt()
    session.add_all([invoice, receipt])
    with acting_as("user:1"):
        await session.flush()
    assert (invoice.created_by, invoice.updated_by) == ("user:1", "user:1")
    assert (receipt.created_by, receipt.updated_by) == ("user:1", "user:1")
    invoice.paid = True
    with acting_as("user:2"):
        await session.flush()
    assert (invoice.created_by, invoice.updated_by) == ("user:1", "user:2")
    assert await stamps(session) == [("user:1", "user:2")]


async def test_writes_of_many_and_upserts_are_stamped(session: AsyncSession) -> None:
    with acting_as("script:import"):
        await session.execute(insert(Invoice), [{"number": "1"}, {"number": "2"}])
    with acting_as("worker:dunning"):
        await session.execute(
            update(Invoice).where(Invoice.number == "1").values(paid=True)
        )
    with acting_as("user:3"):
        await upsert(session, Invoice, {"number": "2"}, {"paid": True})
    assert await stamps(session) == [
        ("script:import", "worker:dunning"),
        ("script:import", "user:3"),
    ]


def test_an_actor_has_room_for_64_characters() -> None:
    columns = Base.metadata.tables["invoice"].columns
    for name in ("created_by", "updated_by"):
        kind = columns[name].type
        assert isinstance(kind, String)
        assert kind.length == 64


async def test_what_nobody_writes_is_not_written(session: AsyncSession) -> None:
    session.add(Invoice(number="1"))
    with pytest.raises((NoActor, StatementError), match="nobody acts"):
        await session.flush()
