"""One database a worker, its tables made once a module and emptied after each test.

Emptying is the cheapest isolation that holds for evals that commit, open several
connections and fail on purpose: on PostgreSQL one round trip of DELETEs in a
`DO` block, on SQLite one script in the process. TRUNCATE and create/drop cost
10-40 times as much.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from sqlalchemy import URL, MetaData, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness import postgres
from snippets.engine import new_engine

SETTINGS = [f"ALTER SYSTEM SET {name} = off" for name in postgres.HARMLESS]


class Database:
    """What one worker keeps of one kind of database between its tests."""

    engine: AsyncEngine
    version: str

    def __init__(self) -> None:
        self.module: ModuleType | None = None

    async def enter(self, module: ModuleType) -> AsyncEngine:
        """Return an engine on a database that holds the module's tables, empty."""
        if self.module is not module:
            await self.leave()
            await self.clear()
            self.engine = new_engine(self.url)
            self.module = module
            if metadata := metadata_of(module):
                async with self.engine.begin() as conn:
                    await conn.run_sync(metadata.create_all)
        return self.engine

    async def leave(self) -> None:
        if self.module is not None:
            await self.engine.dispose()
            self.module = None

    async def clean(self) -> None:
        """Empty the module's tables."""
        assert self.module is not None
        metadata = metadata_of(self.module)
        if metadata and metadata.sorted_tables:
            await self.delete_from(
                [t.fullname for t in reversed(metadata.sorted_tables)]
            )

    @property
    def url(self) -> URL:
        raise NotImplementedError

    async def clear(self) -> None:
        raise NotImplementedError

    async def delete_from(self, tables: list[str]) -> None:
        raise NotImplementedError

    async def fresh(self) -> URL:
        """Return the URL of an empty database that nobody else uses."""
        raise NotImplementedError

    async def drop(self, url: URL) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class Sqlite(Database):
    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=postgres.run_directory()))
        self.file = self.directory / "eval.db"
        self.cleaner: sqlite3.Connection | None = None
        self.seen = -1

    @property
    def url(self) -> URL:
        return URL.create("sqlite+aiosqlite", database=str(self.file))

    async def clear(self) -> None:
        self.disconnect()
        remove(str(self.file))

    async def delete_from(self, tables: list[str]) -> None:
        if self.cleaner is None:
            self.cleaner = sqlite3.connect(self.file, timeout=5, isolation_level=None)
            self.seen = -1
        # It changes when another connection has written: most evals only read.
        (version,) = self.cleaner.execute("PRAGMA data_version").fetchone()
        if version == self.seen:
            return
        self.seen = version
        deletes = "".join(f'DELETE FROM "{table}";' for table in tables)
        self.cleaner.executescript(f"BEGIN IMMEDIATE;{deletes}COMMIT;")

    def disconnect(self) -> None:
        if self.cleaner is not None:
            self.cleaner.close()
            self.cleaner = None

    async def fresh(self) -> URL:
        return URL.create(
            "sqlite+aiosqlite", database=str(self.directory / f"{uuid4().hex}.db")
        )

    async def drop(self, url: URL) -> None:
        assert url.database
        remove(url.database)

    async def close(self) -> None:
        await self.leave()
        self.disconnect()
        shutil.rmtree(self.directory, ignore_errors=True)


class Postgresql(Database):
    def __init__(self, major: int) -> None:
        super().__init__()
        self.admin = postgres.admin_url(major)
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        self.name = f"evals_{worker}_{uuid4().hex[:8]}"
        self.made: list[str] = []
        self.cleaner: Any = None

    async def open(self) -> None:
        if "EVALS_POSTGRES_URL" not in os.environ:
            # Its data are thrown away: waiting for the disk proves nothing.
            await postgres.administer(self.admin, *SETTINGS, "SELECT pg_reload_conf()")
        await self.create(self.name)
        conn = await postgres.connect(self.admin)
        self.version = "PostgreSQL " + await conn.fetchval("SHOW server_version")
        await conn.close()

    @property
    def url(self) -> URL:
        return self.admin.set(database=self.name)

    async def create(self, name: str) -> None:
        await postgres.administer(self.admin, f'CREATE DATABASE "{name}"')
        self.made.append(name)

    async def clear(self) -> None:
        await self.disconnect()
        await postgres.administer(
            self.url,
            # Whoever is still there left a session open, and would block the rest.
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "DROP SCHEMA IF EXISTS public CASCADE",
            "CREATE SCHEMA public",
        )

    async def delete_from(self, tables: list[str]) -> None:
        if self.cleaner is None:
            self.cleaner = await postgres.connect(self.url)
            # A session that an eval left open must fail here, not hang.
            await self.cleaner.execute("SET lock_timeout = '10s'")
        quoted = (".".join(f'"{part}"' for part in t.split(".")) for t in tables)
        deletes = " ".join(f"DELETE FROM {table};" for table in quoted)
        await self.cleaner.execute(f"DO $$ BEGIN {deletes} END $$")

    async def disconnect(self) -> None:
        if self.cleaner is not None:
            await self.cleaner.close()
            self.cleaner = None

    async def fresh(self) -> URL:
        name = f"{self.name}_{uuid4().hex[:8]}"
        await self.create(name)
        return self.admin.set(database=name)

    async def drop(self, url: URL) -> None:
        await postgres.administer(
            self.admin, f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)'
        )

    async def close(self) -> None:
        await self.leave()
        await self.disconnect()
        for name in self.made:
            await self.drop(make_url(self.admin).set(database=name))


def remove(file: str) -> None:
    """Delete a database of SQLite with the files that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(file + suffix).unlink(missing_ok=True)


def metadata_of(module: ModuleType) -> MetaData | None:
    """Return the tables of an eval: `Base.metadata`, or a `metadata` of its own."""
    base = getattr(module, "Base", None)
    found = getattr(base, "metadata", None) or getattr(module, "metadata", None)
    return found if isinstance(found, MetaData) else None
