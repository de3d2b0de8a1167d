"""public is the default schema: the same table."""

import sqlalchemy as sa
from alembic import op

revision = "119a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "log", sa.Column("id", sa.Integer(), primary_key=True), schema="public"
    )
    op.execute('ALTER TABLE public."log" ADD COLUMN text varchar(20) NOT NULL')


def downgrade() -> None:
    op.drop_table("log")
