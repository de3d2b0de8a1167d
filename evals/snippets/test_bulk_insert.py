"""Evals for snippets/bulk_insert.py."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    JSON,
    ForeignKey,
    MetaData,
    Sequence,
    event,
    func,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlmodel import Field

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.bulk_insert import (
    BATCH,
    bulk_insert,
    bulk_insert_batches,
    bulk_insert_keys,
)
from snippets.bulk_rows import BadRow
from snippets.database_error import as_domain_error
from snippets.domain_error import AlreadyExists
from snippets.primary_key import BigKey, UuidKey
from snippets.sqlmodel_base import TableModel, TimestampFields
from snippets.timestamps import Timestamps


class Base(DeclarativeBase):
    """Apart from the tables of other evals; SQLModel's table is one of it."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


Sessions = async_sessionmaker[AsyncSession]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Book(Timestamps, Base):
    __tablename__ = "book"

    id: Mapped[BigKey]
    isbn: Mapped[str] = mapped_column("book number", unique=True)
    price: Mapped[Decimal] = mapped_column(default=Decimal("9.99"))
    size: Mapped[Size | None]
    tags: Mapped[list[str] | None] = mapped_column(JSON)
    printed_at: Mapped[datetime | None]
    slug: Mapped[str] = mapped_column(
        default=lambda context: context.get_current_parameters()["book number"].lower()
    )
    state: Mapped[str] = mapped_column(server_default="new")


class Leaf(Base):
    __tablename__ = "leaf"

    id: Mapped[UuidKey]
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))


class Pair(Base):
    __tablename__ = "pair"

    shop: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Token(Base):
    __tablename__ = "token"

    code: Mapped[str] = mapped_column(primary_key=True, server_default="only")
    note: Mapped[str | None]


class Ticket(Base):
    __tablename__ = "ticket"

    number: Mapped[int] = mapped_column(Sequence("ticket number"), primary_key=True)
    note: Mapped[str]


class Rower(TimestampFields, TableModel, table=True):
    metadata = Base.metadata
    id: int | None = Field(default=None, primary_key=True)
    name: str
    power: int = 5


BOOKS = Base.metadata.tables["book"]


def books(number: int) -> Iterator[dict[str, Any]]:
    for i in range(number):
        yield {"isbn": f"A{i}", "price": Decimal(i), "size": Size.LARGE}


async def count(session: AsyncSession, table: Any = Book) -> int:
    return (await session.scalars(select(func.count()).select_from(table))).one()


async def test_rows_are_as_if_the_orm_had_inserted_them(session: AsyncSession) -> None:
    row = {
        "isbn": "A1",
        "size": Size.SMALL,
        "tags": ["a", "ü"],
        "printed_at": NOON,
    }
    assert await bulk_insert(session, Book, [row]) == 1
    session.add(Book(**row | {"isbn": "B1"}))
    await session.flush()
    bulk, orm = (await session.scalars(select(Book).order_by(Book.isbn))).all()
    for name in ("size", "tags", "printed_at", "price", "state"):
        assert getattr(bulk, name) == getattr(orm, name)
    assert (bulk.price, bulk.slug, bulk.state) == (Decimal("9.99"), "a1", "new")
    assert bulk.created_at <= orm.created_at
    assert (
        await session.scalars(select(Book.id).where(Book.tags.is_(None)))
    ).all() == []


async def test_a_table_and_a_sqlmodel_take_rows_too(session: AsyncSession) -> None:
    row = {"book number": "A1", "slug": "a", "printed_at": NOON}
    assert await bulk_insert(session, BOOKS, [row]) == 1
    book = (await session.scalars(select(Book))).one()
    assert (book.price, book.printed_at) == (Decimal("9.99"), NOON)

    assert await bulk_insert(session, Rower, [{"name": "ann"}, {"name": "ben"}]) == 2
    rowers = (await session.scalars(select(Rower).order_by(Rower.name))).all()
    assert [(h.name, h.power) for h in rowers] == [("ann", 5), ("ben", 5)]
    assert rowers[0].created_at.tzinfo is not None


