"""Evals that hold scripts/review_migration.py against a real PostgreSQL.

Each statement is judged, and then executed on a table that has a row: what is said
to rewrite gets a new file, what is said to fail fails, what is said to lock for long
reads the rows under that lock.
"""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import pytest

from evals.harness.postgres import OwnServer
from scripts import review_migration

TABLE = "CREATE TABLE author (id int PRIMARY KEY, c {type})"
TYPES = [
    ("varchar(50)", "varchar(100)"),
    ("varchar(50)", "varchar"),
    ("varchar(50)", "text"),
    ("text", "varchar"),
    ("varchar(100)", "varchar(40)"),
    ("text", "varchar(40)"),
    ("integer", "bigint"),
    ("smallint", "integer"),
    ("bigint", "integer"),
    ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric"),
    ("numeric(10,2)", "numeric(12,4)"),
    ("numeric(12,4)", "numeric(12,2)"),
    ("numeric", "numeric(12,2)"),
    ("integer", "numeric"),
    ("real", "double precision"),
    ("json", "jsonb"),
    ("timestamp", "timestamptz"),
    ("timestamp", "date"),
    ("char(5)", "text"),
]
DEFAULTS = [
    "0",
    "'x'",
    "now()",
    "current_date",
    "CURRENT_TIMESTAMP",
    "random()",
    "clock_timestamp()",
    "gen_random_uuid()",
    "nextval('numbers')",
    "'{}'::jsonb",
    "ARRAY[]::text[]",
    "interval '1 day'",
]
LOSSY = [
    ("numeric(12,4)", "numeric(12,2)", "1.2345"),
    ("numeric(10,2)", "integer", "1.49"),
    ("double precision", "integer", "1.49"),
    ("timestamp", "date", "'2026-01-01 12:30'"),
    ("varchar(50)", "varchar(100)", "'x'"),
    ("integer", "bigint", "1"),
    ("varchar(100)", "varchar(40)", "'x'"),
    ("json", "jsonb", "'1'"),
]
FAILING = [
    "ALTER TABLE author ADD COLUMN d int NOT NULL",
    "ALTER TABLE author ALTER COLUMN c SET NOT NULL NOT VALID",
    "BEGIN; CREATE INDEX CONCURRENTLY ix ON author (c)",
    "BEGIN; ALTER TYPE kind ADD VALUE 'b'; INSERT INTO kinds VALUES ('b')",
    "BEGIN; VACUUM author",
]
RUNNING = [
    "ALTER TABLE author ADD COLUMN d int NOT NULL DEFAULT 0",
    "ALTER TABLE author ADD CONSTRAINT c_nn NOT NULL c NOT VALID",
    "CREATE INDEX CONCURRENTLY ix ON author (c)",
    "BEGIN; ALTER TYPE kind ADD VALUE 'b'",
    "BEGIN; CREATE TYPE other AS ENUM ('a'); ALTER TYPE other ADD VALUE 'b'",
]
# A lock that stops writers, held while rows are read: what the scan counter shows.
SCANNING = [
    "CREATE INDEX ix ON author (c)",
    "ALTER TABLE author ADD CONSTRAINT u UNIQUE (c)",
    "ALTER TABLE author ADD CONSTRAINT k CHECK (c > 0)",
    "ALTER TABLE author ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES parent (id)",
    "ALTER TABLE author ALTER COLUMN c SET NOT NULL",
]
QUICK = [
    "ALTER TABLE author ADD CONSTRAINT k CHECK (c > 0) NOT VALID",
    "ALTER TABLE author ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES parent (id)"
    " NOT VALID",
    "ALTER TABLE author ADD COLUMN d int",
    "ALTER TABLE author ALTER COLUMN c SET DEFAULT 1",
    "ALTER TABLE author ALTER COLUMN id DROP DEFAULT",
]


# It is about the deletes of tomorrow, not about this statement's lock.
LATER = "foreign-key-without-index"


def judged(statement: str, before: str = "") -> set[str]:
    """Return every verdict on a statement; what is `before` is applied already."""
    text = "-- Running upgrade  -> a\n" + before + ";\n"
    text += "-- Running upgrade a -> b\n" + statement + ";\n"
    history = review_migration.read_script("x.sql", text)
    chosen = [r for r in history.revisions if r.revision == "b"]
    results = history.judge(chosen, set(), "", False)
    return {
        reason.verdict
        for findings in results.values()
        for finding in findings
        for reason in finding.reasons
        if reason.rule != LATER
    }


@pytest.fixture
async def connection(server: OwnServer) -> Any:
    url = re.sub(r"^postgresql\+asyncpg", "postgresql", str(server.url))
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def file_of(connection: Any) -> object:
    return await connection.fetchval("SELECT pg_relation_filenode('author')")


