"""A deep page, row 99,900 of 100,000: by hand, with ours, with two libraries."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi_pagination.cursor import CursorParams
from fastapi_pagination.ext.sqlalchemy import apaginate
from sqlakeyset.asyncio import select_page
from sqlalchemy import Index, insert, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from scripts.maintain.bench import contestant
from snippets.base import UtcDateTime
from snippets.engine import new_engine
from snippets.keyset_pagination import Keyset
from snippets.session import new_sessions

SUBJECT = "one deep page of 50 entities, at row 99,900 of 100,000"
BASELINE = "by hand: the same statement"
CALLS = 10
ROWS, SIZE = 100_000, 50
DEEP = ROWS - 100
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Base(DeclarativeBase):
    pass


class Post(Base):
    __tablename__ = "post"

    id: Mapped[int] = mapped_column(primary_key=True)
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    title: Mapped[str]
    body: Mapped[str]
    likes: Mapped[int]

    __table_args__ = (Index("post_by_time", "posted_at", "id"),)


OLDEST = Keyset(Post, Post.posted_at)
POPULAR = select(Post).where(Post.likes >= 0)
ORDERED = POPULAR.order_by(Post.posted_at, Post.id)


@dataclass
class State:
    engine: AsyncEngine
    session: AsyncSession
    last: Post
    ours: str
    marker: str
    cursor: str


def moment(number: int) -> datetime:
    return NOON + timedelta(seconds=number // 3, microseconds=number)


async def fill(url: str) -> AsyncEngine:
    engine = new_engine(url)
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
        for start in range(0, ROWS, 10_000):
            rows = [
                {"id": i, "posted_at": moment(i), "title": f"t{i}", "body": "b" * 80}
                for i in range(start, start + 10_000)
            ]
            await conn.execute(insert(Post).values(likes=1), rows)
        await conn.execute(text("ANALYZE"))
    return engine


async def setup(url: str) -> State:
    engine = await fill(url)
    session = new_sessions(engine)()
    await session.connection(execution_options={"sqlite_begin": "BEGIN"})

    page = await OLDEST.fetch(session, POPULAR, size=SIZE, cursor="last")
    while page.items[0].id > DEEP:
        page = await OLDEST.fetch(
            session, POPULAR, size=SIZE, cursor=page.previous_cursor
        )
    last = page.items[-1]
    assert page.next_cursor is not None
    place = (last.posted_at, last.id)
    found = await select_page(session, ORDERED, per_page=SIZE, after=place)
    session.expunge_all()
    marker = found.paging.bookmark_current
    cursor = b64encode(marker.encode()).decode()
    return State(engine, session, last, page.next_cursor, marker, cursor)


async def teardown(state: State) -> None:
    await state.session.close()
    await state.engine.dispose()


def check(state: State, posts: list[Post]) -> None:
    """Let go of the objects, so that each call loads its own."""
    assert [post.id for post in posts] == list(
        range(state.last.id + 1, state.last.id + 1 + SIZE)
    )
    state.session.expunge_all()


@contestant("by hand: the same statement")
async def by_hand(state: State) -> None:
    """With the row at the place, which tells what is before the page, and the values
    of the keys as they are in the database: those of an object that the session holds
    already may be old."""
    place = (state.last.posted_at, state.last.id)
    stmt = (
        select(Post, Post.posted_at, Post.id)
        .where(Post.likes >= 0)
        .where(tuple_(Post.posted_at, Post.id) >= place)
        .order_by(Post.posted_at, Post.id)
        .limit(SIZE + 2)
    )
    rows = (await state.session.execute(stmt)).all()
    check(state, [row[0] for row in rows[1 : SIZE + 1]])


@contestant("by hand: only the page")
async def by_hand_alone(state: State) -> None:
    place = (state.last.posted_at, state.last.id)
    stmt = (
        select(Post)
        .where(Post.likes >= 0)
        .where(tuple_(Post.posted_at, Post.id) > place)
        .order_by(Post.posted_at, Post.id)
        .limit(SIZE + 1)
    )
    posts = (await state.session.scalars(stmt)).all()
    check(state, list(posts[:SIZE]))


@contestant("ours", at_most=1.15)
async def ours(state: State) -> None:
    stmt = select(Post).where(Post.likes >= 0)
    page = await OLDEST.fetch(state.session, stmt, size=SIZE, cursor=state.ours)
    check(state, page.items)


@contestant("sqlakeyset")
async def sqlakeyset(state: State) -> None:
    stmt = select(Post).where(Post.likes >= 0).order_by(Post.posted_at, Post.id)
    page = await select_page(state.session, stmt, per_page=SIZE, page=state.marker)
    check(state, [row[0] for row in page])


@contestant("fastapi-pagination")
async def fastapi_pagination(state: State) -> None:
    stmt = select(Post).where(Post.likes >= 0).order_by(Post.posted_at, Post.id)
    params = CursorParams(cursor=state.cursor, size=SIZE)
    page = await apaginate(state.session, stmt, params)
    check(state, list(page.items))
