"""Keyset ("cursor") pagination: no row lost or repeated, any page at the same cost.

    NEWEST = Keyset(Note, Note.created_at.desc())
    page = await NEWEST.fetch(session, select(Note), size=20, cursor=cursor)

A page begins at the row that its cursor names by value, so rows that come and go
elsewhere move nothing. One plain index on the keys serves both directions, and both
places of NULL where only the first key can be NULL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import eq
from typing import Any, Generic, TypeVar

from sqlalchemy import FromClause, Row, Select
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.selectable import GenerativeSelect

from .cursor_codec import Cursor, decode_cursor, encode_cursor
from .keyset_reader import KeysetReader
from .statement_fingerprint import statement_fingerprint
from .total_order import OrderBy, total_order

T = TypeVar("T")
LAST = "last"  # as a cursor: the last page


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list, in its order, and the cursors of what is before and after."""

    items: list[T]
    next_cursor: str | None
    previous_cursor: str | None
    total: int | None = None

    @property
    def has_next(self) -> bool:
        return self.next_cursor is not None

    @property
    def has_previous(self) -> bool:
        return self.previous_cursor is not None


class Keyset(Generic[T]):
    """An order of `entity`: make it once, use it for any number of requests."""

    def __init__(
        self,
        entity: type[T] | FromClause,
        *order_by: OrderBy,
        unique: Sequence[OrderBy] = (),
    ) -> None:
        """Take the arguments of `total_order`."""
        keys = total_order(entity, *order_by, unique=unique)
        self.reader = KeysetReader(keys)
        self.name = statement_fingerprint(*(key.order_by for key in keys))

    async def fetch(
        self,
        session: AsyncSession,
        stmt: Select[Any],
        *,
        size: int,
        cursor: str | None = None,
        secret: bytes = b"",
    ) -> Page[T]:
        """Return at most `size` of the first thing that `stmt` selects.

        `stmt` filters, joins and loads; its order and limit give way. Of a collection,
        filter with `.any()` and load with `selectinload`: a join repeats its parent.
        Without a `secret` somebody who read this code can make cursors.

        Raises:
            InvalidCursor: it is not one of this list with these filters.
            ValueError: `size` is below 1, or a row comes twice.
        """
        page = await self._fetch(session, stmt, size, cursor, secret)
        items = [row[0] for row in page.items]
        return Page(items, page.next_cursor, page.previous_cursor)

    async def fetch_rows(
        self,
        session: AsyncSession,
        stmt: GenerativeSelect,
        *,
        size: int,
        cursor: str | None = None,
        secret: bytes = b"",
    ) -> Page[Any]:
        """Return at most `size` rows, as `session.execute` gives them; see `fetch`."""
        select: Any = stmt
        page = await self._fetch(session, select, size, cursor, secret)
        names = [str(column["name"]) for column in select.column_descriptions]
        plain = iter([row[: len(names)] for row in page.items])
        result = IteratorResult[Any](SimpleResultMetaData(names), plain)
        return Page(list(result), page.next_cursor, page.previous_cursor)

    async def _fetch(
        self,
        session: AsyncSession,
        stmt: Any,
        size: int,
        cursor: str | None,
        secret: bytes,
    ) -> Page[Row[Any]]:
        if size < 1:
            raise ValueError(f"a page of {size} rows: ask for 1 or more")
        dialect = session.get_bind().dialect.name
        binding = dialect.encode() + self.name + statement_fingerprint(stmt)
        start = Cursor((), backward=cursor == LAST)
        if cursor is not None and cursor != LAST:
            start = decode_cursor(cursor, binding=binding, secret=secret)

        def mint(values: Sequence[Any], *, onward: bool, **hints: Any) -> str:
            backward = start.backward if onward else not start.backward
            place = Cursor(values, backward=backward, **hints)
            return encode_cursor(place, binding=binding, secret=secret)

        # The row at the cursor, if it is still there; the page; one row more.
        reader = self.reader
        found = await reader.read(session, stmt, start, size + 2)
        shown = bool(start.values) and not start.inclusive
        seen = bool(found) and shown and reader.is_at(found[0], start)
        page = found[seen:][:size]
        onward = back = None
        if len(found) - seen > size:
            last = reader.place(page[-1])
            tied = _tied(reader.place(found[0]), last)
            onward = mint(last, onward=True, tied=tied)
        if seen or await reader.is_any_behind(session, stmt, start):
            # From an empty page the way back begins with the cursor's own row.
            first = reader.place(page[0]) if page else start.values
            tied = _tied(first, reader.place(found[-1])) if page else 0
            back = mint(first, onward=False, inclusive=not page, tied=tied)
        if start.backward:
            return Page(page[::-1], back, onward)
        return Page(page, onward, back)


def _tied(first: Sequence[Any], last: Sequence[Any]) -> int:
    """Count the leading values that two rows share; one row tells nothing."""
    same = len(list(takewhile(bool, map(eq, first, last))))
    return same if same < len(first) else 0
