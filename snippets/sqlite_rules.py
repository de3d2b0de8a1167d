"""Hold a SQLite table that was made anew against the old one: nothing may be lost."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any

from alembic.util import CommandError

CHECK = re.compile(r"\bCHECK\s*\(", re.IGNORECASE)
NAMED_CHECK = re.compile(r'\bCONSTRAINT\s+("[^"]+"|\w+)\s+CHECK\b', re.IGNORECASE)
UPDATE_OF = re.compile(r"\bUPDATE OF (.+?)\s+ON\b", re.IGNORECASE | re.DOTALL)
# Words of CREATE TABLE that reflection does not see; SQLAlchemy 2.1 sees the last two.
INVISIBLE = ("COLLATE", "ON CONFLICT", "AUTOINCREMENT", " STRICT", "WITHOUT ROWID")
# It sees DEFERRABLE in a clause of its own, and not at a column.
FOREIGN_KEY = re.compile(r"\bFOREIGN KEY ?\([^)]*\) REFERENCES\b")


def refuse_lost_rules(table: str, old: str, new: str) -> None:
    """Compare two CREATE TABLE statements of `table`.

    Raises:
        CommandError: a word, or a CHECK without a name, is missing from the new one.
    """
    was, now = (" ".join(sql.upper().split()) for sql in (old, new))
    at_column = "REFERENCES" in FOREIGN_KEY.sub("", old.upper())
    for word in (*INVISIBLE, *(["DEFERRABLE"] if at_column else [])):
        if now.count(word) < was.count(word):
            raise CommandError(
                f"batch mode would lose {word.strip()} of table {table}: make the new"
                " table by hand in the revision, and copy the rows"
            )
    unnamed = len(CHECK.findall(old)) - len(NAMED_CHECK.findall(old))
    kept = set(NAMED_CHECK.findall(old)) & set(NAMED_CHECK.findall(new))
    if unnamed > len(CHECK.findall(new)) - len(kept):
        raise CommandError(
            f"batch mode would lose a CHECK without a name of table {table}: repeat"
            " it, with a name, in batch_alter_table(..., table_args=...)"
        )


def restore_dependents(
    run: Callable[..., list[Any]], table: str, lost: dict[str, str]
) -> None:
    """Make the triggers and indexes in `lost` anew, and try what uses the table.

    `run(sql, *values)` executes a statement and returns its rows.

    Raises:
        CommandError: one of them, or a view, needs what the new table has not.
    """

    def attempt(sql: str, name: str) -> None:
        try:
            run(sql)
        except sqlite3.Error as exc:
            raise CommandError(
                f"{name} needs what this revision takes away from table {table}"
                f" ({exc}): drop it before the batch, and create it anew after"
            ) from None

    for name, sql in lost.items():
        attempt(sql, name)
        if of := UPDATE_OF.search(sql):
            attempt(f'EXPLAIN SELECT {of[1]} FROM "{table}"', name)
    columns = run("SELECT name FROM pragma_table_info(?)", table)
    same = ", ".join(f'"{column}" = "{column}"' for (column,) in columns)
    attempt(f'EXPLAIN UPDATE "{table}" SET {same}', "a trigger")
    attempt(f'EXPLAIN INSERT INTO "{table}" DEFAULT VALUES', "a trigger")
    for (view,) in run("SELECT name FROM sqlite_master WHERE type = 'view'"):
        attempt(f'EXPLAIN SELECT * FROM "{view}"', view)
