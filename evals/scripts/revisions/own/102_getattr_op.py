"""A directive chosen at run time."""

import sqlalchemy as sa
from alembic import op

revision = "102a"
down_revision = "0000"
branch_labels = None
depends_on = None


def kind() -> str:
    return open("kind.txt", encoding="utf-8").read()


def upgrade() -> None:
    getattr(op, "drop_" + kind())("author")


def downgrade() -> None:
    pass
