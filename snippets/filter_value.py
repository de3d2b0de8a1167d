"""Text of a request as a value of a column: one spelling, in range, or an error.

What only the database refuses (200 bits, NUL, half a character) would be a 500.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine

MAX_TEXT = 200  # characters of one value
CHOICE, ORDERED = "eq ne in not_in", "eq ne in not_in lt le gt ge"
TEXT = f"{CHOICE} contains not_contains starts ends"
DAY = r"\d{4}-\d\d-\d\d"
TIME = rf"{DAY}[T ]\d\d:\d\d(:\d\d(\.\d{{1,6}})?)?"
HEXADECIMAL = "-".join(f"[0-9a-fA-F]{{{n}}}" for n in (8, 4, 4, 4, 12))
PLAIN = f"text of {MAX_TEXT} characters at most, without NUL"
NAIVE = "a time without a zone: 2026-01-31T12:00:00"
AWARE = "a time with its zone: 2026-01-31T12:00:00Z (in a URL + is %2B)"
STRING: dict[str, Any] = {"type": "string"}
MOMENT = STRING | {"format": "date-time"}


@dataclass
class ValueReader:
    """Reads one type. `schema` describes it in OpenAPI, `operators` suit it."""

    expected: str
    schema: dict[str, Any]
    convert: Callable[[str], Any]
    operators: str = ORDERED
    pattern: str = ".*"

    def __call__(self, text: str) -> Any:
        """Raises: ValueError: `text` is no such value; it says what is expected."""
        try:
            text.encode()  # half a character is a ValueError, and no driver takes it
            if len(text) <= MAX_TEXT and re.fullmatch(self.pattern, text, re.ASCII):
                return self.convert(text)
        except (ValueError, OverflowError, KeyError):
            pass
        raise ValueError(f"expected {self.expected}")


def value_reader(column_type: TypeEngine[Any]) -> ValueReader:
    """Return what reads values for this type. Raises: TypeError: nothing does."""
    plain = column_type
    while isinstance(plain, TypeDecorator):
        plain = plain.impl_instance
    match plain:
        case sa.Enum(enum_class=type() as members):  # by value, whatever is stored
            return _choices({str(member.value): member for member in members})
        case sa.Enum():
            return _choices({label: label for label in plain.enums})
        case sa.Boolean():
            words = _choices({"true": True, "false": False})
            return replace(words, schema={"type": "boolean"})
        case sa.Uuid(as_uuid=True):
            form = STRING | {"format": "uuid"}
            return ValueReader("a UUID", form, UUID, CHOICE, HEXADECIMAL)
        case sa.Integer():
            return _integers(plain)
        case sa.Float():
            number, digits = {"type": "number"}, _digits(15, 15)
            return ValueReader("a number", number, float, pattern=digits)
        case sa.Numeric():
            return _decimals(plain.precision, plain.scale or 0)
        case sa.DateTime(timezone=True):
            return ValueReader(AWARE, MOMENT, _utc, pattern=TIME + r"(Z|[+-]\d\d:\d\d)")
        case sa.DateTime():
            return ValueReader(NAIVE, MOMENT, datetime.fromisoformat, pattern=TIME)
        case sa.Date():
            form, day = STRING | {"format": "date"}, "a date: 2026-01-31"
            return ValueReader(day, form, date.fromisoformat, pattern=DAY)
        case sa.String():
            form = STRING | {"maxLength": MAX_TEXT}
            return ValueReader(PLAIN, form, str, TEXT, r"[^\0]*")
        case _:
            raise TypeError(f"cannot filter by {column_type!r}: leave this column out")


def _choices(values: dict[str, Any]) -> ValueReader:
    expected, form = f"one of {', '.join(values)}", STRING | {"enum": [*values]}
    return ValueReader(expected, form, values.__getitem__, CHOICE)


def _integers(kind: sa.Integer) -> ValueReader:
    small, big = isinstance(kind, sa.SmallInteger), isinstance(kind, sa.BigInteger)
    end = 2 ** (15 if small else 63 if big else 31)
    return ValueReader(
        f"an integer from {-end} to {end - 1}",
        {"type": "integer", "minimum": -end, "maximum": end - 1},
        lambda text: range(-end, end).index(int(text)) - end,
        pattern=r"-?\d+",
    )


def _decimals(precision: int | None, scale: int) -> ValueReader:
    # PostgreSQL would round the value to the column's type, and find others.
    precision, scale = (precision, scale) if precision else (30, 15)
    pattern = _digits(precision - scale, scale)
    expected = f"a decimal of {precision} digits, {scale} of them after the point"
    form = STRING | {"pattern": f"^{pattern}$"}
    return ValueReader(expected, form, Decimal, pattern=pattern)


def _digits(before: int, behind: int) -> str:
    return rf"-?\d{{1,{before}}}" + rf"(\.\d{{1,{behind}}})?" * bool(behind)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)  # an OverflowError in year 1
