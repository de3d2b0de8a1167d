"""Evals for snippets/filter_value.py."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Uuid,
    select,
)
from sqlalchemy import Enum as AnyEnum
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.enum_column import enum_type
from snippets.filter_value import MAX_TEXT, value_reader
from snippets.money import Money


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Parcel(Base):
    __tablename__ = "parcel"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    floor: Mapped[int] = mapped_column(SmallInteger)
    weight: Mapped[int]
    barcode: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[Decimal]
    rate: Mapped[Decimal] = mapped_column(Numeric(6, 2))
    rough: Mapped[float]
    exact: Mapped[Decimal] = mapped_column(Numeric)
    fragile: Mapped[bool]
    size: Mapped[Size]
    label: Mapped[str]
    colour: Mapped[str] = mapped_column(AnyEnum("red", "blue", native_enum=False))
    sent_at: Mapped[datetime]
    wall_clock: Mapped[datetime] = mapped_column(DateTime)
    due: Mapped[date]


KEY = UUID("12345678-9abc-4def-8123-456789abcdef")
GOOD = [
    ("id", "12345678-9ABC-4def-8123-456789abcdef", KEY),
    ("floor", "32767", 2**15 - 1),
    ("floor", "-32768", -(2**15)),
    ("weight", "2147483647", 2**31 - 1),
    ("weight", "-2147483648", -(2**31)),
    ("weight", "007", 7),
    ("barcode", "9223372036854775807", 2**63 - 1),
    ("barcode", "-9223372036854775808", -(2**63)),
    ("price", "12345678901234.5678", Decimal("12345678901234.5678")),
    ("price", "-3", Decimal(-3)),
    ("rate", "9999.99", Decimal("9999.99")),
    ("rough", "-123456789012345.5", -123456789012345.5),
    (
        "exact",
        "123456789012345.123456789012345",
        Decimal("123456789012345.123456789012345"),
    ),
    ("fragile", "true", True),
    ("fragile", "false", False),
    ("size", "l", Size.LARGE),
    ("colour", "blue", "blue"),
    ("label", "", ""),
    ("label", "(a+)+$ 100% \n\U0001f9c1", "(a+)+$ 100% \n\U0001f9c1"),
    ("label", "x" * MAX_TEXT, "x" * MAX_TEXT),
    ("sent_at", "2026-01-31T12:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    (
        "sent_at",
        "2026-01-31 12:00:00.123456+02:00",
        datetime(2026, 1, 31, 10, 0, 0, 123456, UTC),
    ),
    ("sent_at", "0001-01-01T00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ("sent_at", "9999-12-31T23:59Z", datetime(9999, 12, 31, 23, 59, tzinfo=UTC)),
    ("wall_clock", "2026-01-31T12:00:01", datetime(2026, 1, 31, 12, 0, 1)),
    ("due", "0001-01-01", date(1, 1, 1)),
    ("due", "9999-12-31", date(9999, 12, 31)),
]
BAD = {
    "id": [
        "",
        "x",
        "12345678-9abc-4def-8123-456789abcdeg",
        KEY.hex,
        f"{{{KEY}}}",
        f"urn:uuid:{KEY}",
    ],
    "floor": ["32768", "-32769"],
    "weight": [
        "",
        " 1",
        "1 ",
        "1_000",
        "1.0",
        "1e3",
        "+1",
        "٣",
        "--1",
        "0x1",
        "true",
        "1\n",
        "2147483648",
        "-2147483649",
        "9" * 5_000,
    ],
    "barcode": ["9223372036854775808", "-9223372036854775809", "9" * MAX_TEXT],
    "price": [
        "1.23456",
        "123456789012345",
        "1e2",
        "NaN",
        "Infinity",
        "-",
        ".5",
        "1.",
        "1,5",
        "٣",
    ],
    "rate": ["10000", "1.234"],
    "rough": ["nan", "inf", "1e400", "1" * 16, "0." + "1" * 16],
    "exact": ["1" * 16, "0." + "1" * 16],
    "fragile": ["", "1", "True", "yes", "on"],
    "size": ["", "SMALL", "m", "s\n"],
    "colour": ["green", "RED"],
    "label": ["a\0b", "\ud800", "\udfff", "x" * (MAX_TEXT + 1)],
    "sent_at": [
        "",
        "2026-01-31T12:00",
        "2026-01-31T12:00 02:00",
        "2026-02-30T12:00Z",
        "2026-01-31",
        "20260131T120000Z",
        "1769860800",
        "0001-01-01T00:00+01:00",
        "9999-12-31T23:59-01:00",
        "2026-01-31T12:00:00.1234567Z",
        "2026-01-31T25:00Z",
        "now",
    ],
    "wall_clock": ["2026-01-31T12:00Z", "2026-13-01T00:00"],
    "due": [
        "2026-02-30",
        "2026-1-1",
        "20260101",
        "2026-W01-1",
        "2026-01-01T00:00",
        "٢٠٢٦-01-01",
    ],
}


def column(name: str) -> Any:
    return getattr(Parcel, name)


@pytest.mark.parametrize(("name", "text", "value"), GOOD, ids=range(len(GOOD)))
async def test_a_value_at_the_limit_is_read_and_the_database_takes_it(
    session: AsyncSession, name: str, text: str, value: Any
) -> None:
    found = value_reader(column(name).type)(text)
    assert found == value
    assert type(found) is type(value)
    assert (
        await session.scalars(select(Parcel).where(column(name) == found))
    ).all() == []


@pytest.mark.parametrize("name", BAD)
def test_any_other_spelling_is_an_error(name: str) -> None:
    reader = value_reader(column(name).type)
    for text in BAD[name]:
        with pytest.raises(ValueError, match=r"^expected ") as caught:
            reader(text)
        assert type(caught.value) is ValueError, text
        assert str(caught.value) == f"expected {reader.expected}"


@pytest.mark.trap("value-too-large")
@pytest.mark.parametrize("name", ["weight", "label"])
async def test_what_python_reads_the_database_may_refuse(
    session: AsyncSession, database: str, name: str
) -> None:
    value: Any = {"weight": 2**40, "label": "a\0b"}[name]
    stmt = select(Parcel).where(column(name) == value)
    if database == "postgresql":
        with pytest.raises(DBAPIError):
            await session.scalars(stmt)
    else:
        assert (await session.scalars(stmt)).all() == []
    with pytest.raises(ValueError, match="expected"):
        value_reader(column(name).type)(str(value))


@pytest.mark.parametrize(
    ("column_type", "expected", "schema", "operators"),
    [
        (Uuid(), "a UUID", {"type": "string", "format": "uuid"}, "choice"),
        (
            SmallInteger(),
            "an integer from -32768 to 32767",
            {"type": "integer", "minimum": -32768, "maximum": 32767},
            "ordered",
        ),
        (
            Integer(),
            "an integer from -2147483648 to 2147483647",
            {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
            "ordered",
        ),
        (
            BigInteger().with_variant(Integer(), "sqlite"),
            f"an integer from -{2**63} to {2**63 - 1}",
            {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
            "ordered",
        ),
        (Float(), "a number", {"type": "number"}, "ordered"),
        (
            Money(),
            "a decimal of 18 digits, 4 of them after the point",
            {"type": "string", "pattern": r"^-?\d{1,14}(\.\d{1,4})?$"},
            "ordered",
        ),
        (
            Numeric(5),
            "a decimal of 5 digits, 0 of them after the point",
            {"type": "string", "pattern": r"^-?\d{1,5}$"},
            "ordered",
        ),
        (
            Numeric(),
            "a decimal of 30 digits, 15 of them after the point",
            {"type": "string", "pattern": r"^-?\d{1,15}(\.\d{1,15})?$"},
            "ordered",
        ),
        (
            enum_type(Size),
            "one of s, l",
            {"type": "string", "enum": ["s", "l"]},
            "choice",
        ),
        (
            String(),
            "text of 200 characters at most, without NUL",
            {"type": "string", "maxLength": 200},
            "text",
        ),
        (
            DateTime(timezone=True),
            "a time with its zone: 2026-01-31T12:00:00Z (in a URL + is %2B)",
            {"type": "string", "format": "date-time"},
            "ordered",
        ),
        (
            DateTime(),
            "a time without a zone: 2026-01-31T12:00:00",
            {"type": "string", "format": "date-time"},
            "ordered",
        ),
        (
            column("due").type,
            "a date: 2026-01-31",
            {"type": "string", "format": "date"},
            "ordered",
        ),
        (column("fragile").type, "one of true, false", {"type": "boolean"}, "choice"),
    ],
    ids=range(14),
)
def test_a_reader_describes_its_type(
    column_type: Any, expected: str, schema: dict[str, Any], operators: str
) -> None:
    suit = {
        "choice": "eq ne in not_in",
        "ordered": "eq ne in not_in lt le gt ge",
        "text": "eq ne in not_in contains not_contains starts ends",
    }
    reader = value_reader(column_type)
    assert (reader.expected, reader.schema) == (expected, schema)
    assert reader.operators == suit[operators]


def test_a_time_is_read_into_utc() -> None:
    found = value_reader(DateTime(timezone=True))("2026-01-01T00:00+02:00")
    assert found.utcoffset() == timedelta(0)
    assert found == datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    "column_type",
    [JSON(), LargeBinary(), Uuid(as_uuid=False)],
    ids=["json", "bytes", "text-uuid"],
)
def test_a_type_that_has_no_text_is_refused(column_type: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot filter by .*: leave this column out"):
        value_reader(column_type)
