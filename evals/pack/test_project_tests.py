"""The tests that the testing page shows, in a project that the pack has set up."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.project import ROOT, Project

TESTS = (ROOT / "evals/pack/project_tests.py").read_text("utf-8")


@pytest.fixture
def tested(project: Project, engine: AsyncEngine, database: str) -> Project:
    """The starter, with these tests; PostgreSQL is the server of the evals."""
    project.add("starter", "migration_gate")
    project.write({"tests/test_project.py": TESTS.replace("snippets.", "app.db.")})
    if database == "postgresql":
        url = engine.url.render_as_string(hide_password=False)
        project.env["TEST_DATABASE_URL"] = url
    return project


def outcome(project: Project, database: str) -> str:
    chosen = ("-k", database, "-p", "no:cacheprovider", "tests/test_project.py")
    return project.run("-m", "pytest", "-q", *chosen, check=False).stdout


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_migrations_that_fit_the_models_and_go_both_ways_pass(
    tested: Project, database: str
) -> None:
    assert "1 passed" in outcome(tested, database)


def test_a_model_that_no_revision_knows_fails(tested: Project, database: str) -> None:
    edit(tested.path / "app/models.py", "String(200)", "String(200), index=True")
    printed = outcome(tested, database)
    assert "1 failed" in printed
    assert "New upgrade operations detected" in printed
    assert "ix_note_text" in printed


def test_a_downgrade_that_leaves_something_fails(
    tested: Project, database: str
) -> None:
    (revision,) = (tested.path / "migrations/versions").glob("*.py")
    edit(revision, 'op.drop_table("note")', "pass")
    printed = outcome(tested, database)
    assert "1 failed" in printed
    assert "MigrationFault: the downgrade of" in printed