async def test_any_iterable_goes_in_and_no_number_of_rows_is_too_many(
    session: AsyncSession, statements: Statements, database: str, full: bool
) -> None:
    number = 1_000_000 if full else 100_000

    async def arriving() -> AsyncIterator[dict[str, Any]]:
        for row in books(number):
            yield row

    with statements() as sent:
        assert await bulk_insert(session, Book, arriving()) == number
    assert await count(session) == number
    # COPY is none of SQLAlchemy's; of an executemany each batch is one.
    assert len(sent) == {"sqlite": -(-number // BATCH), "postgresql": 0}[database]
    assert await bulk_insert(session, Book, []) == 0
    with pytest.raises(BadRow, match="row 1: it is empty"):
        await bulk_insert(session, Leaf.metadata.tables["pair"], [{}])


async def test_memory_holds_a_batch_not_the_input(session: AsyncSession) -> None:
    await bulk_insert(session, Book, books(2_000), batch=1_000)
    await session.rollback()
    tracemalloc.start()
    await bulk_insert(session, Book, books(20_000), batch=1_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6_000_000  # 20,000 rows as dictionaries are 9 MB and more


@pytest.mark.trap("bulk-parameter-limit")
async def test_one_statement_with_all_rows_dies_at_the_parameter_limit(
    session: AsyncSession, database: str
) -> None:
    rows = [{"shop": i, "number": i} for i in range(16_400)]
    if database == "postgresql":
        # How many SQLite takes depends on who built it.
        with pytest.raises(InterfaceError, match="cannot exceed 32767"):
            await session.execute(insert(Pair).values(rows))
        await session.rollback()
    assert await bulk_insert(session, Pair, rows) == 16_400


@pytest.mark.trap("dropped-key")
async def test_a_list_of_dictionaries_drops_what_the_first_row_has_not(
    session: AsyncSession,
) -> None:
    rows = [{"book number": "A1", "slug": "a"}, {"book number": "A2", "slug": "b"}]
    rows[1]["state"] = "used"
    await session.execute(insert(BOOKS), rows)
    assert set(await session.scalars(select(Book.state))) == {"new"}
    await session.rollback()
    with pytest.raises(BadRow, match="row 1: it lacks what other rows have: state"):
        await bulk_insert(session, BOOKS, rows)


@pytest.mark.trap("copy-outside-transaction")
async def test_a_copy_on_the_drivers_connection_commits_itself(
    session: AsyncSession, database: str
) -> None:
    if database == "sqlite":
        await bulk_insert(session, Pair, [{"shop": 1, "number": 1}])
    else:
        connection = await session.connection()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.copy_records_to_table("pair", records=[(1, 1)])
    await session.rollback()
    assert await count(session, Pair) == {"sqlite": 0, "postgresql": 1}[database]


async def test_it_takes_part_in_the_callers_transaction(session: AsyncSession) -> None:
    await bulk_insert(session, Book, books(3))
    await session.rollback()
    assert await count(session) == 0


async def test_what_the_session_holds_is_written_before(session: AsyncSession) -> None:
    session.add(Book(id=7, isbn="A"))
    assert await bulk_insert(session, Leaf, [{"book_id": 7}]) == 1


@pytest.mark.parametrize("bulk", [bulk_insert, bulk_insert_keys])
async def test_a_bad_row_in_the_middle_leaves_nothing_and_the_transaction_goes_on(
    session: AsyncSession, bulk: Any
) -> None:
    rows = list(books(30))
    rows[17]["isbn"] = "A3"
    with pytest.raises(IntegrityError) as caught:
        await bulk(session, Book, rows, batch=10)
    error = as_domain_error(caught.value, Base.metadata)
    assert isinstance(error, AlreadyExists)
    assert error.fields == ("book number",)
    assert await count(session) == 0

    rows[17] = {"isbn": "A17", "printed_at": datetime(2026, 1, 1)}
    with pytest.raises(BadRow) as bad:
        await bulk(session, Book, rows, batch=10)
    assert (bad.value.number, bad.value.fields) == (18, ("printed_at",))
    assert await count(session) == 0
    await bulk(session, Book, books(5))
    assert await count(session) == 5


async def test_a_generator_that_raises_leaves_nothing(session: AsyncSession) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from books(25)
        raise RuntimeError("the file ends here")

    with pytest.raises(RuntimeError):
        await bulk_insert(session, Book, broken(), batch=10)
    await session.commit()
    assert await count(session) == 0


async def test_keys_come_in_the_order_of_the_rows(session: AsyncSession) -> None:
    session.add(Book(isbn="first"))
    await session.flush()
    keys = await bulk_insert_keys(session, Book, books(25), batch=10)
    found = {b.isbn: b.id for b in await session.scalars(select(Book))}
    assert keys == [found[row["isbn"]] for row in books(25)]
    # The counter goes on behind them.
    session.add(Book(isbn="next"))
    await session.flush()
    assert await bulk_insert_keys(session, Book, []) == []

    leaves = await bulk_insert_keys(session, Leaf, [{"book_id": keys[0]}] * 2)
    assert set(await session.scalars(select(Leaf.id))) == set(leaves)
    assert isinstance(leaves[0], UUID)
    pairs = [{"number": 1, "shop": 2}, {"number": 2, "shop": 2}]
    assert await bulk_insert_keys(session, Pair, pairs) == [(2, 1), (2, 2)]


async def test_a_sequence_that_the_model_names_gives_the_keys(
    session: AsyncSession,
) -> None:
    keys = await bulk_insert_keys(session, Ticket, [{"note": "a"}, {"note": "b"}])
    found = await session.scalars(select(Ticket.number).order_by(Ticket.note))
    assert keys == list(found)


async def test_rows_whose_keys_cannot_be_known_are_refused(
    session: AsyncSession,
) -> None:
    with pytest.raises(BadRow, match="row 12: "):
        rows = [*books(11), {"isbn": "x", "nope": 1}]
        await bulk_insert_keys(session, Book, rows, batch=10)
    with pytest.raises(ValueError, match="code is made by the server"):
        await bulk_insert_keys(session, Token, [{"note": "a"}])
    assert await bulk_insert(session, Token, [{"note": "a"}]) == 1


async def test_each_batch_is_committed_and_told(
    sessions: Sessions, session: AsyncSession
) -> None:
    told = [
        done async for done in bulk_insert_batches(sessions, Book, books(25), batch=10)
    ]
    assert told == [10, 20, 25]
    assert await count(session) == 25


async def test_an_import_that_fails_goes_on_where_it_was(
    sessions: Sessions, session: AsyncSession
) -> None:
    rows = list(books(25))
    rows[14] = {"isbn": "A14", "price": "cheap"}
    told = [0]
    with pytest.raises(BadRow, match="row 15: "):
        async for done in bulk_insert_batches(sessions, Book, rows, batch=10):
            told.append(done)
    assert told == [0, 10]
    assert await count(session) == 10
    await session.rollback()
    rows[14] = {"isbn": "A14"}
    async for _ in bulk_insert_batches(sessions, Book, rows[told[-1] :]):
        pass
    assert await count(session) == 25


async def test_a_batch_is_not_stored_before_its_commit(
    sessions: Sessions, session: AsyncSession, engine: AsyncEngine
) -> None:
    def refuse(connection: object) -> None:
        raise RuntimeError("the commit fails")

    event.listen(engine.sync_engine, "commit", refuse)
    try:
        with pytest.raises(RuntimeError):
            async for _ in bulk_insert_batches(sessions, Book, books(3)):
                pass
    finally:
        event.remove(engine.sync_engine, "commit", refuse)
    assert await count(session) == 0
