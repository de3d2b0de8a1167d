"""Evals for snippets/backfill.py."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
from typing import Any

import pytest
from alembic import command
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from evals.harness.migrations import History, until
from evals.harness.project import ROOT
from snippets.engine import new_engine

REVISION = """
from snippets.backfill import backfill


def upgrade():
    options = dict(where="{where}", change="{change}", batch={batch})
    context.config.attributes["changed"] = backfill("order", key="id", **options)


def downgrade():
    pass
"""
WHERE = "grams IS NULL"
CHANGE = "grams = kilos * 1000"


@pytest.fixture
async def history(empty_history: History) -> History:
    """25 orders to fill, one that is filled; a name that must be quoted."""
    await empty_history.read(
        'CREATE TABLE "order" (id INTEGER PRIMARY KEY, kilos INTEGER, grams INTEGER)'
    )
    values = ", ".join(f"({n}, {n}, NULL)" for n in range(1, 26))
    await empty_history.read(f'INSERT INTO "order" VALUES (0, 1, 999), {values}')
    return empty_history


def revision(
    history: History, where: str = WHERE, change: str = CHANGE, batch: int = 10
) -> None:
    body = REVISION.format(where=where, change=change, batch=batch)
    history.revision("r1", None, body)


async def filled(history: History) -> int:
    rows = await history.read('SELECT count(*) FROM "order" WHERE grams = kilos * 1000')
    return int(rows[0][0])


async def test_every_row_is_changed_and_no_other(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "alembic.backfill")
    revision(history)
    config = history.config()
    await asyncio.to_thread(command.upgrade, config, "head")
    assert config.attributes["changed"] == 25
    assert await history.version() == "r1"
    assert await filled(history) == 25
    assert await history.read('SELECT grams FROM "order" WHERE id = 0') == [(999,)]
    progress = [r.getMessage() for r in caplog.records if r.name == "alembic.backfill"]
    assert progress == [
        '"order": 10 rows, up to 10',
        '"order": 20 rows, up to 20',
        '"order": 25 rows, up to 25',
    ]


async def test_it_sends_one_update_a_batch_and_reads_no_row_twice(
    history: History,
) -> None:
    revision(history)
    sent: list[tuple[str, tuple[int, ...]]] = []

    def record(c: Any, cur: Any, sql: str, args: tuple[int, ...], *_: object) -> None:
        if sql.startswith(("UPDATE", "SELECT max")):
            sent.append((sql, args))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        history.upgrade()
    finally:
        event.remove(Engine, "before_cursor_execute", record)
    updates = [(sql, args) for sql, args in sent if 'UPDATE "order"' in sql]
    assert [args for _, args in updates] == [(10,), (10, 20), (20, 25)]
    assert "id > " not in updates[0][0]
    # After the last batch a second pass makes sure that nothing is left.
    assert len(sent) - len(updates) == 5
    assert await filled(history) == 25


@pytest.mark.trap("backfill-in-one-transaction")
async def test_what_was_done_stays_done_when_a_later_batch_fails(
    history: History,
) -> None:
    await history.read(
        'ALTER TABLE "order" ADD COLUMN checked INTEGER CHECK (checked <> 23)'
    )
    change = "grams = kilos * 1000, checked = id"
    history.revision(
        "r1",
        None,
        "def upgrade():\n"
        f"    op.execute('UPDATE \"order\" SET {change} WHERE {WHERE}')\n",
    )
    with pytest.raises(DBAPIError):
        history.upgrade()
    assert await filled(history) == 0

    revision(history, change=change)
    with pytest.raises(DBAPIError):
        history.upgrade()
    assert await filled(history) == 20
    revision(history)
    history.upgrade()
    assert await filled(history) == 25
    assert await history.version() == "r1"


async def test_a_condition_that_never_ends_is_refused(history: History) -> None:
    revision(history, where="kilos > 0")
    with pytest.raises(ValueError, match="would never end"):
        history.upgrade()
    revision(history)
    history.upgrade()
    assert await history.version() == "r1"


async def test_rows_that_are_written_meanwhile_are_filled_too(
    history: History, database: str
) -> None:
    """A row behind the batch, and one before it, from code that knows no grams."""
    revision(history)
    engine = new_engine(history.url)
    statements = [
        'INSERT INTO "order" (id, kilos) VALUES (-1, 7)',
        'INSERT INTO "order" (id, kilos) VALUES (99, 7)',
        'UPDATE "order" SET kilos = 100 WHERE id = 25',
    ]
    loop = asyncio.get_running_loop()

    async def write() -> None:
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    def between(record: logging.LogRecord) -> bool:
        if "up to 10" in record.getMessage():
            asyncio.run_coroutine_threadsafe(write(), loop).result(30)
        return True

    log = logging.getLogger("alembic.backfill")
    log.addFilter(between)
    log.setLevel(logging.INFO)
    try:
        await asyncio.to_thread(history.upgrade)
    finally:
        log.removeFilter(between)
    await engine.dispose()
    assert await filled(history) == 27
    rows = await history.read('SELECT grams FROM "order" WHERE id = 25')
    assert rows == [(100_000,)]


async def test_a_row_that_a_request_holds_is_read_as_the_request_leaves_it(
    history: History, database: str
) -> None:
    revision(history)
    engine = new_engine(history.url)
    async with engine.begin() as connection:
        await connection.execute(text('UPDATE "order" SET kilos = 50 WHERE id = 3'))
        await connection.execute(text('UPDATE "order" SET grams = 1 WHERE id = 4'))
        task = asyncio.create_task(asyncio.to_thread(history.upgrade))
        if database == "postgresql":
            query = (
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'UPDATE \"order\"%'"
                " AND cardinality(pg_blocking_pids(pid)) > 0"
                " AND datname = current_database()"
            )

            async def blocked() -> bool:
                return await history.read(query) != []

            await until(blocked)
        assert not task.done()
    await task
    await engine.dispose()
    rows = await history.read(
        'SELECT grams FROM "order" WHERE id IN (3, 4) ORDER BY id'
    )
    assert rows == [(50_000,), (1,)]


async def test_offline_it_is_one_statement(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    revision(history)
    history.upgrade(sql=True)
    sql = capsys.readouterr().out
    assert f'UPDATE "order" SET {CHANGE} WHERE {WHERE};' in sql
    assert await filled(history) == 0


async def test_it_goes_on_where_a_killed_process_stopped(history: History) -> None:
    revision(history, batch=5)
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", UPGRADE, str(ROOT), str(history.path)],
        env={"URL": history.url.render_as_string(hide_password=False)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout
    with process.stdout:
        assert await asyncio.to_thread(process.stdout.readline) == "10 done\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert await filled(history) == 10

    async def upgraded() -> bool:
        try:
            await asyncio.to_thread(history.upgrade)
        except DBAPIError:  # the killed one's last lock
            return False
        return True

    await until(upgraded)
    assert await filled(history) == 25
    assert await history.version() == "r1"


# Migrates as the command line would, and stops for good after the second batch.
UPGRADE = """
import logging, os, sys, time
sys.path[:0] = sys.argv[1:]
from pathlib import Path
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, Table, make_url
from snippets.migration_env import run_env

class Stop(logging.Handler):
    def emit(self, record):
        if "10 rows" in record.getMessage():
            print("10 done", flush=True)
            time.sleep(60)

logging.getLogger("alembic.backfill").addHandler(Stop())
logging.getLogger("alembic.backfill").setLevel(logging.INFO)
models = next(Path(sys.argv[2]).glob("shop_*")).name + ".models"
module = __import__(models, fromlist=["Base"])
config = Config()
config.set_main_option("script_location", sys.argv[2] + "/migrations")
config.set_main_option("path_separator", "os")
config.attributes["env"] = lambda: run_env(
    module.Base.metadata, lambda: make_url(os.environ["URL"]), models=module
)
command.upgrade(config, "head")
"""
