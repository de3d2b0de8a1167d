"""Evals for snippets/retry.py."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import ForeignKey, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets import retry as module
from snippets.connection_leak import checked_out
from snippets.race import before_statement
from snippets.retry import retry

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]
    heir: Mapped[int | None] = mapped_column(
        ForeignKey("account.id", deferrable=True, initially="DEFERRED")
    )


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0)


@pytest.fixture(autouse=True)
async def accounts(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add_all([Account(id=1, balance=100), Account(id=2, balance=100)])


async def balances(sessions: Sessions) -> list[int]:
    async with sessions() as session:
        return [(await session.get_one(Account, n)).balance for n in (1, 2)]


async def double(session: AsyncSession) -> int:
    """Read, then write what follows from it, on a snapshot."""
    await session.connection(
        execution_options={"isolation_level": "SERIALIZABLE", "sqlite_begin": "BEGIN"}
    )
    account = await session.get_one(Account, 1)
    account.balance *= 2
    await session.flush()
    return account.balance


async def add_ten(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        (await session.get_one(Account, 1)).balance += 10


async def test_a_serialization_failure_is_done_again_on_what_is_there_now(
    sessions: Sessions, engine: AsyncEngine
) -> None:
    with before_statement("UPDATE account", lambda: add_ten(sessions)):
        assert await retry(sessions, double) == 220
    assert await retry(sessions, double, attempts=1) == 440
    assert await balances(sessions) == [440, 100]
    assert checked_out(engine) == 0


@pytest.mark.trap("retried-statement")
async def test_a_statement_that_is_retried_in_its_transaction_fails_again(
    sessions: Sessions, database: str
) -> None:
    again = {"postgresql": "current transaction is aborted", "sqlite": "is locked"}
    double_it = update(Account).values(balance=Account.balance * 2)
    async with sessions() as session:
        await session.connection(
            execution_options={
                "isolation_level": "SERIALIZABLE",
                "sqlite_begin": "BEGIN",
            }
        )
        await session.get_one(Account, 1)
        await add_ten(sessions)
        with pytest.raises(DBAPIError, match=r"could not serialize|is locked"):
            await session.execute(double_it)
        with pytest.raises(DBAPIError, match=again[database]):
            await session.execute(double_it)

    async def all_of_it(session: AsyncSession) -> None:
        await session.execute(double_it)

    await retry(sessions, all_of_it)
    assert await balances(sessions) == [220, 200]


async def test_of_two_that_deadlock_one_is_done_again(
    sessions: Sessions, database: str
) -> None:
    attempts: list[tuple[int, int]] = []
    # SQLite has one writer at a time: nobody meets.
    meeting = asyncio.Barrier(2 if database == "postgresql" else 1)

    async def transfer(session: AsyncSession, source: int, target: int) -> None:
        attempts.append((source, target))
        await change(session, source, -30)
        if attempts.count((source, target)) == 1:
            await meeting.wait()
        await change(session, target, 30)

    async def change(session: AsyncSession, account: int, amount: int) -> None:
        changed = update(Account).where(Account.id == account)
        await session.execute(changed.values(balance=Account.balance + amount))

    await asyncio.gather(
        retry(sessions, lambda session: transfer(session, 1, 2)),
        retry(sessions, lambda session: transfer(session, 2, 1)),
    )
    assert await balances(sessions) == [100, 100]
    assert len(attempts) == {"postgresql": 3, "sqlite": 2}[database]


async def test_a_failure_at_commit_belongs_to_the_attempt(
    sessions: Sessions, database: str
) -> None:
    """Write skew: each writes what the other has read. The COMMIT notices."""
    attempts = 0

    async def skew(session: AsyncSession, source: int, target: int) -> None:
        await session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        seen = (await session.get_one(Account, source)).balance
        (await session.get_one(Account, target)).balance = seen + 1
        await session.flush()

    async def work(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        await skew(session, 1, 2)
        # On SQLite nobody else could write now.
        if attempts == 1 and database == "postgresql":
            async with sessions.begin() as rival:
                await skew(rival, 2, 1)

    await retry(sessions, work)
    found = {"postgresql": (2, [101, 102]), "sqlite": (1, [100, 101])}
    assert (attempts, await balances(sessions)) == found[database]


@pytest.mark.parametrize(("heir", "broken"), [(99, IntegrityError), (0, KeyError)])
async def test_an_error_that_would_come_again_is_raised_at_once(
    sessions: Sessions, heir: int, broken: type[Exception]
) -> None:
    attempts = 0
    heirs = {99: 99}

    async def work(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        session.add(Account(balance=0, heir=heirs[heir]))

    with pytest.raises(broken):
        await retry(sessions, work)
    assert attempts == 1


async def test_the_pauses_grow_and_the_last_error_is_raised(
    sessions: Sessions, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def lost(session: AsyncSession) -> None:
        with before_statement("UPDATE account", lambda: add_ten(sessions)):
            await double(session)

    monkeypatch.undo()
    assert module.PAUSE == 0.05
    monkeypatch.setattr("asyncio.sleep", sleep)
    monkeypatch.setattr("random.random", lambda: 0.5)
    with pytest.raises(DBAPIError, match=r"could not serialize|is locked"):
        await retry(sessions, lost)
    assert pauses == [0.05, 0.1, 0.2]
    assert await balances(sessions) == [140, 100]
    assert checked_out(engine) == 0
