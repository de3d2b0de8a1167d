"""Evals for snippets/database_url.py."""

from __future__ import annotations

import traceback

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from evals.harness.postgres import OwnServer
from snippets.database_url import InvalidDatabaseURL, parse_database_url

NEON = "postgres://ann:s3cret@ep-cool.example.net/shop?sslmode=require&channel_binding=require"
RDS = "postgresql://ann@db.example.net:5432/shop?sslmode=verify-full&sslrootcert=%2Fca.pem"
SUPABASE = "postgresql://postgres.ref:s3cret@pooler.example.net:6543/postgres"


async def run(url: URL, sql: str) -> object:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as conn:
            return (await conn.execute(text(sql))).scalar()
    finally:
        await engine.dispose()


def query(url: str) -> dict[str, object]:
    return dict(parse_database_url(url).query)


async def test_a_plain_url_reaches_its_database(fresh_database: URL) -> None:
    plain = fresh_database.set(drivername=fresh_database.get_backend_name())
    url = parse_database_url(plain.render_as_string(hide_password=False))

    assert await run(url, "SELECT 40 + 2") == 42


async def test_libpq_parameters_take_effect(fresh_database: URL, database: str) -> None:
    if database == "sqlite":
        assert parse_database_url(fresh_database) == fresh_database
        assert await run(fresh_database, "SELECT 1") == 1
        return
    asked = {"application_name": "till", "options": "-c work_mem=3MB"}
    libpq = {"sslmode": "prefer", "channel_binding": "prefer", "connect_timeout": "3"}
    url = parse_database_url(
        fresh_database.set(drivername="postgres").update_query_dict(asked | libpq)
    )

    assert await run(url, "SELECT current_setting('application_name')") == "till"
    assert await run(url, "SELECT current_setting('work_mem')") == "3MB"


@pytest.mark.trap("libpq-parameter")
@pytest.mark.parametrize("name", ["sslmode", "channel_binding", "options"])
async def test_the_driver_takes_no_libpq_parameter(name: str) -> None:
    url = make_url(f"postgresql+asyncpg://127.0.0.1/shop?{name}=require")
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        await run(url, "SELECT 1")


@pytest.mark.trap("bare-scheme")
def test_a_url_without_its_driver_is_another_drivers() -> None:
    # Heroku's scheme is none that SQLAlchemy knows; the other names psycopg's.
    assert make_url("postgresql://localhost/shop").get_driver_name() in (
        "psycopg",
        "psycopg2",
    )
    with pytest.raises(ArgumentError, match="postgres"):
        make_url("postgres://localhost/shop").get_dialect()


@pytest.mark.parametrize(
    "scheme",
    ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"],
)
def test_any_scheme_of_postgresql_means_asyncpg(scheme: str) -> None:
    url = parse_database_url(f" {scheme}://ann:p%40ss@db/shop\n")

    assert url.drivername == "postgresql+asyncpg"
    assert (url.username, url.password, url.host) == ("ann", "p@ss", "db")


def test_the_forms_of_hosts_become_the_drivers_arguments() -> None:
    assert query(NEON) == {"dsn": "postgresql:///?sslmode=require"}
    assert query(RDS) == {
        "dsn": "postgresql:///?sslmode=verify-full&sslrootcert=%2Fca.pem"
    }
    assert query(SUPABASE) == {}
    assert parse_database_url(SUPABASE).username == "postgres.ref"
    socket = "postgresql:///shop?host=/cloudsql/a:b:c&port=5433&ssl=disable"
    assert query(socket) == {
        "host": "/cloudsql/a:b:c",
        "port": "5433",
        "ssl": "disable",
    }
    cache = "postgresql:///shop?prepared_statement_cache_size=0"
    assert query(cache) == {"prepared_statement_cache_size": "0"}


def test_a_parsed_url_can_be_parsed_again() -> None:
    once = parse_database_url(NEON)
    assert parse_database_url(once) == once


async def test_sslmode_decides_about_tls(server: OwnServer) -> None:
    # The server has no TLS: who requires it must fail, who prefers it gets in.
    plain = server.url.replace("+asyncpg", "")
    assert await run(parse_database_url(f"{plain}?sslmode=prefer"), "SELECT 1") == 1
    with pytest.raises(OSError, match="rejected SSL upgrade"):
        await run(parse_database_url(f"{plain}?sslmode=require"), "SELECT 1")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("mysql://localhost/shop", "mysql is not supported: start the URL with"),
        ("s3cret", "expected postgresql://USER:PASSWORD@HOST:PORT/NAME"),
        ("postgresql://ann:s3cret@db:port/shop", "expected postgresql://USER"),
        ("postgresql://ann:s3@cret@db/shop", "write @ as %40"),
        ("postgresql://ann:s3@cret/x@db/shop", "write @ as %40"),
        ("postgresql://ann:s3cret@db/shop?pgbouncer=true", "DATABASE_PGBOUNCER=true"),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(url: str, advice: str) -> None:
    with pytest.raises(InvalidDatabaseURL) as caught:
        parse_database_url(url)

    assert advice in str(caught.value)
    assert "cret" not in "".join(traceback.format_exception(caught.value)).replace(
        repr(url), ""
    )
