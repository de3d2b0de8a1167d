"""Soft delete, a version and audit columns for SQLModel tables.

class Hero(SoftDeleteFields, VersionField, AuditFields, TableModel, table=True): ...

The mix-ins for plain models are `Mapped[...]`, which Pydantic refuses. The filter, the
check and the stamps are the same, so are `SoftDeleteRepository` and `check_version`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Field, SQLModel

from .actor import current_actor
from .base import UtcDateTime
from .soft_delete import HasDeletedAt
from .version_column import HasVersion


class SoftDeleteFields(HasDeletedAt, SQLModel):
    """As `SoftDelete`: `mark_deleted`, `restore`, `is_deleted`."""

    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class VersionField(HasVersion, SQLModel):
    """As `Versioned`. It is None until the row is inserted."""

    version: int | None = Field(
        default=None,
        nullable=False,
        sa_column_kwargs={
            "server_default": text("1"),
            "onupdate": text("version + 1"),
        },
    )


class AuditFields(SQLModel):
    """As `AuditColumns`: stamped when the row is written, not when it is made."""

    created_by: str | None = Field(
        default=None,
        nullable=False,
        max_length=64,
        sa_column_kwargs={"default": current_actor},
    )
    updated_by: str | None = Field(
        default=None,
        nullable=False,
        max_length=64,
        sa_column_kwargs={"default": current_actor, "onupdate": current_actor},
    )
