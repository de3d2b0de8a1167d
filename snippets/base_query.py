"""What a repository stands on: its model, its session, and one base query.

class Notes(BaseQuery[Note]):
    model = Note

    def visible(self) -> Sequence[Condition]:
        return (Note.tenant_id == self.tenant_id,)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, ColumnExpressionArgument, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import class_mapper
from sqlalchemy.sql.base import ExecutableOption

M = TypeVar("M", bound=object)
Condition = ColumnExpressionArgument[bool]
Order = Iterable[ColumnExpressionArgument[Any]]
Options = Iterable[ExecutableOption]


class BaseQuery(Generic[M]):
    """Subclass it with the model. Nothing here commits."""

    model: type[M]

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def visible(self) -> Sequence[Condition]:
        """Return the conditions that every statement carries, writes included."""
        return ()

    def query(self) -> Select[Any]:
        """Return the base of every read; override it for default loader options."""
        return select(self.model).where(*self.visible())

    def key(self) -> ColumnElement[Any]:
        """Return the primary key as one expression, a row value if it is composite."""
        columns = class_mapper(self.model).primary_key
        return columns[0] if len(columns) == 1 else tuple_(*columns)

    def ident(self, row: M) -> Any:
        """Return the primary key of a row, a tuple if it is composite."""
        values = class_mapper(self.model).primary_key_from_instance(row)
        return values[0] if len(values) == 1 else tuple(values)
