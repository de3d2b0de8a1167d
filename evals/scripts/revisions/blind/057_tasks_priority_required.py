"""tasks.priority not null

The release that is running never writes NULL here any more.

Revision ID: 01d6b743c653
Revises: cd53707e585e
Create Date: 2024-03-25 04:23:24.405443

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "01d6b743c653"
down_revision: Union[str, Sequence[str], None] = "cd53707e585e"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

CHECK = "ck_tasks_priority_not_null"


def upgrade() -> None:
    """Upgrade schema."""
    # the nightly job of the last release filled the remaining NULLs
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE tasks ALTER COLUMN priority SET DEFAULT 3")
        op.execute(f"ALTER TABLE tasks ADD CONSTRAINT {CHECK} CHECK (priority IS NOT NULL) NOT VALID")
        op.execute(f"ALTER TABLE tasks VALIDATE CONSTRAINT {CHECK}")
    op.alter_column("tasks", "priority", existing_type=sa.SmallInteger(), nullable=False)
    op.drop_constraint(CHECK, "tasks", type_="check")


def downgrade() -> None:
    """Downgrade schema."""
    op.alter_column("tasks", "priority", existing_type=sa.SmallInteger(), nullable=True, server_default=None)
