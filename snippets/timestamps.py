"""`created_at` and `updated_at` that every write sets, as sort keys on both databases.

The ORM, Core and upserts take the time from Python: it is known without reading the
row again, so a response can name it. Plain SQL gets the server's default.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .base import UtcDateTime


def now() -> datetime:
    """Return the moment, aware."""
    return datetime.now(UTC)


class utc_now(FunctionElement[datetime]):
    """The database's clock, for server defaults and queries.

    On SQLite it is text in the format in which SQLAlchemy stores a datetime.
    CURRENT_TIMESTAMP has no fraction there: it would sort below every time of the
    same second. On PostgreSQL it is the start of the transaction.
    """

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now)
def on_postgresql(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "now()"


@compiles(utc_now, "sqlite")
def on_sqlite(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    # Milliseconds are all that SQLite has; the zeros make the text as long as ours.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


CreatedAt = Annotated[
    datetime,
    mapped_column(UtcDateTime, insert_default=now, server_default=utc_now()),
]
UpdatedAt = Annotated[
    datetime,
    mapped_column(
        UtcDateTime, insert_default=now, onupdate=now, server_default=utc_now()
    ),
]


class Timestamps:
    """Mix this into a model. A dataclass cannot take a plain mixin: declare
    `created_at: Mapped[CreatedAt] = mapped_column(init=False)` there.

    An upsert is an INSERT, so `onupdate` does not reach it: set
    `updated_at=stmt.excluded.updated_at` in `on_conflict_do_update`.
    https://docs.sqlalchemy.org/en/20/core/defaults.html#python-executed-functions
    """

    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
