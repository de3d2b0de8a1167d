"""Tests as a user writes them. The evals lay them down in a project, where the snippets
are in `app.db`."""

from __future__ import annotations

import pytest
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncEngine

from snippets.migration_gate import check_migrations


@pytest.mark.isolation("empty")
async def test_each_revision_goes_up_and_down_and_the_models_fit(
    engine: AsyncEngine,
) -> None:
    await check_migrations(Config("alembic.ini"), engine)
