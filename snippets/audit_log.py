"""A log of who changed which row when, from what to what, in the same transaction.

Not seen: UPDATE and DELETE of many rows, SQL text, other programs. Log those with a
trigger of the database, or write an `AuditEntry` beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from sqlalchemy import Index, insert
from sqlalchemy.event import listens_for
from sqlalchemy.orm import Mapped, Session, UOWTransaction, object_mapper
from sqlalchemy.orm.attributes import get_history

from .audit_columns import CreatedBy
from .base import Base
from .json_column import JsonDict
from .primary_key import BigKey
from .timestamps import CreatedAt


class Audited:
    """Mix this into a model whose changes are logged."""

    not_logged: ClassVar[frozenset[str]] = frozenset()
    """Columns whose values stay out of the log: password hashes and the like."""


class AuditEntry(Base):
    __tablename__ = "audit_entry"

    id: Mapped[BigKey]
    at: Mapped[CreatedAt]
    actor: Mapped[CreatedBy]
    action: Mapped[str]
    table: Mapped[str]
    key: Mapped[str]
    changes: Mapped[JsonDict]
    """`{"title": ["old", "new"]}`, as text where JSON has no such type."""

    __table_args__ = (Index(None, "table", "key", "id"),)


# Keys that the database generates are known, and the old values still are.
@listens_for(Session, "after_flush")
def log_changes(session: Session, context: UOWTransaction) -> None:
    if rows := list(_entries(session)):
        session.execute(insert(AuditEntry), rows)


def _entries(session: Session) -> Iterator[dict[str, Any]]:
    for action, changed in (
        ("insert", session.new),
        ("update", session.dirty),
        ("delete", session.deleted),
    ):
        for row in changed:
            if isinstance(row, Audited) and (changes := _changes(row, action)):
                mapper = object_mapper(row)
                key = mapper.primary_key_from_instance(row)
                yield {
                    "action": action,
                    "table": str(mapper.local_table),
                    "key": ",".join(map(str, key)),
                    "changes": changes,
                }


def _changes(row: Audited, action: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for attribute in object_mapper(row).column_attrs:
        if attribute.key in row.not_logged:
            continue
        history = get_history(row, attribute.key)
        old, new = [*history.deleted], [*history.added]
        if action == "delete":
            old += history.unchanged
        if old or new:
            found[attribute.key] = [
                _plain((old or [None])[0]),
                _plain((new or [None])[0]),
            ]
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else str(value)
