"""What SQLAlchemy does not see of a SQLite table: some UNIQUEs, some ON DELETEs.

It reads the text of CREATE TABLE, and misses the UNIQUE of `code VARCHAR(9) UNIQUE`,
and what follows the REFERENCES of a column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, inspect

# What it says, and its columns.
Rule = tuple[str, tuple[str, ...]]


class UnseenRules:
    """The rules of `table` that are lost when Alembic makes it anew.

    `run(sql, *values)` executes a statement and returns its rows.
    """

    def __init__(
        self, run: Callable[..., list[Any]], connection: Connection, table: str
    ) -> None:
        self.run, self.table = run, table
        self.columns = self._columns()
        self.rules = self._all() - _reflected(connection, table)

    def refuse_loss(self) -> None:
        """Look for them in the new table, which has the name of the old one.

        Raises:
            CommandError: one of them is missing, and its columns are not.
        """
        columns = self._columns()
        for rule, names in sorted(self.rules - self._all()):
            if len(columns) < len(self.columns) and not set(names) <= columns:
                continue  # the column was dropped
            raise CommandError(
                f"batch mode would lose {rule} of {', '.join(names)} of table"
                f" {self.table}: repeat it in the batch (create_unique_constraint; for"
                " a foreign key, a naming_convention, by which you drop it, and"
                " create_foreign_key)"
            )

    def _columns(self) -> set[str]:
        rows = self.run("SELECT name FROM pragma_table_info(?)", self.table)
        return {name for (name,) in rows}

    def _all(self) -> set[Rule]:
        """Return what SQLite itself says."""
        found: set[Rule] = set()
        unique = "SELECT name FROM pragma_index_list(?) WHERE origin = 'u'"
        for (index,) in self.run(unique, self.table):
            rows = self.run("SELECT name FROM pragma_index_info(?)", index)
            found.add(("UNIQUE", tuple(name for (name,) in rows)))
        keys = 'SELECT "from", on_delete, on_update FROM pragma_foreign_key_list(?)'
        for column, delete, update in self.run(keys, self.table):
            actions = f"ON DELETE {delete}", f"ON UPDATE {update}"
            found |= {(rule, (column,)) for rule in actions if "NO ACTION" not in rule}
        return found


def _reflected(connection: Connection, table: str) -> set[Rule]:
    inspector = inspect(connection)
    uniques = inspector.get_unique_constraints(table)
    found: set[Rule] = {
        ("UNIQUE", tuple(map(str, unique["column_names"]))) for unique in uniques
    }
    for key in inspector.get_foreign_keys(table):
        for event, action in key.get("options", {}).items():
            rule = f"ON {event.removeprefix('on').upper()} {action}"
            found |= {(rule, (column,)) for column in key["constrained_columns"]}
    return found
