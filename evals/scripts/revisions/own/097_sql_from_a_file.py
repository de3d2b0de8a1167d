"""What is in the file?"""

import sqlalchemy as sa
from alembic import op
from pathlib import Path

revision = "097a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(Path("views.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    pass
