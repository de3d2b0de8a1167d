"""The models. Each is a subclass of `Base`; a new one needs a new revision."""

from __future__ import annotations

# example: begin
from datetime import UTC, datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

# example: end
from .db.base import Base as Base
# example: begin


class Note(Base):
    """A line of text, to be replaced by what your application is about."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
# example: end
