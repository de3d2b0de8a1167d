"""drop index covered by the unique constraint

uq_memberships_team_id_user_id starts with the same column.

Revision ID: ad274fa993c0
Revises: 0c7d96e93534
Create Date: 2022-10-03 13:46:22.760236

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'ad274fa993c0'
down_revision = '0c7d96e93534'
branch_labels = None
depends_on = None


def upgrade():
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_memberships_team_id",
            table_name="memberships",
            postgresql_concurrently=True,
            if_exists=True,
        )


def downgrade():
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_memberships_team_id",
            "memberships",
            ["team_id"],
            postgresql_concurrently=True,
        )
