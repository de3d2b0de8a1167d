"""Evals for snippets/csv_import.py."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from sqlalchemy import MetaData, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.bulk_insert import bulk_insert
from snippets.csv_import import BadLines, csv_rows
from snippets.fastapi_errors import add_error_handlers
from snippets.fastapi_session import SessionDep


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    price: Mapped[Decimal]
    live: Mapped[bool]
    sold_at: Mapped[datetime | None]


class ItemIn(BaseModel):
    name: str = Field(min_length=2)
    price: Decimal = Decimal(1)
    live: bool = True
    sold_at: datetime | None = None


async def read(text: str | bytes, **options: Any) -> list[dict[str, Any]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [row async for row in csv_rows(io.BytesIO(data), ItemIn, **options)]


async def problems(text: str | bytes, **options: Any) -> tuple[str, ...]:
    with pytest.raises(BadLines) as caught:
        await read(text, **options)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


async def test_cells_become_values_and_empty_ones_defaults(
    session: AsyncSession,
) -> None:
    text = (
        "price,name,sold_at,live\r\n"
        '9.50,"a ""b"",\nü",2026-01-01T12:00:00Z,false\r\n'
        "\r\n"
        ",plain,,"
    )
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    first = {
        "name": 'a "b",\nü',
        "price": Decimal("9.5"),
        "live": False,
        "sold_at": noon,
    }
    second = {"name": "plain", "price": Decimal(1), "live": True, "sold_at": None}
    assert await read(text) == [first, second]
    assert await read("\ufeff" + text) == [first, second]
    other = await read(text.replace(",", ";"), delimiter=";")
    assert other == [first | {"name": 'a "b";\nü'}, second]
    await bulk_insert(session, Item, csv_rows(io.BytesIO(text.encode()), ItemIn))
    item = (await session.scalars(select(Item).order_by(Item.name))).first()
    assert item
    assert (item.name, item.price, item.live, item.sold_at) == tuple(first.values())


async def test_an_upload_of_a_form_is_a_source() -> None:
    # What UploadFile.file is.
    with tempfile.SpooledTemporaryFile(max_size=5) as upload:
        upload.write(b"name\r\naa\r\nbb\r\n")
        upload.seek(0)
        assert [row["name"] async for row in csv_rows(upload, ItemIn)] == ["aa", "bb"]


async def test_bytes_may_break_anywhere() -> None:
    async def bytewise() -> AsyncIterator[bytes]:
        for byte in 'name\n"ü\n✓"\nab\n'.encode():
            yield bytes([byte])

    names = [row["name"] async for row in csv_rows(bytewise(), ItemIn)]
    assert names == ["ü\n✓", "ab"]


async def test_all_bad_lines_are_told_and_no_row_comes_behind_them() -> None:
    text = 'name,price\nok,1\n"x\n1",many\nok\nb,"2"\nok,1\n'
    got = []
    with pytest.raises(BadLines) as caught:
        async for row in csv_rows(io.BytesIO(text.encode()), ItemIn):
            got.append(row["name"])
    assert got == ["ok"]
    assert caught.value.problems == (
        "line 4: price: Input should be a valid decimal",
        "line 5: 1 cells under 2 names",
        "line 6: name: String should have at least 2 characters",
    )
    many = "name,price\n" + "x,many\n" * 50
    assert len(await problems(many)) == 20
    assert await problems(many, at_most=3) == (
        "line 2: name: String should have at least 2 characters",
        "line 2: price: Input should be a valid decimal",
        "line 3: name: String should have at least 2 characters",
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("nmae,price", "unknown ['nmae'], missing ['name']"),
        ("name,name", "unknown [], missing []"),
        ("name,secret", "unknown ['secret'], missing []"),
    ],
    ids=["misspelt", "twice", "extra"],
)
async def test_the_names_are_those_of_the_schema(header: str, message: str) -> None:
    found = await problems(f"{header}\na,b\n")
    assert found == (f"line 1: the names are wrong: {message}",)


async def test_a_file_that_is_no_csv_is_told_where() -> None:
    assert await read("") == []
    assert await read("name\n") == []
    never = await problems('name\nok\n"never\nclosed\n')
    assert never == ("line 4: a quote is never closed",)
    assert await problems("name\nok\n".encode("utf-16")) != ()
    latin = await problems("name\nok\nüü\n".encode("latin-1"))
    assert latin == ("line 3 or later: this is not UTF-8",)
    cut = await problems("name\nok\nü".encode()[:-1])
    assert cut == ("line 3 or later: this is not UTF-8",)
    assert "line 2: " in (await problems('name\n"a"b\n'))[0]


async def test_a_line_and_a_record_may_be_as_long_as_is_said() -> None:
    assert (await read("name\nabcdefghij", longest=10))[0]["name"] == "abcdefghij"
    found = await read('name\n"abcdefgh\nx"\n', longest=10)
    assert found[0]["name"] == "abcdefgh\nx"


async def test_a_field_of_several_types_says_which_does_not_fit() -> None:
    class Either(BaseModel):
        size: int | date

    with pytest.raises(BadLines, match=r"^line 2: size\.int: .*; line 2: size\.date: "):
        async for _ in csv_rows([b"size\nmuch\n"], Either):
            pass


async def test_a_record_without_end_is_not_read_into_memory() -> None:
    async def endless(start: bytes, rest: bytes) -> AsyncIterator[bytes]:
        yield start
        for _ in range(1_000):
            yield rest
        raise AssertionError("it read on")

    for start, rest, message in (
        (b"name\n", b"x" * 500, "longer than 5000"),
        (b'name\n"', b"x" * 499 + b"\n", "unexpected end"),
        (b"name\n", b"x\n", "line 21: name: String should have"),
    ):
        source = endless(start, rest)
        with pytest.raises(BadLines, match=message):
            async for _ in csv_rows(source, ItemIn, longest=5_000):
                pass


@pytest.mark.trap("half-imported")
async def test_a_loop_that_commits_leaves_half_of_a_bad_file_behind(
    session: AsyncSession,
) -> None:
    text = "name,price\n" + "".join(f"n{i},1\n" for i in range(10)) + "bad,much\n"
    source = io.BytesIO(text.encode())
    with pytest.raises(BadLines):
        async for row in csv_rows(source, ItemIn):
            session.add(Item(**row))
            await session.commit()
    count = select(func.count(Item.id))
    assert (await session.scalars(count)).one() == 10
    source = io.BytesIO(text.replace("n", "m").replace("mame", "name").encode())
    with pytest.raises(BadLines):
        await bulk_insert(session, Item, csv_rows(source, ItemIn))
    await session.commit()
    assert (await session.scalars(count)).one() == 10


app = FastAPI()
add_error_handlers(app, Base.metadata)


@app.post("/items")
async def add_items(request: Request, session: SessionDep) -> int:
    return await bulk_insert(session, Item, csv_rows(request.stream(), ItemIn))


async def test_an_upload_is_imported_or_answered_with_its_lines(
    sessions: async_sessionmaker[AsyncSession], database: str
) -> None:
    app.state.sessions = sessions
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        sent = await client.post("/items", content="name,price\naa,1\nbb,2\n")
        assert sent.json() == 2
        bad = await client.post("/items", content="name,price\ncc,1\ndd,x\n")
        assert bad.status_code == 422
        detail = "line 3: price: Input should be a valid decimal"
        assert (bad.json()["detail"], bad.json()["error"]) == (detail, "BadLines")
        again = await client.post("/items", content="name\ncc\naa\n")
        assert (again.status_code, again.json()["fields"]) == (409, ["name"])
        nul = await client.post("/items", content=b"name\ncc\nd\0d\n")
        assert nul.status_code == {"sqlite": 200, "postgresql": 422}[database]
    async with sessions() as session:
        left = (await session.scalars(select(Item.name))).all()
    kept = {"sqlite": {"aa", "bb", "cc", "d\0d"}, "postgresql": {"aa", "bb"}}
    assert set(left) == kept[database]
