"""PostgreSQL databases of one process, which are gone when it ends, however it ends.

A process holds an advisory lock while its databases are in use. The server frees the
lock with the connection, so that a later process finds what a killed one left.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection

from .engine import new_engine

PREFIX = "pytest_scratch_"
SPACE = 0x7E57
"""The first key of the locks. The second stands in the name of the database."""
LOCK = text("SELECT pg_advisory_lock(:space, :token)").bindparams(space=SPACE)
TRY_LOCK = text("SELECT pg_try_advisory_lock(:space, :token)").bindparams(space=SPACE)
UNLOCK = text("SELECT pg_advisory_unlock(:space, :token)").bindparams(space=SPACE)
# A lock belongs to the database that its session is connected to: two runs that
# connect to two databases would both get it. `pg_locks` shows those of all.
ABANDONED = text(r"""
    SELECT datname, split_part(datname, '_', 3)::int FROM pg_database
    WHERE datname ~ '^pytest_scratch_\d+_\d+$'
      AND datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
      AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'
                      AND classid = :space
                      AND objid = split_part(datname, '_', 3)::oid)
""").bindparams(space=SPACE)


class ScratchDatabases:
    """Makes and drops databases. All belong to one lock."""

    def __init__(self, admin: AsyncConnection, server: URL, token: int) -> None:
        self._admin = admin
        self._server = server
        self._token = token
        self._number = 0

    async def create(self, template: URL | None = None) -> URL:
        """Make one more, empty or a copy of `template`, to which nobody may be
        connected, and return its URL."""
        self._number += 1
        name = f"{PREFIX}{self._token}_{self._number}"
        copied = f' TEMPLATE "{template.database}"' if template else ""
        await self._admin.exec_driver_sql(f'CREATE DATABASE "{name}"{copied}')
        # Nobody needs these rows after a crash: a commit must not wait for the disk.
        await self._admin.exec_driver_sql(
            f'ALTER DATABASE "{name}" SET synchronous_commit = off'
        )
        return self._server.set(database=name)

    async def drop(self, url: URL) -> None:
        """Drop one, also if somebody is connected to it."""
        await _drop(self._admin, str(url.database))

    async def close(self) -> None:
        for number in range(1, self._number + 1):
            await _drop(self._admin, f"{PREFIX}{self._token}_{number}")


@asynccontextmanager
async def open_scratch_databases(
    server: URL,
) -> AsyncGenerator[ScratchDatabases, None]:
    """Drop what killed processes left; yield a maker of databases; drop what it made.

    The role must be allowed to create databases. The database that `server` names is
    connected to and never changed.
    """
    async with _administer(server) as admin:
        await _drop_abandoned(admin)
        token = secrets.randbelow(2**31)
        await admin.execute(LOCK, {"token": token})
        databases = ScratchDatabases(admin, server, token)
        try:
            yield databases
        finally:
            await databases.close()


async def drop_abandoned(server: URL) -> None:
    """Drop the databases of processes that were killed."""
    async with _administer(server) as admin:
        await _drop_abandoned(admin)


@asynccontextmanager
async def _administer(server: URL) -> AsyncGenerator[AsyncConnection, None]:
    engine = new_engine(server, isolation_level="AUTOCOMMIT", application_name="pytest")
    try:
        async with engine.connect() as admin:
            yield admin
    finally:
        await engine.dispose()


async def _drop_abandoned(admin: AsyncConnection) -> None:
    for name, token in (await admin.execute(ABANDONED)).all():
        # Two processes may have found it: one of them drops it.
        if await admin.scalar(TRY_LOCK, {"token": token}):
            await _drop(admin, name)
            await admin.execute(UNLOCK, {"token": token})


async def _drop(admin: AsyncConnection, name: str) -> None:
    await admin.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
