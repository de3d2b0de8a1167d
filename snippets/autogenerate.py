"""What autogenerate compares and writes: no false alarm, no silent loss of data."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate.api import AutogenContext
from sqlalchemy.types import TypeDecorator


def render_item(kind: str, item: Any, context: AutogenContext) -> str | bool:
    """Write a type of the application as the plain type that it stores.

    Alembic would write `app.db.base.UtcDateTime()`, without the import; with the
    import, a revision would break when the class is renamed, years later.
    """
    if kind != "type" or not isinstance(item, TypeDecorator):
        return False
    stored = item.impl_instance
    package = type(stored).__module__.split(".")
    if package[:2] == ["sqlalchemy", "dialects"]:
        context.imports.add(f"from sqlalchemy.dialects import {package[2]}")
        return f"{package[2]}.{stored!r}"
    return f"sa.{stored!r}"
