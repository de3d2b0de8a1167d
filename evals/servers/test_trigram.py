"""Similar text on Debian's PostgreSQL, which has pg_trgm; the embedded one has not."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from evals.harness.observe import plan_text
from evals.harness.project import free_port
from evals.servers.conftest import program, run, running
from evals.snippets.test_trigram_match import CITIES, EXPECTED, Base, City, check
from snippets.engine import new_engine
from snippets.session import new_sessions
from snippets.text_match import contains, ends, starts
from snippets.trigram_match import create_trigram_index, measure, similar, similarity

# apt: postgresql


@pytest.fixture
def debian(scratch: Path) -> Iterator[str]:
    """The URL of a PostgreSQL of Debian's packages."""
    port = str(free_port())
    data = scratch / "data"
    locale = ("-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    run(program("initdb"), "-D", str(data), "-U", "ann", "-A", "trust", *locale)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",
    }
    options = [word for k, v in settings.items() for word in ("-c", f"{k}={v}")]
    command = (program("postgres"), "-D", str(data), *options)
    with running(*command, ready="ready to accept connections"):
        yield f"postgresql://ann@127.0.0.1:{port}/postgres"
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
async def session(debian: str) -> AsyncIterator[AsyncSession]:
    engine = new_engine(debian)
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
        for sql in create_trigram_index("city", "name"):
            await conn.execute(text(sql))
    async with new_sessions(engine)() as session:
        yield session
    await engine.dispose()


async def test_the_same_is_found_as_on_sqlite(session: AsyncSession) -> None:
    await check(session)
    for typed, _ in EXPECTED:
        stmt = select(City.name, similarity(City.name, typed)).order_by(City.id)
        for name, value in await session.execute(stmt):
            assert value == pytest.approx(measure(name, typed), abs=1e-6), (name, typed)


async def test_the_index_serves_similar_and_contains(session: AsyncSession) -> None:
    rows = [{"name": name} for name in CITIES * 50]
    await session.execute(insert(City), rows)
    for condition in (
        similar(City.name, "amsterdam"),
        contains(City.name, "STERD"),
        starts(City.name, "ROTT"),
        ends(City.name, "haag"),
    ):
        stmt = select(City.id).where(condition)
        steps = await plan_text(session, stmt, seqscan=False)
        assert "Bitmap Index Scan on city_name_trgm" in steps
        assert len((await session.scalars(stmt)).all()) >= 50
