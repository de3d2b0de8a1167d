"""Fixtures: each test runs on SQLite and on PostgreSQL, and finds its tables empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from httpx import AsyncClient
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import database_fixtures
from app.db.fastapi_client import open_client
from app.db.migrated_schema import migrated_schema
from app.db.pytest_loop import async_fixture
from app.main import app


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(database_fixtures)


@pytest.fixture(scope="session")
def create_schema() -> Callable[[Connection], None]:
    return migrated_schema(Path(__file__).parents[1] / "alembic.ini")


@async_fixture()
async def client(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncIterator[AsyncClient]:
    async with open_client(app, sessions) as client:
        yield client
