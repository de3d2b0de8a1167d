"""Evals for snippets/sqlite_recreate.py: a table that is made anew, seen whole."""

from __future__ import annotations

import asyncio
import warnings

import pytest
from sqlalchemy.exc import DBAPIError, SAWarning

from evals.harness.migrations import History
from evals.snippets.test_migration_env import migrate, plain_env
from snippets.engine import new_engine

SCHEMA = {
    "parent": """CREATE TABLE parent (
        id INTEGER NOT NULL, name VARCHAR(20) DEFAULT 'it''s' NOT NULL, m INTEGER,
        CONSTRAINT pk PRIMARY KEY (id),
        CONSTRAINT ck_m CHECK (m < 1000),
        CONSTRAINT uq_m UNIQUE (m))""",
    "log": "CREATE TABLE log (line TEXT)",
    "ix_lower": "CREATE INDEX ix_lower ON parent (lower(name))",
    "ix_desc": "CREATE INDEX ix_desc ON parent (m DESC, name)",
    "ix_case": "CREATE UNIQUE INDEX ix_case ON parent (name COLLATE NOCASE)",
    "ix_part": "CREATE INDEX ix_part ON parent (name) WHERE m > 1",
    "renamed": """CREATE TRIGGER renamed AFTER UPDATE OF name ON parent
        BEGIN INSERT INTO log VALUES (old.name); END""",
}
VIEW = "CREATE VIEW names AS SELECT id, name FROM parent"
BATCH = """
def upgrade():
    with op.batch_alter_table("parent") as batch:
        batch.{operation}


def downgrade():
    pass
"""
WIDEN = BATCH.format(
    operation='alter_column("name", type_=sa.String(50), existing_nullable=False)'
)


async def make(history: History, *statements: str) -> None:
    for statement in statements or SCHEMA.values():
        await history.read(statement)
    await history.read("INSERT INTO parent (id, name, m) VALUES (1, 'ann', 2)")


async def objects(history: History) -> dict[str, str]:
    """Return what the database has, by name, but for the table itself."""
    rows = await history.read("SELECT name, sql FROM sqlite_master WHERE sql <> ''")
    found = {name: " ".join(sql.replace('"', "").split()) for name, sql in rows}
    return {k: v for k, v in found.items() if k not in ("parent", "alembic_version")}


async def table(history: History) -> str:
    ((sql,),) = await history.read(
        "SELECT sql FROM sqlite_master WHERE name = 'parent'"
    )
    return str(sql)


@pytest.mark.trap("batch-loses-objects")
async def test_batch_mode_alone_loses_triggers_and_indexes(history: History) -> None:
    await make(history)
    before = await objects(history)
    history.revision("r1", None, WIDEN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        await asyncio.to_thread(history.upgrade, env=plain_env(history))

    after = await objects(history)
    assert before.keys() - after.keys() == {"ix_lower", "renamed"}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"ix_desc", "ix_case"}


async def test_triggers_indexes_and_rules_are_as_they_were(history: History) -> None:
    await make(history)
    before = await objects(history)
    history.revision("r1", None, WIDEN)
    history.upgrade()

    assert await objects(history) == before
    sql = await table(history)
    assert "name VARCHAR(50) DEFAULT 'it''s' NOT NULL" in sql
    assert "CONSTRAINT ck_m CHECK (m < 1000)" in sql
    assert "CONSTRAINT uq_m UNIQUE (m)" in sql
    await history.read("UPDATE parent SET name = 'bob'")
    assert await history.read("SELECT line FROM log") == [("ann",)]


async def test_a_view_does_not_stop_a_table_from_being_made_anew(
    history: History,
) -> None:
    await make(history, SCHEMA["parent"], VIEW)
    history.revision("r1", None, WIDEN)
    with pytest.raises(DBAPIError, match="error in view names"):
        await asyncio.to_thread(history.upgrade, env=plain_env(history))
    await history.read("DROP TABLE IF EXISTS _alembic_tmp_parent")

    # Later renames, on the same connection, follow into views again.
    history.revision(
        "r2", "r1", "def upgrade():\n    op.rename_table('parent', 'person')\n"
    )
    history.upgrade()
    assert await history.read("SELECT * FROM names") == [(1, "ann")]


async def test_an_index_that_the_revision_drops_or_changes_is_not_restored(
    history: History,
) -> None:
    await make(history)
    body = WIDEN.replace(
        "def downgrade",
        """    op.drop_index("ix_lower", "parent")
    op.drop_index("ix_desc", "parent")
    op.create_index("ix_desc", "parent", ["m", "name"])
    op.drop_index("ix_case", "parent")
    op.create_index("ix_case", "parent", ["id"])


def downgrade""",
    )
    history.revision("r1", None, body)
    history.upgrade()
    after = await objects(history)
    assert "ix_lower" not in after
    assert after["ix_desc"] == "CREATE INDEX ix_desc ON parent (m, name)"
    assert after["ix_case"] == "CREATE INDEX ix_case ON parent (id)"


async def test_two_tables_of_one_revision_keep_what_each_had(history: History) -> None:
    other = ["CREATE TABLE other (id INTEGER, n INTEGER)"]
    other += ["CREATE INDEX ix_other ON other (abs(n))"]
    await make(history, SCHEMA["parent"], SCHEMA["ix_lower"], *other)
    both = WIDEN.replace(
        "\n\n\ndef downgrade",
        "\n"
        "    with op.batch_alter_table('other') as batch:\n"
        "        batch.alter_column('n', type_=sa.String(9))\n\n\ndef downgrade",
    )
    before = await objects(history)
    await history.read("CREATE TABLE old (id INTEGER)")
    both = both.replace("upgrade():", "upgrade():\n    op.drop_table('old')", 1)
    history.revision("r1", None, both)
    history.upgrade()
    after = await objects(history)
    assert after.pop("other") != before.pop("other")
    assert after == before


async def test_a_connection_that_was_handed_over_has_no_listeners_left(
    history: History,
) -> None:
    await make(history)
    history.revision("r1", None, WIDEN)
    engine = new_engine(history.url)
    async with engine.connect() as connection:
        sync = connection.sync_connection
        assert sync is not None
        events = sync.dispatch.before_cursor_execute, sync.dispatch.after_cursor_execute
        before = [len(list(listeners)) for listeners in events]
        await migrate(connection, history.config(), "head")
        assert [len(list(listeners)) for listeners in events] == before
    await engine.dispose()
    assert await history.version() == "r1"
