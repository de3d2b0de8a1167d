"""subscription plans

Revision ID: fa4eca2321c4
Revises: 0a1f8fb6ba5a
Create Date: 2022-07-16 18:04:22.519474

"""

import sqlalchemy as sa
from alembic import op

revision = "fa4eca2321c4"
down_revision = "0a1f8fb6ba5a"
branch_labels = None
depends_on = None


def upgrade():
    plans = op.create_table(
        "plans",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(30), nullable=False, unique=True),
        sa.Column("monthly_cents", sa.Integer(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=True),
        sa.CheckConstraint("monthly_cents >= 0", name="ck_plans_monthly_cents"),
    )
    op.bulk_insert(
        plans,
        [
            {"id": 1, "key": "free", "monthly_cents": 0, "seats": 3},
            {"id": 2, "key": "team", "monthly_cents": 2900, "seats": 25},
            {"id": 3, "key": "business", "monthly_cents": 9900, "seats": None},
        ],
    )


def downgrade():
    op.drop_table("plans")
