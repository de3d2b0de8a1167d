"""Rows for a bulk write: any iterable of mappings, in batches."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from .domain_error import DomainError

T = TypeVar("T")
Row = Mapping[str, Any]
Rows = Iterable[Row] | AsyncIterable[Row]
Values = dict[str, list[Any]]
ABSENT = object()


class Gaps(list[Any]):
    """Values of which some may be ABSENT."""


class BadRow(DomainError):
    """A row that cannot be written. `number` counts the rows of the input from 1."""

    def __init__(self, number: int, problem: str, *fields: str) -> None:
        super().__init__(fields)
        self.number = number
        self.args = (": ".join([f"row {number}", problem, *fields]),)


async def batches(rows: Rows, size: int) -> AsyncIterator[tuple[int, list[Row]]]:
    """Yield rows of any iterable, `size` at a time, with the number of the first.

    Raises:
        TypeError: the first row of a batch is no mapping, but an object for one.
    """
    if size < 1:
        raise ValueError("a batch has 1 row or more")
    number, batch = 1, list[Row]()
    if isinstance(rows, Iterable):
        rest = iter(rows)
        while batch := list(islice(rest, size)):
            yield _checked(number, batch)
            number += size
        return
    async for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield _checked(number, batch)
            number, batch = number + size, []
    if batch:
        yield _checked(number, batch)


def _checked(number: int, batch: list[Any]) -> tuple[int, list[Row]]:
    # One of each batch: who passes objects passes no mappings at all.
    if not isinstance(batch[0], Mapping):
        kind = type(batch[0]).__name__
        raise TypeError(f"row {number} is a {kind}: pass mappings (model_dump())")
    return number, batch


async def each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Yield the items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def bind(
    values: Values,
    types: Sequence[TypeEngine[Any]],
    numbers: Sequence[int],
    dialect: Dialect,
) -> list[list[Any]]:
    """Return columns as the driver takes their values: through their types.

    Raises:
        BadRow: a type refuses a value, such as a datetime without a time zone.
    """
    bound: list[list[Any]] = []
    for (key, given), kind in zip(values.items(), types, strict=True):
        process = kind.dialect_impl(dialect).bind_processor(dialect)
        if process is None and not isinstance(given, Gaps):
            bound.append(given)
            continue
        bound.append([])
        process = process or _as_is
        try:
            for value in given:
                bound[-1].append(None if value is ABSENT else process(value))
        except Exception as exc:
            number = numbers[len(bound[-1])]
            raise BadRow(number, "this value is refused", key) from exc
    return bound


def unwrapped(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """Return what a database takes for a type, under its decorators and variants."""
    kind = kind.dialect_impl(dialect)
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return kind


def _as_is(value: Any) -> Any:
    return value
