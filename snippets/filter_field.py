"""A column that a client may filter by, and the conditions that its operators make."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, ColumnElement, SQLColumnExpression, not_, true

from . import text_match
from .filter_value import ValueReader, value_reader

MAX_VALUES = 100  # of one `in`
Column = SQLColumnExpression[Any]
Condition = ColumnElement[bool]


def _in(column: Column, values: list[Any]) -> Condition:
    return column.in_(values)


def _has_value(column: Column, _: object) -> Condition:
    return column.is_not(None)


# What the operator tells apart, and how it reads in OpenAPI.
COMPARE: dict[str, tuple[Callable[[Any, Any], Condition], str]] = {
    "eq": (operator.eq, "equals this"),
    "ne": (operator.eq, "does not equal this, or has no value"),
    "lt": (operator.lt, "is less"),
    "le": (operator.le, "is less or equal"),
    "gt": (operator.gt, "is greater"),
    "ge": (operator.ge, "is greater or equal"),
    "in": (_in, "is one of these"),
    "not_in": (_in, "is none of these, or has no value"),
    "contains": (text_match.contains, "contains this, in any case"),
    "not_contains": (text_match.contains, "does not contain this, or has no value"),
    "starts": (text_match.starts, "starts with this, in any case"),
    "ends": (text_match.ends, "ends with this, in any case"),
    "isnull": (_has_value, "has no value (true), or has one (false)"),
}


@dataclass
class FilterField:
    """A column, with the `operators` that suit its type unless others are named.

    With `exists=Note.tags.any` (or `.has`) it is a column of related rows, of which one
    must fit. Each condition looks for one of its own.
    """

    column: Column
    operators: str | None = None
    exists: Callable[..., Condition] | None = None

    def filters(self) -> dict[str, Filter]:
        """Return what each operator does, by its name.

        Raises:
            TypeError: nothing of this type can be filtered by.
            ValueError: an operator does not suit the type.
        """
        column: Any = self.column
        reader = value_reader(column.type)
        suit = reader.operators.split()
        if self.exists or getattr(column, "nullable", True):
            suit.append("isnull")
        asked = suit if self.operators is None else self.operators.split()
        if wrong := set(asked) - set(suit):
            raise ValueError(
                f"cannot filter {column} by {', '.join(sorted(wrong))}:"
                f" expected some of {', '.join(suit)}"
            )
        null = value_reader(Boolean())
        return {
            name: Filter(self, name, null if name == "isnull" else reader)
            for name in asked
        }


@dataclass
class Filter:
    """What one parameter does."""

    field: FilterField
    operator: str
    read: ValueReader

    @property
    def many(self) -> bool:
        return self.operator in ("in", "not_in")

    @property
    def meaning(self) -> str:
        return COMPARE[self.operator][1]

    def condition(self, texts: list[str]) -> Condition:
        """Return what the rows must fulfil; a ValueError says what is wrong."""
        limit = MAX_VALUES if self.many else 1
        if len(texts) > limit:
            raise ValueError(f"expected it {limit} times at most, not {len(texts)}")
        values = [self.read(text) for text in texts]
        column, exists = self.field.column, self.field.exists
        if self.operator == "ne" and exists is None:
            return column.is_distinct_from(values[0])  # SQL's `<>` loses NULLs
        found = COMPARE[self.operator][0](column, values if self.many else values[0])
        if exists is not None:
            found = exists(found)
        if self.operator == "isnull":
            return not_(found) if values[0] else found
        if self.operator != "ne" and not self.operator.startswith("not_"):
            return found
        # All other rows, those without a value too, as `ne` finds them.
        return not_(found) if exists else found.is_not(true())
