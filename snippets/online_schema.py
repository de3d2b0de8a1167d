"""Change a table while requests read and write it: for use in a revision.

    def upgrade() -> None:
        set_not_null("parcel", "weight", sa.Integer())

On PostgreSQL no lock that stops readers or writers is held while rows are scanned.
Each step commits by itself, so the call stands alone in its revision; a revision that
was killed halfway runs again from its beginning. On SQLite the same call makes the
table anew, in one transaction.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic import op
from sqlalchemy import TextClause
from sqlalchemy.types import TypeEngine


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
    with _steps():
        _build(name, table, columns, unique, options)


def drop_index(name: str) -> None:
    """Drop an index, if it is there."""
    with _steps(), _unlimited("lock_timeout", "statement_timeout"):
        _drop(name)


def add_unique(name: str, table: str, columns: Sequence[str]) -> None:
    """Add a UNIQUE constraint; duplicates fail it and leave nothing that counts."""
    if not _postgresql():
        with op.batch_alter_table(table) as batch:
            batch.create_unique_constraint(op.f(name), list(columns))
        return
    with _steps():
        _drop_constraint(table, name)
        _build(name, table, columns, True, {})
        op.execute(
            f"ALTER TABLE {_quote(table)} ADD CONSTRAINT {_quote(name)}"
            f" UNIQUE USING INDEX {_quote(name)}"
        )


def add_check(name: str, table: str, condition: str) -> None:
    """Add a CHECK constraint; rows that break it fail the validation."""
    with _steps():
        _drop_constraint(table, name)
        with op.batch_alter_table(table) as batch:
            batch.create_check_constraint(
                op.f(name), condition, postgresql_not_valid=True
            )
        _validate(table, name)


def add_foreign_key(
    name: str,
    table: str,
    referred: str,
    columns: Sequence[str],
    referred_columns: Sequence[str],
    **options: Any,
) -> None:
    """Add a foreign key, as `op.create_foreign_key` does; index its columns first."""
    with _steps():
        _drop_constraint(table, name)
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(
                op.f(name),
                referred,
                list(columns),
                list(referred_columns),
                postgresql_not_valid=True,
                **options,
            )
        _validate(table, name)


def set_not_null(table: str, column: str, existing_type: TypeEngine[Any]) -> None:
    """Forbid NULL; fill the column first.

    A valid CHECK spares SET NOT NULL its scan.
    https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL
    """
    check = f"{table}_{column}_not_null"[:63]
    if _postgresql():
        add_check(check, table, f"{_quote(column)} IS NOT NULL")
    with op.batch_alter_table(table) as batch:
        batch.alter_column(column, nullable=False, existing_type=existing_type)
    _drop_constraint(table, check)


def add_enum_value(enum: str, value: str) -> None:
    """Add a value to a native enum; revisions after this one may use it.

    On SQLite an enum is text, and a CHECK, if there is one, is changed by
    `op.batch_alter_table`.
    """
    if _postgresql():
        quoted = value.replace("'", "''")
        with _steps():
            op.execute(f"ALTER TYPE {_quote(enum)} ADD VALUE IF NOT EXISTS '{quoted}'")


@contextmanager
def _steps() -> Generator[None, None, None]:
    """Let each statement of the block commit by itself, where that is an advantage."""
    if not _postgresql():
        yield
        return
    with op.get_context().autocommit_block():
        yield


@contextmanager
def _unlimited(*settings: str) -> Generator[None, None, None]:
    """Give a statement that stops nobody all the time that it needs.

    The build of an index waits for older transactions, which `lock_timeout` would
    cancel, leaving an INVALID index.
    """
    if not _postgresql():
        yield
        return
    for setting in settings:
        op.execute(f"SET {setting} = 0")
    try:
        yield
    finally:
        for setting in settings:
            op.execute(f"RESET {setting}")


def _build(
    name: str,
    table: str,
    columns: Sequence[str | TextClause],
    unique: bool,
    options: dict[str, Any],
) -> None:
    with _unlimited("lock_timeout", "statement_timeout"):
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
    concurrently = "CONCURRENTLY " if _postgresql() else ""
    op.execute(f"DROP INDEX {concurrently}IF EXISTS {_quote(name)}")


def _drop_constraint(table: str, name: str) -> None:
    if _postgresql():
        op.execute(
            f"ALTER TABLE {_quote(table)} DROP CONSTRAINT IF EXISTS {_quote(name)}"
        )


def _validate(table: str, name: str) -> None:
    if _postgresql():
        with _unlimited("statement_timeout"):
            op.execute(
                f"ALTER TABLE {_quote(table)} VALIDATE CONSTRAINT {_quote(name)}"
            )


def _postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _quote(name: str) -> str:
    return op.get_context().dialect.identifier_preparer.quote(name)
