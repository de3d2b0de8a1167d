"""Evals for snippets/offset_pagination.py."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from sqlalchemy import ForeignKey, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

import snippets.offset_pagination as module
from evals.harness.observe import Statements
from snippets.offset_pagination import (
    MAX_OFFSET,
    Count,
    Numbered,
    NumberedPage,
    PageTooDeep,
    count_rows,
)


class Base(DeclarativeBase):
    pass


class Album(Base):
    __tablename__ = "album"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    stars: Mapped[int | None]
    songs: Mapped[list[Song]] = relationship(order_by="Song.id")


class Song(Base):
    __tablename__ = "song"

    id: Mapped[int] = mapped_column(primary_key=True)
    album_id: Mapped[int] = mapped_column(ForeignKey("album.id"))
    seconds: Mapped[int]


BY_STARS = Numbered(Album, Album.stars.desc())
ALBUMS = select(Album)


async def add_albums(session: AsyncSession, count: int, songs: int = 0) -> None:
    albums = [{"id": i, "title": f"a{i}", "stars": i % 2 or None} for i in range(count)]
    await session.execute(insert(Album), albums)
    if songs:
        ids = [album["id"] for album in albums for _ in range(songs)]
        await session.execute(
            insert(Song), [{"album_id": i, "seconds": n} for n, i in enumerate(ids)]
        )
    await session.flush()


def ids(page: NumberedPage[Album]) -> list[int]:
    return [album.id for album in page.items]


async def test_pages_follow_each_other_to_the_end(session: AsyncSession) -> None:
    await add_albums(session, 7)
    pages = [
        await BY_STARS.fetch(session, ALBUMS, page=number, per_page=3)
        for number in (1, 2, 3, 4)
    ]
    assert [ids(page) for page in pages] == [[5, 3, 1], [6, 4, 2], [0], []]
    assert [page.has_next for page in pages] == [True, True, False, False]
    assert [page.page for page in pages] == [1, 2, 3, 4]
    assert {page.per_page for page in pages} == {3}


async def test_pages_share_no_row_when_one_of_a_tie_is_updated(
    session: AsyncSession,
) -> None:
    await add_albums(session, 6)
    await session.execute(update(Album).values(stars=1))
    seen: list[int] = []
    for number in (1, 2, 3):
        seen += ids(await BY_STARS.fetch(session, ALBUMS, page=number, per_page=2))
        await session.execute(update(Album).where(Album.id == 4).values(title="new"))
    assert seen == [5, 4, 3, 2, 1, 0]


async def test_the_last_full_page_has_no_next(session: AsyncSession) -> None:
    await add_albums(session, 4)
    assert not (await BY_STARS.fetch(session, ALBUMS, page=2, per_page=2)).has_next
    assert (await BY_STARS.fetch(session, ALBUMS, page=1, per_page=2)).has_next
    one = await BY_STARS.fetch(session, ALBUMS, page=3, per_page=1)
    assert (len(one.items), one.has_next) == (1, True)
    with pytest.raises(FrozenInstanceError):
        one.total = 7  # type: ignore[misc]


async def test_nothing_is_counted_unless_asked(
    session: AsyncSession, statements: Statements
) -> None:
    await add_albums(session, 3)
    with statements() as sent:
        page = await BY_STARS.fetch(session, ALBUMS, per_page=2)
    assert (page.total, page.total_is_exact, page.pages) == (None, False, None)
    assert len(sent) == 1
    assert "count" not in sent[0]


async def test_a_count_is_of_the_whole_list_on_every_page(
    session: AsyncSession, statements: Statements
) -> None:
    await add_albums(session, 7)
    filtered = ALBUMS.where(Album.id > 0).order_by(Album.title).limit(1).offset(9)
    for number in (1, 2, 3, 9):
        with statements() as sent:
            page = await BY_STARS.fetch(
                session, filtered, page=number, per_page=3, count="exact"
            )
        assert (page.total, page.total_is_exact, page.pages) == (6, True, 2)
        assert "title" not in sent[1]
        assert "ORDER BY" not in sent[1]
        assert "OVER" not in sent[0] + sent[1]
    assert ids(await BY_STARS.fetch(session, filtered, page=2, per_page=3)) == [6, 4, 2]


@pytest.mark.trap("count-of-a-page")
async def test_a_count_in_place_of_the_columns_keeps_the_offset(
    session: AsyncSession,
) -> None:
    await add_albums(session, 7)
    page_two = ALBUMS.order_by(Album.id).limit(2).offset(2)

    naive = page_two.with_only_columns(func.count(), maintain_column_froms=True)
    if session.get_bind().dialect.name == "sqlite":
        assert await session.scalar(naive) is None
    else:
        with pytest.raises(DBAPIError, match="must appear in the GROUP BY"):
            await session.scalar(naive)
        await session.rollback()
        await add_albums(session, 7)
    assert await count_rows(session, page_two, BY_STARS.keys, "exact") == (7, True)


async def test_what_a_loader_option_joins_is_not_counted(
    session: AsyncSession, statements: Statements
) -> None:
    await add_albums(session, 3, songs=4)
    loaded = ALBUMS.options(joinedload(Album.songs))
    with statements() as sent:
        found = await count_rows(session, loaded, BY_STARS.keys, "exact")
    assert found == (3, True)
    assert "song" not in sent[0]


async def test_a_capped_count_stops_counting(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch, statements: Statements
) -> None:
    assert module.COUNT_CAP == 10_000
    await add_albums(session, 7)
    monkeypatch.setattr(module, "COUNT_CAP", 6)
    assert await count_rows(session, ALBUMS, BY_STARS.keys, "capped") == (6, False)
    exact = await count_rows(session, ALBUMS, BY_STARS.keys, "exact")
    assert exact == (7, True)
    monkeypatch.setattr(module, "COUNT_CAP", 7)
    assert await count_rows(session, ALBUMS, BY_STARS.keys, "capped") == (7, True)
    page = await BY_STARS.fetch(session, ALBUMS, per_page=2, count="capped")
    assert (page.total, page.pages) == (7, 4)
    counts: list[Count] = ["capped", "exact"]
    limited = {}
    for count in counts:
        with statements() as sent:
            await count_rows(session, ALBUMS, BY_STARS.keys, count)
        limited[count] = "LIMIT" in sent[0]
    assert limited == {"capped": True, "exact": False}


async def test_an_estimate_is_the_planners_on_postgresql_and_a_count_on_sqlite(
    session: AsyncSession, database: str, statements: Statements
) -> None:
    await add_albums(session, 1000)
    await session.commit()
    await session.execute(text("ANALYZE album"))
    some = ALBUMS.where(Album.id < 500).order_by(Album.title).limit(3)
    with statements() as sent:
        total, exact = await count_rows(session, some, BY_STARS.keys, "estimated")
    assert len(sent) == 1
    if database == "sqlite":
        assert (total, exact) == (500, True)
    else:
        assert total is not None
        assert 400 < total < 600
        assert not exact
        assert sent[0].startswith("EXPLAIN (FORMAT JSON) SELECT album.id")
        few = ALBUMS.where(Album.id < 20)
        total, _ = await count_rows(session, few, BY_STARS.keys, "estimated")
        assert total is not None
        assert total < 100


async def test_parents_are_paged_and_their_children_loaded_apart(
    session: AsyncSession,
) -> None:
    await add_albums(session, 5, songs=3)
    stmt = ALBUMS.where(Album.songs.any(Song.seconds > 2))
    stmt = stmt.options(selectinload(Album.songs))
    page = await Numbered(Album).fetch(session, stmt, per_page=3, count="exact")
    assert [(a.id, len(a.songs)) for a in page.items] == [(1, 3), (2, 3), (3, 3)]
    assert page.total == 4


@pytest.mark.trap("join-repeats-parents")
async def test_a_join_to_a_collection_repeats_its_parents_and_is_refused(
    session: AsyncSession,
) -> None:
    await add_albums(session, 5, songs=3)
    joined = ALBUMS.join(Album.songs)

    naive = await session.scalars(joined.order_by(Album.id).limit(4))
    assert [album.id for album in naive] == [0, 0, 0, 1]
    with pytest.raises(ValueError, match="a row comes twice") as caught:
        await BY_STARS.fetch(session, joined, per_page=4)
    assert str(caught.value) == (
        "a row comes twice: filter a collection with .any() instead of a join, or pass"
        " unique=[...]"
    )
    columns: Any = select(Album.title, Song.seconds).join(Album.songs)
    with pytest.raises(ValueError, match="a row comes twice"):
        await BY_STARS.fetch(session, columns, per_page=4)
    songs: Numbered[Any] = Numbered(Album, Album.id, unique=[Song.id])
    page = await songs.fetch(session, joined, per_page=4, count="exact")
    assert ([album.id for album in page.items], page.total) == ([0, 0, 0, 1], 15)


async def test_a_list_that_begins_with_its_children_counts_what_it_joins(
    session: AsyncSession,
) -> None:
    await add_albums(session, 3, songs=2)
    stmt = select(Song.seconds).join(Album, Album.id == Song.album_id)
    by_song: Numbered[Any] = Numbered(Album, Album.id, unique=[Album.id, Song.id])
    page = await by_song.fetch(session, stmt, per_page=2, count="exact")
    assert (page.items, page.total) == ([0, 1], 6)
    by_album = Numbered(Album)
    assert await count_rows(session, stmt, by_album.keys, "exact") == (6, True)


async def test_a_column_may_repeat(session: AsyncSession) -> None:
    await add_albums(session, 4)
    stars = select(Album.stars)
    keys: Numbered[Any] = Numbered(Album, Album.stars.nulls_first())
    page = await keys.fetch(session, stars, per_page=3)
    assert page.items == [None, None, 1]


async def test_a_page_too_deep_is_refused_before_the_database_is_asked(
    session: AsyncSession, statements: Statements
) -> None:
    assert MAX_OFFSET == 100_000
    last = MAX_OFFSET // 50 + 1
    with statements() as sent:
        with pytest.raises(PageTooDeep, match=f"expected {last} at most"):
            await BY_STARS.fetch(session, ALBUMS, page=last + 1, per_page=50)
        assert sent == []
    page = await BY_STARS.fetch(session, ALBUMS, page=last)
    assert (page.items, page.per_page) == ([], 50)


@pytest.mark.parametrize(("page", "per_page"), [(0, 5), (-1, 5), (1, 0)])
async def test_pages_and_their_sizes_begin_at_one(
    session: AsyncSession, page: int, per_page: int
) -> None:
    with pytest.raises(ValueError, match=f"page {page} of {per_page} rows"):
        await BY_STARS.fetch(session, ALBUMS, page=page, per_page=per_page)


@pytest.mark.trap("offset-moves")
async def test_offset_repeats_a_row_when_one_arrives(session: AsyncSession) -> None:
    await add_albums(session, 4)
    newest = Numbered(Album, Album.id.desc())
    one = await newest.fetch(session, ALBUMS, page=1, per_page=2)
    await session.execute(insert(Album), [{"id": 9, "title": "new", "stars": 1}])
    two = await newest.fetch(session, ALBUMS, page=2, per_page=2)

    assert (ids(one), ids(two)) == ([3, 2], [2, 1])
