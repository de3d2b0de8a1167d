"""Evals for snippets/soft_delete_cascade.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, MetaData, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.soft_delete import SoftDelete
from snippets.soft_delete_cascade import delete_with_children, restore_with_children


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


LIVE = text("deleted_at IS NULL")
THEN = datetime(2026, 6, 1, tzinfo=UTC)


class Album(SoftDelete, Base):
    __tablename__ = "album"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    tracks: Mapped[list[Track]] = relationship(cascade="all", lazy="raise")
    covers: Mapped[list[Cover]] = relationship(cascade="all", lazy="raise")
    reviews: Mapped[list[Review]] = relationship(lazy="raise")

    __table_args__ = (
        Index(
            "uq_album_title",
            "title",
            unique=True,
            postgresql_where=LIVE,
            sqlite_where=LIVE,
        ),
    )


class Track(SoftDelete, Base):
    __tablename__ = "track"

    album_id: Mapped[int] = mapped_column(ForeignKey("album.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    takes: Mapped[list[Take]] = relationship(cascade="all", lazy="raise")


class Take(SoftDelete, Base):
    __tablename__ = "take"

    id: Mapped[int] = mapped_column(primary_key=True)
    album_id: Mapped[int]
    number: Mapped[int]

    __table_args__ = (
        ForeignKeyConstraint(
            ["number", "album_id"], ["track.number", "track.album_id"]
        ),
    )


class Cover(Base):
    """It cannot be marked, so it stays."""

    __tablename__ = "cover"

    id: Mapped[int] = mapped_column(primary_key=True)
    album_id: Mapped[int] = mapped_column(ForeignKey("album.id"), index=True)


class Review(SoftDelete, Base):
    """Its relationship does not cascade."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(primary_key=True)
    album_id: Mapped[int] = mapped_column(ForeignKey("album.id"), index=True)


class Folder(SoftDelete, Base):
    __tablename__ = "folder"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("folder.id"), index=True)
    folders: Mapped[list[Folder]] = relationship(cascade="all", lazy="raise")


async def album(session: AsyncSession, title: str, tracks: int = 2) -> Album:
    """Save an album whose tracks have two takes each, a cover and a review."""
    made = Album(title=title)
    session.add(made)
    await session.flush()
    for number in range(1, tracks + 1):
        track = Track(album_id=made.id, number=number)
        track.takes = [Take(), Take()]
        session.add(track)
    session.add_all([Cover(album_id=made.id), Review(album_id=made.id)])
    await session.commit()
    return made


async def live(session: AsyncSession, model: Any = None) -> int:
    """Count what is live, of one model or of all."""
    models = [model] if model else [Album, Track, Take, Cover, Review]
    return sum([len((await session.scalars(select(m))).all()) for m in models])


async def test_children_of_every_level_go_and_come_back_with_their_parent(
    session: AsyncSession,
) -> None:
    kept = await album(session, "kept")
    gone = await album(session, "gone")
    everything = await live(session)

    await delete_with_children(session, gone)
    assert await live(session) == everything - 1 - 2 - 4
    tracks = await session.scalars(select(Track.album_id))
    assert set(tracks) == {kept.id}
    assert (await live(session, Cover), await live(session, Review)) == (2, 2)

    await restore_with_children(session, gone)
    assert await live(session) == everything


async def test_a_child_that_was_deleted_before_stays_deleted(
    session: AsyncSession,
) -> None:
    found = await album(session, "found")
    first = await session.get_one(Track, (found.id, 1))
    first.deleted_at = THEN
    await delete_with_children(session, found)
    await restore_with_children(session, found)
    await session.flush()

    assert first.deleted_at == THEN
    assert [t.number for t in await session.scalars(select(Track))] == [2]


async def test_a_row_that_is_deleted_keeps_its_time_and_its_children(
    session: AsyncSession,
) -> None:
    found = await album(session, "found")
    found.deleted_at = THEN
    await delete_with_children(session, found)
    assert found.deleted_at == THEN
    assert await live(session, Track) == 2


async def test_rows_of_different_times_are_restored_together(
    session: AsyncSession,
) -> None:
    one, two = await album(session, "one"), await album(session, "two")
    three = await album(session, "three")
    await delete_with_children(session, one)
    two.deleted_at = THEN + timedelta(days=1)
    track = await session.get_one(Track, (three.id, 1))
    track.deleted_at = THEN
    await restore_with_children(session, one, two, three)

    assert await live(session, Album) == 3
    assert await live(session, Track) == 5
    assert track.deleted_at == THEN


async def test_the_number_of_statements_does_not_grow_with_the_rows(
    session: AsyncSession, statements: Statements
) -> None:
    small, large = await album(session, "small", 1), await album(session, "large", 9)
    counts = []
    for found in (small, large):
        with statements() as sent:
            await delete_with_children(session, found)
        counts.append(len(sent))
    # An UPDATE each for albums, tracks and takes; a SELECT each for tracks and takes.
    assert counts == [5, 5]


async def test_what_is_deleted_or_restored_is_flushed(session: AsyncSession) -> None:
    found = await album(session, "found")
    review = (await session.scalars(select(Review))).one()
    await delete_with_children(session, review)
    assert not session.dirty
    await restore_with_children(session, review)
    assert not session.dirty
    await delete_with_children(session, found)
    assert not session.dirty


async def test_a_tree_goes_with_its_root_even_when_it_is_a_ring(
    session: AsyncSession,
) -> None:
    root = Folder(id=1)
    session.add_all([root, Folder(id=2, parent_id=1), Folder(id=3, parent_id=2)])
    await session.flush()
    root.parent_id = 3
    await delete_with_children(session, root)
    assert await live(session, Folder) == 0
    await restore_with_children(session, root)
    assert await live(session, Folder) == 3


async def test_a_parent_whose_name_is_taken_cannot_be_restored(
    session: AsyncSession,
) -> None:
    old = await album(session, "same")
    await delete_with_children(session, old)
    await album(session, "same")
    with pytest.raises(IntegrityError):
        await restore_with_children(session, old)


async def test_nothing_to_delete_sends_nothing(
    session: AsyncSession, statements: Statements
) -> None:
    with statements() as sent:
        await delete_with_children(session)
        await restore_with_children(session)
    assert sent == []
