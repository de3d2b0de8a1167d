"""The same page of 50 at the beginning and at the end of 100,000 rows."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from evals.peers.pagination import OLDEST, POPULAR, SIZE, Post, fill
from scripts.maintain.bench import contestant
from snippets.cursor_codec import decode_cursor, encode_cursor
from snippets.session import new_sessions
from snippets.statement_fingerprint import statement_fingerprint

SUBJECT = "pages of ours by depth, and what their cursors cost"
BASELINE = "page 1"
CALLS = 10


@dataclass
class State:
    engine: AsyncEngine
    session: AsyncSession
    deep: str
    binding: bytes


async def setup(url: str) -> State:
    engine = await fill(url)
    session = new_sessions(engine)()
    await session.connection(execution_options={"sqlite_begin": "BEGIN"})
    page = await OLDEST.fetch(session, POPULAR, size=SIZE, cursor="last")
    for _ in range(2):
        page = await OLDEST.fetch(
            session, POPULAR, size=SIZE, cursor=page.previous_cursor
        )
    assert page.next_cursor
    dialect = session.get_bind().dialect.name.encode()
    binding = dialect + OLDEST.name + statement_fingerprint(POPULAR)
    return State(engine, session, page.next_cursor, binding)


async def teardown(state: State) -> None:
    await state.session.close()
    await state.engine.dispose()


async def fetch(state: State, cursor: str | None) -> None:
    stmt = select(Post).where(Post.likes >= 0)
    page = await OLDEST.fetch(state.session, stmt, size=SIZE, cursor=cursor)
    assert len(page.items) == SIZE
    state.session.expunge_all()


@contestant("page 1")
async def first(state: State) -> None:
    await fetch(state, None)


@contestant("row 99,900", at_most=1.3)
async def deep(state: State) -> None:
    await fetch(state, state.deep)


@contestant("a cursor read and two written", at_most=0.05)
async def cursors(state: State) -> None:
    place = decode_cursor(state.deep, binding=state.binding)
    for _ in range(2):
        encode_cursor(place, binding=state.binding)
