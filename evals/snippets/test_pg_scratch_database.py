"""Evals for snippets/pg_scratch_database.py."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine

from snippets.engine import new_engine
from snippets.pg_scratch_database import (
    SPACE,
    drop_abandoned,
    open_scratch_databases,
)

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import asyncio, sys
from snippets.pg_scratch_database import open_scratch_databases
from sqlalchemy import make_url

async def main():
    async with open_scratch_databases(make_url(sys.argv[1])) as databases:
        for _ in range(2):
            print((await databases.create()).database, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def url(engine: AsyncEngine) -> URL:
    return engine.url


async def databases_of(url: URL, like: str = "pytest_scratch_%") -> set[str]:
    engine = new_engine(url)
    async with engine.connect() as connection:
        names = await connection.scalars(
            text("SELECT datname FROM pg_database WHERE datname LIKE :like"),
            {"like": like},
        )
        found = set(names)
    await engine.dispose()
    return found


def family(url: URL) -> str:
    """Return a pattern for the databases that were made together with `url`'s."""
    return re.sub(r"\d+$", "%", str(url.database))


async def test_what_was_made_is_dropped_at_the_end(url: URL) -> None:
    async with open_scratch_databases(url) as databases:
        first, second = await databases.create(), await databases.create()
        assert len(await databases_of(url, family(first))) == 2
        await databases.drop(second)
        assert await databases_of(url, family(first)) == {first.database}

    assert await databases_of(url, family(first)) == set()


async def test_it_is_dropped_after_an_error_and_under_an_open_connection(
    url: URL,
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_scratch_databases(url) as databases:
            made = await databases.create()
            engine = new_engine(made)
            held = await engine.connect()
            raise ZeroDivisionError

    assert await databases_of(url, family(made)) == set()
    await held.invalidate()
    await held.close()


async def test_a_copy_has_the_rows_of_its_template(url: URL) -> None:
    async with open_scratch_databases(url) as databases:
        template = await databases.create()
        engine = new_engine(template)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE song AS SELECT 7 AS id"))
        await engine.dispose()

        copy = new_engine(await databases.create(template))
        async with copy.connect() as connection:
            assert await connection.scalar(text("SELECT id FROM song")) == 7
            wait = await connection.scalar(text("SHOW synchronous_commit"))
        await copy.dispose()

    assert wait == "off"


async def test_a_process_that_lives_keeps_its_databases(url: URL) -> None:
    async with open_scratch_databases(url) as databases:
        made = await databases.create()
        # Another run may name another database of the server.
        await drop_abandoned(url.set(database="postgres"))
        await drop_abandoned(url)
        assert await databases_of(url, family(made)) == {made.database}


@pytest.mark.parametrize("sweeper", ["open_scratch_databases", "drop_abandoned"])
async def test_the_databases_of_a_killed_process_are_dropped_by_the_next(
    url: URL, sweeper: str
) -> None:
    plain = url.render_as_string(hide_password=False)
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, plain, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout
    names = {(await holder.stdout.readline()).decode().strip() for _ in range(2)}
    assert names <= await databases_of(url)
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    await connections_are_gone(url, names)

    if sweeper == "drop_abandoned":
        await drop_abandoned(url)
    else:
        async with open_scratch_databases(url):
            assert not names & await databases_of(url)

    assert not names & await databases_of(url)


async def connections_are_gone(url: URL, names: set[str]) -> None:
    """Wait until the server has noticed that the process is dead."""
    token = next(iter(names)).split("_")[2]
    engine = new_engine(url)
    async with engine.connect() as connection, asyncio.timeout(20):
        # A shared lock of the same key is granted when theirs is gone.
        await connection.execute(
            text("SELECT pg_advisory_lock_shared(:space, :token)"),
            {"space": SPACE, "token": int(token)},
        )
    await engine.dispose()


async def test_a_database_with_a_similar_name_is_left_alone(url: URL) -> None:
    others = ["pytest_scratch_1", "pytest_scratch_x_1", "my_pytest_scratch_1_1"]
    engine = new_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for name in others:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        await drop_abandoned(url)
        kept = await databases_of(url, "%pytest_scratch_%")
        for name in others:
            await connection.execute(text(f"DROP DATABASE {name}"))
    await engine.dispose()

    assert kept >= set(others)


async def test_two_sweepers_drop_each_database_once(url: URL) -> None:
    engine = new_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for number in range(3):
            name = f"pytest_scratch_7_{number}"
            await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()

    await asyncio.gather(drop_abandoned(url), drop_abandoned(url))

    assert await databases_of(url, "pytest_scratch_7_%") == set()


async def test_the_database_of_the_url_is_never_written_to(
    engine: AsyncEngine,
) -> None:
    size = text("SELECT (SELECT count(*) FROM pg_class), pg_database_size(:name)")
    name = {"name": engine.url.database}
    async with engine.connect() as connection:
        before = (await connection.execute(size, name)).one()
        async with open_scratch_databases(engine.url) as databases:
            await databases.create()
        assert (await connection.execute(size, name)).one() == before
