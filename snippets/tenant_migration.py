"""Migrate every tenant: a schema or a database each, and one that fails stops no other.

    tenants = {"acme": url, "umbrella": url}  # schemas of one database
    migrate_tenants(Config("alembic.ini"), tenants, schemas=True)

A revision names no schema. What a killed run has not done, the next one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection

from .migration_run import run_migrations


class TenantsFailed(Exception):
    """Some tenants are not migrated; `failed` says which, and why."""

    def __init__(self, failed: Mapping[str, Exception], number: int) -> None:
        self.failed = failed
        lines = (f"{tenant}: {exc}" for tenant, exc in failed.items())
        super().__init__(
            f"{len(failed)} of {number} tenants are not migrated; mend what each says,"
            " then run it again:\n" + "\n".join(lines)
        )


def migrate_tenants(
    config: Config,
    tenants: Mapping[str, URL],
    *,
    schemas: bool,
    revision: str = "head",
    lock_timeout: float = 2,
    statement_timeout: float = 30,
    patience: float = 300,
) -> None:
    """Upgrade each to `revision`, one after the other; Alembic can do no two at once.

    With `schemas` (PostgreSQL) a tenant's tables, `alembic_version` too, are in the
    schema of its name, which must exist. The rest is as in `run_env`.

    Raises:
        TenantsFailed: after all others are migrated.
    """
    failed: dict[str, Exception] = {}
    for tenant, url in tenants.items():
        try:
            run_migrations(
                url,
                partial(_upgrade, config, tenant if schemas else None, revision),
                lock=True,
                lock_timeout=lock_timeout,
                statement_timeout=statement_timeout,
                patience=patience,
            )
        except Exception as exc:  # whatever a revision raises: the others go on
            failed[tenant] = exc
    if failed:
        raise TenantsFailed(failed, len(tenants))


def _upgrade(
    config: Config, schema: str | None, revision: str, connection: Connection
) -> None:
    if schema is not None:
        # Not public as well: its alembic_version would pass for the tenant's.
        name = connection.dialect.identifier_preparer.quote(schema)
        connection.exec_driver_sql(f"SET search_path TO {name}")
        connection.commit()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    finally:
        del config.attributes["connection"]
