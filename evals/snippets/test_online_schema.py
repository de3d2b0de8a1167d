"""Evals for snippets/online_schema.py: what a change holds while rows are read."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.migrations import History, until
from evals.harness.project import ROOT
from snippets.engine import new_engine

REVISION = """
from snippets import online_schema


def upgrade():
    online_schema.{call}


def downgrade():
    pass
"""
CALLS = {
    "index": 'create_index("ix_parcel_weight", "parcel", ["weight"])',
    "unique index": 'create_index("ix_parcel_code", "parcel", ["code"], unique=True)',
    "unique": 'add_unique("uq_parcel_code", "parcel", ["code"])',
    "check": 'add_check("ck_parcel_heavy", "parcel", "weight > 0")',
    "foreign key": (
        'add_foreign_key("fk_parcel_van", "parcel", "van", ["van_id"], ["id"],'
        ' ondelete="CASCADE")'
    ),
    "not null": 'set_not_null("parcel", "weight", sa.Integer())',
}
# Locks beside which rows are read and written.
# https://www.postgresql.org/docs/current/explicit-locking.html#TABLE-LOCK-COMPATIBILITY
HARMLESS = {
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
}
# Notes, at the end of each DDL statement and in its transaction, which locks on the
# tables it holds, and how many of their rows it has read.
RECORD = [
    "CREATE TABLE seen (query TEXT, mode TEXT, rows_read BIGINT)",
    """
    CREATE FUNCTION rows_read() RETURNS BIGINT LANGUAGE sql AS $$
        SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_all_tables
        WHERE relname IN ('parcel', 'van')
    $$
    """,
    """
    CREATE FUNCTION note_start() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM set_config('seen.before', rows_read()::text, false);
    END $$
    """,
    """
    CREATE FUNCTION note_end() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO seen SELECT current_query(), l.mode,
            rows_read() - current_setting('seen.before')::bigint
        FROM pg_locks l WHERE l.pid = pg_backend_pid()
            AND l.relation IN ('parcel'::regclass, 'van'::regclass);
    END $$
    """,
    "CREATE EVENT TRIGGER note_start ON ddl_command_start"
    " EXECUTE FUNCTION note_start()",
    "CREATE EVENT TRIGGER note_end ON ddl_command_end EXECUTE FUNCTION note_end()",
]


@pytest.fixture
async def shop(fresh_database: URL, full: bool) -> AsyncIterator[AsyncEngine]:
    """Parcels, each in a van."""
    engine = new_engine(fresh_database)
    rows = 200_000 if full else 2_000
    numbers = (
        "(WITH RECURSIVE n(i) AS"
        f" (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n)"
    )
    async with engine.begin() as connection:
        for statement in (
            "CREATE TABLE van (id INTEGER PRIMARY KEY)",
            "INSERT INTO van VALUES (1)",
            "CREATE TABLE parcel (id INTEGER PRIMARY KEY, code INTEGER, weight INTEGER,"
            " van_id INTEGER)",
            f"INSERT INTO parcel SELECT i, i, i, 1 FROM {numbers} AS numbers",
        ):
            await connection.exec_driver_sql(statement)
    yield engine
    await engine.dispose()


@pytest.fixture
def history(
    tmp_path: Path, fresh_database: URL, monkeypatch: pytest.MonkeyPatch
) -> History:
    monkeypatch.syspath_prepend(tmp_path)
    history = History(tmp_path, fresh_database)
    history.options["patience"] = 30
    return history


async def scalar(engine: AsyncEngine, statement: str) -> Any:
    async with engine.begin() as connection:
        return (await connection.exec_driver_sql(statement)).scalar()


@asynccontextmanager
async def traffic(engine: AsyncEngine) -> AsyncIterator[list[int]]:
    """Read and write parcels while the block runs; yields the keys that were added."""
    added: list[int] = []
    stop = asyncio.Event()

    async def write() -> None:
        key = 1_000_000
        while not stop.is_set() or not added:
            key += 1
            async with engine.begin() as connection:
                insert = text("INSERT INTO parcel VALUES (:key, :key, 5, 1)")
                await connection.execute(insert, {"key": key})
                update = text("UPDATE parcel SET weight = weight + 1 WHERE id = :key")
                await connection.execute(update, {"key": key % 1000 + 1})
            added.append(key)
            await asyncio.sleep(0)

    async def read() -> None:
        while not stop.is_set():
            async with engine.connect() as connection:
                await connection.execution_options(sqlite_begin="BEGIN")
                found = await connection.execute(
                    text("SELECT weight FROM parcel WHERE id = 7")
                )
                assert len(found.all()) == 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read())
        try:
            yield added
        finally:
            stop.set()


@pytest.mark.parametrize("name", CALLS)
async def test_nothing_that_stops_requests_is_held_while_rows_are_read(
    history: History, shop: AsyncEngine, name: str, database: str
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS[name]))
    before = await scalar(shop, "SELECT count(*) FROM parcel")
    if database == "postgresql":
        async with shop.begin() as connection:
            for statement in RECORD:
                await connection.exec_driver_sql(statement)
    async with traffic(shop) as added:
        await asyncio.to_thread(history.upgrade)
    assert await scalar(shop, "SELECT count(*) FROM parcel") == before + len(added)
    assert await history.version() == "r1"

    if database == "postgresql":
        seen = await history.read("SELECT query, mode, rows_read FROM seen")
        reading = {(query, mode) for query, mode, rows_read in seen if rows_read > 10}
        assert {mode for _, mode in reading} <= HARMLESS, reading
        # Each that checks rows did read them; an index is the next test's subject.
        scans = name in ("check", "foreign key", "not null")
        assert bool(reading) is scans, seen


async def test_an_index_is_built_beside_readers_and_writers(
    history: History, shop: AsyncEngine, database: str
) -> None:
    """The build stops at a row, and requests go on."""
    if database == "sqlite":  # one writer at a time; readers go on
        history.revision("r1", None, REVISION.format(call=CALLS["index"]))
        async with shop.connect() as reader:
            await reader.execution_options(sqlite_begin="BEGIN")
            await reader.execute(text("SELECT count(*) FROM parcel"))
            await asyncio.to_thread(history.upgrade)
        return

    await history.read(
        "CREATE FUNCTION gate(n INTEGER) RETURNS INTEGER IMMUTABLE LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM pg_advisory_lock_shared(42); RETURN n; END $$"
    )
    call = 'create_index("ix_gate", "parcel", [sa.text("gate(weight)")])'
    history.revision("r1", None, REVISION.format(call=call))
    builder = "(SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%')"

    async def waits() -> bool:
        query = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            f" AND pid = {builder}"
        )
        return bool(await scalar(shop, query))

    async with shop.connect() as gate:
        await gate.exec_driver_sql("SELECT pg_advisory_lock(42)")
        await gate.commit()
        task = asyncio.create_task(asyncio.to_thread(history.upgrade))
        await until(waits)
        modes = await history.read(
            f"SELECT DISTINCT mode FROM pg_locks WHERE pid = {builder}"
            " AND relation = 'parcel'::regclass"
        )
        assert modes == [("ShareUpdateExclusiveLock",)]
        async with traffic(shop) as added:
            pass
        assert added
        assert not task.done()
        await gate.exec_driver_sql("SELECT pg_advisory_unlock(42)")
        await gate.commit()
    await task
    assert await scalar(
        shop, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_gate'::regclass"
    )


@pytest.mark.parametrize("name", CALLS)
async def test_the_rule_is_there_and_the_revision_may_run_again(
    history: History, shop: AsyncEngine, name: str
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS[name]))
    history.upgrade()
    if name == "index":
        indexes = await history.inspect(lambda c: inspect(c).get_indexes("parcel"))
        assert [index["column_names"] for index in indexes] == [["weight"]]
    else:
        broken = {
            "check": "UPDATE parcel SET weight = 0 WHERE id = 3",
            "foreign key": "UPDATE parcel SET van_id = 9 WHERE id = 3",
            "not null": "UPDATE parcel SET weight = NULL WHERE id = 3",
        }
        other = "UPDATE parcel SET code = 4 WHERE id = 3"
        with pytest.raises(IntegrityError):
            await history.read(broken.get(name, other))
    if name == "foreign key":
        await history.read("DELETE FROM van")
        assert await scalar(shop, "SELECT count(*) FROM parcel") == 0
    checks = await history.inspect(lambda c: inspect(c).get_check_constraints("parcel"))
    assert [check["name"] for check in checks] == (
        ["ck_parcel_heavy"] if name == "check" else []
    )


@pytest.mark.parametrize("name", CALLS)
async def test_a_step_that_was_done_before_the_kill_is_done_again(
    history: History, shop: AsyncEngine, name: str, database: str
) -> None:
    """The version is lost, as if the process had been killed before it was written."""
    history.revision("r1", None, REVISION.format(call=CALLS[name]))
    history.upgrade()
    await history.read("DELETE FROM alembic_version")
    if database == "sqlite" and name in ("unique", "check", "foreign key"):
        # There the version and the change are one transaction: this cannot happen.
        with suppress(DBAPIError, ValueError):
            history.upgrade()
        return
    history.upgrade()
    assert await history.version() == "r1"


@pytest.mark.trap("invalid-index-accepted")
async def test_an_index_that_failed_is_built_again_after_the_rows_are_right(
    history: History, shop: AsyncEngine, database: str
) -> None:
    await history.read("UPDATE parcel SET code = 1 WHERE id = 2")
    history.revision("r1", None, REVISION.format(call=CALLS["unique index"]))
    with pytest.raises(IntegrityError):
        history.upgrade()
    if database == "postgresql":
        # IF NOT EXISTS takes what the failed build left: a unique index on duplicates.
        async with shop.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql(
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS"
                " ix_parcel_code ON parcel (code)"
            )
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        assert await scalar(shop, invalid) == 1
        with pytest.raises(IntegrityError):
            history.upgrade()

    await history.read("UPDATE parcel SET code = 2 WHERE id = 2")
    history.upgrade()
    with pytest.raises(IntegrityError):
        await history.read("UPDATE parcel SET code = 1 WHERE id = 2")


@pytest.mark.trap("lock-timeout-cancels-build")
async def test_a_build_waits_for_older_transactions_beyond_the_lock_timeout(
    history: History, shop: AsyncEngine, database: str
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS["index"]))
    history.options["lock_timeout"] = 0.1
    if database == "sqlite":
        history.upgrade()
        assert await history.version() == "r1"
        return

    async with shop.connect() as old:
        await old.exec_driver_sql("UPDATE van SET id = 1")
        await old.exec_driver_sql("UPDATE parcel SET weight = 1 WHERE id = 1")
        async with shop.connect() as wrong:
            await wrong.execution_options(isolation_level="AUTOCOMMIT")
            await wrong.exec_driver_sql("SET lock_timeout = '100ms'")
            with pytest.raises(DBAPIError, match="lock timeout"):
                await wrong.exec_driver_sql(
                    "CREATE INDEX CONCURRENTLY ix_parcel_weight ON parcel (weight)"
                )
            await wrong.invalidate()
        task = asyncio.create_task(asyncio.to_thread(history.upgrade))

        async def waits() -> bool:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            )
            return bool(await scalar(shop, f"{query} AND query LIKE '%INDEX CONCURR%'"))

        await until(waits)
        await asyncio.sleep(0.3)  # three times the lock timeout: it must not matter
        assert await waits()
        assert not task.done()
        await old.commit()
    await task
    assert await scalar(shop, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


async def test_the_limits_are_back_after_the_call(
    history: History, shop: AsyncEngine, database: str
) -> None:
    body = REVISION.format(call=CALLS["index"])
    body = body.replace(
        "\n\n\ndef downgrade",
        """
    online_schema.add_check("ck_parcel_heavy", "parcel", "weight > 0")
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


