"""A repository whose `delete` marks rows, with their children, and can restore them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from .base_query import Condition
from .repository import Repository
from .soft_delete import HasDeletedAt
from .soft_delete_cascade import delete_with_children, restore_with_children

S = TypeVar("S", bound=HasDeletedAt)


class SoftDeleteRepository(Repository[S]):
    """Reads see live rows only: `soft_delete` filters every ORM statement."""

    async def delete(self, row: S) -> None:
        """Mark a row and its children as deleted."""
        await delete_with_children(self.session, row)

    async def delete_where(self, where: Condition, *more: Condition) -> int:
        """Mark all visible rows that fulfil the conditions, without their children."""
        deleted_at = {"deleted_at": datetime.now(UTC)}
        return await self.update_where(deleted_at, where, *more)

    async def deleted(self, *where: Condition) -> Sequence[S]:
        """Return marked rows, those marked last first."""
        stmt = self.query().where(self.model.is_deleted, *where)
        stmt = stmt.order_by(self.model.deleted_at.desc())
        stmt = stmt.execution_options(include_deleted=True)
        return (await self.session.scalars(stmt)).unique().all()

    async def restore(self, row: S) -> S:
        """Restore a row, and the children that were deleted with it.

        Raises:
            IntegrityError: a live row has taken a name that is unique meanwhile.
        """
        await restore_with_children(self.session, row)
        return row
