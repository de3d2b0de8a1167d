"""Alembic's environment: which models and which database; the rest is `run_env`."""

from __future__ import annotations

from app import models
from app.db.migration_env import run_env
from app.db.settings import DatabaseSettings

run_env(models.Base.metadata, lambda: DatabaseSettings().engine_url(), models=models)
