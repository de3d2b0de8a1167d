"""projects.is_archived

Revision ID: 4ea3a350aa65
Revises: d50ef8a4de7e
Create Date: 2022-04-15 19:05:22.238585

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '4ea3a350aa65'
down_revision = 'd50ef8a4de7e'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "projects",
        sa.Column("is_archived", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "projects",
        sa.Column("visibility", sa.String(16), server_default="private", nullable=False),
    )


def downgrade():
    op.drop_column("projects", "visibility")
    op.drop_column("projects", "is_archived")
