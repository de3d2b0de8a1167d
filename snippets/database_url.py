"""One URL for the async drivers, from the forms that hosts hand out.

Neon, Supabase, Heroku and RDS give libpq URLs: `postgres://`, `?sslmode=require`,
`&channel_binding=require`. SQLAlchemy needs the driver spelled out, and hands every
query parameter to asyncpg as a keyword, which fails for each of libpq's.
"""

from __future__ import annotations

from urllib.parse import urlencode

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}
# The dialect reads these itself, or asyncpg takes them as keywords that are text.
OURS = {"host", "port", "ssl", "dsn", "prepared_statement_cache_size"}
# Only libpq knows these. asyncpg would send them to the server, which refuses them.
# The first is SCRAM's own protection, which asyncpg does not have; TLS stays on.
LIBPQ_ONLY = {"channel_binding", "connect_timeout", "gssencmode", "keepalives"}


class InvalidDatabaseURL(ValueError):
    """The URL cannot be used; the message says why and never shows the password."""


def parse_database_url(url: str | URL) -> URL:
    """Return `url` as SQLAlchemy's URL for asyncpg or aiosqlite.

    libpq's parameters (`sslmode`, `sslrootcert`, `options`, `application_name`,
    `target_session_attrs`, ...) go to asyncpg in its own `dsn` argument, which
    understands them: https://magicstack.github.io/asyncpg/current/api/index.html#connection

    Raises:
        InvalidDatabaseURL: it is no URL, its characters are not percent-encoded,
            or it is for another database.
    """
    parsed = _split(url)
    driver = DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise InvalidDatabaseURL(
            f"{parsed.get_backend_name()} is not supported:"
            " start the URL with postgresql:// or sqlite:///"
        )
    parsed = parsed.set(drivername=driver)
    if driver.startswith("sqlite"):
        return parsed
    if "@" in f"{parsed.host}{parsed.database}":
        raise InvalidDatabaseURL(
            "the user or password in the database URL is not percent-encoded:"
            " write @ as %40, / as %2F, % as %25, or give the parts one by one"
        )
    if "pgbouncer" in parsed.query:
        raise InvalidDatabaseURL(
            "take pgbouncer= out of the database URL, it is Prisma's:"
            " pass pgbouncer=True to new_engine (DATABASE_PGBOUNCER=true)"
        )
    kept = {k: v for k, v in parsed.query.items() if k in OURS}
    libpq = {k: v for k, v in parsed.query.items() if k not in OURS | LIBPQ_ONLY}
    if libpq:
        kept["dsn"] = f"postgresql:///?{urlencode(libpq, doseq=True)}"
    return parsed.set(query=kept)


def _split(url: str | URL) -> URL:
    try:
        return make_url(url.strip() if isinstance(url, str) else url)
    except (ArgumentError, ValueError):
        # The cause quotes the URL, password and all: it must not be chained.
        raise InvalidDatabaseURL(
            "the database URL cannot be read: expected"
            " postgresql://USER:"
            "PASSWORD@HOST:PORT/NAME or sqlite:///FILE.db"
        ) from None
