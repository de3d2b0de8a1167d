"""Evals for snippets/query_plan.py."""

from __future__ import annotations

import pytest
from sqlalchemy import Index, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from snippets.query_plan import assert_uses_index, query_plan
from snippets.savepoint_isolation import isolated_sessions


class Base(DeclarativeBase):
    pass


class Song(Base):
    __tablename__ = "song"

    id: Mapped[int] = mapped_column(primary_key=True)
    artist: Mapped[str]
    title: Mapped[str]

    __table_args__ = (Index("song_by_artist", "artist"),)


async def test_a_query_that_the_index_serves_uses_it(session: AsyncSession) -> None:
    by_artist = select(Song.id).where(Song.artist == "it's :x %")
    await assert_uses_index(session, by_artist, "song_by_artist")


async def test_a_query_that_it_does_not_serve_fails_with_the_plan(
    session: AsyncSession, database: str
) -> None:
    by_title = select(Song.id).where(Song.title == "x")
    scan = {"sqlite": "SCAN song", "postgresql": "Seq Scan on song"}
    with pytest.raises(AssertionError) as caught:
        await assert_uses_index(session, by_title, "song_by_artist")
    assert str(caught.value).startswith("song_by_artist is not used:\n")
    assert scan[database] in str(caught.value)
    assert scan[database] in await query_plan(session, by_title)


async def test_the_session_goes_on_as_before(
    engine: AsyncEngine, database: str
) -> None:
    async with isolated_sessions(engine) as isolated, isolated() as session:
        session.add(Song(artist="a", title="t"))
        plan = await query_plan(session, select(Song).where(Song.id == 1))
        assert "\n" in plan or database == "sqlite"
        assert (await session.scalars(select(Song.title))).all() == ["t"]
        if database == "postgresql":
            assert await session.scalar(text("SHOW enable_seqscan")) == "on"


async def test_a_small_table_is_planned_as_a_large_one(session: AsyncSession) -> None:
    session.add_all(Song(artist=f"a{n}", title="t") for n in range(3))
    await session.commit()
    await session.execute(text("ANALYZE song"))
    stmt = select(Song.title).where(Song.artist == "a1")
    await assert_uses_index(session, stmt, "song_by_artist")


async def test_each_step_of_a_plan_is_a_line(session: AsyncSession) -> None:
    other = aliased(Song)
    stmt = select(Song.id).join(other, Song.artist == other.title)
    lines = (await query_plan(session, stmt)).splitlines()
    assert len(lines) >= 2
    assert sum("song" in line for line in lines) >= 2


async def test_a_statement_that_cannot_be_planned_spoils_no_transaction(
    session: AsyncSession, database: str
) -> None:
    session.add(Song(artist="a", title="t"))
    await session.flush()
    with pytest.raises(DBAPIError):
        await query_plan(session, select(text("nothing")).select_from(Song))
    assert (await session.scalars(select(Song.title))).all() == ["t"]
    if database == "postgresql":
        assert await session.scalar(text("SHOW enable_seqscan")) == "on"


async def test_two_statements_have_a_plan_each(session: AsyncSession) -> None:
    plans = {
        await query_plan(session, select(Song.id).where(Song.artist == "a")),
        await query_plan(session, select(Song.id).where(Song.title == "a")),
    }
    assert len(plans) == 2
