"""Reads of one model that share one base query: what a caller may see.

class Notes(ReadRepository[Note]):
    model = Note

await notes.list(Note.title.contains(word), options=[selectinload(Note.tags)])
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from sqlalchemy import func, literal
from sqlalchemy.orm import class_mapper

from .base_query import BaseQuery, Condition, M, Options, Order
from .domain_error import NotFound

# asyncpg sends at most 32,767 parameters, and PostgreSQL runs out of stack on some
# 10,000 composite keys.
KEYS_A_STATEMENT = 2_000


class ReadRepository(BaseQuery[M]):
    """Conditions are SQLAlchemy's, `options` are loader options. Add queries of your
    own as methods on top of `query`."""

    async def get(self, ident: Any, *, options: Options = ()) -> M | None:
        """Return the row of a primary key (a tuple if it is composite), or None.

        Unlike `session.get` it always asks: an object that the session holds is
        returned only while it is visible, and gets what `options` load.
        """
        stmt = self.query().where(self.key() == ident).options(*options)
        row: M | None = (await self.session.scalars(stmt)).unique().one_or_none()
        return row

    async def get_one(self, ident: Any, *, options: Options = ()) -> M:
        """Return the row of a primary key.

        Raises:
            NotFound: it does not exist or is not visible.
        """
        found = await self.get(ident, options=options)
        if found is None:
            raise NotFound
        return found

    async def get_many(
        self, idents: Iterable[Any], *, options: Options = ()
    ) -> Sequence[M]:
        """Return rows in the order of their keys, leaving out what is not there."""
        asked = list(idents)
        found: dict[Any, M] = {}
        for start in range(0, len(asked), KEYS_A_STATEMENT):
            chunk = asked[start : start + KEYS_A_STATEMENT]
            for row in await self.list(self.key().in_(chunk), options=options):
                found[self.ident(row)] = row
        return [found[ident] for ident in asked if ident in found]

    async def find_one(self, *where: Condition, options: Options = ()) -> M | None:
        """Return the only row that fulfils the conditions, or None.

        Raises:
            MultipleResultsFound: there are several.
        """
        # Two rows are enough to know; without a limit all would be fetched.
        stmt = self.query().where(*where).options(*options).limit(2)
        row: M | None = (await self.session.scalars(stmt)).unique().one_or_none()
        return row

    async def list(
        self,
        *where: Condition,
        order_by: Order = (),
        limit: int | None = None,
        offset: int | None = None,
        options: Options = (),
    ) -> Sequence[M]:
        """Return rows in a total order: the primary key decides between equals."""
        key = class_mapper(self.model).primary_key
        stmt = self.query().where(*where).order_by(*order_by, *key)
        stmt = stmt.limit(limit).offset(offset).options(*options)
        return (await self.session.scalars(stmt)).unique().all()

    async def count(self, *where: Condition) -> int:
        stmt = self.query().where(*where).order_by(None)
        stmt = stmt.with_only_columns(func.count(), maintain_column_froms=True)
        number: int = (await self.session.scalars(stmt)).one()
        return number

    async def exists(self, *where: Condition) -> bool:
        """Tell whether there is such a row; stops at the first."""
        stmt = self.query().where(*where).order_by(None).limit(1)
        stmt = stmt.with_only_columns(literal(1), maintain_column_froms=True)
        return (await self.session.scalars(stmt)).first() is not None

    async def stream(
        self,
        *where: Condition,
        order_by: Order = (),
        options: Options = (),
        batch: int = 500,
    ) -> AsyncIterator[M]:
        """Yield rows while they arrive, `batch` of them in memory at a time."""
        stmt = self.query().where(*where).order_by(*order_by).options(*options)
        stmt = stmt.execution_options(yield_per=batch)
        result = await self.session.stream_scalars(stmt)
        try:
            async for rows in result.partitions():
                for row in rows:
                    yield row
        finally:
            await result.close()
