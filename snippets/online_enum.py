"""Change the values of an enum: for use in a revision.

    def upgrade() -> None:
        set_values("ck_ticket_status", "ticket", "status", ["open", "done", "lost"])

The call stands alone in its revision. Code that does not know a value fails when it
reads one, so every instance knows a new value before any writes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

from .online_step import literal, on_postgresql, own_transactions, quoted, validate


def set_values(name: str, table: str, column: str, values: Sequence[str]) -> None:
    """Let the CHECK `name`, which `enum_column` makes, allow `values` and no other.

    Requests go on meanwhile, and at no moment is there no rule. A row with another
    value fails the validation.
    """
    condition = f"{quoted(column)} IN ({_listed(values)})"
    if not on_postgresql():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(name))
            batch.create_check_constraint(op.f(name), condition)
        return
    with own_transactions():
        op.execute(
            f"ALTER TABLE {quoted(table)} DROP CONSTRAINT {quoted(name)},"
            f" ADD CONSTRAINT {quoted(name)} CHECK ({condition}) NOT VALID"
        )
        validate(table, name)


def replace_enum(enum: str, values: Sequence[str]) -> None:
    """Let the native enum have `values` and no other, in all columns of all tables.

    A type cannot lose a value, so it is made anew, and the tables are rewritten while
    nobody reads them. Drop CHECKs and partial indexes that name a value before, and
    make them anew after. On SQLite such an enum is text.
    """
    if not on_postgresql():
        return
    new, old = quoted(enum), quoted(f"{enum}_before")
    op.execute(f"ALTER TYPE {new} RENAME TO {old}")
    op.execute(f"CREATE TYPE {new} AS ENUM ({_listed(values)})")
    # A default is not cast with its column, and its text names the old type.
    op.execute(
        f"""DO $$ DECLARE it record; BEGIN
        FOR it IN SELECT attrelid::regclass AS tab, attname AS col,
            pg_get_expr(adbin, adrelid) AS def
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE atttypid = {literal(old)}::regtype AND relkind IN ('r', 'p')
        LOOP
            EXECUTE format('ALTER TABLE %1$s ALTER %2$I DROP DEFAULT, ALTER %2$I'
                ' TYPE {new} USING %2$I::text::{new}', it.tab, it.col);
            IF it.def IS NOT NULL THEN
                EXECUTE format('ALTER TABLE %s ALTER %I SET DEFAULT %s',
                    it.tab, it.col, regexp_replace(it.def, '::[^:]*$', ''));
            END IF;
        END LOOP; END $$"""
    )
    op.execute(f"DROP TYPE {old}")


def _listed(values: Sequence[str]) -> str:
    return ", ".join(map(literal, values))
