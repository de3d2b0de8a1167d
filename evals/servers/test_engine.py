"""The engine against PgBouncer in transaction mode, and over TLS."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from snippets.connection_check import DatabaseUnavailable, check_connection
from snippets.database_url import parse_database_url
from snippets.engine import new_engine

CLIENTS, ROUNDS = 6, 15
WAITS = "SELECT current_setting('lock_timeout')"


async def load(engines: list[AsyncEngine]) -> Counter[str]:
    """Send different statements from several clients; count how each one ended."""
    ends: Counter[str] = Counter()

    async def client(number: int) -> None:
        for turn in range(ROUNDS):
            engine = engines[(number + turn) % len(engines)]
            try:
                async with engine.connect() as conn:
                    sql = f"SELECT {turn} + :n, {number}"
                    await conn.execute(text(sql), {"n": number})
                    await conn.execute(text("SELECT CAST(:a AS int)"), {"a": 1})
                ends["ok"] += 1
            except DBAPIError as exc:
                ends[str(getattr(exc.orig, "sqlstate", None))] += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return ends


async def close(engines: list[AsyncEngine]) -> None:
    for engine in engines:
        await engine.dispose()


async def test_no_statement_fails_behind_pgbouncer(pgbouncer: str) -> None:
    engines = [new_engine(pgbouncer, pgbouncer=True) for _ in range(3)]
    assert await load(engines) == {"ok": CLIENTS * ROUNDS}
    await close(engines)


async def test_the_limits_hold_behind_pgbouncer(pgbouncer: str) -> None:
    engine = new_engine(
        pgbouncer, pgbouncer=True, lock_timeout=3, statement_timeout=0.2
    )
    async with engine.connect() as conn:
        assert await conn.scalar(text(WAITS)) == "3s"
        with pytest.raises(DBAPIError, match="statement timeout"):
            await conn.execute(text("SELECT pg_sleep(20)"))
    await engine.dispose()


async def test_a_plain_engine_meets_other_clients_statements(pgbouncer: str) -> None:
    url = parse_database_url(pgbouncer)
    engines = [create_async_engine(url) for _ in range(3)]
    ends = await load(engines)
    await close(engines)
    # duplicate_prepared_statement, invalid_sql_statement_name
    assert ends["42P05"] + ends["26000"] > 0, ends


async def test_limits_at_connection_are_refused_by_pgbouncer(pgbouncer: str) -> None:
    engine = new_engine(pgbouncer)
    with pytest.raises(DatabaseUnavailable, match="unsupported startup parameter"):
        await check_connection(engine)
    await engine.dispose()


async def encrypted(url: str, **options: Any) -> bool | None:
    engine = new_engine(url, **options)
    try:
        async with engine.connect() as conn:
            sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            found: bool | None = await conn.scalar(text(sql))
            return found
    finally:
        await engine.dispose()


async def test_sslmode_means_what_it_means_to_libpq(
    tls_server: tuple[str, Path], tmp_path: Path
) -> None:
    url, authority = tls_server
    assert await encrypted(f"{url}?sslmode=require&channel_binding=require")
    verified = f"{url}?sslmode=verify-full&sslrootcert={authority}"
    assert await encrypted(verified)

    with pytest.raises(OSError, match=r"(?i)certificate"):
        await encrypted(verified.replace("localhost", "127.0.0.1"))
    with pytest.raises(Exception, match=r"(?i)no pg_hba.conf entry"):
        await encrypted(f"{url}?sslmode=disable")
