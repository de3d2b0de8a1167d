"""Evals for snippets/row_stream.py."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from sqlalchemy import ForeignKey, delete, event, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncResult, AsyncSession
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from evals.harness.observe import Statements
from snippets.bulk_insert import bulk_insert
from snippets.row_stream import stream_batches, stream_dicts, stream_entities


class Base(DeclarativeBase):
    pass


class Song(Base):
    __tablename__ = "song"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    lines: Mapped[list[Line]] = relationship()


class Line(Base):
    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    song_id: Mapped[int] = mapped_column(ForeignKey("song.id"))


SONGS = select(Song).order_by(Song.id)
COLUMNS = select(Song.id, Song.title).order_by(Song.id)


async def fill(session: AsyncSession, number: int) -> None:
    await bulk_insert(
        session, Song, ({"id": i, "title": f"t{i}"} for i in range(number))
    )


async def test_rows_come_in_batches(session: AsyncSession) -> None:
    await fill(session, 5)
    sizes = []
    async for rows in stream_batches(session, COLUMNS, batch=2):
        sizes.append(len(rows))
        assert rows[0].title == f"t{rows[0].id}"
    assert sizes == [2, 2, 1]


async def test_dictionaries_have_the_names_of_the_columns(
    session: AsyncSession,
) -> None:
    await fill(session, 3)
    stmt = select(Song.id, Song.title.label("name")).order_by(Song.id)
    found = [row async for row in stream_dicts(session, stmt, batch=2)]
    assert found == [{"id": i, "name": f"t{i}"} for i in range(3)]
    assert [row async for row in stream_dicts(session, stmt.where(Song.id > 9))] == []


async def test_entities_come_with_what_selectinload_loads(
    session: AsyncSession, statements: Statements
) -> None:
    await fill(session, 5)
    await bulk_insert(session, Line, [{"song_id": i} for i in (0, 4, 4)])
    stmt = SONGS.options(selectinload(Song.lines))
    with statements() as sent:
        songs = [s async for s in stream_entities(session, stmt, batch=2)]
    assert [len(song.lines) for song in songs] == [1, 0, 0, 0, 2]
    assert len(sent) == 1 + 3
    with pytest.raises(InvalidRequestError, match="yield_per"):
        async for _ in stream_entities(session, SONGS.options(joinedload(Song.lines))):
            pass


def counting(model: type[Any]) -> tuple[list[object], Callable[[], None]]:
    made: list[object] = []

    def count(target: object, context: object) -> None:
        made.append(None)

    event.listen(model, "load", count)
    return made, lambda: event.remove(model, "load", count)


async def test_a_stream_without_yield_per_loads_all_before_the_first_entity(
    session: AsyncSession,
) -> None:
    await fill(session, 1_200)
    made, stop = counting(Song)
    async for _ in await session.stream_scalars(SONGS):
        break
    assert len(made) == 1_200
    made.clear()
    session.expunge_all()
    async with aclosing(stream_entities(session, SONGS, batch=100)) as songs:
        await anext(songs)
    assert len(made) == 100
    stop()


@pytest.mark.parametrize(
    ("stream", "stmt"),
    [(stream_batches, COLUMNS), (stream_dicts, COLUMNS), (stream_entities, SONGS)],
    ids=["rows", "dicts", "entities"],
)
async def test_memory_does_not_grow_after_the_first_batch(
    session: AsyncSession, full: bool, stream: Any, stmt: Any
) -> None:
    number = 1_000_000 if full else 20_000
    await fill(session, number)
    seen = first = 0
    tracemalloc.start()
    async for _ in stream(session, stmt):
        seen += 1
        if seen == 1:
            first = tracemalloc.get_traced_memory()[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All rows together are 4 MB and more, of a million 200 MB.
    assert peak - first < (30_000_000 if full else 2_000_000)
    assert len(session.identity_map) <= 1


@pytest.mark.trap("commit-in-stream")
async def test_a_commit_in_the_loop_breaks_the_stream_on_postgresql(
    session: AsyncSession, database: str
) -> None:
    await fill(session, 6)
    await session.commit()

    async def change() -> None:
        async for song in stream_entities(session, SONGS, batch=2):
            song.title += "!"
            await session.commit()

    if database == "sqlite":
        await change()  # green here
    else:
        with pytest.raises(Exception, match="cursor cannot be created outside"):
            await change()


async def test_a_stream_that_is_left_early_is_closed(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(session, 3_000)
    opened: list[AsyncResult[Any]] = []
    stream = session.stream

    async def seen(*args: Any, **options: Any) -> AsyncResult[Any]:
        opened.append(await stream(*args, **options))
        return opened[-1]

    monkeypatch.setattr(session, "stream", seen)
    async with aclosing(stream_batches(session, COLUMNS)) as batches:
        await anext(batches)
        assert not opened[0].closed
    assert opened[0].closed
    await session.execute(delete(Song))
