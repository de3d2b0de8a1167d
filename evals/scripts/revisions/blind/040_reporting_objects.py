"""reporting objects 2024-06

Revision ID: dad1c6ee4a4c
Revises: d3249867ec21
Create Date: 2023-08-14 20:34:23.723284

"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "dad1c6ee4a4c"
down_revision = "d3249867ec21"
branch_labels = None
depends_on = None

SQL_DIR = Path(__file__).resolve().parent.parent / "sql"


def run(name):
    for statement in (SQL_DIR / name).read_text().split(";\n"):
        if statement.strip():
            op.execute(statement)


def upgrade():
    run("reporting_2024_06_up.sql")


def downgrade():
    run("reporting_2024_06_down.sql")
