"""A base for SQLModel tables: named constraints, UTC times, one metadata with `Base`.

class Hero(TimestampFields, TableModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from .base import Base, UtcDateTime
from .timestamps import now, utc_now


class TableModel(SQLModel):
    """Base of all tables. With the metadata of `Base`, Alembic and the tests see the
    tables of both; SQLModel's own gives constraints no names."""

    metadata = Base.metadata


class TimestampFields(SQLModel):
    """`created_at` and `updated_at`, as `timestamps` has them for plain models."""

    created_at: datetime = Field(
        default_factory=now,
        sa_type=UtcDateTime,
        sa_column_kwargs={"server_default": utc_now()},
    )
    updated_at: datetime = Field(
        default_factory=now,
        sa_type=UtcDateTime,
        sa_column_kwargs={"server_default": utc_now(), "onupdate": now},
    )
