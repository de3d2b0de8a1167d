"""What bulk writes know of a table: its columns, their defaults and their types.

A row's keys are the attributes of a mapped class (SQLModel too), or the keys of a Core
table. A batch is worked on column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table
from sqlalchemy.orm import class_mapper

from .bulk_rows import ABSENT, BadRow, Gaps, Row, Values


@dataclass
class Target:
    """A table, its columns by the keys of rows, what every row has, the version."""

    table: Table
    columns: dict[str, Column[Any]]
    fixed: dict[str, Any]
    version: ColumnElement[Any] | None = None

    @classmethod
    def of(cls, model: type[Any] | Table) -> Target:
        if isinstance(model, Table):
            return cls(model, dict(model.columns), {})
        mapper = class_mapper(model)
        table: Any = mapper.local_table
        if len(mapper.tables) != 1:
            raise ValueError(
                f"{model.__name__} has several tables: pass them one after the other"
            )
        found = {attr.key: attr.columns[0] for attr in mapper.column_attrs}
        columns = {key: c for key, c in found.items() if isinstance(c, Column)}
        fixed: dict[str, Any] = {}
        if mapper.polymorphic_on is not None:
            kind = mapper.get_property_by_column(mapper.polymorphic_on)
            fixed[kind.key] = mapper.polymorphic_identity
        if mapper.version_id_col is not None and mapper.version_id_generator:
            version = mapper.get_property_by_column(mapper.version_id_col)
            fixed[version.key] = mapper.version_id_generator(None)
        return cls(table, columns, fixed, mapper.version_id_col)

    @property
    def primary_key(self) -> list[str]:
        return [key for key, column in self.columns.items() if column.primary_key]

    def collect(self, rows: Sequence[Row], first: int) -> Values:
        """Return what the rows give, as columns. A key that some rows lack is their
        default or NULL.

        Raises:
            BadRow: it has a key that is no column; or it lacks one that others have
                and that only the server, or nobody, has a value for.
        """
        keys = dict.fromkeys(rows[0])
        if max(map(len, rows)) == len(keys):
            with suppress(KeyError):  # they have the same keys, most likely
                given = {key: [row[key] for row in rows] for key in keys}
                self._check(keys, first)
                return given
        for number, row in enumerate(rows, first):
            self._check(row, number)
            keys.update(dict.fromkeys(row))
        return {
            key: Gaps(
                row[key] if key in row else self._missing(key, row, number)
                for number, row in enumerate(rows, first)
            )
            for key in keys
        }

    def _check(self, row: Iterable[str], number: int) -> None:
        for key in row:
            if key not in self.columns:
                raise BadRow(number, "there is no such column", key)

    def _missing(self, key: str, row: Row, number: int) -> Any:
        column = self.columns[key]
        if default := self._default(column):
            return default(row)
        server = column.server_default or column.default
        if server is not None or not column.nullable:
            raise BadRow(number, "it lacks what other rows have", key)
        return ABSENT

    def complete(self, given: Values, rows: Sequence[Row]) -> None:
        """Add the columns that are not given and have a default in Python."""
        for key, value in self.fixed.items():
            given.setdefault(key, [value] * len(rows))
        for key, column in self.columns.items():
            if key not in given and (default := self._default(column)):
                given[key] = [default(row) for row in rows]

    def _default(self, column: Column[Any]) -> Callable[[Row], Any] | None:
        default: Any = column.default
        if default is None:
            return None
        if default.is_scalar:
            return lambda row: default.arg
        if default.is_callable:
            return lambda row: default.arg(Context(row, self.columns))
        return None


@dataclass
class Context:
    """What a default asks: `lambda context: context.get_current_parameters()["x"]`."""

    row: Row
    columns: dict[str, Column[Any]]

    def get_current_parameters(self) -> dict[str, Any]:
        return {self.columns[key].key: value for key, value in self.row.items()}
