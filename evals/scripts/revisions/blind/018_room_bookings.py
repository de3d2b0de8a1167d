"""room bookings

Revision ID: 5f0baa50c32d
Revises: 9034ac050935
Create Date: 2022-10-29 20:20:22.840490

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


# revision identifiers, used by Alembic.
revision = '5f0baa50c32d'
down_revision = '9034ac050935'
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.create_table(
        "room_bookings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column(
            "user_id",
            sa.Integer(),
            sa.ForeignKey("users.id", name="fk_room_bookings_user", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("token", postgresql.UUID(as_uuid=True), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.CheckConstraint("NOT isempty(during)", name="ck_room_bookings_during"),
        sa.UniqueConstraint("token", name="uq_room_bookings_token"),
        postgresql.ExcludeConstraint(
            ("room_id", "="),
            ("during", "&&"),
            name="ex_room_bookings_overlap",
            using="gist",
        ),
    )


def downgrade():
    op.drop_table("room_bookings")
