"""Find text inside text in any case: with ours, which folds every letter, and by hand.

On SQLite `ilike` folds ASCII only, in C; ours calls Python for each row.
"""

from __future__ import annotations

from sqlalchemy import select

from evals.peers.repository_get import ROWS, Item, State, teardown
from evals.peers.repository_get import setup as open_session
from scripts.maintain.bench import contestant
from snippets.session import new_sessions
from snippets.text_match import configure_folding, contains, fold_accents

__all__ = ["ROWS", "setup", "teardown"]

SUBJECT = "the rows of 2,000 that contain a text, read whole"
BASELINE = "by hand: ilike"
CALLS = 5


async def setup(url: str) -> State:
    state = await open_session(url)
    await state.session.close()
    await state.engine.dispose()
    configure_folding(state.engine)  # the connections that it opens from now on
    state.session = new_sessions(state.engine)()
    return state


@contestant("by hand: ilike")
async def by_hand(state: State) -> None:
    text = str(state.key() % 10 + 100)
    stmt = select(Item.id).where(Item.name.icontains(text, autoescape=True))
    assert (await state.session.scalars(stmt)).all()


@contestant("ours: contains")
async def ours(state: State) -> None:
    text = str(state.key() % 10 + 100)
    stmt = select(Item.id).where(contains(Item.name, text))
    assert (await state.session.scalars(stmt)).all()


@contestant("ours: contains, accents folded")
async def accents(state: State) -> None:
    text = str(state.key() % 10 + 100)
    stmt = select(Item.id).where(contains(Item.name, text, fold_accents))
    assert (await state.session.scalars(stmt)).all()