async def test_squawk_finds_no_fault_in_what_is_sent(
    history: History,
    shop: AsyncEngine,
    database: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """But in the plain forms of the same changes, so it does look."""
    plain = {
        "index": 'op.create_index("i", "parcel", ["weight"])',
        "unique index": 'op.create_index("i", "parcel", ["code"], unique=True)',
        "unique": 'op.create_unique_constraint("u", "parcel", ["code"])',
        "check": 'op.create_check_constraint("c", "parcel", "weight > 0")',
        "foreign key": (
            'op.create_foreign_key("f", "parcel", "van", ["van_id"], ["id"])'
        ),
        "not null": 'op.alter_column("parcel", "weight", nullable=False)',
    }
    history.url = history.url.set(drivername="postgresql+asyncpg")
    job = (ROOT / "evals/snippets/migrations_ci.yaml").read_text(encoding="utf-8")
    (options,) = re.findall(r"squawk (--.*) migrations.sql", job)
    squawk = str(Path(sys.executable).with_name("squawk"))
    file = history.path / "migrations.sql"
    for name, call in CALLS.items():
        for body, found in ((f"online_schema.{call}", 0), (plain[name], 1)):
            text = REVISION.replace("online_schema.{call}", body)
            history.revision("r1", None, text)
            history.upgrade(sql=True)
            file.write_text(capsys.readouterr().out, encoding="utf-8")
            done = await asyncio.to_thread(
                subprocess.run,
                [squawk, *options.split(), str(file)],
                capture_output=True,
                check=False,
            )
            assert done.returncode == found, (name, done.stdout.decode())
    assert await scalar(shop, "SELECT count(*) FROM van") == 1


@pytest.mark.trap("validate-under-strong-lock")
async def test_not_valid_and_validate_in_one_transaction_hold_the_strong_lock(
    history: History, shop: AsyncEngine, database: str
) -> None:
    body = """
def upgrade():
    with op.batch_alter_table("parcel") as batch:
        name, rule = op.f("heavy"), "weight > 0"
        batch.create_check_constraint(name, rule, postgresql_not_valid=True)
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE parcel VALIDATE CONSTRAINT heavy")
"""
    history.revision("r1", None, body)
    if database == "sqlite":
        history.upgrade()
        return
    async with shop.begin() as connection:
        for statement in RECORD:
            await connection.exec_driver_sql(statement)
    history.upgrade()
    reading = await history.read("SELECT mode FROM seen WHERE rows_read > 10")
    assert ("AccessExclusiveLock",) in reading


async def test_an_index_is_dropped_and_a_missing_one_is_no_error(
    history: History, shop: AsyncEngine
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS["index"]))
    history.upgrade()
    for number in (2, 3):
        body = REVISION.format(call='drop_index("ix_parcel_weight")')
        history.revision(f"r{number}", f"r{number - 1}", body)
        history.upgrade()
        indexes = await history.inspect(lambda c: inspect(c).get_indexes("parcel"))
        assert indexes == []


