"""Change rows in batches while requests go on: for use in a revision.

    def upgrade() -> None:
        backfill(
            "parcel", key="id", where="grams IS NULL", change="grams = kilos * 1000"
        )

The call stands alone in its revision. Each batch is a transaction of its own: a row
is locked for the time of one batch, and when the migration is killed, what is done
stays done. The revision runs again from its beginning and finds the rows that are
left. Requests may write meanwhile, those of the old code too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from alembic import context, op
from sqlalchemy import Connection, TextClause, text

log = logging.getLogger("alembic.backfill")


def backfill(
    table: str,
    *,
    key: str,
    where: str,
    change: str,
    batch: int = 1000,
    pause: float = 0.0,
) -> int:
    """Run `UPDATE table SET change WHERE where` in batches; return how many rows.

    `key` is the primary key, of one column. `where` is false for a row that was
    changed: that makes it safe to run again. A row that a request changes meanwhile
    is read as it is when its batch locks it. It goes on until no row is found, and
    rests `pause` seconds between two batches. The texts are SQL.

    Raises:
        ValueError: `where` still holds after the change; the first batch is changed.
    """
    quote = op.get_context().dialect.identifier_preparer.quote
    rows = _Rows(quote(table), quote(key), where, change, batch)
    if context.is_offline_mode():
        op.execute(f"UPDATE {rows.table} SET {change} WHERE {where}")
        return 0
    total = 0
    with op.get_context().autocommit_block():
        while done := _pass(op.get_bind(), rows, total, pause):
            total += done
    return total


@dataclass
class _Rows:
    """The rows to change, as SQL. `:last` and `:upto` bound a batch by its keys."""

    table: str
    key: str
    where: str
    change: str
    batch: int

    def upto(self, after: str) -> TextClause:
        return text(
            f"SELECT max({self.key}) FROM (SELECT {self.key} FROM {self.table}"
            f" WHERE ({self.where}){after} ORDER BY {self.key} LIMIT {self.batch})"
            " AS batch"
        )

    def update(self, after: str) -> TextClause:
        # It reads each row again when it has locked it, so nothing newer is lost.
        return text(
            f"UPDATE {self.table} SET {self.change}"
            f" WHERE ({self.where}){after} AND {self.key} <= :upto"
        )

    def left(self) -> TextClause:
        rows = f"{self.table} WHERE ({self.where}) AND {self.key} <= :upto"
        return text(f"SELECT count(*) FROM {rows}")


def _pass(connection: Connection, rows: _Rows, before: int, pause: float) -> int:
    """Go through the table once, in the order of the key; return how many rows."""
    done, after = 0, ""
    bounds: dict[str, Any] = {}
    while (upto := connection.execute(rows.upto(after), bounds).scalar()) is not None:
        bounds["upto"] = upto
        changed = connection.execute(rows.update(after), bounds).rowcount
        if changed and before + done == 0:
            left = connection.execute(rows.left(), {"upto": upto}).scalar_one()
            if left >= changed:
                raise ValueError(
                    f"where still finds the changed rows of {rows.table}, so the"
                    " backfill would never end: write it so that it does not"
                )
        done += changed
        with _between_transactions(connection):
            log.info("%s: %d rows, up to %s", rows.table, before + done, upto)
            time.sleep(pause)
        after = f" AND {rows.key} > :last"
        bounds = {"last": upto}
    return done


@contextmanager
def _between_transactions(connection: Connection) -> Generator[None, None, None]:
    """Let others write: PostgreSQL has committed, SQLite is in a transaction still."""
    if connection.dialect.name == "postgresql":
        yield
        return
    connection.exec_driver_sql("COMMIT")
    yield
    connection.exec_driver_sql("BEGIN IMMEDIATE")
