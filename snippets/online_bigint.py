"""Make an INTEGER column BIGINT while requests go on: for use in a revision.

    def upgrade() -> None:
        widen_column("van", "parcel_id", key="id")

The call stands alone in its revision. It may run again after a failure or a kill.
"""

from __future__ import annotations

import re
from typing import Any

from alembic import context, op
from sqlalchemy import BigInteger, inspect, text

from .backfill import backfill
from .online_column import drop_sync, sync_columns
from .online_schema import add_check, add_foreign_key
from .online_step import (
    literal,
    lock,
    on_postgresql,
    own_transactions,
    quoted,
    refuse_dependents,
    unlimited,
)

# The indexes that `widen_column` can make anew for another column.
INDEXES = """
    SELECT i.relname, CASE WHEN indisunique THEN 'UNIQUE ' ELSE '' END,
        split_part(pg_get_indexdef(indexrelid), ' USING ', 2), quote_ident(attname),
        conname IS NOT NULL
    FROM pg_index JOIN pg_class i ON i.oid = indexrelid
    JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
    LEFT JOIN pg_constraint ON conindid = indexrelid
    WHERE indrelid = CAST(:it AS regclass) AND attname = :column
    AND indisvalid AND NOT indisprimary AND NOT indisexclusion
    AND indpred IS NULL AND indexprs IS NULL AND condeferrable IS NOT TRUE
"""


def widen_column(table: str, column: str, *, key: str) -> None:
    """Give a column 64 bits; `key` is the primary key, of one column.

    A new column is filled beside the old one, and takes its name, default, NOT NULL,
    indexes, unique constraints and foreign keys in a transaction that reads no row.
    It is the last column then, without comment and grants; what the application has
    prepared fails once: `InvalidCachedStatementError`. SQLite makes the table anew.

    Raises:
        DBAPIError: something else uses it: a view, a partial index; offline, any index.
    """
    if not on_postgresql():
        with op.batch_alter_table(table) as batch:
            batch.alter_column(column, type_=BigInteger())
        return
    name, wide = f"widen_{table}_{column}"[:50], f"wide_{column}"[:63]
    old, new, it = quoted(column), quoted(wide), quoted(table)
    indexes, keys, nullable = _what_is_there(table, column)
    handled = [row[0] for row in indexes] + [fk["name"] for fk in keys]
    listed = ", ".join(map(literal, ["", *handled]))
    but = f"contype = 'n' OR coalesce(r.relname, conname) IN ({listed})"
    op.execute(refuse_dependents(table, column, but))
    op.execute(f"ALTER TABLE {it} ADD COLUMN IF NOT EXISTS {new} BIGINT")
    sync_columns(name, table, forward={wide: old}, backward={column: new})
    left = f"{new} IS NULL AND {old} IS NOT NULL"
    backfill(table, key=key, where=left, change=f"{new} = {old}")
    after: list[str] = []
    for number, (index, unique, body, found, rule) in enumerate(indexes):
        made = quoted(f"{name}_{number}")
        body = re.sub(rf'(?<![\w"]){re.escape(found)}(?![\w"])', new, body)
        with own_transactions(), unlimited("lock_timeout", "statement_timeout"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {made}")
            op.execute(f"CREATE {unique}INDEX CONCURRENTLY {made} ON {it} USING {body}")
        add = f"ALTER TABLE {it} ADD CONSTRAINT {quoted(index)} UNIQUE USING INDEX"
        name_it = f"ALTER INDEX {made} RENAME TO {quoted(index)}"
        after.append(f"{add} {made}" if rule else name_it)
    for number, fk in enumerate(keys):
        made, target = f"{name}_fk_{number}", fk["referred_table"]
        options = fk["options"] | {"referent_schema": fk["referred_schema"]}
        add_foreign_key(made, table, target, [wide], fk["referred_columns"], **options)
        rename = f"RENAME CONSTRAINT {quoted(made)} TO {quoted(fk['name'])}"
        after.append(f"ALTER TABLE {it} {rename}")
    if not nullable:
        add_check(name, table, f"{new} IS NOT NULL")
    # From here on it is one transaction, which nobody's write can come between.
    for fk in keys:
        lock(fk["referred_table"], "ACCESS EXCLUSIVE", fk["referred_schema"])
    drop_sync(name, table)
    for statement in (_swap(table, column, wide, name), *after):
        op.execute(statement)


def _what_is_there(table: str, column: str) -> tuple[list[Any], list[Any], bool]:
    """Return the column's indexes, its foreign keys, and whether it may be NULL."""
    if context.is_offline_mode():
        return [], [], True
    found, names = inspect(op.get_bind()), {"it": quoted(table), "column": column}
    indexes = list(op.get_bind().execute(text(INDEXES), names))
    keys = found.get_foreign_keys(table)
    columns = {c["name"]: c["nullable"] for c in found.get_columns(table)}
    alone = [fk for fk in keys if fk["constrained_columns"] == [column]]
    return indexes, alone, columns[column]


def _swap(table: str, column: str, wide: str, check: str) -> str:
    it, old, new = quoted(table), quoted(column), quoted(wide)
    return f"""DO $$ DECLARE a record; BEGIN
        SELECT attnotnull, pg_get_expr(adbin, adrelid) AS def INTO a FROM pg_attribute
            LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = {literal(it)}::regclass AND attname = {literal(column)};
        IF a.def IS NOT NULL THEN
            EXECUTE format('ALTER TABLE {it} ALTER {new} SET DEFAULT %s', a.def);
        END IF;
        IF a.attnotnull THEN ALTER TABLE {it} ALTER {new} SET NOT NULL; END IF;
        ALTER TABLE {it} DROP COLUMN {old}, DROP CONSTRAINT IF EXISTS {quoted(check)};
        ALTER TABLE {it} RENAME {new} TO {old};
        END $$"""
