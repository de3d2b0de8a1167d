"""Move the rows of a temporary table into another: new ones in, known ones changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Boolean,
    Cast,
    ColumnElement,
    CursorResult,
    Dialect,
    String,
    TableClause,
    Text,
    TextClause,
    and_,
    collate,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from .bulk_rows import unwrapped
from .bulk_target import Context, Target

Upsert = TypeVar("Upsert", postgresql.Insert, sqlite.Insert)


@dataclass
class Merge:
    """What is to become of the rows of `stage`, whose columns are called `names`."""

    target: Target
    stage: TableClause
    names: Sequence[str]
    key: Sequence[str]
    changed: Sequence[str]
    index_where: ColumnElement[bool] | TextClause | None

    async def run(self, connection: AsyncConnection) -> tuple[int, int]:
        """Return how many rows are new, and how many were changed."""
        table, columns = self.target.table, self.target.columns
        source = dict(zip(self.names, self.stage.columns, strict=True))
        # Without a condition SQLite would take ON CONFLICT for that of a join.
        rows = select(*self.stage.columns).where(true())
        into = [columns[name] for name in self.names]
        count = func.count
        if (dialect := connection.dialect).name == "postgresql":
            # In one order: two of these wait for each other, and do not deadlock.
            rows = rows.order_by(*(_order(source[name], dialect) for name in self.key))
            copied = postgresql.insert(table).from_select(into, rows)
            stmt = self._upsert(copied, dialect)
            # A row that was there is locked by this transaction when it is changed.
            new = literal_column("xmax = 0", Boolean()).label("new")
            merged = stmt.returning(new).cte("merged").columns.new
            counts = select(count().filter(merged), count().filter(not_(merged)))
            inserted, updated = (await connection.execute(counts)).one()
            return inserted, updated
        # The transaction has the write lock: what is there now is there then.
        same = [columns[name] == source[name] for name in self.key]
        where = true() if self.index_where is None else self.index_where
        both = self.stage.outerjoin(table, and_(*same, where))
        counts = select(count(), count(columns[self.key[0]])).select_from(both)
        number, known = (await connection.execute(counts)).one()
        upsert = self._upsert(sqlite.insert(table).from_select(into, rows), dialect)
        result = await connection.execute(upsert)
        assert isinstance(result, CursorResult)
        return number - known, result.rowcount - (number - known)

    def _upsert(self, stmt: Upsert, dialect: Dialect) -> Upsert:
        columns = self.target.columns
        index: dict[str, Any] = {
            "index_elements": [columns[name] for name in self.key],
            "index_where": self.index_where,
        }
        if not self.changed:
            return stmt.on_conflict_do_nothing(**index)
        new = {columns[k]: stmt.excluded[columns[k].key] for k in self.changed}
        plain = [(_plain(old, dialect), _plain(new[old], dialect)) for old in new]
        values: dict[Any, Any] = {**self._touched(), **new}
        return stmt.on_conflict_do_update(
            **index,
            set_=values,
            where=or_(*(old.is_distinct_from(given) for old, given in plain)),
        )

    def _touched(self) -> dict[Any, Any]:
        """What a change changes besides: an upsert is an INSERT, so `onupdate` does
        not reach it."""
        touched: dict[Any, Any] = {}
        for column in self.target.columns.values():
            if column.onupdate is not None:
                value: Any = column.onupdate
                context = Context({}, self.target.columns)
                touched[column] = value.arg(context) if value.is_callable else value.arg
        if (version := self.target.version) is not None:
            touched[version] = version + 1
        return touched


def _order(column: ColumnElement[Any], dialect: Dialect) -> ColumnElement[Any]:
    """The order of text is that of its bytes: a language's takes much longer."""
    if isinstance(unwrapped(column.type, dialect), String):
        return collate(Cast(column, Text()), "C")
    return column


def _plain(column: ColumnElement[Any], dialect: Dialect) -> ColumnElement[Any]:
    """PostgreSQL cannot compare JSON, but its text."""
    kind = unwrapped(column.type, dialect)
    return Cast(column, Text()) if isinstance(kind, JSON) else column
