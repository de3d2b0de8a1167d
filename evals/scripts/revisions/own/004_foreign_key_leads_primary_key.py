"""The primary key begins with the column: that is its index."""

import sqlalchemy as sa
from alembic import op

revision = "004a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "member",
        sa.Column("team_id", sa.Integer(), sa.ForeignKey("team.id")),
        sa.Column("number", sa.Integer()),
        sa.PrimaryKeyConstraint("team_id", "number", name="pk_member"),
    )


def downgrade() -> None:
    op.drop_table("member")
