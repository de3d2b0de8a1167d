"""Evals for snippets/connection_check.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from evals.harness.network import answering
from evals.harness.postgres import OwnServer
from snippets.connection_check import DatabaseUnavailable, check_connection, explain
from snippets.engine import new_engine

REMOTE = make_url("postgresql+asyncpg://ann:s3cret@db.example.net/shop")


async def message(url: str | URL, connect_timeout: float = 5) -> str:
    engine = new_engine(url, connect_timeout=connect_timeout)
    try:
        with pytest.raises(DatabaseUnavailable) as caught:
            await check_connection(engine)
    finally:
        await engine.dispose()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    text = str(caught.value)
    assert "\n" not in text
    assert "s3cret" not in text
    return text


async def test_a_database_that_answers_passes(fresh_database: URL) -> None:
    engine = new_engine(fresh_database)
    await check_connection(engine)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    async with engine.connect() as conn:
        assert await conn.scalar(text("SELECT 42")) == 42
    await engine.dispose()


async def test_a_missing_database_answers_with_the_command_that_creates_it(
    fresh_database: URL, database: str
) -> None:
    if database == "sqlite":  # a missing file is made
        await test_a_database_that_answers_passes(fresh_database)
        return
    told = await message(fresh_database.set(database="nowhere"))
    assert "database nowhere does not exist" in told
    assert "`createdb" in told
    assert "nowhere`, then run `alembic upgrade head`" in told


async def test_a_wrong_password_a_full_server_and_a_closed_port_are_told_apart(
    server: OwnServer,
) -> None:
    server.trust("host all ann 127.0.0.1/32 scram-sha-256")
    url = make_url(server.url)
    wrong = url.set(username="ann", password="s3cret")
    assert f"127.0.0.1:{server.port} refused the password of ann" in await message(
        wrong
    )

    server.stop()
    server.start("max_connections=4", "superuser_reserved_connections=0")
    engine = new_engine(url)
    held = [await engine.connect() for _ in range(4)]
    assert "has no connection left: lower DATABASE_POOL_SIZE" in await message(url)
    for conn in held:
        await conn.close()
    await engine.dispose()

    missing = await message(url.set(database="nowhere"))
    assert f"`createdb -h 127.0.0.1 -p {server.port} -U postgres nowhere`" in missing

    server.stop()
    told = await message(url)
    assert f"127.0.0.1:{server.port} cannot be reached" in told
    assert "docker compose up -d db" in told


@pytest.mark.parametrize("reply", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_server_that_stays_silent_or_speaks_nonsense_is_reported(
    reply: bytes | None,
) -> None:
    async with answering(reply) as port:
        url = f"postgresql://ann:s3cret@127.0.0.1:{port}/shop?sslmode=disable"
        assert f"127.0.0.1:{port} " in await message(url, connect_timeout=0.5)


async def test_an_unknown_host_is_reported() -> None:
    told = await message("postgresql://ann:s3cret@no-such-host.invalid/shop")
    assert "no-such-host.invalid:5432 cannot be reached" in told


async def test_a_sqlite_path_is_explained(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    told = await message(f"sqlite:///{folder}/app.db")
    assert f"does not exist: create {folder}, or correct DATABASE_URL" in told

    told = await message(f"sqlite:///{tmp_path}")
    assert f"the SQLite file {tmp_path} cannot be opened" in told
    (tmp_path / "text.db").write_text("not a database at all" * 100, encoding="utf-8")
    told = await message(f"sqlite:///{tmp_path}/text.db")
    assert "file is not a database" in told


def test_what_is_no_failure_to_connect_is_left_alone() -> None:
    assert explain(REMOTE, KeyError("x")) is None
    assert explain(REMOTE, SQLAlchemyError("protocol")) == (
        "db.example.net:5432 refused the connection: protocol"
    )
    assert explain(REMOTE, TimeoutError()) == (
        "db.example.net:5432 cannot be reached (TimeoutError): start the server"
        " (`docker compose up -d db`) or correct the host and port in DATABASE_URL"
    )


async def test_a_bug_in_an_event_handler_is_not_taken_for_a_dead_server() -> None:
    engine = new_engine("sqlite:///:memory:")

    @event.listens_for(engine.sync_engine, "connect")
    def broken(connection: object, record: object) -> None:
        raise KeyError("typo")

    with pytest.raises(KeyError, match="typo"):
        await check_connection(engine)
    await engine.dispose()
