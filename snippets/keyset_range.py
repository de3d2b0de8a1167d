"""The rows from a place in an order on, as ranges that an index can seek.

`(a, b) > (x, y)` loses each row that is NULL in `a` or `b`, and cannot say "a
descending, b ascending". `a > x OR (a = x AND b > y)` can, and is read from the start
of the index on: https://use-the-index-luke.com/sql/partial-results/fetch-next-page
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    UnaryExpression,
    and_,
    literal,
    or_,
    tuple_,
)

from .total_order import RAW, SortKey


class Range(NamedTuple):
    """The rows that fulfil all of `where`, and how to sort them."""

    where: list[ColumnElement[bool]]
    order_by: list[UnaryExpression[Any]]


def ranges(
    keys: Sequence[SortKey],
    values: Sequence[Any],
    *,
    tied: int,
    rows_seek: bool,
) -> Iterator[Range]:
    """Yield the rows that stand at `values` or behind them, range by range.

    Rows of a later range stand behind those of an earlier one. Without `values`, all
    rows; a `bindparam` is a value that is not NULL. `keys` end with a unique one. The
    first `tied` keys get a range of their own, which is worth a statement when many
    rows share these values. `rows_seek` if the database seeks whole row values and
    needs that only between two directions: SQLite does not, where the last column is
    its rowid.
    """
    if not values:
        if keys[0].nullable:
            for side in (keys[0].nulls_first, not keys[0].nulls_first):
                yield Range([_null(keys[0], side)], _order(keys, 1))
        else:
            yield Range([], _order(keys, 1))
        return
    while rows_seek and tied and _comparable(keys[tied], keys[tied - 1]):
        tied -= 1
    for level in range(tied, -1, -1):
        key, value = keys[level], values[level]
        same = [_same(*pair) for pair in zip(keys[:level], values, strict=False)]
        order = _order(keys, level + 1)
        if level == tied:
            yield Range([*same, _seek(keys[level:], values[level:])], order)
        elif value is not None:
            yield Range([*same, _behind([key], [value])], order)
        if _other_side(key, value):
            yield Range([*same, _null(key, value is not None)], order)


def _order(keys: Sequence[SortKey], settled: int) -> list[UnaryExpression[Any]]:
    """Within a range the first `settled` keys are all NULL, or none is."""
    plain = [key.order_by_plain for key in keys[:settled]]
    return [*plain, *(key.order_by for key in keys[settled:])]


def _seek(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    """At `values` or behind, on the side of NULL where the first key's value is."""
    if values[0] is None:
        return and_(_null(keys[0], True), _complete(keys[1:], values[1:]))
    run = 1
    while run < len(keys) and _comparable(keys[run], keys[0]):
        run += 1
    start = _behind(keys[:run], values[:run], or_at=True)
    if run == len(keys):
        return start
    # The first half is there for the index, which cannot seek an OR.
    rest = _complete(keys[run:], values[run:])
    return and_(start, or_(_behind(keys[:run], values[:run]), rest))


def _complete(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    if _other_side(keys[0], values[0]):
        return or_(_seek(keys, values), _null(keys[0], values[0] is not None))
    return _seek(keys, values)


def _comparable(key: SortKey, first: SortKey) -> bool:
    return key.descending == first.descending and not key.nullable


def _behind(
    keys: Sequence[SortKey], values: Sequence[Any], *, or_at: bool = False
) -> ColumnElement[bool]:
    left, right = [key.raw for key in keys], [_bound(value) for value in values]
    row: ColumnElement[Any] = tuple_(*left) if len(keys) > 1 else left[0]
    start: ColumnElement[Any] = tuple_(*right) if len(keys) > 1 else right[0]
    if keys[0].descending:
        return row <= start if or_at else row < start
    return row >= start if or_at else row > start


def _same(key: SortKey, value: Any) -> ColumnElement[bool]:
    return _null(key, True) if value is None else key.raw == _bound(value)


def _other_side(key: SortKey, value: Any) -> bool:
    """Whether the rows that are NULL here, or those that are not, stand behind."""
    return key.nullable and (value is None) == key.nulls_first


def _null(key: SortKey, null: bool) -> ColumnElement[bool]:
    return key.raw.is_(None) if null else key.raw.is_not(None)


def _bound(value: Any) -> BindParameter[Any]:
    kind: type[Any] = value.__class__
    return value if kind is BindParameter else literal(value, RAW)
