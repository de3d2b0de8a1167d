"""Evals for snippets/online_schema.py: what a change holds while rows are read."""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from alembic.util import CommandError
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from evals.harness.migrations import History, until
from evals.harness.project import ROOT
from evals.harness.shop import (
    CALLS,
    HARMLESS,
    REVISION,
    meanwhile,
    record,
    scalar,
    shop_engine,
    shop_history,
    traffic,
)

shop, history = shop_engine, shop_history


@pytest.mark.parametrize("name", CALLS)
async def test_nothing_that_stops_requests_is_held_while_rows_are_read(
    history: History, shop: AsyncEngine, name: str, database: str
) -> None:
    history.revision("r1", None, REVISION.format(call=CALLS[name]))
    before = await scalar(shop, "SELECT count(*) FROM parcel")
    if database == "postgresql":
        async with shop.begin() as connection:
            await record(connection)
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
        for body, found in ((call, 0), (plain[name], 1)):
            text = REVISION.replace("{call}", body)
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
        await record(connection)
    history.upgrade()
    reading = await history.read("SELECT mode FROM seen WHERE rows_read > 10")
    assert ("AccessExclusiveLock",) in reading


@pytest.mark.trap("child-locked-first")
async def test_a_foreign_key_waits_for_the_parent_before_it_locks_the_child(
    history: History, shop: AsyncEngine, database: str
) -> None:
    """A transaction that has written the parent goes on to write the child."""
    history.revision("r1", None, REVISION.format(call=CALLS["foreign key"]))
    if database == "sqlite":  # one writer at a time
        history.upgrade()
        assert await history.version() == "r1"
        return
    history.options["lock_timeout"] = 30
    parent, child = "INSERT INTO van VALUES (2)", "INSERT INTO parcel VALUES (-1)"

    async def waits() -> bool:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(await scalar(shop, f"{query} AND relation = 'van'::regclass"))

    async with shop.connect() as plain, shop.connect() as request:
        await plain.exec_driver_sql("SET LOCAL deadlock_timeout = '30s'")
        await request.exec_driver_sql(parent)
        alter = plain.exec_driver_sql(
            "ALTER TABLE parcel ADD FOREIGN KEY (van_id) REFERENCES van (id) NOT VALID"
        )
        task: asyncio.Task[Any] = asyncio.create_task(alter)
        await until(waits)
        await request.exec_driver_sql("SET LOCAL lock_timeout = '300ms'")
        with pytest.raises(DBAPIError, match="lock timeout"):
            await request.exec_driver_sql(child)
        await request.rollback()
        await task
        await plain.rollback()

        await request.exec_driver_sql(parent)
        task = asyncio.create_task(asyncio.to_thread(history.upgrade))
        await until(waits)
        await request.exec_driver_sql("SET LOCAL lock_timeout = '300ms'")
        await request.exec_driver_sql(child)
        await request.commit()
        await task
    assert await scalar(shop, "SELECT count(*) FROM parcel WHERE id < 0") == 1


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


async def test_a_value_is_used_later_also_where_all_revisions_are_one_transaction(
    history: History, shop: AsyncEngine, database: str
) -> None:
    """As they are where an environment does not say `transaction_per_migration`."""
    history.options["transaction_per_migration"] = False
    if database == "postgresql":
        await history.read("CREATE TYPE kind AS ENUM ('a')")
        await history.read("ALTER TABLE parcel ADD COLUMN kind kind")
    else:
        await history.read("ALTER TABLE parcel ADD COLUMN kind TEXT")
    call = 'add_enum_value("kind", "b")'
    history.revision("r1", None, REVISION.format(call=call))
    uses = "def upgrade():\n    op.execute(\"UPDATE parcel SET kind = 'b'\")\n"
    history.revision("r2", "r1", uses)
    history.upgrade()
    assert await scalar(shop, "SELECT DISTINCT kind FROM parcel") == "b"


async def test_a_column_may_have_the_longest_name(
    history: History, shop: AsyncEngine
) -> None:
    """Of which, and the table's, the name of a constraint is made."""
    name = "w" * 60
    await history.read(f"ALTER TABLE parcel ADD COLUMN {name} INTEGER DEFAULT 1")
    call = f'set_not_null("parcel", "{name}")'
    history.revision("r1", None, REVISION.format(call=call))
    history.upgrade()
    with pytest.raises(IntegrityError):
        await history.read(f"UPDATE parcel SET {name} = NULL")
    checks = await history.inspect(lambda c: inspect(c).get_check_constraints("parcel"))
    assert checks == []


async def test_names_that_need_quotes_are_quoted(
    history: History, shop: AsyncEngine
) -> None:
    await history.read('CREATE TABLE "order" ("to" INTEGER, "Key" INTEGER)')
    calls = [
        'create_index("ix to", "order", ["to"])',
        'add_check("ck to", "order", "\\"to\\" > 0")',
        'set_not_null("order", "Key")',
        'add_unique("uq to", "order", ["to"])',
        'drop_index("ix to")',
    ]
    for number, call in enumerate(calls):
        down = f"r{number - 1}" if number else None
        history.revision(f"r{number}", down, REVISION.format(call=call))
    history.upgrade()
    with pytest.raises(IntegrityError):
        await history.read('INSERT INTO "order" VALUES (0, 1)')


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


