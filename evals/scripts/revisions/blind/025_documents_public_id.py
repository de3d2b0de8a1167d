"""public ids for documents

Revision ID: 56828eca955f
Revises: a839d901372b
Create Date: 2023-01-29 19:19:23.121379

"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from alembic import op

revision = "56828eca955f"
down_revision = "a839d901372b"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "documents",
        sa.Column(
            "public_id",
            postgresql.UUID(as_uuid=True),
            server_default=sa.text("gen_random_uuid()"),
            nullable=False,
        ),
    )


def downgrade():
    op.drop_column("documents", "public_id")
