"""How autogenerate compares models and database, without false alarms."""

from __future__ import annotations

import re
from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext
from alembic.ddl.impl import DefaultImpl
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.ddl.sqlite import SQLiteImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, Column, Enum, Float, Null
from sqlalchemy.types import TypeDecorator, TypeEngine

from .autogenerate_guard import EXISTING_ENUMS, process_revision
from .portable_default import render_default


def autogenerate_options() -> dict[str, Any]:
    """Return the options of `context.configure` for `--autogenerate` and `check`."""
    return {
        "compare_type": compare_type,
        "compare_server_default": True,
        "render_item": render_item,
        "process_revision_directives": process_revision,
        # Sees CHECKs that come and go, by their names.
        "autogenerate_plugins": [
            "alembic.autogenerate.*",
            "alembic.ext.checkconstraint_byname",
        ],
    }


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Write a type of the application as the plain type that it stores: a revision
    that imports `UtcDateTime` would break when the class is renamed, years later.
    """
    if kind == "server_default":
        return render_default(item)
    if isinstance(item, Enum) and item.name in context.opts.get(EXISTING_ENUMS, ()):
        # Without it the revision would create the type again, and fail.
        context.imports.add("from sqlalchemy.dialects import postgresql")
        labels = ", ".join(map(repr, item.enums))
        return f"postgresql.ENUM({labels}, name={item.name!r}, create_type=False)"
    if kind != "type" or not isinstance(item, TypeDecorator):
        return False
    stored: TypeEngine[Any] = item.impl_instance
    package = type(stored).__module__.split(".")
    if package[:2] != ["sqlalchemy", "dialects"]:
        return f"sa.{stored!r}"
    context.imports.add(f"from sqlalchemy.dialects import {package[2]}")
    alembic: Any = context.migration_context.impl
    rendered: str | Literal[False] = alembic.render_type(stored, context)
    return rendered or f"{package[2]}.{stored!r}"


def compare_type(
    context: MigrationContext,
    inspected: Column[Any],
    declared: Column[Any],
    inspected_type: TypeEngine[Any],
    declared_type: TypeEngine[Any],
) -> bool | None:
    """Leave it to Alembic (None), but for `Float(24)`, which PostgreSQL calls real,
    and for what `render_item` writes, which may not be what SQLite stores."""
    if isinstance(declared_type, TypeDecorator):
        alembic: Any = context.impl
        written = Column(declared.name, declared_type.impl_instance)
        if not alembic.compare_type(inspected, written):
            return False
    size = {"REAL": 24, "DOUBLE PRECISION": 53}.get(str(inspected_type))
    if type(declared_type) is not Float or size is None:
        return None
    return (size == 24) is not ((declared_type.precision or 53) <= 24)


class TextDefaults(DefaultImpl):
    """Compares as text the server defaults that Alembic compares wrong.

    On PostgreSQL it lets the server compare, which fails for json and for text with
    an apostrophe; on SQLite it never finds the empty string equal. A function as
    `compare_server_default` is no way: it fails at a computed column.
    """

    def compare_server_default(
        self,
        inspector_column: Column[Any],
        metadata_column: Column[Any],
        rendered_metadata_default: str | None,
        rendered_inspector_default: str | None,
    ) -> bool:
        declared = getattr(metadata_column.server_default, "arg", None)
        if isinstance(declared, Null):
            return _unquote(rendered_inspector_default or "NULL") != "NULL"
        json = isinstance(metadata_column.type, JSON)
        if isinstance(declared, str) and (json or not declared or "'" in declared):
            return _unquote(rendered_inspector_default) != declared
        if json and rendered_metadata_default is not None:
            found = _unquote(rendered_inspector_default)
            return found != _unquote(rendered_metadata_default)
        alembic: Any = super()
        given = inspector_column, metadata_column, rendered_metadata_default
        return bool(alembic.compare_server_default(*given, rendered_inspector_default))


# What Alembic uses from now on: such a class registers itself for its dialect.
class PostgresqlDefaults(TextDefaults, PostgresqlImpl):
    __dialect__ = "postgresql"


class SQLiteDefaults(TextDefaults, SQLiteImpl):
    __dialect__ = "sqlite"


def _unquote(sql: str | None) -> str | None:
    """Return the text of a literal such as `'it''s'::character varying` or `('')`."""
    bare = re.sub(r"^\((.*)\)$|::[\w\s]+$", r"\1", sql or "")
    literal = re.fullmatch(r"'(.*)'", bare, re.DOTALL)
    return literal[1].replace("''", "'") if literal else (bare or None)