async def test_a_value_of_an_enum_is_used_by_the_next_revision_of_the_same_run(
    history: History, shop: AsyncEngine, database: str
) -> None:
    if database == "postgresql":
        await history.read("CREATE TYPE \"my kind\" AS ENUM ('a')")
        await history.read('ALTER TABLE parcel ADD COLUMN kind "my kind"')
    else:
        await history.read("ALTER TABLE parcel ADD COLUMN kind TEXT")
    call = """add_enum_value("my kind", "it's")"""
    history.revision("r1", None, REVISION.format(call=call))
    uses = "def upgrade():\n    op.execute(\"UPDATE parcel SET kind = 'it''s'\")\n"
    history.revision("r2", "r1", uses)
    history.upgrade()
    assert await scalar(shop, "SELECT DISTINCT kind FROM parcel") == "it's"


async def test_names_that_need_quotes_are_quoted(
    history: History, shop: AsyncEngine
) -> None:
    await history.read('CREATE TABLE "order" ("to" INTEGER, "Key" INTEGER)')
    calls = [
        'create_index("ix to", "order", ["to"])',
        'add_check("ck to", "order", "\\"to\\" > 0")',
        'set_not_null("order", "Key", sa.Integer())',
        'add_unique("uq to", "order", ["to"])',
        'drop_index("ix to")',
    ]
    for number, call in enumerate(calls):
        down = f"r{number - 1}" if number else None
        history.revision(f"r{number}", down, REVISION.format(call=call))
    history.upgrade()
    with pytest.raises(IntegrityError):
        await history.read('INSERT INTO "order" VALUES (0, 1)')


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


