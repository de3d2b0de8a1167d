"""Revisions of a shop, with rows, as they come about in a year.

`python -m evals.harness.long_history` kills the upgrade of them at each point that it
is told, goes on, and compares the outcome with that of a run that nobody disturbed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import Connection, event, inspect, make_url, text
from sqlalchemy.engine import Engine

from evals.harness.migrations import History

# Each is what `upgrade` does, and what `downgrade` does.
REVISIONS: list[tuple[str, str]] = [
    (
        """op.create_table("customer",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("mail", sa.String(80)))""",
        'op.drop_table("customer")',
    ),
    (
        """op.create_table("orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer,
            sa.ForeignKey("customer.id", name="fk_customer", ondelete="CASCADE")),
        sa.Column("kilos", sa.Integer))""",
        'op.drop_table("orders")',
    ),
    (
        """customer = sa.table("customer", sa.column("id", sa.Integer),
        sa.column("name", sa.String), sa.column("mail", sa.String))
    some = [dict(id=n, name=f"c{n}", mail=f"M{n}") for n in range(20)]
    op.bulk_insert(customer, some)
    orders = sa.table("orders", sa.column("id", sa.Integer),
        sa.column("customer_id", sa.Integer), sa.column("kilos", sa.Integer))
    many = [dict(id=n, customer_id=n % 20, kilos=n) for n in range(60)]
    op.bulk_insert(orders, many)""",
        'op.execute("DELETE FROM orders")\n    op.execute("DELETE FROM customer")',
    ),
    (
        'create_index("ix_orders_customer", "orders", ["customer_id"])',
        'op.drop_index("ix_orders_customer", "orders")',
    ),
    (
        'op.add_column("orders", sa.Column("grams", sa.Integer))',
        'op.drop_column("orders", "grams")',
    ),
    (
        """backfill("orders", key="id", where="grams IS NULL",
        change="grams = kilos * 1000", batch=20)""",
        "pass",
    ),
    (
        'set_not_null("orders", "grams")',
        """with op.batch_alter_table("orders") as batch:
        batch.alter_column("grams", nullable=True, existing_type=sa.Integer)""",
    ),
    (
        'add_check("ck_grams", "orders", "grams >= 0")',
        """with op.batch_alter_table("orders") as batch:
        batch.drop_constraint(op.f("ck_grams"), type_="check")""",
    ),
    (
        'add_unique("uq_mail", "customer", ["mail"])',
        """with op.batch_alter_table("customer") as batch:
        batch.drop_constraint(op.f("uq_mail"), type_="unique")""",
    ),
    (
        'op.execute("UPDATE customer SET mail = lower(mail)")',
        'op.execute("UPDATE customer SET mail = upper(mail)")',
    ),
    (
        'op.alter_column("customer", "name", new_column_name="full_name")',
        'op.alter_column("customer", "full_name", new_column_name="name")',
    ),
    (
        """with op.batch_alter_table("customer") as batch:
        batch.alter_column("full_name", type_=sa.String(90), existing_nullable=False,
            existing_type=sa.String(50))""",
        """with op.batch_alter_table("customer") as batch:
        batch.alter_column("full_name", type_=sa.String(50), existing_nullable=False,
            existing_type=sa.String(90))""",
    ),
    (
        'create_index("ix_name", "customer", [sa.text("lower(full_name)")])',
        'op.execute("DROP INDEX ix_name")',
    ),
    (
        """op.create_table("parcel", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("order_id", sa.Integer))
    op.execute("INSERT INTO parcel SELECT id, id FROM orders")""",
        'op.drop_table("parcel")',
    ),
    (
        """add_foreign_key("fk_parcel", "parcel", "orders", ["order_id"], ["id"])""",
        """with op.batch_alter_table("parcel") as batch:
        batch.drop_constraint(op.f("fk_parcel"), type_="foreignkey")""",
    ),
    (
        'op.drop_column("orders", "kilos")',
        """op.add_column("orders", sa.Column("kilos", sa.Integer))
    op.execute("UPDATE orders SET kilos = grams / 1000")""",
    ),
    (
        """op.add_column("orders", sa.Column("weight", sa.Integer))
    sides = dict(forward={"weight": "grams"}, backward={"grams": "weight"})
    sync_columns("sync_weight", "orders", **sides)""",
        """drop_sync("sync_weight", "orders")
    op.drop_column("orders", "weight")
    set_not_null("orders", "grams")""",
    ),
    (
        'drop_sync("sync_weight", "orders")',
        """sides = dict(forward={"weight": "grams"}, backward={"grams": "weight"})
    sync_columns("sync_weight", "orders", **sides)""",
    ),
    (
        'widen_column("orders", "customer_id", key="id")',
        """with op.batch_alter_table("orders") as batch:
        batch.alter_column("customer_id", type_=sa.Integer,
            existing_type=sa.BigInteger)""",
    ),
    (
        'widen_key("orders", "id")',
        """with op.batch_alter_table("orders") as batch:
        batch.alter_column("id", type_=sa.Integer, existing_type=sa.BigInteger)""",
    ),
]
IMPORTS = """
from snippets.backfill import backfill
from snippets.online_bigint import widen_column
from snippets.online_column import drop_sync, sync_columns
from snippets.online_index import add_unique, create_index
from snippets.online_key import widen_key
from snippets.online_schema import add_check, add_foreign_key, set_not_null


