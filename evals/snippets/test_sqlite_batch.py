"""Evals for snippets/sqlite_batch.py: child rows, and rules without a name."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from evals.harness.migrations import History
from evals.snippets.test_migration_env import plain_env
from snippets.engine import new_engine

PARENT = "CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(20){check})"
CHILD = (
    "CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER"
    " REFERENCES parent (id) ON DELETE CASCADE)"
)
WIDEN = """
def upgrade():
    with op.batch_alter_table("parent"{options}) as batch:
        batch.alter_column("name", type_=sa.String(50))


def downgrade():
    pass
"""


@pytest.fixture
async def history(empty_history: History) -> History:
    """A parent with two children."""
    await empty_history.read(PARENT.format(check=""))
    await empty_history.read(CHILD)
    await empty_history.read("INSERT INTO parent (id) VALUES (1)")
    await empty_history.read("INSERT INTO child VALUES (1, 1), (2, 1)")
    return empty_history


async def children(history: History) -> int:
    ((number,),) = await history.read("SELECT count(*) FROM child")
    return int(number)


async def upgrade(history: History, connection: AsyncConnection, env: object) -> None:
    def run(sync: Connection) -> None:
        command.upgrade(history.config(env, connection=sync), "head")

    await connection.run_sync(run)


@pytest.mark.trap("batch-cascade")
async def test_the_rows_of_a_child_survive_when_the_parent_is_made_anew(
    history: History,
) -> None:
    history.revision("r1", None, WIDEN.format(options=""))
    engine = new_engine(history.url)  # foreign keys on, as the application's
    async with engine.connect() as connection:
        await upgrade(history, connection, plain_env(history))
        assert await children(history) == 0
    await history.read("INSERT INTO child VALUES (1, 1), (2, 1)")
    await history.read("DELETE FROM alembic_version")

    async with engine.connect() as connection:
        await upgrade(history, connection, history.env)
        assert await children(history) == 2
    await engine.dispose()


async def test_foreign_keys_are_enforced_again_on_the_connection_that_was_handed_over(
    history: History,
) -> None:
    history.revision("r1", None, "def upgrade():\n    op.execute('SELECT * FROM no')\n")
    engine = new_engine(history.url)
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="no such table"):
            await upgrade(history, connection, history.env)
        on = await connection.exec_driver_sql("PRAGMA foreign_keys")
        assert on.scalar() == 1
        await connection.rollback()

        raw = await connection.get_raw_connection()
        assert raw.driver_connection
        await raw.driver_connection.execute("PRAGMA foreign_keys = OFF")
        history.revision("r1", None)
        await upgrade(history, connection, history.env)
        off = await connection.exec_driver_sql("PRAGMA foreign_keys")
        assert off.scalar() == 0
    await engine.dispose()


async def test_a_revision_that_leaves_an_orphan_is_rolled_back(
    history: History,
) -> None:
    history.revision(
        "r1", None, "def upgrade():\n    op.execute('DELETE FROM parent')\n"
    )
    with pytest.raises(CommandError, match="r1 leaves 2 rows of child without their"):
        history.upgrade()
    assert await history.read("SELECT id FROM parent") == [(1,)]


async def test_orphans_from_before_do_not_stop_a_revision(history: History) -> None:
    engine = new_engine(history.url)
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection
        await raw.driver_connection.execute("PRAGMA foreign_keys = OFF")
        await raw.driver_connection.execute("INSERT INTO child VALUES (3, 99)")
    await engine.dispose()
    history.revision("r1", None, WIDEN.format(options=""))
    history.upgrade()
    assert await history.version() == "r1"


async def test_a_check_without_a_name_raises_no_warning(history: History) -> None:
    await history.read("DROP TABLE parent")
    await history.read(PARENT.format(check=" CHECK (name <> '')"))
    history.revision("r1", None, WIDEN.format(options=""))
    with pytest.raises(CommandError, match="would lose a CHECK"):
        history.upgrade()
    assert await history.read("SELECT * FROM parent") == []


async def test_an_index_on_an_expression_raises_no_warning(history: History) -> None:
    await history.read("CREATE INDEX ix_lower ON parent (lower(name))")
    history.revision("r1", None, WIDEN.format(options=""))
    history.upgrade()
    assert await history.read("SELECT 1 FROM sqlite_master WHERE name = 'ix_lower'")
