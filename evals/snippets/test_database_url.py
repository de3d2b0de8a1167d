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


EXPECTED = (
    "the database URL cannot be read: expected"
    " postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:///FILE.db"
)
ENCODE = (
    "the user or password in the database URL is not percent-encoded:"
    " write @ as %40, / as %2F, % as %25, or give the parts one by one"
)
PRISMA = (
    "take pgbouncer= out of the database URL, it is Prisma's:"
    " pass pgbouncer=True to new_engine (DATABASE_PGBOUNCER=true)"
)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        (
            "mysql://localhost/shop",
            "mysql is not supported: start the URL with postgresql:// or sqlite:///",
        ),
        ("s3cret", EXPECTED),
        ("postgresql://ann:s3cret@db:port/shop", EXPECTED),
        ("postgresql://ann:s3@cret@db/shop", ENCODE),
        ("postgresql://ann:s3@cret/x@db/shop", ENCODE),
        ("postgresql://ann:s3cret@db/shop?pgbouncer=true", PRISMA),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(url: str, advice: str) -> None:
    with pytest.raises(InvalidDatabaseURL) as caught:
        parse_database_url(url)

    assert str(caught.value) == advice
    assert caught.value.__cause__ is None
    assert "cret" not in "".join(traceback.format_exception(caught.value)).replace(
        repr(url), ""
    )


def test_a_file_of_sqlite_may_have_any_name() -> None:
    url = parse_database_url("sqlite:////data/a@b.db?pgbouncer=x&timeout=5")
    assert url.drivername == "sqlite+aiosqlite"
    assert url.database == "/data/a@b.db"
    assert dict(url.query) == {"pgbouncer": "x", "timeout": "5"}


@pytest.mark.parametrize(
    "name", ["channel_binding", "connect_timeout", "gssencmode", "keepalives"]
)
def test_what_only_libpq_knows_is_left_out(name: str) -> None:
    assert query(f"postgresql://ann@db/shop?{name}=1") == {}


def test_a_parameter_may_be_repeated() -> None:
    url = "postgresql:///shop?host=a:1&host=b:2&target_session_attrs=read-write"
    assert query(url) == {
        "host": ("a:1", "b:2"),
        "dsn": "postgresql:///?target_session_attrs=read-write",
    }