"""


def write(history: History) -> list[str]:
    """Write the revisions; return their names."""
    names = [f"r{number:02}" for number in range(1, len(REVISIONS) + 1)]
    for number, (up, down) in enumerate(REVISIONS):
        body = f"def upgrade():\n    {up}\n\n\ndef downgrade():\n    {down}\n"
        before = names[number - 1] if number else None
        history.revision(names[number], before, IMPORTS + body)
    return names


def describe(connection: Connection) -> dict[str, Any]:
    """Return all rows, and what the tables are."""
    warnings.filterwarnings("ignore", "Skipped unsupported reflection")
    found: Any = inspect(connection)
    described: dict[str, Any] = {}
    for table in sorted(found.get_table_names()):
        rows = connection.execute(text(f'SELECT * FROM "{table}"')).mappings().all()
        described[table] = {
            "rows": sorted(str(sorted(row.items())) for row in rows),
            "columns": [str(column) for column in found.get_columns(table)],
            "indexes": sorted(str(index) for index in found.get_indexes(table)),
            "unique": sorted(str(u) for u in found.get_unique_constraints(table)),
            "checks": sorted(str(c) for c in found.get_check_constraints(table)),
            "foreign keys": sorted(str(f) for f in found.get_foreign_keys(table)),
        }
    if connection.dialect.name == "sqlite":
        master = connection.execute(text("SELECT name, sql FROM sqlite_master")).all()
        # Batch mode writes constraints in no fixed order.
        described["sql"] = sorted(
            f"{name}: {sorted(line.strip(' ,') for line in (sql or '').splitlines())}"
            for name, sql in master
        )
    return described


async def reset(history: History) -> None:
    if history.url.get_backend_name() == "postgresql":
        await history.read("DROP SCHEMA public CASCADE")
        await history.read("CREATE SCHEMA public")
        return
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = Path(f"{history.url.database}{suffix}")
        file.unlink(missing_ok=True)  # noqa: ASYNC240


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Do `work` in a process of its own; return how that ended, and its answer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            os.write(writing, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(answer) if answer else None


class Points:
    """Counts what an upgrade does, and kills the process at point `last`."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.count = 0
        for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(Engine, name, self.pass_one)

    def pass_one(self, *args: Any) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def upgrade(history: History, last: int = 0) -> int:
    points = Points(last)
    command.upgrade(history.config(), "head")
    return points.count


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(main())


def main(path: str, url: str, kills: int) -> dict[str, Any]:
    """Kill at so many points (0: at all); return their number, and what failed."""
    history = History(Path(path), make_url(url))
    write(history)
    status, points = forked(lambda: upgrade(history))
    assert status == 0
    _, expected = forked(lambda: run(lambda: history.inspect(describe)))
    wrong = []
    step = max(1, points // kills) if kills else 1
    killed = 0
    for last in range(1, points + 1, step):
        forked(lambda: run(lambda: reset(history)))
        status, _ = forked(partial(upgrade, history, last))
        killed += status == signal.SIGKILL
        status, _ = forked(lambda: upgrade(history))
        _, found = forked(lambda: run(lambda: history.inspect(describe)))
        if status != 0 or found != expected:
            wrong.append(last)
    return {"points": points, "killed": killed, "wrong": wrong}


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
