"""Evals for snippets/race.py."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.query_assertions import count_rows
from snippets.race import before_statement

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(unique=True)
    balance: Mapped[int]


async def withdraw(sessions: Sessions, amount: int) -> bool:
    """Read, decide, write: the balance must not go below 0."""
    async with sessions.begin() as session:
        await session.connection(execution_options={"sqlite_begin": "BEGIN"})
        account = await session.get_one(Account, 1)
        if account.balance < amount:
            return False
        account.balance -= amount
        return True


async def withdraw_locked(sessions: Sessions, amount: int) -> bool:
    """SQLite locks at BEGIN, PostgreSQL the row."""
    async with sessions.begin() as session:
        account = await session.get_one(Account, 1, with_for_update=True)
        if account.balance < amount:
            return False
        account.balance -= amount
        return True


@pytest.fixture
async def account(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Account(id=1, owner="ann", balance=100))


async def balance(sessions: Sessions) -> int:
    async with sessions() as session:
        return (await session.get_one(Account, 1)).balance


@pytest.mark.usefixtures("account")
@pytest.mark.trap("checked-then-written")
async def test_what_is_right_one_after_the_other_is_wrong_in_a_race(
    sessions: Sessions, database: str
) -> None:
    assert await withdraw(sessions, 60)
    assert not await withdraw(sessions, 60)  # green

    async with sessions.begin() as session:
        (await session.get_one(Account, 1)).balance = 100
    with before_statement("UPDATE account", lambda: withdraw(sessions, 60)):
        if database == "postgresql":
            assert await withdraw(sessions, 60)  # 120 of 100
        else:
            with pytest.raises(DBAPIError, match="database is locked"):
                await withdraw(sessions, 60)
    assert await balance(sessions) == 40


@pytest.mark.usefixtures("account")
async def test_a_lock_lets_nobody_come_between(
    sessions: Sessions, database: str
) -> None:
    async def rival() -> None:
        async with sessions() as session:
            # It must not wait: its turn comes when it has returned.
            await session.connection(execution_options={"sqlite_begin": "BEGIN"})
            if database == "sqlite":
                await session.execute(text("PRAGMA busy_timeout = 0"))
            locked = select(Account).with_for_update(nowait=True)
            with pytest.raises(DBAPIError, match=r"could not obtain lock|is locked"):
                await session.scalars(locked)
                await session.execute(text("UPDATE account SET balance = 0"))

    with before_statement("UPDATE account", rival):
        assert await withdraw_locked(sessions, 60)
    assert not await withdraw_locked(sessions, 60)
    assert await balance(sessions) == 40


async def test_two_may_create_the_same_row(sessions: Sessions, database: str) -> None:
    async def create() -> None:
        async with sessions() as session:
            await session.connection(execution_options={"sqlite_begin": "BEGIN"})
            if await session.scalar(select(Account).filter_by(owner="ann")) is None:
                session.add(Account(owner="ann", balance=0))
                await session.commit()

    refused = {"postgresql": IntegrityError, "sqlite": DBAPIError}
    with before_statement("INSERT INTO account", create):
        with pytest.raises(refused[database], match=r"duplicate key|is locked"):
            await create()
    await create()
    assert await count_rows(sessions, Account) == 1


@pytest.mark.usefixtures("account")
async def test_a_block_that_nothing_interrupts_fails_and_ends(
    sessions: Sessions,
) -> None:
    async def fail() -> None:
        raise AssertionError("the block is over")

    with pytest.raises(AssertionError, match="'UPDATE acount': nothing came between"):
        with before_statement("UPDATE acount", fail):
            assert await withdraw(sessions, 1)
    with pytest.raises(ZeroDivisionError):
        with before_statement("UPDATE account", fail):
            raise ZeroDivisionError
    assert await withdraw(sessions, 1)


@pytest.mark.usefixtures("account")
async def test_what_comes_between_may_fail_like_the_statement(
    sessions: Sessions,
) -> None:
    async def fail() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        with before_statement("UPDATE account", fail):
            await withdraw(sessions, 1)
    assert await balance(sessions) == 100
