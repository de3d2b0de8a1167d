"""Evals for snippets/revision_check.py."""

from __future__ import annotations

import asyncio

import pytest
from alembic.util import CommandError
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from evals.harness.migrations import History, Migrated
from evals.harness.project import Project
from evals.snippets.test_migration_env import CREATE, plain_env, tables


@pytest.fixture
def history(empty_history: History) -> History:
    """Two revisions, a table each."""
    empty_history.revision("r1", None, CREATE.format(table="first"))
    empty_history.revision("r2", "r1", CREATE.format(table="second"))
    return empty_history


async def test_a_database_ahead_of_the_code_is_refused_until_it_is_purged(
    history: History,
) -> None:
    history.upgrade()
    (history.versions / "r2.py").unlink()
    with pytest.raises(CommandError, match="at revision r2, which this code does not"):
        history.upgrade()
    assert await tables(history) == {"first", "second", "alembic_version"}

    history.run("stamp", "r1", purge=True)
    assert await history.version() == "r1"


async def test_a_revision_with_a_syntax_error_is_named(history: History) -> None:
    history.upgrade("r1")
    history.revision("r3", "r2", "def upgrade(:")
    with pytest.raises(CommandError, match=r"r3\.py, line 9: .*correct that revision"):
        history.upgrade()


def left_halfway(history: History, body: str) -> None:
    """Do the first half, as Alembic's own environment does it."""
    file = history.revision("r3", "r2", body.replace('"first"', '"nowhere"'))
    try:
        history.upgrade(env=plain_env(history))
    finally:
        file.unlink()
        history.revision("r3", "r2", body)


@pytest.mark.trap("already-there")
async def test_what_is_there_already_is_said_with_what_to_do(
    history: History, database: str
) -> None:
    """Half of a revision, which a run left that was not one transaction."""
    body = """
def upgrade():
    op.create_table("third", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("first", sa.Column("code", sa.Integer))
    op.create_index("ix", "first", ["code"])
"""
    history.revision("r3", "r2", body)
    history.upgrade("r2")
    if database == "sqlite":
        with pytest.raises(DBAPIError, match="no such table: nowhere"):
            await asyncio.to_thread(left_halfway, history, body)
        with pytest.raises(CommandError, match="third already exists: the database"):
            history.upgrade()
        await history.read("DROP TABLE third")
    alter = "ALTER TABLE first"
    half = [
        ("third", "CREATE TABLE third (id INTEGER)", "DROP TABLE third"),
        ("code", f"{alter} ADD code INTEGER", f"{alter} DROP code"),
        ("ix", "CREATE INDEX ix ON first (id)", "DROP INDEX ix"),
    ]
    for name, done, undo in half:
        await history.read(done)
        told = f"{name}.*: the database has what this revision makes"
        with pytest.raises(CommandError, match=told):
            history.upgrade()
        assert await tables(history) >= {"first", "second"}
        assert await history.version() == "r2"
        await history.read(undo)
    history.upgrade()
    assert await history.version() == "r3"


async def test_what_a_broken_batch_operation_left_is_said(
    history: History, database: str
) -> None:
    body = """
def upgrade():
    with op.batch_alter_table("first") as batch:
        batch.alter_column("id", type_=sa.BigInteger)
"""
    history.revision("r3", "r2", body)
    history.upgrade("r2")
    await history.read("CREATE TABLE _alembic_tmp_first (id INTEGER)")
    if database == "sqlite":
        with pytest.raises(CommandError, match="_alembic_tmp_first already exists: "):
            history.upgrade()
    await history.read("DROP TABLE _alembic_tmp_first")
    history.upgrade()
    assert await history.version() == "r3"


async def test_another_error_of_the_database_stays_as_it_is(history: History) -> None:
    history.revision("r3", "r2", "def upgrade():\n    op.drop_table('nowhere')\n")
    with pytest.raises(DBAPIError, match="nowhere"):
        history.upgrade()
    assert await history.version() == "r2"


async def test_the_command_line_says_it_and_fails(
    project: Project, fresh_database: URL
) -> None:
    """`fails` looks at the exit code, and that there is no traceback."""
    starter = Migrated(project, fresh_database)
    starter.revision("r1", None, CREATE.format(table="first"))
    second = starter.revision("r2", "r1", CREATE.format(table="second"))
    unknown = "Can't locate revision identified by 'r9'"
    assert unknown in starter.fails("upgrade", "r9")

    wrong = starter.revision("r3", "r2", "def upgrade(:")
    assert "r3.py, line 9: invalid syntax: correct" in starter.fails("upgrade", "head")
    wrong.unlink()

    other = starter.revision("other", "r1")
    assert "Multiple head revisions" in starter.fails("upgrade", "head")
    other.unlink()

    await starter.read("CREATE TABLE second (id INTEGER)")
    assert "the database has what this revision" in starter.fails("upgrade", "head")
    await starter.read("DROP TABLE second")
    starter.alembic("upgrade", "head")

    second.unlink()
    ahead = "the database is at revision r2, which this code does not have"
    assert ahead in starter.fails("upgrade", "head")
    assert await starter.version() == "r2"