STRONG, WRITES = "AccessExclusiveLock", "ShareRowExclusiveLock"
# What each statement holds on the table until its transaction ends, and what it does
# to the rows meanwhile: "" nothing, "reads" all, "rewrites" all.
LOCKS = {
    "ADD COLUMN c INTEGER": (STRONG, ""),
    "ADD COLUMN c INTEGER NOT NULL DEFAULT 0": (STRONG, ""),
    "ADD COLUMN c TIMESTAMPTZ DEFAULT now()": (STRONG, ""),
    "ADD COLUMN c UUID DEFAULT gen_random_uuid()": (STRONG, "rewrites"),
    "ADD COLUMN c BIGSERIAL": (STRONG, "rewrites"),
    "ADD COLUMN c INTEGER GENERATED ALWAYS AS (id * 2) STORED": (STRONG, "rewrites"),
    "ADD COLUMN c INTEGER REFERENCES van (id)": (STRONG, ""),
    "DROP COLUMN weight": (STRONG, ""),
    "RENAME COLUMN weight TO grams": (STRONG, ""),
    "RENAME TO box": (STRONG, ""),
    "ALTER COLUMN weight SET DEFAULT 1": (STRONG, ""),
    "ALTER COLUMN weight SET NOT NULL": (STRONG, "reads"),
    "ALTER COLUMN label TYPE VARCHAR(40)": (STRONG, ""),
    "ALTER COLUMN label TYPE TEXT": (STRONG, ""),
    "ALTER COLUMN label TYPE VARCHAR(10)": (STRONG, "rewrites"),
    "ALTER COLUMN weight TYPE BIGINT": (STRONG, "rewrites"),
    "ALTER COLUMN price TYPE NUMERIC(12, 2)": (STRONG, ""),
    "ALTER COLUMN price TYPE NUMERIC(12, 3)": (STRONG, "rewrites"),
    "ALTER COLUMN at TYPE TIMESTAMPTZ": (STRONG, ""),
    "ALTER COLUMN at TYPE TIMESTAMPTZ USING at AT TIME ZONE 'UTC'": (
        STRONG,
        "rewrites",
    ),
    "ADD CHECK (weight > 0)": (STRONG, "reads"),
    "ADD CHECK (weight > 0) NOT VALID": (STRONG, ""),
    "ADD UNIQUE (code)": (STRONG, "reads"),
    "ADD FOREIGN KEY (van_id) REFERENCES van (id)": (WRITES, "reads"),
    "ADD FOREIGN KEY (van_id) REFERENCES van (id) NOT VALID": (WRITES, ""),
    "VALIDATE CONSTRAINT light": ("ShareUpdateExclusiveLock", "reads"),
    "DROP CONSTRAINT light": (STRONG, ""),
    "CREATE INDEX ON parcel (code)": ("ShareLock", "reads"),
}


