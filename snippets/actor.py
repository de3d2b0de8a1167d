"""Who is acting: set once per request, job or script, and known to every write.

with acting_as(f"user:{user.id}"):
    ...
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

ACTOR: ContextVar[str] = ContextVar("actor")


class NoActor(LookupError):
    """Something is written, and nobody said who does it."""


@contextmanager
def acting_as(actor: str) -> Generator[None, None, None]:
    """Name the actor of all that runs in the block, tasks started in it included.

    In FastAPI an `async def` dependency that yields inside the block covers the
    route; a `def` dependency runs in a thread, whose setting is lost.
    """
    token = ACTOR.set(actor)
    try:
        yield
    finally:
        ACTOR.reset(token)


def current_actor() -> str:
    """Return the actor.

    Raises:
        NoActor: no block says who it is.
    """
    try:
        return ACTOR.get()
    except LookupError:
        raise NoActor(
            "nobody acts: wrap the work in `with acting_as('user:1')`"
            " (or 'worker:cleanup', 'script:import')"
        ) from None
