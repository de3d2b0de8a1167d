"""How autogenerate compares models and database, without false alarms."""

from __future__ import annotations

import re
from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, Column, Float, Null
from sqlalchemy.schema import DefaultClause, FetchedValue
from sqlalchemy.types import TypeDecorator, TypeEngine

from .autogenerate_guard import process_revision


def autogenerate_options() -> dict[str, Any]:
    """Return the options of `context.configure` for `--autogenerate` and `check`."""
    return {
        "compare_type": compare_type,
        "compare_server_default": compare_server_default,
        "render_item": render_item,
        "process_revision_directives": process_revision,
        # Sees CHECKs that come and go, by their names.
        "autogenerate_plugins": [
            "alembic.autogenerate.*",
            "alembic.ext.checkconstraint_byname",
        ],
    }


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Write a type of the application as the plain type that it stores.

    Alembic would write `app.db.base.UtcDateTime()`, without the import; with the
    import, a revision would break when the class is renamed, years later.
    """
    if kind != "type" or not isinstance(item, TypeDecorator):
        return False
    stored: TypeEngine[Any] = item.impl_instance
    package = type(stored).__module__.split(".")
    if package[:2] == ["sqlalchemy", "dialects"]:
        context.imports.add(f"from sqlalchemy.dialects import {package[2]}")
        return f"{package[2]}.{stored!r}"
    return f"sa.{stored!r}"


def compare_type(
    context: MigrationContext,
    inspected: Column[Any],
    declared: Column[Any],
    inspected_type: TypeEngine[Any],
    declared_type: TypeEngine[Any],
) -> bool | None:
    """Leave it to Alembic (None), but for `Float(24)`: PostgreSQL makes it `real`."""
    if isinstance(declared_type, Float) and str(inspected_type) == "REAL":
        return (declared_type.precision or 53) > 24
    return None


def compare_server_default(
    context: MigrationContext,
    inspected: Column[Any],
    declared: Column[Any],
    inspected_default: str | None,
    declared_default: FetchedValue | None,
    rendered_default: str | None,
) -> bool | None:
    """Compare as text what Alembic compares wrong, and leave the rest to it (None).

    On PostgreSQL it lets the server compare, which fails for json and for text with
    an apostrophe; on SQLite it never finds the empty string equal.
    """
    if not isinstance(declared_default, DefaultClause):
        return None
    value = declared_default.arg
    if isinstance(value, Null):
        return inspected_default is not None
    plain = value if isinstance(value, str) else _unquote(str(value))
    if isinstance(declared.type, JSON) or (isinstance(value, str) and "'" in value):
        return inspected_default is None or _unquote(inspected_default) != plain
    if value == "":
        return inspected_default is None or _unquote(inspected_default) != ""
    return None


def _unquote(sql: str) -> str:
    """Return the text of a literal such as `'it''s'::character varying`."""
    literal = re.fullmatch(r"'(.*)'(::.*)?", sql, re.DOTALL)
    return literal[1].replace("''", "'") if literal else sql
