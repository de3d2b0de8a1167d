"""Soft delete: rows are marked, and no ORM statement sees them unless it asks.

    note.mark_deleted()                                    # and note.restore()
    select(Note).execution_options(include_deleted=True)   # see marked rows, too

Not hidden from: SQL text, `select(Note.__table__)`, an object that the session holds
(`session.get` and `refresh` of it), the database's own foreign keys. On SQLAlchemy 2.0
also `Parent.children.any()` and an `exists()` alone: say `~Child.is_deleted` there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, false, not_
from sqlalchemy.event import listens_for
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    Mapped,
    ORMExecuteState,
    Session,
    mapped_column,
    with_loader_criteria,
)
from sqlalchemy.sql.base import ExecutableOption

from .base import UtcDateTime


class SoftDeletable:
    """What the filter looks at. `SoftDelete` is the usual one; a model with a flag of
    its own overrides `is_deleted` and `is_deleted_in_sql`."""

    @hybrid_property
    def is_deleted(self) -> bool:
        return False

    @is_deleted.inplace.expression
    @classmethod
    def is_deleted_in_sql(cls) -> ColumnElement[bool]:
        return false()


class HasDeletedAt(SoftDeletable):
    """What has a column `deleted_at`: mix this in where you declare it yourself."""

    deleted_at: Any

    @hybrid_property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    @is_deleted.inplace.expression
    @classmethod
    def is_deleted_in_sql(cls) -> ColumnElement[bool]:
        deleted: ColumnElement[bool] = cls.deleted_at.is_not(None)
        return deleted

    def mark_deleted(self) -> None:
        """Delete the row at the next flush; a row that is deleted keeps its time."""
        self.deleted_at = self.deleted_at or datetime.now(UTC)

    def restore(self) -> None:
        self.deleted_at = None


class SoftDelete(HasDeletedAt):
    """Mix this into a model. What is unique is unique among live rows:

    Index("uq_user_email", "email", unique=True,
          postgresql_where=text("deleted_at IS NULL"),
          sqlite_where=text("deleted_at IS NULL"))
    """

    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@cache
def live_rows() -> ExecutableOption:
    return with_loader_criteria(
        SoftDeletable, lambda cls: not_(cls.is_deleted), include_aliases=True
    )


# On every session of the process: a factory that was forgotten would show the rows.
# https://docs.sqlalchemy.org/en/20/orm/session_events.html#adding-global-where-on-criteria
@listens_for(Session, "do_orm_execute")
def hide_deleted(state: ORMExecuteState) -> None:
    if state.is_relationship_load and state.lazy_loaded_from is None:
        # An eager load carries the criteria of its query. On SQLAlchemy 2.0 any
        # listener of this event lets `yield_per` leak into it, which it refuses.
        state.update_execution_options(yield_per=None)
    elif not (state.is_column_load or state.execution_options.get("include_deleted")):
        state.statement = state.statement.options(live_rows())
