"""Evals for snippets/connection_check.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from asyncpg.exceptions import (
    InvalidAuthorizationSpecificationError,
    InvalidPasswordError,
    PostgresError,
)
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

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
    assert await message(wrong) == (
        f"127.0.0.1:{server.port} refused the password of ann: correct it in"
        " DATABASE_URL (or DATABASE_USER and DATABASE_PASSWORD)"
    )

    server.stop()
    server.start("max_connections=4", "superuser_reserved_connections=0")
    engine = new_engine(url)
    held = [await engine.connect() for _ in range(4)]
    assert await message(url) == (
        f"127.0.0.1:{server.port} has no connection left: lower DATABASE_POOL_SIZE, or"
        " the number of processes, below the server's max_connections"
    )
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


async def test_a_sqlite_path_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (f"{tmp_path}/missing/app.db", "missing/app.db"):
        assert await message(f"sqlite:///{path}") == (
            f"the folder of the SQLite file does not exist: create {tmp_path}/missing,"
            " or correct DATABASE_URL (three slashes before a relative path, four"
            " before an absolute one)"
        )

    assert await message(f"sqlite:///{tmp_path}") == (
        f"the SQLite file {tmp_path} cannot be opened: unable to open database file"
    )
    (tmp_path / "text.db").write_text("not a database at all" * 100, encoding="utf-8")
    told = await message(f"sqlite:///{tmp_path}/text.db")
    assert "file is not a database" in told


@pytest.mark.parametrize(
    ("wrapped", "kind"),
    [
        (False, InvalidPasswordError),
        (False, InvalidAuthorizationSpecificationError),
        (True, InvalidPasswordError),
    ],
)
def test_a_refusal_is_known_with_and_without_sqlalchemy_around_it(
    wrapped: bool, kind: type[PostgresError]
) -> None:
    exc: Exception = kind("no")
    told = explain(REMOTE, DBAPIError("connect", {}, exc) if wrapped else exc)
    assert told is not None
    assert told.startswith("db.example.net:5432 refused the password of ann:")


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
