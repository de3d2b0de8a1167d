"""Evals for snippets/audit_log.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from sqlalchemy import ForeignKey, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from evals.harness.observe import Statements
from snippets.actor import acting_as
from snippets.audit_log import Audited, AuditEntry
from snippets.base import Base
from snippets.timestamps import now

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Owner(Audited, Base):
    __tablename__ = "owner"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    password: Mapped[str] = mapped_column(default="")

    not_logged: ClassVar = frozenset({"password"})


class House(Audited, Base):
    __tablename__ = "house"

    street: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    built_at: Mapped[datetime | None]
    price: Mapped[Decimal | None]
    heated: Mapped[bool | None]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owner.id"), index=True)
    owner: Mapped[Owner | None] = relationship(lazy="raise")


class Weather(Base):
    __tablename__ = "weather"

    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture(autouse=True)
def actor() -> Iterator[None]:
    with acting_as("user:1"):
        yield


async def log(session: AsyncSession) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return what is logged, and empty the log."""
    entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    for entry in entries:
        await session.delete(entry)
    await session.flush()
    return [(e.action, e.table, e.key, e.changes) for e in entries]


async def test_inserts_updates_and_deletes_are_logged(session: AsyncSession) -> None:
    owner = Owner(name="Ann", password="hash")
    session.add_all([owner, Weather()])
    await session.flush()
    key = str(owner.id)
    made = {"name": [None, "Ann"]}
    assert await log(session) == [("insert", "owner", key, made)]

    owner.name, owner.password = "Anna", "other hash"
    await session.flush()
    assert await log(session) == [("update", "owner", key, {"name": ["Ann", "Anna"]})]

    await session.delete(owner)
    await session.flush()
    gone = {"id": [owner.id, None], "name": ["Anna", None]}
    assert await log(session) == [("delete", "owner", key, gone)]


async def test_an_entry_says_who_and_when(session: AsyncSession) -> None:
    before = now()
    session.add(Owner(name="Ann"))
    await session.flush()
    entry = (await session.scalars(select(AuditEntry))).one()
    assert entry.actor == "user:1"
    assert before <= entry.at <= now()


async def test_values_that_json_lacks_are_logged_as_text(
    session: AsyncSession,
) -> None:
    owner = Owner(name="Ann")
    session.add(owner)
    await session.flush()
    await log(session)
    house = House(
        street="Elm", number=5, built_at=NOON, price=Decimal("1.50"), owner=owner
    )
    session.add(house)
    house.heated = True
    await session.flush()
    assert await log(session) == [
        (
            "insert",
            "house",
            "Elm,5",
            {
                "street": [None, "Elm"],
                "number": [None, 5],
                "built_at": [None, "2026-06-01 12:00:00+00:00"],
                "price": [None, "1.50"],
                "heated": [None, True],
                "owner_id": [None, owner.id],
            },
        )
    ]


async def test_many_changes_are_one_more_statement(
    session: AsyncSession, statements: Statements
) -> None:
    session.add_all(House(street="Elm", number=n) for n in range(20))
    with statements() as sent:
        await session.flush()
    assert len([sql for sql in sent if "audit_entry" in sql]) == 1
    assert len(await log(session)) == 20


async def test_what_does_not_change_is_not_logged(
    session: AsyncSession, statements: Statements
) -> None:
    owner = Owner(name="Ann")
    session.add(owner)
    await session.commit()
    await log(session)
    owner.name = "Ann"
    with statements() as sent:
        await session.flush()
    assert sent == []
    owner.password = "other"
    await session.flush()
    assert await log(session) == []


async def test_a_rollback_takes_the_log_with_it(session: AsyncSession) -> None:
    session.add(Owner(name="Ann"))
    await session.flush()
    await session.rollback()
    assert await log(session) == []


@pytest.mark.trap("log-misses-bulk")
async def test_an_update_of_many_is_not_logged(session: AsyncSession) -> None:
    session.add(Owner(name="Ann"))
    await session.flush()
    await log(session)
    await session.execute(update(Owner).values(name="all"))
    assert await log(session) == []


async def test_the_history_of_a_row_is_read_by_an_index(
    session: AsyncSession, plan: Any
) -> None:
    stmt = select(AuditEntry.id).where(
        AuditEntry.table == "owner", AuditEntry.key == "1"
    )
    assert "ix_audit_entry_table_key_id" in await plan(
        session, stmt.order_by(AuditEntry.id), seqscan=False
    )
