"""Evals for snippets/tenant_migration.py."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from alembic import command
from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError

from evals.harness.migrations import History
from snippets.engine import new_engine
from snippets.migration_lock import migration_lock
from snippets.tenant_migration import TenantsFailed, migrate_tenants

NAMES = ["acme", "Big co", "umbrella"]
PARCEL = """
def upgrade():
    op.create_table("parcel", sa.Column("id", sa.Integer, primary_key=True))
"""
CODE = """
def upgrade():
    op.add_column("parcel", sa.Column("code", sa.Integer))
    op.execute("UPDATE parcel SET code = 10 / id")
    if op.get_bind().execute(sa.text("SELECT 1 FROM parcel WHERE id = 0")).scalar():
        raise ValueError("a parcel has no number")
"""


@pytest.fixture
async def history(empty_history: History, database: str) -> History:
    empty_history.revision("r1", None, PARCEL)
    if database == "postgresql":
        for name in NAMES:
            await empty_history.read(f'CREATE SCHEMA "{name}"')
    return empty_history


def tenants(history: History, database: str) -> dict[str, URL]:
    """Schemas of one database, or files."""
    if database == "postgresql":
        return dict.fromkeys(NAMES, history.url)
    return {name: make_url(f"{history.url}.{name}") for name in NAMES}


async def read(history: History, tenant: str, database: str, statement: str) -> Any:
    engine = new_engine(tenants(history, database)[tenant])
    async with engine.begin() as connection:
        if database == "postgresql":
            await connection.exec_driver_sql(f'SET LOCAL search_path TO "{tenant}"')
        result = await connection.exec_driver_sql(statement)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    await engine.dispose()
    return rows


async def migrate(history: History, database: str, **options: Any) -> None:
    config, urls = history.config(), tenants(history, database)
    schemas = database == "postgresql"
    await asyncio.to_thread(migrate_tenants, config, urls, schemas=schemas, **options)
    assert "connection" not in config.attributes  # it is closed


async def test_each_tenant_has_tables_and_a_version_of_its_own(
    history: History, database: str
) -> None:
    await migrate(history, database, revision="r1")
    history.revision("r2", "r1", CODE)
    await migrate(history, database, revision="r1")
    for name in NAMES:
        version = "SELECT version_num FROM alembic_version"
        assert await read(history, name, database, version) == [("r1",)]
        assert await read(history, name, database, "SELECT id FROM parcel") == []
    if database == "postgresql":
        public = "SELECT 1 FROM pg_tables WHERE schemaname = 'public'"
        assert await history.read(public) == []


async def test_a_tenant_that_fails_is_reported_and_the_others_are_migrated(
    history: History, database: str
) -> None:
    await migrate(history, database)
    await read(history, "Big co", database, "INSERT INTO parcel VALUES (0)")
    await read(history, "umbrella", database, "INSERT INTO parcel VALUES (5)")
    history.revision("r2", "r1", CODE)
    with pytest.raises(TenantsFailed) as caught:
        await migrate(history, database)
    assert str(caught.value).startswith(
        "1 of 3 tenants are not migrated; mend what each says, then run it again:\n"
        "Big co: "
    )
    failure = DBAPIError if database == "postgresql" else ValueError
    assert isinstance(caught.value.failed["Big co"], failure)
    code = "SELECT code FROM parcel"
    assert await read(history, "umbrella", database, code) == [(2,)]
    version = "SELECT version_num FROM alembic_version"
    assert await read(history, "Big co", database, version) == [("r1",)]

    await read(history, "Big co", database, "UPDATE parcel SET id = 2")
    await migrate(history, database)
    assert await read(history, "Big co", database, code) == [(5,)]


async def test_a_schema_that_does_not_exist_fails_alone(
    history: History, database: str
) -> None:
    if database == "postgresql":
        await history.read("DROP SCHEMA acme")
        with pytest.raises(TenantsFailed, match=r"1 of 3 .*\nacme: ") as caught:
            await migrate(history, database)
        assert list(caught.value.failed) == ["acme"]
        return
    await migrate(history, database)
    assert await read(history, "acme", database, "SELECT * FROM parcel") == []


def test_each_tenant_has_a_line() -> None:
    failed = {"a": ValueError("x"), "b": ValueError("y")}
    assert str(TenantsFailed(failed, 2)).endswith("again:\na: x\nb: y")


async def test_only_one_process_migrates_a_tenant(
    history: History, database: str
) -> None:
    engine = new_engine(tenants(history, database)["acme"])
    async with engine.connect() as connection, migration_lock(connection, patience=1):
        with pytest.raises(TenantsFailed, match="acme: ") as caught:
            await migrate(history, database, patience=0.1)
        # On SQLite each tenant has a lock of its own.
        number = 3 if database == "postgresql" else 1
        assert len(caught.value.failed) == number
    await engine.dispose()


async def test_the_limits_reach_the_revision(history: History, database: str) -> None:
    if database == "postgresql":
        history.revision(
            "r2",
            "r1",
            "def upgrade():\n"
            "    for name in ('lock_timeout', 'statement_timeout'):\n"
            "        found = op.get_bind().execute(sa.text(f'SHOW {name}')).scalar()\n"
            "        assert found == {'lock_timeout': '2s'}.get(name, '30s'), found\n",
        )
    await migrate(history, database)
    assert await read(history, "acme", database, "SELECT * FROM parcel") == []


@pytest.mark.trap("tenant-left-behind")
async def test_a_pooled_connection_goes_on_in_the_schema_of_the_last_tenant(
    history: History, database: str
) -> None:
    """What is migrated by hand on the application's engine."""
    if database == "sqlite":
        await migrate(history, database)
        assert await read(history, "acme", database, "SELECT * FROM parcel") == []
        return
    await history.read("CREATE TABLE parcel (id INTEGER)")
    await history.read("INSERT INTO parcel VALUES (7)")
    engine = new_engine(history.url, pool_size=1)

    def upgrade(sync: Connection) -> None:
        command.upgrade(history.config(connection=sync), "head")

    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET search_path TO acme")
        await connection.commit()
        await connection.run_sync(upgrade)
    parcels = "SELECT id FROM parcel"
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql(parcels)).all() == []
        await connection.exec_driver_sql("RESET search_path")
        await connection.commit()
    await migrate(history, database)
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql(parcels)).scalar() == 7
    await engine.dispose()
