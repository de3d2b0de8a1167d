"""The schema of a database for tests, made by the migrations that production runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrated_schema(alembic_ini: Path) -> Callable[[Connection], None]:
    """Return what brings a database to the newest revision: `migrated_schema(ini)` in
    the place of `Base.metadata.create_all`.

    https://alembic.sqlalchemy.org/en/latest/cookbook.html#sharing-a-connection-across-one-or-more-programmatic-migration-commands
    """

    def create_schema(connection: Connection) -> None:
        config = Config(alembic_ini)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    return create_schema
