"""A helper of the same file is followed."""

import sqlalchemy as sa
from alembic import op

revision = "099a"
down_revision = "0000"
branch_labels = None
depends_on = None


def drop_everything(*names: str) -> None:
    for name in names:
        op.drop_table(name)


def upgrade() -> None:
    drop_everything("author", "book")


def downgrade() -> None:
    raise NotImplementedError
