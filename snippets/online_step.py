"""The steps of a change that goes on beside requests: each its own transaction."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from alembic import op


@contextmanager
def own_transactions() -> Generator[None, None, None]:
    """Let each statement of the block commit by itself, where that is an advantage."""
    if not on_postgresql():
        yield
        return
    with op.get_context().autocommit_block():
        yield


@contextmanager
def unlimited(*settings: str) -> Generator[None, None, None]:
    """Give a statement that stops nobody all the time that it needs.

    The build of an index waits for older transactions, which `lock_timeout` would
    cancel, leaving an INVALID index.
    """
    if not on_postgresql():
        yield
        return
    for setting in settings:
        op.execute(f"SET {setting} = 0")
    try:
        yield
    finally:
        for setting in settings:
            op.execute(f"RESET {setting}")


def drop_constraint(table: str, name: str) -> None:
    if on_postgresql():
        op.execute(
            f"ALTER TABLE {quoted(table)} DROP CONSTRAINT IF EXISTS {quoted(name)}"
        )


def lock(table: str, mode: str, schema: str | None = None) -> None:
    """Lock the table that a foreign key refers to before the one that has it.

    So do transactions that insert a row and its children. The other way round, each
    waits for the other, and under steady traffic the migration never ends.
    """
    if on_postgresql():
        name = ".".join(map(quoted, filter(None, (schema, table))))
        op.execute(f"LOCK TABLE {name} IN {mode} MODE")


def validate(table: str, name: str) -> None:
    """Check the rows that were there before the constraint, beside requests."""
    if on_postgresql():
        with unlimited("statement_timeout"):
            op.execute(
                f"ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}"
            )


def refuse_dependents(table: str, column: str, but: str) -> str:
    """Return SQL that fails if the end of the column would take more along.

    `but` is a condition on what depends on it: `r` is its row in pg_class, `c` in
    pg_constraint.
    """
    return f"""DO $$ DECLARE it text; BEGIN
        FOR it IN SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
            FROM pg_depend d JOIN pg_attribute
            ON attrelid = d.refobjid AND attnum = d.refobjsubid
            LEFT JOIN pg_class r ON d.classid = 'pg_class'::regclass AND r.oid = d.objid
            LEFT JOIN pg_constraint c
            ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
            WHERE d.refclassid = 'pg_class'::regclass
            AND attrelid = {literal(quoted(table))}::regclass
            AND attname = {literal(column)} AND d.classid <> 'pg_attrdef'::regclass
            AND ({but}) IS NOT TRUE
        LOOP
            RAISE EXCEPTION '% uses the column: drop it, and make it anew after', it;
        END LOOP; END $$"""


def on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def quoted(name: str) -> str:
    return op.get_context().dialect.identifier_preparer.quote(name)


def literal(value: str) -> str:
    """Return `value` as SQL for `op.execute`, which takes ` :word` for a parameter."""
    return "'" + value.replace("'", "''").replace(":", "\\:") + "'"
