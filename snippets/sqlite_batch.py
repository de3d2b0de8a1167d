"""Batch mode on SQLite that loses nothing: child rows, triggers, indexes, rules.

SQLite changes a constraint only by making the table anew. Alembic then copies the
rows and drops the old table, and with that goes what it did not see.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SAWarning

from .sqlite_recreate import keep_what_is_lost


@contextmanager
def foreign_keys_off(connection: Connection) -> Generator[None, None, None]:
    """Switch the enforcement of foreign keys off, and back to what it was.

    With it, the DROP TABLE of a recreated table deletes the rows of its children
    (`ON DELETE CASCADE`). Inside a transaction the PRAGMA does nothing, without an
    error. https://www.sqlite.org/foreignkeys.html#fk_enable
    """
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys")
    (before,) = cursor.fetchone() or (0,)
    cursor.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        cursor.execute(f"PRAGMA foreign_keys = {before}")
        cursor.close()


def orphans(connection: Connection) -> Counter[tuple[str, str]]:
    """Count, for each table and parent, the rows whose parent does not exist."""
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return Counter((str(row[0]), str(row[2])) for row in rows)


@contextmanager
def safe_batch(connection: Connection) -> Generator[dict[str, Any], None, None]:
    """Guard the migrations of the block; yields options of `context.configure`.

    A revision fails, and is rolled back, if it would leave a row without its parent
    or lose what cannot be restored. Any other database needs no guard.

    Raises:
        CommandError: with what would be lost, and what to do.
    """
    if connection.dialect.name != "sqlite":
        yield {}
        return
    with (
        foreign_keys_off(connection),
        keep_what_is_lost(connection),
        warnings.catch_warnings(),
    ):
        before = orphans(connection)
        connection.commit()
        # What these warn of, keep_what_is_lost restores or refuses.
        warnings.filterwarnings("ignore", "Unnamed CHECK constraint", UserWarning)
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", SAWarning)

        def refuse_orphans(**run: Any) -> None:
            if made := orphans(connection) - before:
                (table, parent), number = made.most_common(1)[0]
                raise CommandError(
                    f"revision {run['step'].up_revision_id} leaves {number} rows of"
                    f" {table} without their row in {parent}: move or delete them"
                    " in the revision first"
                )

        yield {"on_version_apply": refuse_orphans}
