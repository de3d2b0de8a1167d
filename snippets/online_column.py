"""Replace columns while the old and the new code both write: for use in revisions.

    def upgrade() -> None:
        op.add_column("parcel", sa.Column("grams", sa.Integer))
        sync_columns(
            "sync_parcel_grams",
            "parcel",
            forward={"grams": "kilos * 1000"},
            backward={"kilos": "grams / 1000"},
        )

Whatever one release writes, triggers write in the other's columns too. Then: backfill,
deploy the code that knows the new columns only, and in a later release `drop_sync`
and `op.drop_column`, in one revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alembic import context, op
from sqlalchemy import inspect

from .online_step import on_postgresql, quoted


def sync_columns(
    name: str, table: str, *, forward: Mapping[str, str], backward: Mapping[str, str]
) -> None:
    """Keep new columns (`forward`) and old ones (`backward`) the same in meaning.

    Each maps a column to the SQL that computes it from the other side's columns. A
    write that changes a new column decides the old ones; any other write the new ones,
    where they do not agree. What a computation loses (1.5 as an integer) stays in the
    column that was written. On SQLite, whose triggers run after the row was checked,
    the old columns lose their NOT NULL.

    Raises:
        ValueError: a new column has a default, which the old code's INSERT would write.
    """
    if not context.is_offline_mode():
        for found in inspect(op.get_bind()).get_columns(table):
            if found["name"] in forward and found["default"] is not None:
                raise ValueError(
                    f"{found['name']} has a default, which would overwrite what the"
                    " old code inserts: add the default after drop_sync"
                )
    if on_postgresql():
        _postgresql(name, table, forward, backward)
    else:
        with op.batch_alter_table(table) as batch:
            for column in backward:
                batch.alter_column(column, nullable=True)
        _sqlite(name, table, forward, backward)


def drop_sync(name: str, table: str) -> None:
    """Stop it; a column that a trigger uses can be dropped only after this."""
    if on_postgresql():
        op.execute(f"DROP TRIGGER {quoted(name)} ON {quoted(table)}")
        op.execute(f"DROP FUNCTION {quoted(name)}()")
        return
    for event in ("INSERT", "UPDATE"):
        op.execute(f"DROP TRIGGER {quoted(f'{name}_{event.lower()}')}")


def _postgresql(
    name: str, table: str, forward: Mapping[str, str], backward: Mapping[str, str]
) -> None:
    # The subquery makes the row's columns known by their bare names; at an INSERT,
    # all columns of OLD are NULL.
    agrees = _agrees(forward, backward, "IS NOT DISTINCT FROM")
    op.execute(
        f"CREATE OR REPLACE FUNCTION {quoted(name)}() RETURNS trigger"
        " LANGUAGE plpgsql AS $sync$ BEGIN"
        f" IF (SELECT {agrees} FROM (SELECT NEW.*) AS row) THEN RETURN NEW;"
        f" ELSIF {_changed(forward, 'IS DISTINCT FROM')} THEN {_assign(backward)}"
        f" ELSE {_assign(forward)} END IF; RETURN NEW; END $sync$"
    )
    op.execute(
        f"CREATE OR REPLACE TRIGGER {quoted(name)} BEFORE INSERT OR UPDATE"
        f" ON {quoted(table)} FOR EACH ROW EXECUTE FUNCTION {quoted(name)}()"
    )


def _sqlite(
    name: str, table: str, forward: Mapping[str, str], backward: Mapping[str, str]
) -> None:
    row = f"rowid = NEW.rowid AND NOT ({_agrees(forward, backward, 'IS')})"
    given = " OR ".join(f"NEW.{quoted(column)} IS NOT NULL" for column in forward)
    for event, decides in (("INSERT", given), ("UPDATE", _changed(forward, "IS NOT"))):
        op.execute(
            f"CREATE TRIGGER {quoted(f'{name}_{event.lower()}')} AFTER {event}"
            f" ON {quoted(table)} BEGIN"
            f" UPDATE {quoted(table)} SET {_set(backward)} WHERE {row} AND ({decides});"
            f" UPDATE {quoted(table)} SET {_set(forward)} WHERE {row}; END"
        )


def _agrees(forward: Mapping[str, str], backward: Mapping[str, str], same: str) -> str:
    """Either side may be the one that follows from the other."""
    sides = (
        " AND ".join(f"{quoted(column)} {same} ({sql})" for column, sql in side.items())
        for side in (forward, backward)
    )
    return " OR ".join(f"({side})" for side in sides)


def _changed(columns: Iterable[str], differs: str) -> str:
    return " OR ".join(f"NEW.{c} {differs} OLD.{c}" for c in map(quoted, columns))


def _assign(side: Mapping[str, str]) -> str:
    values = ", ".join(side.values())
    into = ", ".join(f"NEW.{quoted(column)}" for column in side)
    return f"SELECT {values} INTO {into} FROM (SELECT NEW.*) AS row;"


def _set(side: Mapping[str, str]) -> str:
    return ", ".join(f"{quoted(column)} = {sql}" for column, sql in side.items())
