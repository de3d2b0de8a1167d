"""A PostgreSQL database for tests: made once, emptied after each test that commits."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .engine import new_engine

PREFIX = "pytest_scratch_"
LOCKS = 0x7E57
"""The first key of the advisory locks that say: a run is using these databases."""

# Not those of extensions: the rows of PostGIS's `spatial_ref_sys` are no test's.
TABLES = text("""
    SELECT format('%I.%I', n.nspname, c.relname) AS name,
        (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0
           AND NOT a.attisdropped AND a.attgenerated = '') AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND c.relname <> 'alembic_version'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid
                      AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
""")
# A name holds the second key of its lock. `pg_locks` shows those of all databases.
ABANDONED = text(r"""
    SELECT datname, split_part(datname, '_', 3)::int AS token FROM pg_database
    WHERE datname ~ '^pytest_scratch_\d+(_\d+)?$'
      AND datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
      AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'
                      AND classid = :locks
                      AND objid = split_part(datname, '_', 3)::oid)
""").bindparams(locks=LOCKS)
OTHERS = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
""")
LOCK_NOT_AVAILABLE = "55P03"


class PostgresTestDatabase:
    """A database of this process's own, on a server whose role may create databases.

    The database that `server` names is connected to, and never changed.
    """

    engine: AsyncEngine

    def __init__(self, server: URL) -> None:
        self._server = server
        self._token = secrets.randbelow(2**31)
        self._name = f"{PREFIX}{self._token}"
        self._clones = 0

    async def open(self, create_schema: Callable[[Connection], None]) -> None:
        """Make the tables, with the rows that `create_schema` puts there."""
        self._create_schema = create_schema
        self._admin = await _administer(self._server)
        await _drop_abandoned(self._admin)
        await self._admin.execute(
            text("SELECT pg_advisory_lock(:locks, :token)"),
            {"locks": LOCKS, "token": self._token},
        )
        self.engine = await self._create(self._name)
        self._cleaner = await _administer(self.engine.url)
        self._emptying = await _emptying(self._cleaner)

    async def reset(self) -> None:
        """Put back the rows that `open` made, in one round trip.

        Raises:
            AssertionError: a transaction that was left open holds a lock.
        """
        try:
            await self._cleaner.exec_driver_sql(self._emptying)
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            await self.replace()
            await self._cleaner.exec_driver_sql(self._emptying)
            raise AssertionError(
                "a transaction was left open that locks rows or tables:"
                " close every session and connection, of every engine, before the end"
            ) from None

    @asynccontextmanager
    async def clone(self) -> AsyncGenerator[AsyncEngine, None]:
        """Lend a database whose tables may be changed: one more, made from nothing."""
        self._clones += 1
        name = f"{self._name}_{self._clones}"
        engine = await self._create(name)
        try:
            yield engine
        finally:
            await engine.dispose()
            await _drop(self._admin, name)

    async def replace(self) -> None:
        """Go on with other connections: somebody holds a transaction on these."""
        await self._cleaner.execute(OTHERS)
        self.engine = _engine(self.engine.url)

    async def close(self) -> None:
        await self.engine.dispose()
        await _leave(self._cleaner)
        await _drop(self._admin, self._name)
        await _leave(self._admin)

    async def _create(self, name: str) -> AsyncEngine:
        await self._admin.exec_driver_sql(f'CREATE DATABASE "{name}"')
        # Nobody needs these rows after a crash: a commit must not wait for the disk.
        await self._admin.exec_driver_sql(
            f'ALTER DATABASE "{name}" SET synchronous_commit = off'
        )
        engine = _engine(self._server.set(database=name))
        async with engine.connect() as connection:
            await connection.run_sync(self._create_schema)
            await connection.commit()
        return engine


async def drop_abandoned(server: URL) -> None:
    """Drop the databases of runs, and of workers, that were killed."""
    admin = await _administer(server)
    await _drop_abandoned(admin)
    await _leave(admin)


async def _drop_abandoned(admin: AsyncConnection) -> None:
    for name, token in (await admin.execute(ABANDONED)).all():
        key = {"locks": LOCKS, "token": token}
        claim = text("SELECT pg_try_advisory_lock(:locks, :token)")
        if await admin.scalar(claim, key):
            await _drop(admin, name)
            await admin.execute(text("SELECT pg_advisory_unlock(:locks, :token)"), key)


async def _drop(admin: AsyncConnection, name: str) -> None:
    await admin.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _emptying(connection: AsyncConnection) -> str:
    """Return the statement that empties all tables, and puts back what is there now."""
    tables = (await connection.execute(TABLES)).all()
    deletes = [f"DELETE FROM {table}" for table, _ in tables]
    inserts: list[str] = []
    for table, columns in tables:
        rows = await connection.exec_driver_sql(
            f"SELECT quote_literal(array_agg(t)::text) FROM {table} t"
        )
        if (literal := rows.scalar_one()) is not None:
            inserts.append(
                f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
                f" SELECT {columns} FROM unnest({literal}::{table}[])"
            )
    steps = [deletes, inserts]
    try:
        # A trigger that fires on DELETE would fill its audit table.
        await connection.exec_driver_sql("SET session_replication_role = replica")
    except DBAPIError:
        # Only a superuser may: empty the audit table once more.
        steps = [deletes, deletes, inserts]
    statements = [_at_once(step) for step in steps if step]
    if len(statements) == 1:
        return statements[0]  # prepared, and planned once
    return f"DO $reset$ BEGIN {'; '.join(statements)}; END $reset$"


def _at_once(statements: list[str]) -> str:
    """Return one statement that does all: foreign keys are checked at its end, so the
    order of the tables does not matter, and keys may go round in a circle."""
    *first, last = statements
    parts = [f"s{n} AS ({statement})" for n, statement in enumerate(first)]
    return f"WITH {', '.join(parts)} {last}" if parts else last


async def _administer(url: URL) -> AsyncConnection:
    """Open one connection that is in no transaction and waits 5 s for a lock."""
    return await _engine(url, isolation_level="AUTOCOMMIT").connect()


async def _leave(connection: AsyncConnection) -> None:
    await connection.close()
    await connection.engine.dispose()


def _engine(url: URL, **options: Any) -> AsyncEngine:
    return new_engine(url, lock_timeout=5, application_name="pytest", **options)
