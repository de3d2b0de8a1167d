"""What this pack's own snippets do in a revision: known by the names of their files.

A copy keeps its name wherever it lies (`app/db/online_schema.py`), and evals of the
snippets prove what it does, so its calls are judged without reading it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import sql
from .sql import HOLE, Operation
from .values import Made, argument, strings, text_of

CALLS = {
    "backfill": {"backfill"},
    "online_bigint": {"widen_column"},
    "online_column": {"sync_columns", "drop_sync"},
    "online_enum": {"set_values", "replace_enum"},
    "online_index": {"create_index", "drop_index", "add_unique"},
    "online_key": {"widen_key"},
    "online_schema": {"add_check", "add_foreign_key", "set_not_null", "add_enum_value"},
    "online_step": {"drop_constraint", "literal", "lock", "on_postgresql", "quoted"}
    | {"own_transactions", "unlimited", "validate"},
}
# Those that stay in the revision's transaction.
PLAIN = {"sync_columns", "drop_sync", "replace_enum", "drop_constraint", "validate"}
PLAIN |= {"lock"}


def is_known(module: str, name: str) -> bool:
    return name in CALLS.get(module.rpartition(".")[2], ())


def read_call(made: Made) -> Iterator[Operation]:
    """Yield what a call does; `made.name` ends in the module and the function."""
    name = made.last()
    first, second = argument(made, 0, "name"), argument(made, 1, "table")
    facts: dict[str, Any] = {"text": name, "columns": []}
    op = Operation("online", text_of(second), text_of(first), facts=facts)
    if name == "backfill":
        yield from backfill(made)
        return
    if name in ("create_index", "add_unique"):
        facts["columns"] = strings(argument(made, 2, "columns"))
    elif name == "add_check":
        facts["check"] = text_of(argument(made, 2, "condition"))
    elif name == "add_foreign_key":
        facts["refers"] = strings(argument(made, 3, "columns"))[:1]
    elif name == "set_not_null":
        op.table, op.name = (text_of(argument(made, 0, "table")), "")
        facts["not_null"] = op.name = text_of(argument(made, 1, "column"))
    elif name in ("widen_key", "widen_column"):
        column = argument(made, 1, "key" if name == "widen_key" else "column")
        op.table = text_of(argument(made, 0, "table"))
        facts["wide"] = op.name = text_of(column)
    elif name == "replace_enum":
        op.kind, op.table = "rewrite", HOLE
    elif name == "drop_index":
        op.table = ""
    elif name == "lock":
        op.kind, op.table, op.name = "quiet", op.name, ""
    elif name in ("drop_constraint", "validate"):
        op.kind, op.table, op.name = name, op.name, op.table
        facts["type"] = ""
    op.autocommit = name not in PLAIN
    yield op


def backfill(made: Made) -> Iterator[Operation]:
    """Yield the UPDATE that it repeats until no row is left, a batch at a time."""
    table = text_of(argument(made, 0, "table"))
    change, where = (text_of(made.kwargs.get(key, HOLE)) for key in ("change", "where"))
    for op in sql.read_sql(f"UPDATE {table} SET {change} WHERE {where}"):
        op.autocommit = op.repeated = True
        op.facts["text"] = "backfill"
        yield op
