"""Rows of any `Select` from a place in its order on, with the place of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from .cursor_codec import Cursor, InvalidCursor
from .keyset_range import Range, ranges
from .total_order import SortKey, refuse_repeats

# The driver of SQLite gives and takes none of these.
NOT_SQLITE = (Decimal, date, time, timedelta, UUID)


class KeysetReader:
    """Reads rows in the order of `keys`, which end with a unique one."""

    def __init__(self, keys: Sequence[SortKey]) -> None:
        self.keys = keys
        self.backward = [key.reversed() for key in keys]
        # The database evaluates the keys: an object that the session holds already
        # keeps its old values, and Python's are not always those that were compared.
        self.columns = [key.raw.label(None) for key in keys]
        self.first = -len(keys)
        self.names = [f"keyset_{i}" for i in range(len(keys))]
        self.built: dict[tuple[Any, ...], list[Range]] = {}
        self.unique = [i for i, key in enumerate(keys) if key.unique]

    async def read(
        self, session: AsyncSession, stmt: Any, start: Cursor, limit: int
    ) -> list[Row[Any]]:
        """Return the first rows from `start` on, each with the keys behind it.

        Raises:
            InvalidCursor: `start` is no place in this order.
            ValueError: a row comes twice.
        """
        dialect = session.get_bind().dialect.name
        self._check(start, dialect)
        values = dict(zip(self.names, start.values, strict=False))
        stmt = stmt.add_columns(*self.columns).offset(None).order_by(None)
        found: list[Row[Any]] = []
        for part in self._ranges(start, dialect):
            query = stmt.where(*part.where).order_by(*part.order_by)
            query = query.limit(limit - len(found))
            try:
                result = await session.execute(query, values)
            except DBAPIError as exc:
                # A value that its column cannot have: somebody made the cursor up.
                if start.values and getattr(exc.orig, "sqlstate", "")[:2] == "22":
                    raise InvalidCursor from exc
                raise
            found += result.all()
            if len(found) == limit:
                break
        refuse_repeats([row[self.first :] for row in found])
        return found

    async def is_any_behind(
        self, session: AsyncSession, stmt: Any, start: Cursor
    ) -> bool:
        """Tell whether there are rows on the other side of `start`."""
        if not start.values:
            return False
        found = await self.read(
            session, stmt, replace(start, backward=not start.backward), 2
        )
        return any(not (start.inclusive and self.is_at(row, start)) for row in found)

    def place(self, row: Row[Any]) -> Sequence[Any]:
        """Return the values of the keys, as a cursor takes them."""
        return row[self.first :]

    def is_at(self, row: Row[Any], start: Cursor) -> bool:
        """Tell whether `row` is the one that `start` names, edited or not."""
        place = self.place(row)
        return all(place[i] == start.values[i] for i in self.unique)

    def _ranges(self, start: Cursor, dialect: str) -> list[Range]:
        """Return the ranges from `start` on; they are built once for all values."""
        nulls = [value is None for value in start.values]
        shape = (start.backward, start.tied, dialect, *nulls)
        if shape not in self.built:
            self.built[shape] = [
                *ranges(
                    self.backward if start.backward else self.keys,
                    [
                        None if null else bindparam(name)
                        for name, null in zip(self.names, nulls, strict=False)
                    ],
                    tied=start.tied,
                    rows_seek=dialect != "sqlite",
                )
            ]
        return self.built[shape]

    def _check(self, start: Cursor, dialect: str) -> None:
        values = start.values
        if not values:
            return
        if (
            len(values) != len(self.keys)
            or start.tied >= len(values)
            or any(
                value is None and not key.nullable
                for key, value in zip(self.keys, values, strict=False)
            )
            or (dialect == "sqlite" and any(isinstance(v, NOT_SQLITE) for v in values))
        ):
            raise InvalidCursor
