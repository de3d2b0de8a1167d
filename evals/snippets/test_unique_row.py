"""Evals for snippets/unique_row.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    Index,
    MetaData,
    UniqueConstraint,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, ORMExecuteState, mapped_column

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.domain_error import AlreadyExists, UnknownField
from snippets.soft_delete import SoftDelete
from snippets.timestamps import Timestamps
from snippets.unique_row import get_or_create, upsert
from snippets.version_column import Versioned


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


THEN = datetime(2020, 1, 1, tzinfo=UTC)
LIVE = text("deleted_at IS NULL")
Sessions = async_sessionmaker[AsyncSession]


class Label(SoftDelete, Base):
    __tablename__ = "label"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    color: Mapped[str] = mapped_column(default="grey")
    code: Mapped[str | None] = mapped_column(unique=True)


class Stock(Versioned, Timestamps, Base):
    __tablename__ = "stock"

    id: Mapped[int] = mapped_column(primary_key=True)
    shop: Mapped[int]
    sku: Mapped[str] = mapped_column("stock_unit")
    quantity: Mapped[int] = mapped_column("qty", default=0)
    shelf: Mapped[str | None]

    __table_args__ = (UniqueConstraint("shop", "stock_unit"),)


class Slug(SoftDelete, Base):
    __tablename__ = "slug"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    target: Mapped[str]

    __table_args__ = (
        Index(
            "uq_slug_path",
            "path",
            unique=True,
            postgresql_where=LIVE,
            sqlite_where=LIVE,
        ),
    )


LABELS = Base.metadata.tables["label"]
KEY = {"shop": 1, "sku": "nail"}


async def test_a_row_is_made_once_and_then_got(
    session: AsyncSession, statements: Statements
) -> None:
    with statements() as sent:
        made, created = await get_or_create(
            session, Label, {"name": "red"}, {"color": "red"}
        )
    assert (made.name, made.color, created, len(sent)) == ("red", "red", True, 2)
    with statements() as sent:
        found, created = await get_or_create(
            session, Label, {"name": "red"}, {"color": "x"}
        )
    assert found is made
    assert (found.color, created, len(sent)) == ("red", False, 1)
    plain, created = await get_or_create(session, Label, {"name": "plain"})
    assert (plain.color, created) == ("grey", True)


async def test_of_many_at_once_one_makes_the_row_and_all_get_it(
    sessions: Sessions,
) -> None:
    async def ask() -> tuple[int, bool]:
        async with sessions.begin() as session:
            label, created = await get_or_create(session, Label, {"name": "red"})
            return label.id, created

    answers = await asyncio.gather(*(ask() for _ in range(5)))
    assert len({ident for ident, _ in answers}) == 1
    assert [created for _, created in answers].count(True) == 1


async def test_a_row_that_is_made_after_the_first_look_is_got(
    sessions: Sessions,
) -> None:
    async with sessions() as session:
        made_meanwhile = False

        @event.listens_for(session.sync_session, "do_orm_execute")
        def overtake(state: ORMExecuteState) -> None:
            nonlocal made_meanwhile
            if state.is_insert and not made_meanwhile:
                made_meanwhile = True
                state.session.execute(insert(LABELS).values(name="red", color="theirs"))

        label, created = await get_or_create(
            session, Label, {"name": "red"}, {"color": "ours"}
        )
    assert (label.color, created) == ("theirs", False)


@pytest.mark.trap("nothing-returned")
async def test_do_nothing_returns_no_row_for_the_one_that_is_there(
    session: AsyncSession, database: str
) -> None:
    await get_or_create(session, Label, {"name": "red"})
    dialects: dict[str, Any] = {
        "sqlite": sqlite.insert,
        "postgresql": postgresql.insert,
    }
    stmt = dialects[database](Label).values(name="red")
    rows = await session.scalars(stmt.on_conflict_do_nothing().returning(Label))
    with pytest.raises(NoResultFound):
        rows.one()


async def test_a_key_that_a_hidden_row_holds_is_taken(session: AsyncSession) -> None:
    session.add(Label(name="red", deleted_at=THEN))
    session.add(Label(name="blue", code="b"))
    await session.flush()
    with pytest.raises(AlreadyExists) as caught:
        await get_or_create(session, Label, {"name": "red"})
    assert caught.value.fields == ("name",)
    with pytest.raises(AlreadyExists):
        await get_or_create(session, Label, {"name": "green"}, {"code": "b"})
    assert await session.scalar(select(func.count(Label.id))) == 1


async def test_an_upsert_inserts_then_changes_in_one_statement_each(
    session: AsyncSession, statements: Statements
) -> None:
    with statements() as sent:
        made = await upsert(session, Stock, KEY, {"quantity": 5, "shelf": "A"})
    assert (made.sku, made.quantity, made.shelf, made.version) == ("nail", 5, "A", 1)
    assert len(sent) == 1

    await session.execute(update(Stock).values(updated_at=THEN, created_at=THEN))
    with statements() as sent:
        changed = await upsert(session, Stock, KEY, {"quantity": 7})
    assert len(sent) == 1
    assert changed is made
    assert (made.quantity, made.shelf) == (7, "A")
    assert made.created_at == THEN < made.updated_at
    assert made.version == 3  # the UPDATE counted, too

    other = await upsert(session, Stock, {"shop": 2, "sku": "nail"}, {"quantity": 1})
    assert other.id != made.id


@pytest.mark.trap("stale-upsert")
async def test_without_populate_existing_the_object_keeps_its_old_values(
    session: AsyncSession, database: str
) -> None:
    label, _ = await get_or_create(session, Label, {"name": "red"})
    dialects: dict[str, Any] = {
        "sqlite": sqlite.insert,
        "postgresql": postgresql.insert,
    }
    stmt = dialects[database](Label).values(name="red", color="new")
    stmt = stmt.on_conflict_do_update(
        index_elements=["name"], set_={"color": stmt.excluded.color}
    )
    found = (await session.scalars(stmt.returning(Label))).one()
    assert found is label
    assert label.color == "grey"
    assert await session.scalar(select(Label.color)) == "new"


async def test_many_upserts_at_once_lose_none(sessions: Sessions) -> None:
    async def put(number: int) -> None:
        async with sessions.begin() as session:
            await upsert(session, Stock, KEY, {"quantity": number})

    await asyncio.gather(*(put(number) for number in range(5)))
    async with sessions() as session:
        stock = (await session.scalars(select(Stock))).one()
    assert stock.version == 5


async def test_an_upsert_among_live_rows_leaves_the_deleted_one(
    session: AsyncSession,
) -> None:
    session.add(Slug(path="/a", target="old", deleted_at=THEN))
    await session.flush()
    for target in ("first", "second"):
        await upsert(
            session, Slug, {"path": "/a"}, {"target": target}, index_where=LIVE
        )
    everything = select(Slug.target).order_by(Slug.id)
    found = await session.scalars(everything.execution_options(include_deleted=True))
    assert found.all() == ["old", "second"]


async def test_an_unknown_field_is_refused(session: AsyncSession) -> None:
    with pytest.raises(UnknownField) as caught:
        await upsert(session, Stock, KEY, {"qty": 1, "amount": 1})
    assert caught.value.fields == ("amount", "qty")
    with pytest.raises(UnknownField):
        await get_or_create(session, Label, {"name": "a"}, {"colour": "x"})