# A column goes in two releases. The code of the first does not know it, so its INSERT
# leaves it out, and `include_name` leaves it out of what autogenerate compares.
DROP = [
    """
    with op.batch_alter_table("parcel") as batch:
        batch.alter_column("weight", nullable=True, existing_type=sa.Integer())
""",
    """
    op.drop_column("parcel", "weight")
""",
]
PARCEL = """
class Parcel(Base):
    __tablename__ = "parcel"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[int | None]
"""


@pytest.mark.trap("dropped-column-required")
async def test_a_column_goes_in_two_releases(
    history: History, shop: AsyncEngine, database: str
) -> None:
    for table in ("van", "parcel"):  # as the models have it
        await history.read(f"DROP TABLE {table}")
    old = history.models(PARCEL + "    weight: Mapped[int]\n")
    new = history.models(PARCEL)
    async with shop.begin() as connection:
        await connection.run_sync(old.Base.metadata.create_all)
    keys = itertools.count(1)

    async def old_code() -> None:
        async with shop.begin() as connection:
            row = {"id": next(keys), "weight": 5}
            await connection.execute(insert(old.Parcel), row)
            await connection.execute(select(old.Parcel).limit(1))

    async def new_code() -> None:
        async with shop.begin() as connection:
            await connection.execute(insert(new.Parcel), {"id": next(keys)})
            await connection.execute(select(new.Parcel).limit(1))

    with pytest.raises(IntegrityError, match="weight"):
        await new_code()  # released before the revision
    history.revision("r0", None, f"def upgrade():\n{DROP[0]}")
    async with meanwhile(old_code):
        await asyncio.to_thread(history.upgrade)
    async with meanwhile(old_code, new_code):
        await asyncio.sleep(0)

    with pytest.raises(CommandError, match=r"would drop parcel\.weight"):
        history.run("revision", message="too early", autogenerate=True)

    def known(name: str | None, kind: str, parents: Any) -> bool:
        return (kind, parents.get("table_name"), name) != ("column", "parcel", "weight")

    history.options["include_name"] = known
    history.run("check")
    history.revision("r1", "r0", f"def upgrade():\n{DROP[1]}")
    async with meanwhile(new_code):
        await asyncio.to_thread(history.upgrade)
    history.options.pop("include_name")
    history.run("check")
    assert await scalar(shop, "SELECT count(*) FROM parcel") == next(keys) - 2


RENAME = """
    op.rename_table("parcel", "box")
    op.execute("CREATE VIEW parcel AS SELECT * FROM box")
"""
BOX = PARCEL.replace("Parcel", "Box").replace("parcel", "box")


@pytest.mark.trap("view-takes-no-writes")
async def test_a_table_is_renamed_while_the_old_code_goes_on_with_a_view(
    history: History, shop: AsyncEngine, database: str
) -> None:
    for table in ("van", "parcel"):  # as the models have it
        await history.read(f"DROP TABLE {table}")
    old, new = history.models(PARCEL), history.models(BOX)
    async with shop.begin() as connection:
        await connection.run_sync(old.Base.metadata.create_all)

    async def release(model: Any) -> None:
        async with AsyncSession(shop) as session, session.begin():
            session.add(row := model())
            await session.flush()  # the database counts
            row.code = 5
            await session.flush()
            await session.refresh(row, with_for_update=True)
            session.add(gone := model())
            await session.flush()
            await session.delete(gone)

    history.revision("r0", None, f"def upgrade():\n{RENAME}")
    if database == "sqlite":
        await release(old.Parcel)
        history.upgrade()
        with pytest.raises(DBAPIError, match="cannot modify parcel because it is a"):
            await release(old.Parcel)
    else:
        async with meanwhile(lambda: release(old.Parcel)):
            await asyncio.to_thread(history.upgrade)
        async with meanwhile(lambda: release(old.Parcel), lambda: release(new.Box)):
            await asyncio.sleep(0)
    await release(new.Box)
    history.run("check")
    history.revision("r1", "r0", "def upgrade():\n    op.execute('DROP VIEW parcel')\n")
    history.upgrade()
    assert await scalar(shop, "SELECT min(code) FROM box") == 5


async def test_a_foreign_key_may_lead_into_another_schema(
    history: History, shop: AsyncEngine, database: str
) -> None:
    schema = {"sqlite": None, "postgresql": "other"}[database]  # SQLite has none
    if schema:
        await history.read(f"CREATE SCHEMA {schema}")
    depot = f"{schema}.depot" if schema else "depot"
    await history.read(f"CREATE TABLE {depot} (id INTEGER PRIMARY KEY)")
    await history.read(f"INSERT INTO {depot} SELECT id FROM parcel")
    key = '"fk_depot", "parcel", "depot", ["id"], ["id"]'
    call = f"add_foreign_key({key}, referent_schema={schema!r})"
    history.revision("r1", None, REVISION.format(call=call))
    history.upgrade()
    with pytest.raises(IntegrityError):
        await history.read(f"DELETE FROM {depot} WHERE id = 1")
