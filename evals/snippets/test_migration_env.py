"""Evals for snippets/migration_env.py, and for the starter's Alembic files."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, inspect

from evals.harness.migrations import Migrated
from evals.harness.project import Project


@pytest.fixture
def migrated(project: Project, fresh_database: URL) -> Migrated:
    """The starter's migrations, without a revision."""
    return Migrated(project, fresh_database)


async def test_the_starters_models_and_revisions_agree(
    project: Project, fresh_database: URL
) -> None:
    starter = Migrated(project, fresh_database, bare=False)
    starter.alembic("upgrade", "head")
    assert "No new upgrade operations" in starter.alembic("check").stdout
    assert await starter.inspect(lambda c: inspect(c).has_table("note"))
    starter.alembic("downgrade", "base")
    assert not await starter.inspect(lambda c: inspect(c).has_table("note"))


async def test_a_revision_that_autogenerate_writes_runs_and_leaves_no_difference(
    migrated: Migrated,
) -> None:
    migrated.alembic("revision", "--autogenerate", "-m", "create note")
    (file,) = migrated.versions.glob("*.py")
    assert file.name.startswith("20")
    assert file.name.endswith("_create_note.py")
    migrated.alembic("upgrade", "head")
    migrated.alembic("check")
    migrated.alembic("downgrade", "base")
