"""Factories of model objects for tests: unique values, relationships, fixed ids.

    new_author = Factory(Author, name=lambda n: f"author {n}")
    new_book = Factory(Book, title=lambda n: f"book {n}", author=new_author)

    book = await new_book.create(session)  # and its author
    await new_book.create(session, author=book.author)  # a second one of the same

Other libraries call `session.flush()` without awaiting it (factory_boy), or commit.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T", bound=object)


class Factory(Generic[T]):
    """Makes objects of one model.

    A default is a value, a function of the number of the object (1, 2, ...), which
    no other object of this factory has, or a factory, which makes one more object.
    """

    def __init__(self, model: type[T], **defaults: Any) -> None:
        self._model = model
        self._defaults = defaults
        self._number = 0

    def build(self, **values: Any) -> T:
        """Return a new object that no session knows; `values` go before defaults."""
        self._number += 1
        for name, default in self._defaults.items():
            if name not in values:
                values[name] = default(self._number) if callable(default) else default
        return self._model(**values)

    def __call__(self, number: int) -> T:
        """Be the default of another factory."""
        return self.build()

    async def create(self, session: AsyncSession, **values: Any) -> T:
        """Return a new object that is in the database, in the session's transaction:
        commit if other sessions are to see it."""
        return (await self.create_many(session, 1, **values))[0]

    async def create_many(
        self, session: AsyncSession, number: int, **values: Any
    ) -> list[T]:
        """Return `number` new objects, inserted together."""
        made = [self.build(**values) for _ in range(number)]
        session.add_all(made)
        await session.flush()
        return made


def numbered_uuid(number: int) -> UUID:
    """Return a UUID that is the same in each run and can be read in a failure:
    `00000000-0000-4000-8000-000000000007`. It is valid, of version 4."""
    return UUID(int=number, version=4)
