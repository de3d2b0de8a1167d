"""A total order: a place for NULLs, the same on both databases, and no ties.

PostgreSQL takes NULL for the largest value and SQLite for the smallest: an order that
does not say where NULLs stand is two orders. One that can tie is none: rows that tie
swap places between two requests.
https://docs.sqlalchemy.org/en/20/core/sqlelement.html#sqlalchemy.sql.expression.nulls_last
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import eq
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    SQLColumnExpression,
    Table,
    UnaryExpression,
    inspect,
    type_coerce,
)
from sqlalchemy.sql import operators
from sqlalchemy.types import NullType

OrderBy = SQLColumnExpression[Any]
RAW: NullType = NullType()


@dataclass(frozen=True)
class SortKey:
    """One expression of an order. `nulls_first` counts only if it is `nullable`."""

    expression: ColumnElement[Any]
    descending: bool = False
    nulls_first: bool = False
    nullable: bool = False
    unique: bool = False

    def reversed(self) -> SortKey:
        return replace(
            self, descending=not self.descending, nulls_first=not self.nulls_first
        )

    @cached_property
    def order_by(self) -> UnaryExpression[Any]:
        """The argument of `Select.order_by`; with NULLS, only an index that has the
        same can serve it on PostgreSQL."""
        order = self.order_by_plain
        if not self.nullable:
            return order
        return order.nulls_first() if self.nulls_first else order.nulls_last()

    @cached_property
    def order_by_plain(self) -> UnaryExpression[Any]:
        """The same for rows of which all or none are NULL here: any index serves."""
        key = self.expression
        return key.desc() if self.descending else key.asc()

    @cached_property
    def raw(self) -> ColumnElement[Any]:
        """The expression, with values as the driver gives and takes them.

        SQLite's text for a timestamp, PostgreSQL's label for an enum: a typed
        parameter would be written anew, and would not always compare as equal.
        """
        return type_coerce(self.expression, RAW)


def total_order(
    entity: Any, *order_by: OrderBy, unique: Sequence[OrderBy] = ()
) -> tuple[SortKey, ...]:
    """Return the keys of an order, and behind them the primary key against ties.

    `entity` is what is listed: a mapped class, an alias of one, a table. NULLs stand
    last, in both directions, unless a key says `.nulls_first()`. Where the primary
    key does not tell rows apart, name columns in `unique` that do and are never NULL.

    Raises:
        ValueError: there is no primary key, and `unique` is empty.
    """
    ends = [split_order(column)[0] for column in unique or _primary_key(entity)]
    if not ends:
        raise ValueError(f"{entity} has no primary key: pass unique=[...]")
    # A NOT NULL column is NULL where an outer join found no row. The tables of the
    # unique columns have their row by contract; that of any other may be missing.
    present = [_table(end) for end in ends]
    keys: list[SortKey] = []
    for order in order_by:
        key, descending, nulls_first = split_order(order)
        if any(key.compare(end) for end in ends):
            keys.append(SortKey(key, descending, unique=True))
            continue
        table = _table(key)
        sure = table is not None and table in present and not _nullable(key)
        keys.append(SortKey(key, descending, nulls_first, nullable=not sure))
    # In the direction of the last key, so that one index serves both.
    descending = keys[-1].descending if keys else False
    for end in ends:
        if not any(end.compare(key.expression) for key in keys):
            keys.append(SortKey(end, descending, unique=True))
    return tuple(keys)


def refuse_repeats(places: Sequence[Sequence[Any]]) -> None:
    """Check rows in their order: `places` are values that tell them apart.

    Raises:
        ValueError: a row comes twice.
    """
    if any(map(eq, places, places[1:])):
        raise ValueError(
            "a row comes twice: filter a collection with .any() instead of a join,"
            " or pass unique=[...]"
        )


def split_order(order: OrderBy) -> tuple[ColumnElement[Any], bool, bool]:
    """Take `x.desc().nulls_first()` apart: `(x, descending, nulls_first)`."""
    expression: Any = order.asc().element
    descending = nulls_first = False
    while modifier := getattr(expression, "modifier", None):
        descending |= modifier is operators.desc_op
        nulls_first |= modifier is operators.nulls_first_op
        expression = expression.element
    if expression.__visit_name__ == "label":
        expression = expression.element
    return expression, descending, nulls_first


def _primary_key(entity: Any) -> Sequence[OrderBy]:
    if isinstance(entity, FromClause):
        return tuple(entity.primary_key)
    mapper = inspect(entity).mapper
    names = [mapper.get_property_by_column(c).key for c in mapper.primary_key]
    return [getattr(entity, name) for name in names]


def _table(key: ColumnElement[Any]) -> FromClause | None:
    """Return the table, or alias of one, that `key` is a column of."""
    table = key.table if isinstance(key, Column) else None
    return table if isinstance(getattr(table, "element", table), Table) else None


def _nullable(key: ColumnElement[Any]) -> bool:
    return not isinstance(key, Column) or key.nullable is not False
