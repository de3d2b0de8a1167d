"""Write a server default that the databases spell differently into a revision for both.

Alembic would write `utc_now()` of `timestamps` as the database spells it on which the
revision is generated, and the other one would refuse the revision.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import make_url
from sqlalchemy.sql.functions import Function, FunctionElement


def render_default(item: Any) -> str | Literal[False]:
    """Return the Python of a server default, or False: leave it to Alembic."""
    default: Any = getattr(item, "arg", None)
    if isinstance(default, Function) or not isinstance(default, FunctionElement):
        return False
    sqlite, postgresql = (
        str(item.arg.compile(dialect=make_url(url).get_dialect()()))
        for url in ("sqlite+aiosqlite://", "postgresql+asyncpg://")
    )
    if sqlite == postgresql:
        return False
    is_sqlite = 'op.get_context().dialect.name == "sqlite"'
    return f"sa.text({sqlite!r} if {is_sqlite} else {postgresql!r})"
