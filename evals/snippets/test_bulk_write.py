"""Evals for snippets/bulk_write.py."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import MetaData, Sequence, String, TypeDecorator, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.bulk_rows import BadRow, Values
from snippets.bulk_write import copy_error, in_schema, write
from snippets.database_error import as_domain_error
from snippets.domain_error import AlreadyExists, InvalidValue


class Folded(TypeDecorator[str]):
    """A value that the server works on."""

    impl = String
    cache_ok = True

    def bind_expression(self, bindparam: Any) -> Any:
        return func.lower(bindparam, type_=String())


class Own(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "VARCHAR"


class Wrapped(TypeDecorator[str]):
    impl = Own
    cache_ok = True


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Shelf(Base):
    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column("na me", String(5), unique=True)
    size: Mapped[int | None]
    day: Mapped[date | None]
    code: Mapped[UUID | None]


class Queue(Base):
    __tablename__ = "queue"

    id: Mapped[int] = mapped_column(Sequence("queue_number"), primary_key=True)
    note: Mapped[str]


class Odd(Base):
    __tablename__ = "odd"

    id: Mapped[int] = mapped_column(primary_key=True)
    folded: Mapped[str | None] = mapped_column(Folded)
    wrapped: Mapped[str | None] = mapped_column(Wrapped)


class Told(Base):
    __tablename__ = "told"

    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str] = mapped_column(default=func.lower("NONE"))


SHELF, ODD, TOLD = (Base.metadata.tables[n] for n in ("shelf", "odd", "told"))


async def put(session: AsyncSession, table: Any, **values: list[Any]) -> None:
    connection = await session.connection()
    async with connection.begin_nested():
        numbers = range(11, 11 + len(next(iter(values.values()))))
        await write(connection, table, list(values), values, numbers)


async def test_columns_may_come_in_any_order(session: AsyncSession) -> None:
    values: Values = {"size": [1, 2], "na me": ["a", None], "id": [8, 9]}
    await put(session, SHELF, **values)
    found = await session.execute(select(Shelf.id, Shelf.name, Shelf.size))
    assert sorted(tuple(row) for row in found) == [(8, "a", 1), (9, None, 2)]


async def test_only_what_copy_cannot_do_is_an_insert(
    session: AsyncSession, statements: Statements, database: str
) -> None:
    copied = {"sqlite": 1, "postgresql": 0}[database]
    with statements() as sent:
        await put(session, SHELF, id=[1, 2])
        await put(session, TOLD, id=[1], note=["x"])
    assert len(sent) == 2 * copied
    with statements() as sent:
        await put(session, ODD, folded=["A", "B"])
        await put(session, ODD, wrapped=["C"])
        await put(session, TOLD, id=[2])
    assert len(sent) == 3
    assert not any("RETURNING" in sql for sql in sent)
    odd = await session.execute(select(Odd.folded, Odd.wrapped))
    assert {tuple(row) for row in odd} == {("a", None), ("b", None), (None, "C")}
    assert set(await session.scalars(select(Told.note))) == {"x", "none"}


async def test_what_the_database_refuses_is_sqlalchemys_error(
    session: AsyncSession, database: str
) -> None:
    await put(session, SHELF, **{"na me": ["a"]})
    with pytest.raises(IntegrityError) as caught:
        await put(session, SHELF, **{"na me": ["b", "a"]})
    error = as_domain_error(caught.value, Base.metadata)
    assert isinstance(error, AlreadyExists)
    assert (error.fields, error.constraint) == (("na me",), "uq_shelf_na me")
    assert "INTO shelf" in str(caught.value) or "COPY shelf" in str(caught.value)

    if database == "postgresql":  # SQLite has no lengths
        with pytest.raises(DBAPIError) as long:
            await put(session, SHELF, **{"na me": ["much longer"]})
        assert not isinstance(long.value, IntegrityError)
        assert isinstance(as_domain_error(long.value, Base.metadata), InvalidValue)
        orig: Any = long.value.orig
        assert orig.sqlstate == orig.pgcode == "22001"
        assert long.value.__notes__ == ["COPY shelf, line 1, column na me"]
        assert long.value.params is None
    assert (await session.scalars(select(Shelf.name))).all() == ["a"]


@pytest.mark.parametrize("value", ["x", 2**40, object()], ids=["text", "big", "object"])
async def test_a_value_that_the_driver_cannot_send_is_named_with_its_row(
    session: AsyncSession, database: str, value: Any
) -> None:
    if database == "postgresql":
        with pytest.raises(BadRow, match="row 12: a value has the wrong type"):
            await put(session, SHELF, size=[1, value, 3])
    elif isinstance(value, (int, str)):
        await put(session, SHELF, size=[1, value, 3])  # SQLite keeps it as it is
        await session.rollback()
    else:
        with pytest.raises(DBAPIError, match="Error binding parameter"):
            await put(session, SHELF, size=[1, value, 3])
    assert (await session.scalars(select(func.count(Shelf.id)))).one() == 0


async def test_a_lost_connection_stays_what_it_is(
    engine: AsyncEngine, database: str
) -> None:
    if database == "sqlite":
        assert (await count(engine)) == 0
        return
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        await driver.close()
        with pytest.raises(Exception, match="connection is closed") as caught:
            await write(connection, SHELF, ["id"], {"id": [1]}, [1])
        assert not isinstance(caught.value, BadRow)
        await connection.invalidate()


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.scalars(select(func.count(SHELF.c.id)))).one()


async def test_a_table_goes_into_the_schema_that_the_connection_says(
    engine: AsyncEngine, database: str
) -> None:
    other = {"sqlite": "temp", "postgresql": "other"}[database]
    async with engine.connect() as plain:
        connection: AsyncConnection = await plain.execution_options(
            schema_translate_map={None: other}
        )
        assert in_schema(connection, SHELF).schema == other
        if database == "postgresql":
            await connection.exec_driver_sql(f"CREATE SCHEMA {other}")
        await connection.exec_driver_sql(f"CREATE TABLE {other}.shelf (id int)")
        async with connection.begin_nested():
            table = in_schema(connection, SHELF)
            await write(connection, table, ["id"], {"id": [7]}, [1])
        found = await connection.exec_driver_sql(f"SELECT id FROM {other}.shelf")
        assert found.all() == [(7,)]
        await connection.rollback()
        assert in_schema(plain, SHELF).schema == other
    async with engine.connect() as connection:
        assert in_schema(connection, SHELF) is SHELF


@pytest.mark.parametrize("key", ["day", "code"])
async def test_text_for_another_type_is_named_with_its_row(
    session: AsyncSession, key: str
) -> None:
    with pytest.raises(BadRow, match="row 12: "):
        await put(session, SHELF, **{key: [None, "x"]})


async def test_a_sequence_counts(session: AsyncSession) -> None:
    await put(session, Base.metadata.tables["queue"], note=["a", "b"])
    found = (await session.scalars(select(Queue.id).order_by(Queue.note))).all()
    assert found[1] == found[0] + 1


async def test_values_are_those_of_the_keys(session: AsyncSession) -> None:
    connection = await session.connection()
    with pytest.raises(BadRow, match=r"^row 11: it is empty$"):
        await write(connection, SHELF, [], {}, [11, 12])
    for table, key in (SHELF, "id"), (ODD, "folded"):
        with pytest.raises(ValueError, match=r"is (shorter|longer) than"):
            await write(connection, table, [key], {key: ["1"], "size": [1]}, [11])


async def test_an_error_may_come_without_its_place(session: AsyncSession) -> None:
    connection = await session.connection()
    error = copy_error(Exception("the server stops"), "57P01", connection, SHELF)
    assert (type(error), error.__notes__) == (DBAPIError, [""])
    assert "the server stops" in str(error)
