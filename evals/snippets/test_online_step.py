"""Evals for snippets/online_step.py."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.migrations import History
from evals.harness.shop import CALLS, REVISION, shop_engine, shop_history

shop, history = shop_engine, shop_history


async def test_the_limits_are_back_after_the_call(
    history: History, shop: AsyncEngine, database: str
) -> None:
    body = REVISION.format(call=CALLS["index"])
    body = body.replace(
        "\n\n\ndef downgrade",
        """
    add_check("ck_parcel_heavy", "parcel", "weight > 0")
    if op.get_context().dialect.name == "postgresql":
        found = op.get_bind().execute(
            sa.text("SELECT current_setting('lock_timeout'),"
                    " current_setting('statement_timeout')")
        ).one()
        assert tuple(found) == ("300ms", "30s"), found


def downgrade""",
    )
    history.revision("r1", None, body)
    history.upgrade()
    assert await history.version() == "r1"


async def test_offline_sql_leaves_the_transaction_for_each_step(
    history: History,
    shop: AsyncEngine,
    capsys: pytest.CaptureFixture[str],
    database: str,
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS["index"]))
    history.upgrade(sql=True)
    sql = capsys.readouterr().out
    assert ("CREATE INDEX CONCURRENTLY" in sql) is (database == "postgresql")
    assert sql.count("COMMIT;") == (2 if database == "postgresql" else 1)


async def test_a_block_without_limits_has_none(
    history: History, shop: AsyncEngine, database: str
) -> None:
    body = """
from snippets.online_step import unlimited


def upgrade():
    with unlimited("lock_timeout", "statement_timeout"):
        if op.get_context().dialect.name == "postgresql":
            limits = "current_setting('lock_timeout')"
            limits += ", current_setting('statement_timeout')"
            found = op.get_bind().execute(sa.text(f"SELECT {limits}")).one()
            assert tuple(found) == ("0", "0"), found
"""
    history.revision("r1", None, body)
    history.upgrade()
    assert await history.version() == "r1"


async def test_a_validation_may_take_its_time(
    history: History, shop: AsyncEngine, database: str
) -> None:
    rule = "weight > 0"
    if database == "postgresql":
        rule = "limit_is_off(weight)"
        await history.read(
            "CREATE FUNCTION limit_is_off(n INTEGER) RETURNS BOOLEAN LANGUAGE sql"
            " AS $$ SELECT current_setting('statement_timeout') = '0' $$"
        )
    call = f'add_check("ck", "parcel", "{rule}")'
    history.revision("r1", None, REVISION.format(call=call))
    history.upgrade()
    assert await history.version() == "r1"


LOCKS = """
from snippets.online_step import lock


def upgrade():
    {calls}
    if op.get_context().dialect.name == "postgresql":
        query = "SELECT relation::regclass::text, mode FROM pg_locks"
        query += " WHERE pid = pg_backend_pid() AND mode LIKE '%ExclusiveLock'"
        query += " AND relation IN (SELECT oid FROM pg_class WHERE relkind = 'r')"
        query += " AND relation::regclass::text NOT LIKE 'alembic%'"
        found = op.get_bind().execute(sa.text(query))
        context.config.attributes["locks"].update(map(tuple, found))
"""


async def test_a_table_is_locked_until_the_transaction_ends(
    history: History, shop: AsyncEngine, database: str
) -> None:
    calls = 'lock("van", "SHARE ROW EXCLUSIVE")'
    if database == "postgresql":
        await history.read('CREATE SCHEMA "the other"')
        await history.read('CREATE TABLE "the other"."order" (id INTEGER)')
        calls += '\n    lock("order", "ACCESS EXCLUSIVE", "the other")'
    history.revision("r1", None, LOCKS.format(calls=calls))
    config = history.config(locks=(locks := set[tuple[str, str]]()))
    command.upgrade(config, "head")
    expected = {
        ("van", "ShareRowExclusiveLock"),
        ('"the other"."order"', "AccessExclusiveLock"),
    }
    assert locks == (expected if database == "postgresql" else set())
    assert await history.version() == "r1"


REFUSE = """
from snippets.online_step import refuse_dependents


def upgrade():
    if op.get_context().dialect.name == "postgresql":
        op.execute(refuse_dependents({arguments}))
"""
UNIQUE = "ALTER TABLE parcel ADD CONSTRAINT uq UNIQUE (weight)"


@pytest.mark.parametrize(
    ("statement", "arguments", "refused"),
    [
        ("ALTER TABLE parcel ALTER weight SET DEFAULT 1", "false", ""),
        ("CREATE INDEX ix ON parcel (code)", "false", ""),
        ("CREATE TABLE other AS SELECT * FROM parcel", "false", ""),
        ("CREATE INDEX ix ON parcel (code, weight)", "false", "index ix"),
        ("CREATE INDEX ix ON parcel (weight)", "r.relkind = 'i'", ""),
        ("CREATE INDEX ix ON parcel (weight)", "r.relkind = 'S'", "index ix"),
        ("CREATE VIEW v AS SELECT weight FROM parcel", "r.relkind = 'i'", "on view v"),
        (UNIQUE, "contype = 'u'", ""),
        (UNIQUE, "contype = 'p'", "constraint uq on table parcel"),
    ],
)
async def test_what_depends_on_a_column_is_refused_but_for_what_is_said(
    history: History,
    shop: AsyncEngine,
    statement: str,
    arguments: str,
    refused: str,
    database: str,
) -> None:
    given = f'"parcel", "weight", "{arguments}"'
    history.revision("r1", None, REFUSE.format(arguments=given))
    if database == "postgresql":
        await history.read(statement)
        if refused:
            told = f"{refused} uses the column: drop it, and make it anew after"
            with pytest.raises(DBAPIError, match=told):
                history.upgrade()
            return
    history.upgrade()
    assert await history.version() == "r1"


async def test_a_dependent_of_another_table_counts_for_nothing(
    history: History, shop: AsyncEngine
) -> None:
    await history.read('CREATE TABLE "Other" (weight INTEGER, "It\'s" INTEGER)')
    await history.read('CREATE INDEX "Ix" ON "Other" (weight)')
    for number, given in enumerate(("'parcel', 'weight'", "'Other', \"It's\"")):
        down = f"r{number - 1}" if number else None
        body = REFUSE.format(arguments=f"{given}, 'false'")
        history.revision(f"r{number}", down, body)
    history.upgrade()
    assert await history.version() == "r1"
