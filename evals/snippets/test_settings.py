"""Evals for snippets/settings.py."""

from __future__ import annotations

import os
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import URL, AsyncAdaptedQueuePool, event, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from snippets.database_url import InvalidDatabaseURL
from snippets.engine import new_engine
from snippets.settings import DatabaseSettings, MissingDatabaseURL

ODD = "p%40s/w@:r?d#é"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("DATABASE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def setenv(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"DATABASE_{name}", value)


async def test_one_url_gives_an_engine(
    fresh_database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fresh_database.set(drivername=fresh_database.get_backend_name())
    setenv(monkeypatch, URL=plain.render_as_string(hide_password=False))
    engine = DatabaseSettings().engine()
    async with engine.connect() as conn:
        assert await conn.scalar(text("SELECT 42")) == 42
    await engine.dispose()


async def test_every_setting_reaches_the_engine(
    fresh_database: URL, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setenv(
        monkeypatch,
        URL=fresh_database.render_as_string(hide_password=False),
        POOL_SIZE="3",
        MAX_OVERFLOW="0",
        POOL_TIMEOUT="0.25",
        CONNECT_TIMEOUT="9",
        STATEMENT_TIMEOUT="5",
        LOCK_TIMEOUT="6",
        IDLE_TRANSACTION_TIMEOUT="7",
        APPLICATION_NAME="till",
        PGBOUNCER="true",
    )
    engine = DatabaseSettings().engine()
    given: dict[str, Any] = {}

    @event.listens_for(engine.sync_engine, "do_connect")
    def connecting(dialect: Any, record: Any, args: Any, options: Any) -> None:
        given.update(options)

    assert isinstance(engine.pool, AsyncAdaptedQueuePool)
    assert (engine.pool.size(), engine.pool.timeout()) == (3, 0.25)
    async with engine.connect() as conn:
        if database == "sqlite":
            pragma = await conn.exec_driver_sql("PRAGMA busy_timeout")
            assert pragma.scalar() == 6_000
        else:
            names = ("statement_timeout", "lock_timeout", "application_name")
            found = [await conn.scalar(text(f"SHOW {name}")) for name in names]
            assert found == ["5s", "6s", "till"]
            idle = await conn.scalar(text("SHOW idle_in_transaction_session_timeout"))
            assert idle == "7s"
            statements = text("SELECT count(*) FROM pg_prepared_statements")
            assert await conn.scalar(statements) == 0  # pgbouncer=True came through
            assert given["timeout"] == 9
        async with engine.connect(), engine.connect():
            with pytest.raises(PoolTimeout, match="size 3 overflow 0 reached"):
                await engine.connect()
    await engine.dispose()


def test_what_is_not_set_is_as_in_new_engine() -> None:
    fields = DatabaseSettings.model_fields
    defaults = {
        name: parameter.default
        for name, parameter in signature(new_engine).parameters.items()
        if name not in ("url", "options")
    }
    assert defaults.keys() <= fields.keys()
    assert {name: fields[name].default for name in defaults} == defaults


def test_the_url_wins_over_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, URL="postgres://ann:s3cret@db/shop", HOST="elsewhere", USER="x")
    url = DatabaseSettings().engine_url()
    assert url.render_as_string(hide_password=False) == (
        "postgresql+asyncpg://ann:s3cret@db/shop"
    )


def test_parts_need_no_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, HOST="db", USER="ann", PASSWORD=ODD, NAME="shop", PORT="6543")
    url = DatabaseSettings().engine_url()
    assert (url.drivername, url.password) == ("postgresql+asyncpg", ODD)
    assert (url.host, url.port, url.username, url.database) == (
        "db",
        6543,
        "ann",
        "shop",
    )


def test_a_host_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, HOST="db", PASSWORD="")
    url = DatabaseSettings().engine_url()
    assert (url.password, url.port) == (None, 5432)


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "DATABASE_URL=sqlite:///file.db\nDATABASE_POOL_SIZE=2\nOTHER=1\n",
        encoding="utf-8",
    )
    assert DatabaseSettings().engine_url().database == "file.db"
    setenv(monkeypatch, URL="sqlite:///env.db")
    settings = DatabaseSettings()
    assert (settings.engine_url().database, settings.pool_size) == ("env.db", 2)


@pytest.mark.parametrize("url", [None, ""])
def test_no_database_is_an_error_and_never_a_file_by_default(
    url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url is not None:
        setenv(monkeypatch, URL=url)
    with pytest.raises(MissingDatabaseURL) as caught:
        DatabaseSettings().engine_url()
    assert str(caught.value) == (
        "no database is configured: set DATABASE_URL (see .env.example), or"
        " DATABASE_HOST, DATABASE_USER, DATABASE_PASSWORD and DATABASE_NAME"
    )


def test_nothing_shows_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, URL="postgres://ann:s3cret@db/shop", PASSWORD="s3cret")
    settings = DatabaseSettings()
    shown = f"{settings!r} {settings} {settings.engine_url()} {settings.engine()!r}"
    assert "s3cret" not in shown + settings.model_dump_json()

    setenv(monkeypatch, URL="postgres://ann:s3@cret@db/shop")
    with pytest.raises(InvalidDatabaseURL) as caught:
        DatabaseSettings().engine()
    assert "cret" not in str(caught.value)

    setenv(monkeypatch, PORT="s3cret")
    with pytest.raises(ValidationError) as wrong:
        DatabaseSettings()
    assert "s3cret" not in str(wrong.value)
    assert "port" in str(wrong.value)
