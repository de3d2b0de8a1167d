"""Build an index while requests read and write its table: for use in a revision.

    def upgrade() -> None:
        create_index("ix_parcel_weight", "parcel", ["weight"])

The call stands alone in its revision. It may run again after a failure or a kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op
from sqlalchemy import TextClause

from .online_step import (
    drop_constraint,
    on_postgresql,
    own_transactions,
    quoted,
    unlimited,
)


def create_index(
    name: str,
    table: str,
    columns: Sequence[str | TextClause],
    *,
    unique: bool = False,
    **options: Any,
) -> None:
    """Create an index, as `op.create_index` does.

    What a failed build left is dropped first: an INVALID index of that name, which
    `IF NOT EXISTS` would accept, and which enforces nothing.
    https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
    """
    with own_transactions():
        _build(name, table, columns, unique, options)


def drop_index(name: str) -> None:
    """Drop an index, if it is there."""
    with own_transactions(), unlimited("lock_timeout", "statement_timeout"):
        _drop(name)


def add_unique(name: str, table: str, columns: Sequence[str]) -> None:
    """Add a UNIQUE constraint; duplicates fail it and leave nothing that counts."""
    if not on_postgresql():
        with op.batch_alter_table(table) as batch:
            batch.create_unique_constraint(op.f(name), list(columns))
        return
    with own_transactions():
        drop_constraint(table, name)
        _build(name, table, columns, True, {})
        op.execute(
            f"ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)}"
            f" UNIQUE USING INDEX {quoted(name)}"
        )


def _build(
    name: str,
    table: str,
    columns: Sequence[str | TextClause],
    unique: bool,
    options: dict[str, Any],
) -> None:
    with unlimited("lock_timeout", "statement_timeout"):
        _drop(name)
        op.create_index(
            name,
            table,
            columns,
            unique=unique,
            postgresql_concurrently=True,
            **options,
        )


def _drop(name: str) -> None:
    concurrently = "CONCURRENTLY " if on_postgresql() else ""
    op.execute(f"DROP INDEX {concurrently}IF EXISTS {quoted(name)}")
