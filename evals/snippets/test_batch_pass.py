"""Evals for snippets/batch_pass.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.batch_pass import pass_through
from snippets.bulk_insert import bulk_insert


class Base(DeclarativeBase):
    pass


class Letter(Base):
    __tablename__ = "letter"

    number: Mapped[int] = mapped_column("id", primary_key=True)
    text: Mapped[str]
    folded: Mapped[str | None]


class Stamp(Base):
    __tablename__ = "stamp"

    country: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    used: Mapped[int] = mapped_column(default=0)


Sessions = async_sessionmaker[AsyncSession]
LETTERS = select(Letter)


async def fold(session: AsyncSession, letters: Sequence[Letter]) -> None:
    for letter in letters:
        letter.folded = letter.text.casefold()


@pytest.fixture
async def seven(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        rows = ({"number": i, "text": f"T{i}"} for i in (3, 1, 2, 5, 4, 7, 6))
        await bulk_insert(session, Letter, rows)


async def folded(session: AsyncSession) -> list[int]:
    stmt = select(Letter.number).where(Letter.folded.is_not(None))
    found = list(await session.scalars(stmt.order_by(Letter.number)))
    await session.rollback()
    return found


async def test_each_batch_is_committed_and_its_last_key_told(
    sessions: Sessions, session: AsyncSession, seven: None
) -> None:
    told = []
    async for last in pass_through(sessions, LETTERS, fold, batch=3):
        told.append(last)
        assert await folded(session) == list(range(1, last + 1))
    assert told == [3, 6, 7]
    assert (await session.scalars(select(func.min(Letter.folded)))).one() == "t1"


async def test_a_pass_that_fails_keeps_its_batches_and_goes_on_behind_them(
    sessions: Sessions, session: AsyncSession, seven: None
) -> None:
    async def fragile(session: AsyncSession, letters: Sequence[Letter]) -> None:
        await fold(session, letters)
        if letters[0].number == 4:
            raise RuntimeError

    told = [0]
    with pytest.raises(RuntimeError):
        async for last in pass_through(sessions, LETTERS, fragile, batch=3):
            told.append(last)
    assert told == [0, 3]
    assert await folded(session) == [1, 2, 3]

    seen: list[int] = []

    async def rest(session: AsyncSession, letters: Sequence[Letter]) -> None:
        seen.extend(letter.number for letter in letters)

    async for _ in pass_through(sessions, LETTERS, rest, after=told[-1]):
        pass
    assert seen == [4, 5, 6, 7]


async def test_only_the_rows_of_the_statement_and_rows_may_be_deleted(
    sessions: Sessions, session: AsyncSession, seven: None
) -> None:
    async def delete(session: AsyncSession, letters: Sequence[Letter]) -> None:
        for letter in letters:
            await session.delete(letter)

    odd = LETTERS.where(Letter.number % 2 == 1)
    assert [n async for n in pass_through(sessions, odd, delete, batch=2)] == [3, 7]
    left = await session.scalars(select(Letter.number).order_by(Letter.number))
    assert left.all() == [2, 4, 6]


async def test_a_composite_key_is_a_tuple(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        keys = [("be", 1), ("be", 2), ("at", 9), ("ch", 1)]
        rows = [{"country": country, "number": number} for country, number in keys]
        await bulk_insert(session, Stamp, rows)

    async def use(session: AsyncSession, stamps: Sequence[Stamp]) -> None:
        for stamp in stamps:
            stamp.used += 1

    told = [key async for key in pass_through(sessions, select(Stamp), use, batch=2)]
    assert told == [("be", 1), ("ch", 1)]
    after: Any = ("at", 9)
    async for _ in pass_through(sessions, select(Stamp), use, batch=2, after=after):
        pass
    async with sessions() as session:
        stmt = select(Stamp.used).order_by(Stamp.country, Stamp.number)
        assert (await session.scalars(stmt)).all() == [1, 2, 2, 2]


async def test_the_rows_of_a_batch_are_locked_and_no_others(
    sessions: Sessions, seven: None, database: str
) -> None:
    async def try_others(session: AsyncSession, letters: Sequence[Letter]) -> None:
        if database == "sqlite":
            return  # it has the write lock
        for number, free in ((1, False), (3, True)):
            async with sessions() as other:
                stmt = LETTERS.where(Letter.number == number)
                if free:
                    await other.scalars(stmt.with_for_update(nowait=True))
                    continue
                with pytest.raises(DBAPIError, match="could not obtain lock"):
                    await other.scalars(stmt.with_for_update(nowait=True))

    async for _ in pass_through(sessions, LETTERS, try_others, batch=2):
        break


async def test_a_statement_may_join_others_and_locks_only_its_own(
    sessions: Sessions, seven: None
) -> None:
    stmt = LETTERS.outerjoin(Stamp, Stamp.number == Letter.number)
    stmt = stmt.where(Stamp.country.is_(None), Letter.number > 5)
    assert [last async for last in pass_through(sessions, stmt, fold)] == [7]
