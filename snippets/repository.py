"""Writes of one model on top of its reads. It flushes, and never commits.

class Notes(Repository[Note]):
    model = Note

note = await notes.create(new, owner_id=user.id)   # `new` is a Pydantic schema
await notes.update(note, patch)                    # fields that were not sent stay
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import CursorResult, Delete, Update, delete, update
from sqlalchemy.orm import class_mapper

from .base_query import Condition, M
from .domain_error import UnknownField
from .read_repository import ReadRepository


class Schema(Protocol):
    """A Pydantic model, or a SQLModel that is no table."""

    def model_dump(self, *, exclude_unset: bool = False) -> dict[str, Any]: ...


Values = Mapping[str, Any] | Schema


class Repository(ReadRepository[M]):
    """Rows in, rows out, in the caller's transaction.

    A constraint that a write breaks raises `IntegrityError`, and the transaction is
    over: put the write into `savepoint` (of `database_error`) to go on after it.
    """

    async def add(self, row: M) -> M:
        """Insert a row; its generated values can be read afterwards."""
        self.session.add(row)
        await self.session.flush()
        return row

    async def add_many(self, rows: Iterable[M]) -> Sequence[M]:
        """Insert rows, in batches where the keys allow it."""
        added = list(rows)
        self.session.add_all(added)
        await self.session.flush()
        return added

    async def create(self, values: Values, **overrides: Any) -> M:
        """Insert a row from a schema or a mapping; `overrides` are the server's own.

        Raises:
            UnknownField: the model has no such attribute.
        """
        sent = values if isinstance(values, Mapping) else values.model_dump()
        return await self.add(self.model(**self._known({**sent, **overrides})))

    async def update(self, row: M, values: Values, **overrides: Any) -> M:
        """Change what `values` sets. A field that the client did not send stays;
        one that it sent as null becomes NULL.

        Raises:
            UnknownField: the model has no such attribute; nothing has changed.
        """
        for name, value in self._known({**_sent(values), **overrides}).items():
            setattr(row, name, value)
        await self.session.flush()
        return row

    async def update_where(
        self, values: Values, where: Condition, *more: Condition
    ) -> int:
        """Change all visible rows that fulfil the conditions; return how many.

        One statement. `true()` as the condition means all rows.

        Raises:
            UnknownField: the model has no such attribute; nothing has changed.
        """
        known = self._known(_sent(values))
        if not known:
            return 0
        stmt = update(self.model).where(where, *more, *self.visible())
        return await self._affected(stmt.values(known))

    async def delete(self, row: M) -> None:
        """Delete a row, and what its relationships cascade to."""
        await self.session.delete(row)
        await self.session.flush()

    async def delete_where(self, where: Condition, *more: Condition) -> int:
        """Delete all visible rows that fulfil the conditions; return how many.

        One statement: children go only if the foreign key says ON DELETE CASCADE.
        """
        stmt = delete(self.model).where(where, *more, *self.visible())
        return await self._affected(stmt)

    async def _affected(self, stmt: Update | Delete) -> int:
        result = await self.session.execute(stmt)
        assert isinstance(result, CursorResult)
        return result.rowcount

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        # setattr would take any name, and a misspelt one would be lost.
        if unknown := values.keys() - class_mapper(self.model).attrs.keys():
            raise UnknownField(sorted(unknown))
        return dict(values)


def _sent(values: Values) -> Mapping[str, Any]:
    if isinstance(values, Mapping):
        return values
    return values.model_dump(exclude_unset=True)
