"""The model moves on, the revision does not."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import Session

from app.models import Author

revision = "087a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    session = Session(op.get_bind())
    for author in session.query(Author):
        author.name = author.name.strip()
    session.commit()


def downgrade() -> None:
    pass
