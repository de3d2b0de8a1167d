"""user_settings split from users

users.theme and users.time_zone stay until the next release.

Revision ID: 91fa837e3696
Revises: df01d0a93ca0
Create Date: 2024-02-01 15:15:24.244935

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '91fa837e3696'
down_revision = 'df01d0a93ca0'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "user_settings",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("theme", sa.String(20), nullable=True),
        sa.Column("time_zone", sa.String(60), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.execute(
        "INSERT INTO user_settings (user_id, theme, time_zone) "
        "SELECT id, theme, time_zone FROM users"
    )


def downgrade():
    op.drop_table("user_settings")
