"""Evals for snippets/online_step.py."""

from __future__ import annotations

import pytest
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
