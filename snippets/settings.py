"""Database settings from the environment and `.env`: one URL, or its parts.

`DATABASE_URL` wins. Without it the URL is made of `DATABASE_HOST`, `DATABASE_USER`
and `DATABASE_PASSWORD` (as it is, nothing to encode), `DATABASE_NAME`, `DATABASE_PORT`.
"""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from .database_url import parse_database_url
from .engine import new_engine


class MissingDatabaseURL(ValueError):
    """The environment does not say which database to use."""


class DatabaseSettings(BaseSettings):
    """What the environment says; `DatabaseSettings()` reads it.

    The times are seconds. No representation of this object shows a secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="DATABASE_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    url: SecretStr | None = None
    host: str | None = None
    port: int = 5432
    user: str | None = None
    password: SecretStr | None = None
    name: str | None = None

    pool_size: int = 5
    max_overflow: int = 5
    pool_timeout: float = 10
    connect_timeout: float = 10
    statement_timeout: float = 30
    lock_timeout: float = 10
    idle_transaction_timeout: float = 60
    application_name: str | None = None
    pgbouncer: bool = False
    """Whether the URL leads to PgBouncer in transaction mode."""

    def engine_url(self) -> URL:
        """Return the URL for the async driver.

        Raises:
            MissingDatabaseURL: neither the URL nor a host is set.
            InvalidDatabaseURL: the URL cannot be used.
        """
        if self.url is not None:
            return parse_database_url(self.url.get_secret_value())
        if self.host is None:
            raise MissingDatabaseURL(
                "no database is configured: set DATABASE_URL (see .env.example),"
                " or DATABASE_HOST, DATABASE_USER, DATABASE_PASSWORD and DATABASE_NAME"
            )
        password = self.password.get_secret_value() if self.password else None
        return URL.create(
            "postgresql+asyncpg",
            self.user,
            password,
            self.host,
            self.port,
            self.name,
        )

    def engine(self) -> AsyncEngine:
        """Return an engine that is configured as the environment says."""
        return new_engine(
            self.engine_url(),
            pool_size=self.pool_size,
            max_overflow=self.max_overflow,
            pool_timeout=self.pool_timeout,
            connect_timeout=self.connect_timeout,
            statement_timeout=self.statement_timeout,
            lock_timeout=self.lock_timeout,
            idle_transaction_timeout=self.idle_transaction_timeout,
            application_name=self.application_name,
            pgbouncer=self.pgbouncer,
        )
