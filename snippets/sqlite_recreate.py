"""Keep what SQLite loses when Alembic makes a table anew (batch mode).

Alembic creates the new table from what it could reflect, copies the rows, drops the
old table and renames. Reflection does not see triggers, indexes on expressions, the
order and collation of an index, and some words of CREATE TABLE.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from .sqlite_rules import refuse_lost_rules, restore_dependents
from .sqlite_unseen import UnseenRules

NEW = re.compile(r'\s*CREATE TABLE "?_alembic_tmp_', re.IGNORECASE)
DROP = re.compile(r'\s*DROP TABLE "?([^"\s]+)"?', re.IGNORECASE)
RENAME = re.compile(r'\s*ALTER TABLE "?_alembic_tmp_', re.IGNORECASE)
INDEX = re.compile(r'\s*CREATE (?:UNIQUE )?INDEX "?([^"\s]+)', re.IGNORECASE)


@contextmanager
def keep_what_is_lost(connection: Connection) -> Generator[None, None, None]:
    """Restore, after each table that is made anew, what it had.

    Triggers and indexes come back as they were. What cannot come back stops the
    revision, and rolls it back.

    Raises:
        CommandError: what would be lost, or needs what the revision took away.
    """
    recreate = Recreate(connection)
    event.listen(connection, "before_cursor_execute", recreate.before, retval=True)
    event.listen(connection, "after_cursor_execute", recreate.after)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", recreate.before)
        event.remove(connection, "after_cursor_execute", recreate.after)


class Recreate:
    """What the table had that is being made anew."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.making = False
        self.unseen: dict[str, str] = {}  # triggers, and indexes on expressions
        self.indexes: dict[str, str] = {}

    def before(
        self, _c: Any, cursor: Any, sql: str, args: Any, _x: Any, _m: bool
    ) -> tuple[str, Any]:
        if NEW.match(sql):
            self.making = True
            # With it, a view on the table does not stop the renaming.
            self._run("PRAGMA legacy_alter_table = ON")
        elif self.making and (drop := DROP.match(sql)):
            self._remember(drop[1])
        elif index := INDEX.match(sql):
            old = self.indexes.pop(index[1], "")
            if _columns(old) == _columns(sql):
                return old, args
        return sql, args

    def after(
        self, _c: Any, cursor: Any, sql: str, args: Any, _x: Any, _m: bool
    ) -> None:
        if RENAME.match(sql):
            self.making = False
            self._run("PRAGMA legacy_alter_table = OFF")
            self._restore()

    def _remember(self, table: str) -> None:
        self.table, self.unseen, self.indexes = table, {}, {}
        self.rules = UnseenRules(self._run, self.connection, table)
        rows = self._run(
            "SELECT type, name, sql FROM sqlite_master"
            " WHERE tbl_name = ? AND sql IS NOT NULL",
            table,
        )
        for kind, name, sql in rows:
            if kind == "table":
                self.sql = sql
            elif kind == "trigger" or (None,) in self._run(
                "SELECT name FROM pragma_index_info(?)", name
            ):
                self.unseen[name] = sql
            else:
                self.indexes[name] = sql

    def _restore(self) -> None:
        ((sql,),) = self._run(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?",
            self.table,
        )
        refuse_lost_rules(self.table, self.sql, sql)
        self.rules.refuse_loss()
        restore_dependents(self._run, self.table, self.unseen)

    def _run(self, sql: str, *args: str) -> list[Any]:
        """Run `sql` below the events, which would see it."""
        cursor = self.connection.connection.cursor()
        try:
            cursor.execute(sql, args)
            return list(cursor.fetchall())
        finally:
            cursor.close()


def _columns(index: str) -> str:
    """Return the columns of a CREATE INDEX, without the order and the collation."""
    bare = re.sub(r"(?i)\b(DESC|ASC|COLLATE\s+\w+)\b", "", index.partition(" ON ")[2])
    return re.sub(r'[\s"]', "", bare).lower()
