"""Evals for snippets/export_format.py."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import JSON, LargeBinary, MetaData, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.export_format import csv_chunks, json_lines

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Color(Enum):
    RED = "red"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Thing(Base):
    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    size: Mapped[float | None]
    price: Mapped[Decimal | None]
    live: Mapped[bool | None]
    color: Mapped[Color | None]
    made_on: Mapped[date | None]
    made_at: Mapped[datetime | None]
    tags: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    data: Mapped[bytes | None] = mapped_column(LargeBinary)


NAMES = list(Thing.__table__.columns.keys())
THINGS = select(*Thing.__table__.columns).order_by(Thing.id)


@pytest.fixture
async def things(session: AsyncSession) -> None:
    session.add_all(
        [
            Thing(
                id=1,
                name='a "b", ü\nc',
                size=1.5,
                price=Decimal("9.5"),
                live=True,
                color=Color.RED,
                made_on=date(2026, 1, 1),
                made_at=NOON,
                tags=["x", "ü"],
                data=b"\xff",
            ),
            Thing(id=2, name="=1+1", live=False),
        ]
    )
    await session.commit()


async def read_csv(session: AsyncSession, **options: Any) -> list[list[str]]:
    chunks = [chunk async for chunk in csv_chunks(session, THINGS, **options)]
    text = b"".join(chunks).decode("utf-8")
    return list(csv.reader(text.splitlines(keepends=True), strict=True))


async def test_csv_has_names_and_a_cell_for_each_value(
    session: AsyncSession, things: None
) -> None:
    names, first, second = await read_csv(session)
    assert names == NAMES
    assert first == [
        *("1", 'a "b", ü\nc', "1.5", "9.5000", "true", "red", "2026-01-01"),
        *("2026-01-01T12:00:00Z", '["x","ü"]', "_w=="),
    ]
    assert second == ["2", "=1+1", "", "", "false", "", "", "", "", ""]


async def test_a_spreadsheet_gets_no_formula(
    session: AsyncSession, things: None
) -> None:
    _, first, second = await read_csv(session, spreadsheet=True)
    assert (first[0], first[7], second[1]) == ("1", "2026-01-01T12:00:00Z", "'=1+1")
    stmt = select(Thing.name.label("-name")).where(Thing.id == 2)
    chunks = [chunk async for chunk in csv_chunks(session, stmt, spreadsheet=True)]
    # Without the mark Excel takes UTF-8 for another encoding.
    assert b"".join(chunks) == b"\xef\xbb\xbf'-name\r\n'=1+1\r\n"


async def test_json_lines_are_objects(session: AsyncSession, things: None) -> None:
    text = b"".join([chunk async for chunk in json_lines(session, THINGS)])
    first, second = (json.loads(line) for line in text.splitlines())
    assert list(first) == NAMES
    assert first["tags"] == ["x", "ü"]
    assert (first["size"], first["live"], first["color"]) == (1.5, True, "red")
    assert (first["made_at"], first["data"]) == ("2026-01-01T12:00:00Z", "_w==")
    assert second == dict.fromkeys(NAMES) | {
        "id": 2,
        "name": "=1+1",
        "live": False,
    }


async def test_no_rows_are_a_line_of_names_or_nothing(session: AsyncSession) -> None:
    assert await read_csv(session) == [NAMES]
    assert [chunk async for chunk in json_lines(session, THINGS)] == []


async def test_a_batch_is_a_chunk(session: AsyncSession) -> None:
    session.add_all([Thing() for _ in range(1_001)])
    await session.commit()
    lines = [chunk.count(b"\n") async for chunk in csv_chunks(session, THINGS)]
    assert lines == [1, 500, 500, 1]
    lines = [chunk.count(b"\n") async for chunk in json_lines(session, THINGS)]
    assert lines == [500, 500, 1]
