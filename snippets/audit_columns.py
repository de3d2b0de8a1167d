"""`created_by` and `updated_by`, stamped by every write of the ORM and of Core."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .actor import current_actor

CreatedBy = Annotated[str, mapped_column(String(64), insert_default=current_actor)]
UpdatedBy = Annotated[
    str,
    mapped_column(String(64), insert_default=current_actor, onupdate=current_actor),
]


class AuditColumns:
    """Mix this into a model. Text, not a foreign key: workers act, too, and a user's
    traces outlive the user. An upsert sets `updated_by=stmt.excluded.updated_by`.
    """

    created_by: Mapped[CreatedBy]
    updated_by: Mapped[UpdatedBy]
