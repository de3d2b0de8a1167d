"""Change a table while requests read and write it: for use in a revision.

    def upgrade() -> None:
        set_not_null("parcel", "weight")

On PostgreSQL no lock that stops readers or writers is held while rows are scanned.
Each step commits by itself, so the call stands alone in its revision; a revision that
was killed halfway runs again from its beginning. On SQLite the same call makes the
table anew, in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op

from .online_step import (
    drop_constraint,
    literal,
    lock,
    on_postgresql,
    own_transactions,
    quoted,
    validate,
)


def add_check(name: str, table: str, condition: str) -> None:
    """Add a CHECK constraint; rows that break it fail the validation."""
    with own_transactions():
        drop_constraint(table, name)
        with op.batch_alter_table(table) as batch:
            batch.create_check_constraint(
                op.f(name), condition, postgresql_not_valid=True
            )
        validate(table, name)


def add_foreign_key(
    name: str,
    table: str,
    referred: str,
    columns: Sequence[str],
    referred_columns: Sequence[str],
    **options: Any,
) -> None:
    """Add a foreign key, as `op.create_foreign_key` does; index its columns first."""
    with own_transactions():
        drop_constraint(table, name)
    lock(referred, "SHARE ROW EXCLUSIVE", options.get("referent_schema"))
    with op.batch_alter_table(table) as batch:
        batch.create_foreign_key(
            op.f(name),
            referred,
            list(columns),
            list(referred_columns),
            postgresql_not_valid=True,
            **options,
        )
    with own_transactions():
        validate(table, name)


def set_not_null(table: str, column: str) -> None:
    """Forbid NULL; fill the column first.

    A valid CHECK spares SET NOT NULL its scan.
    https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL
    """
    check = f"{table}_{column}_not_null"[:63]
    if on_postgresql():
        add_check(check, table, f"{quoted(column)} IS NOT NULL")
    with op.batch_alter_table(table) as batch:
        batch.alter_column(column, nullable=False)
    drop_constraint(table, check)


def add_enum_value(enum: str, value: str) -> None:
    """Add a value to a native enum; revisions after this one may use it.

    On SQLite such an enum is text. `online_enum` changes one with a CHECK.
    """
    if on_postgresql():
        with own_transactions():
            op.execute(
                f"ALTER TYPE {quoted(enum)} ADD VALUE IF NOT EXISTS {literal(value)}"
            )