async def test_what_each_statement_locks_and_does_to_the_rows(
    history: History, shop: AsyncEngine, database: str
) -> None:
    columns = "label VARCHAR(20) DEFAULT 'a'", "price NUMERIC(10, 2)", "at TIMESTAMP"
    for column in columns:
        await history.read(f"ALTER TABLE parcel ADD COLUMN {column}")
    if database == "sqlite":  # one lock, on the whole file, for as long as it takes
        return
    await history.read(
        "ALTER TABLE parcel ADD CONSTRAINT light CHECK (weight < 1000000) NOT VALID"
    )
    look = text(
        "SELECT pg_relation_filenode(oid), (SELECT sum(seq_tup_read) FROM"
        " pg_stat_xact_all_tables WHERE relid = oid), (SELECT array_agg(mode)"
        " FROM pg_locks WHERE relation = oid AND pid = pg_backend_pid())"
        " FROM pg_class WHERE oid = to_regclass(:name)"
    )
    order = ["AccessShareLock", "ShareUpdateExclusiveLock", "ShareLock", WRITES, STRONG]
    found = {}
    for statement in LOCKS:
        sql = statement
        if not statement.startswith("CREATE"):
            sql = f"ALTER TABLE parcel {statement}"
        name = "box" if "box" in statement else "parcel"
        async with shop.connect() as connection:
            await connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
            before = (await connection.execute(look, {"name": "parcel"})).one()
            await connection.exec_driver_sql(sql)
            file, rows, modes = (await connection.execute(look, {"name": name})).one()
            done = "reads" if rows - before[1] > 10 else ""
            done = "rewrites" if file != before[0] else done
            found[statement] = (max(modes, key=order.index), done)
            await connection.rollback()
    assert found == LOCKS
