"""Make an INTEGER primary key BIGINT while requests go on: for use in a revision.

    def upgrade() -> None:
        widen_key("parcel", "id")

The call stands alone in its revision. It may run again after a failure or a kill.
"""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import BigInteger, inspect

from .backfill import backfill
from .online_column import drop_sync, sync_columns
from .online_index import create_index
from .online_schema import set_not_null
from .online_step import (
    literal,
    on_postgresql,
    own_transactions,
    quoted,
    refuse_dependents,
    unlimited,
)


def widen_key(table: str, key: str) -> None:
    """Give a key of one column 64 bits; on SQLite it has them.

    A new column is filled and indexed beside the old one, and takes its name, its
    default and its foreign keys in a transaction that reads no row. It is the last
    column then. Those that refer to it stay as they are. Statements that the
    application has prepared fail once after it: `InvalidCachedStatementError`.

    Raises:
        DBAPIError: an index, a constraint or a view uses the column.
    """
    if not on_postgresql():
        return
    name, wide = f"widen_{table}_{key}"[:50], f"{key}_wide"
    if not _is_wide(table, key):
        but = "r.relkind = 'S' OR contype IN ('p', 'n') OR confrelid = attrelid"
        op.execute(refuse_dependents(table, key, but))
        old, new = quoted(key), quoted(wide)
        op.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN IF NOT EXISTS {new} BIGINT")
        sync_columns(name, table, forward={wide: old}, backward={key: new})
        backfill(table, key=key, where=f"{new} IS NULL", change=f"{new} = {old}")
        create_index(f"{name}_index", table, [wide], unique=True)
        # From here on it is one transaction, which nobody's write can come between.
        set_not_null(table, wide)
        drop_sync(name, table)
        op.execute(_swap(table, key, wide, f"{name}_index"))
    with own_transactions(), unlimited("statement_timeout"):
        op.execute(_validate_foreign_keys(table))


def _is_wide(table: str, key: str) -> bool:
    if context.is_offline_mode():
        return False
    columns = {c["name"]: c for c in inspect(op.get_bind()).get_columns(table)}
    return isinstance(columns[key]["type"], BigInteger)


def _swap(table: str, key: str, wide: str, index: str) -> str:
    """Return SQL that lets `wide` take over; foreign keys come back NOT VALID."""
    it, old, new = quoted(table), quoted(key), quoted(wide)
    return f"""DO $$ DECLARE
        pk record; fks text[]; fk text; def text; kind "char"; seq text; next bigint;
        BEGIN
        SELECT conname, conindid INTO pk FROM pg_constraint
            WHERE conrelid = {literal(it)}::regclass AND contype = 'p';
        SELECT attidentity, pg_get_expr(adbin, adrelid) INTO kind, def
            FROM pg_attribute LEFT JOIN pg_attrdef
            ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = {literal(it)}::regclass AND attname = {literal(key)};
        seq := pg_get_serial_sequence({literal(it)}, {literal(key)});
        IF kind <> '' THEN
            next := nextval(seq);
        ELSIF seq IS NOT NULL THEN
            EXECUTE format('ALTER SEQUENCE %s AS BIGINT OWNED BY {it}.{new}', seq);
        END IF;
        SELECT array_agg(format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID',
            conrelid::regclass, conname,
            replace(pg_get_constraintdef(oid), ' NOT VALID', ''))) INTO fks
            FROM pg_constraint WHERE conindid = pk.conindid AND contype = 'f';
        EXECUTE format('ALTER TABLE {it} DROP CONSTRAINT %I CASCADE', pk.conname);
        IF def IS NOT NULL THEN
            EXECUTE format('ALTER TABLE {it} ALTER {new} SET DEFAULT %s', def);
        END IF;
        ALTER TABLE {it} DROP COLUMN {old};
        ALTER TABLE {it} RENAME {new} TO {old};
        EXECUTE format('ALTER TABLE {it} ADD CONSTRAINT %I PRIMARY KEY'
            ' USING INDEX {quoted(index)}', pk.conname);
        IF kind <> '' THEN
            EXECUTE format('ALTER TABLE {it} ALTER {old} ADD GENERATED %s AS IDENTITY'
                ' (START %s)', CASE kind WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
                next);
        END IF;
        FOREACH fk IN ARRAY coalesce(fks, '{{}}') LOOP EXECUTE fk; END LOOP;
        END $$"""


def _validate_foreign_keys(table: str) -> str:
    return f"""DO $$ DECLARE it text; BEGIN
        FOR it IN SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I',
            conrelid::regclass, conname) FROM pg_constraint
            WHERE confrelid = {literal(quoted(table))}::regclass AND NOT convalidated
        LOOP EXECUTE it; END LOOP; END $$"""
