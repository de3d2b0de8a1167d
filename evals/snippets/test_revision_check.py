"""Evals for snippets/revision_check.py."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from evals.harness.migrations import History
from evals.snippets.test_migration_env import CREATE, tables


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
