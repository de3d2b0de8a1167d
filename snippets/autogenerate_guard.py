"""What autogenerate may write: nothing that loses data, nothing empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from alembic import context as env
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Enum, MetaData, inspect


def process_revision(
    context: MigrationContext, revision: Any, directives: list[ops.MigrationScript]
) -> None:
    """Add what autogenerate does not see, refuse what loses data, write nothing empty.

    Raises:
        CommandError: a table or column would be dropped, and no `-x drop=` allows it.
    """
    upgrade = directives[0].upgrade_ops
    if upgrade is None or context.opts["target_metadata"] is None:
        return
    upgrade.ops.extend(_missing_enum_values(context))
    allowed = {x.removeprefix("drop=") for x in env.get_x_argument()}
    if lost := sorted(set(_dropped(upgrade.ops)) - allowed):
        raise CommandError(
            f"autogenerate would drop {', '.join(lost)}, with the data: if it was"
            " renamed, write a revision by hand (op.rename_table, op.alter_column with"
            " new_column_name); if it belongs to another program, exclude it with"
            " include_name; if it shall go, ask its owner, then repeat the command as"
            f" `alembic {' '.join(f'-x drop={name}' for name in lost)} revision ...`"
        )
    if upgrade.is_empty() and _writes_revision():
        env.config.print_stdout("nothing has changed: no revision is written")
        directives.clear()


def _writes_revision() -> bool:
    """Tell `revision --autogenerate` on the command line from `check`."""
    command = getattr(env.config.cmd_opts, "cmd", None)
    return command is not None and command[0].__name__ == "revision"


def _dropped(operations: Iterable[ops.MigrateOperation]) -> Iterator[str]:
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            yield from _dropped(operation.ops)
        elif isinstance(operation, ops.DropTableOp):
            yield operation.table_name
        elif isinstance(operation, ops.DropColumnOp):
            yield f"{operation.table_name}.{operation.column_name}"


def _missing_enum_values(context: MigrationContext) -> Iterator[ops.ExecuteSQLOp]:
    """Yield the ALTER TYPE for each value that a model has and the database lacks."""
    if context.dialect.name != "postgresql" or context.connection is None:
        return
    found: Any = inspect(context.connection)
    stored = {enum["name"]: enum["labels"] for enum in found.get_enums()}
    for enum in _enums(context.opts["target_metadata"]):
        for value in enum.enums:
            if value not in stored.get(enum.name, enum.enums):
                name = context.dialect.identifier_preparer.quote(str(enum.name))
                quoted = value.replace("'", "''")
                yield ops.ExecuteSQLOp(
                    f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS '{quoted}'"
                )


def _enums(metadata: MetaData) -> Iterator[Enum]:
    seen: set[str | None] = set()
    for table in metadata.tables.values():
        for column in table.columns:
            kind = column.type
            if isinstance(kind, Enum) and kind.native_enum and kind.name not in seen:
                seen.add(kind.name)
                yield kind
