"""What autogenerate may write: nothing that loses data, nothing empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from alembic import context as env
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Enum, Table, inspect

# The key, among the options of the context, of what `render_item` has to know.
EXISTING_ENUMS = "existing_enums"


def process_revision(
    context: MigrationContext, revision: Any, directives: list[ops.MigrationScript]
) -> None:
    """Add what autogenerate does not see, refuse what loses data, write nothing empty.

    Raises:
        CommandError: a table or column would be dropped, and no `-x drop=` allows it.
    """
    upgrade, downgrade = directives[0].upgrade_ops, directives[0].downgrade_ops
    by_hand = getattr(env.config.cmd_opts, "autogenerate", None) is False
    if upgrade is None or downgrade is None or by_hand:
        return
    if context.dialect.name == "postgresql":
        _complete_enums(context, upgrade.ops, downgrade.ops)
    allowed = {x.removeprefix("drop=") for x in env.get_x_argument()}
    if lost := sorted(set(_dropped(upgrade.ops)) - allowed):
        raise CommandError(
            f"autogenerate would drop {', '.join(lost)}, with the data: if it was"
            " renamed, write a revision by hand (op.rename_table, op.alter_column with"
            " new_column_name); if it belongs to another program, exclude it with"
            " include_name; if it shall go, ask its owner, then repeat the command as"
            f" `alembic {' '.join(f'-x drop={name}' for name in lost)} revision ...`"
        )
    if upgrade.is_empty() and getattr(env.config.cmd_opts, "autogenerate", False):
        env.config.print_stdout("nothing has changed: no revision is written")
        directives.clear()


def _dropped(operations: Iterable[ops.MigrateOperation]) -> Iterator[str]:
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            yield from _dropped(operation.ops)
        elif isinstance(operation, ops.DropTableOp | ops.DropColumnOp):
            column = getattr(operation, "column_name", None)
            names = operation.schema, operation.table_name, column
            yield ".".join(filter(None, names))


def _complete_enums(
    context: MigrationContext,
    upgrade: list[ops.MigrateOperation],
    downgrade: list[ops.MigrateOperation],
) -> None:
    """Create types before columns that need them, drop them last, add their values."""
    assert context.connection is not None
    found: Any = inspect(context.connection)
    stored = {enum["name"]: enum["labels"] for enum in found.get_enums()}
    context.opts[EXISTING_ENUMS] = set(stored)
    preparer = context.dialect.identifier_preparer
    for enum in _enums(context.opts["target_metadata"].tables.values()):
        name = preparer.quote(str(enum.name))
        labels = ["'" + value.replace("'", "''") + "'" for value in enum.enums]
        if enum.name in stored:
            for value, label in zip(enum.enums, labels, strict=True):
                if value not in stored[enum.name]:
                    sql = f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {label}"
                    upgrade.append(ops.ExecuteSQLOp(sql))
            continue
        created = [op.to_table() for op in upgrade if isinstance(op, ops.CreateTableOp)]
        if enum.name not in {found.name for found in _enums(created)}:
            sql = f"CREATE TYPE {name} AS ENUM ({', '.join(labels)})"
            upgrade.insert(0, ops.ExecuteSQLOp(sql))
        downgrade.append(ops.ExecuteSQLOp(f"DROP TYPE {name}"))


def _enums(tables: Iterable[Table]) -> Iterator[Enum]:
    """Yield each native enum of the tables' columns once."""
    seen: set[str | None] = set()
    for table in tables:
        for column in table.columns:
            kind = column.type
            if isinstance(kind, Enum) and kind.native_enum and kind.name not in seen:
                seen.add(kind.name)
                yield kind
