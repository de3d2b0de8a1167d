"""Evals for snippets/pg_csv_copy.py."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.database_error import as_domain_error
from snippets.domain_error import AlreadyExists, UnknownField
from snippets.pg_csv_copy import copy_csv


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class City(Base):
    __tablename__ = "city"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("city name", unique=True)
    people: Mapped[int | None]
    state: Mapped[str] = mapped_column(server_default="new")


async def stored(session: AsyncSession) -> list[tuple[Any, ...]]:
    stmt = select(City.name, City.people, City.state).order_by(City.name)
    return [tuple(row) for row in await session.execute(stmt)]


async def test_a_file_is_copied_with_the_servers_defaults(
    session: AsyncSession, tmp_path: Path
) -> None:
    file = tmp_path / "cities.csv"
    content = 'people,city name\n5,"Ü, ""b"""\n,Rome\n'
    file.write_text(content, encoding="utf-8", newline="")
    assert await copy_csv(session, City, file, ["people", "name"]) == 2
    assert await stored(session) == [("Rome", None, "new"), ('Ü, "b"', 5, "new")]
    await session.rollback()
    assert await stored(session) == []


async def test_any_iterable_of_bytes_and_other_forms_of_csv(
    session: AsyncSession,
) -> None:
    async def arriving() -> AsyncIterator[bytes]:
        for byte in "city name;people\nÜ;7\n".encode():
            yield bytes([byte])

    columns = ["name", "people"]
    assert await copy_csv(session, City, arriving(), columns, delimiter=";") == 1
    table = Base.metadata.tables["city"]
    source = [b"city name,people\n", b"Rome,-\n"]
    columns = ["city name", "people"]
    assert await copy_csv(session, table, source, columns, null="-") == 1
    assert await stored(session) == [("Rome", None, "new"), ("Ü", 7, "new")]


async def test_it_goes_into_the_schema_that_the_connection_says(
    session: AsyncSession,
) -> None:
    translated = {"schema_translate_map": {None: "other"}}
    connection = await session.connection(execution_options=translated)
    await connection.exec_driver_sql("CREATE SCHEMA other")
    await connection.exec_driver_sql("CREATE TABLE other.city (people int)")
    assert await copy_csv(session, City, [b"people\n7\n"], ["people"]) == 1
    assert (await session.scalars(select(City.people))).all() == [7]


async def test_what_is_refused_names_its_line_and_leaves_nothing(
    session: AsyncSession,
) -> None:
    columns = ["name", "people"]
    head = b"city name,people\n"
    with pytest.raises(IntegrityError) as caught:
        await copy_csv(session, City, [head, b"a,1\nb,2\na,3\n"], columns)
    assert caught.value.__notes__ == ["COPY city, line 4"]
    error = as_domain_error(caught.value, Base.metadata)
    assert isinstance(error, AlreadyExists)
    assert error.fields == ("city name",)

    with pytest.raises(DBAPIError, match="invalid input syntax") as wrong:
        await copy_csv(session, City, [head, b"a,many\n"], columns)
    assert wrong.value.__notes__ == ['COPY city, line 2, column people: "many"']
    with pytest.raises(DBAPIError, match="column name mismatch"):
        await copy_csv(session, City, [b"people,city name\n1,a\n"], columns)
    with pytest.raises(UnknownField, match="nope"):
        await copy_csv(session, City, [head], ["name", "nope"])

    def broken() -> Any:
        yield head
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        await copy_csv(session, City, broken(), columns)
    assert await stored(session) == []


@pytest.mark.trap("csv-columns-swapped")
async def test_a_plain_header_is_thrown_away_and_columns_are_swapped(
    session: AsyncSession,
) -> None:
    async with session.begin_nested():
        connection = await session.connection()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        file = io.BytesIO(b"state,city name\nold,Rome\n")
        columns = ["city name", "state"]
        await driver.copy_to_table(
            "city", source=file, columns=columns, format="csv", header=True
        )
    assert await stored(session) == [("old", None, "Rome")]
    with pytest.raises(DBAPIError, match="column name mismatch"):
        await copy_csv(session, City, [file.getvalue()], ["name", "state"])