async def table(connection: Any, kind: str, value: str = "NULL") -> str:
    made = TABLE.format(type=kind)
    await connection.execute("DROP TABLE IF EXISTS author")
    await connection.execute(made)
    await connection.execute(f"INSERT INTO author VALUES (1, {value})")
    return made


async def test_a_type_change_rewrites_when_the_reviewer_says_so(
    connection: Any,
) -> None:
    wrong = []
    for old, new in TYPES:
        made = await table(connection, old)
        change = f"ALTER TABLE author ALTER COLUMN c TYPE {new}"
        before = await file_of(connection)
        await connection.execute("SET timezone = 'Europe/Paris'")
        await connection.execute(change)
        real = await file_of(connection) != before
        if real != ("rewrites" in judged(change, made)):
            wrong.append((old, new, real))
    assert wrong == []


async def test_utc_spares_timestamptz_the_rewrite(connection: Any) -> None:
    made = await table(connection, "timestamp")
    change = "ALTER TABLE author ALTER COLUMN c TYPE timestamptz"
    before = await file_of(connection)
    await connection.execute("SET timezone = 'UTC'")
    await connection.execute(change)
    assert await file_of(connection) == before
    assert judged(f"SET LOCAL timezone = 'UTC'; {change}", made) == set()


async def test_a_default_rewrites_when_the_reviewer_says_so(connection: Any) -> None:
    await connection.execute("CREATE SEQUENCE numbers")
    wrong = []
    for default in DEFAULTS:
        await table(connection, "int")
        kind = await connection.fetchval(f"SELECT pg_typeof({default})::text")
        kind = "text" if kind == "unknown" else kind
        change = f"ALTER TABLE author ADD COLUMN d {kind} DEFAULT {default} NOT NULL"
        before = await file_of(connection)
        await connection.execute(change)
        real = await file_of(connection) != before
        if real != ("rewrites" in judged(change)):
            wrong.append((default, real))
    assert wrong == []


async def test_a_type_change_loses_values_when_the_reviewer_says_so(
    connection: Any,
) -> None:
    wrong = []
    for old, new, value in LOSSY:
        made = await table(connection, old, value)
        change = f"ALTER TABLE author ALTER COLUMN c TYPE {new}"
        read = f"SELECT c = ({value})::text::{old} FROM author"
        if old == "json":
            read = "SELECT c::text = '1' FROM author"
        await connection.execute(change)
        lost = not await connection.fetchval(read)
        if lost != ("destroys-data" in judged(change, made)):
            wrong.append((old, new, lost))
    assert wrong == []


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "runs"])
async def test_a_statement_fails_when_the_reviewer_says_so(
    connection: Any, fails: bool
) -> None:
    for statement in FAILING if fails else RUNNING:
        made = await table(connection, "int")
        await connection.execute("DROP TABLE IF EXISTS kinds")
        await connection.execute("DROP TYPE IF EXISTS kind")
        await connection.execute("CREATE TYPE kind AS ENUM ('a')")
        await connection.execute("CREATE TABLE kinds (k kind)")
        try:
            for part in statement.split("; "):
                await connection.execute(part)
            real = False
        except asyncpg.PostgresError:
            real = True
        finally:
            await connection.execute("ROLLBACK")
        script = statement if "BEGIN" in statement else f"BEGIN; COMMIT; {statement}"
        said = judged(script, f"{made}; CREATE TYPE kind AS ENUM ('a')")
        assert (real, "fails" in said) == (fails, fails), statement


@pytest.mark.parametrize("reads", [True, False], ids=["reads rows", "reads none"])
async def test_a_lock_is_held_over_a_scan_when_the_reviewer_says_so(
    connection: Any, reads: bool
) -> None:
    await connection.execute("CREATE TABLE parent (id int PRIMARY KEY)")
    await connection.execute("INSERT INTO parent VALUES (1)")
    scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'author'"
    locks = (
        "SELECT mode FROM pg_locks WHERE relation = 'author'::regclass"
        " AND pid = pg_backend_pid()"
    )
    for statement in SCANNING if reads else QUICK:
        made = await table(connection, "int", "1")
        async with connection.transaction():
            before = await connection.fetchval(scans)
            await connection.execute(statement)
            modes = {row["mode"] for row in await connection.fetch(locks)}
            real = await connection.fetchval(scans) > before
        strong = {"ShareLock", "ShareRowExclusiveLock", "AccessExclusiveLock"}
        assert modes & strong, statement
        assert (real, "locks" in judged(statement, made)) == (reads, reads), statement
