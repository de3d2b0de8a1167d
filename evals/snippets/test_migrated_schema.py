"""Evals for snippets/migrated_schema.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from alembic.util import CommandError
from sqlalchemy import URL, Connection, text

from evals.harness.project import Project
from snippets.engine import new_engine
from snippets.migrated_schema import migrated_schema

ENV = """
from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
"""
FIRST = """
from alembic import op

revision, down_revision = "1", None


def upgrade():
    op.execute("CREATE TABLE song (id integer)")
"""
SECOND = """
from alembic import op

revision, down_revision = "2", "1"


def upgrade():
    op.execute("INSERT INTO song VALUES (7)")
"""


@pytest.fixture
def alembic_ini(project: Project) -> Path:
    project.write(
        {
            "alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n"
            "path_separator = os\n",
            "migrations/env.py": ENV,
            "migrations/versions/first.py": FIRST,
            "migrations/versions/second.py": SECOND,
        }
    )
    return project.path / "alembic.ini"


async def test_the_migrations_make_the_schema_on_the_connection_that_is_given(
    alembic_ini: Path, fresh_database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(os.sep)
    create_schema = migrated_schema(alembic_ini)
    engine = new_engine(fresh_database)
    async with engine.connect() as connection:
        await connection.run_sync(create_schema)
        await connection.commit()
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT id FROM song")) == 7
        version = text("SELECT version_num FROM alembic_version")
        assert await connection.scalar(version) == "2"
    await engine.dispose()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    create_schema = migrated_schema(tmp_path / "alembic.ini")
    with pytest.raises(CommandError):
        create_schema(Connection.__new__(Connection))
