"""Evals for snippets/database_error.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    MetaData,
    String,
    UniqueConstraint,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evals.harness.observe import lazy_load
from snippets import domain_error as domain
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.database_error import as_domain_error, savepoint


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


Sessions = async_sessionmaker[AsyncSession]


class Team(Base):
    __tablename__ = "team"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)


class Player(Base):
    __tablename__ = "player"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(20), unique=True)
    nick: Mapped[str | None]
    number: Mapped[int] = mapped_column(default=1)
    joined_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column()
    team_id: Mapped[int | None] = mapped_column(
        ForeignKey("team.id", ondelete="RESTRICT"), index=True
    )
    late_id: Mapped[int | None] = mapped_column(
        ForeignKey("team.id", deferrable=True, initially="DEFERRED"), index=True
    )

    __table_args__ = (
        UniqueConstraint("team_id", "number"),
        CheckConstraint("number > 0", "number"),
    )
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


Index("uq_player_nick", func.lower(Player.nick), unique=True)
PLAYERS = Base.metadata.tables["player"]


async def refuse(session: AsyncSession, **values: Any) -> domain.DomainError:
    """Add a player in a savepoint; return the error, then use the transaction."""
    with pytest.raises(domain.DomainError) as caught:
        async with savepoint(session, Base.metadata):
            session.add(Player(**values))
    assert isinstance(await session.scalar(select(func.count(Player.id))), int)
    return caught.value


def facts(error: domain.DomainError) -> tuple[type, tuple[str, ...], str | None]:
    return type(error), error.fields, error.constraint


async def test_a_duplicate_names_its_fields(session: AsyncSession) -> None:
    session.add(Team(id=1, name="red"))
    await session.flush()
    session.add(Player(email="ann@x", nick="Ann", team_id=1))
    await session.flush()

    error = await refuse(session, email="ann@x")
    assert facts(error) == (domain.AlreadyExists, ("email",), "uq_player_email")
    error = await refuse(session, email="a", nick="ANN")
    assert facts(error) == (domain.AlreadyExists, ("nick",), "uq_player_nick")
    error = await refuse(session, email="a", team_id=1)
    both = ("team_id", "number")
    assert facts(error) == (domain.AlreadyExists, both, "uq_player_team_id_number")
    first = (await session.scalars(select(Player.id))).one()
    error = await refuse(session, id=first, email="a")
    assert facts(error) == (domain.AlreadyExists, ("id",), "pk_player")


async def test_a_missing_reference_is_named_as_far_as_the_database_knows(
    session: AsyncSession, database: str
) -> None:
    error = await refuse(session, email="a", team_id=99)
    known = {
        "postgresql": (("team_id",), "fk_player_team_id_team"),
        "sqlite": ((), None),
    }
    assert facts(error) == (domain.ReferenceMissing, *known[database])


async def test_a_row_that_is_referred_to_cannot_be_deleted(
    session: AsyncSession,
) -> None:
    session.add_all([Team(id=1, name="red"), Team(id=2, name="blue")])
    await session.flush()
    session.add_all(
        [Player(email="a", team_id=1), Player(email="b", late_id=2, number=2)]
    )
    await session.commit()

    with pytest.raises(domain.StillReferenced) as caught:
        async with savepoint(session, Base.metadata):
            await session.execute(delete(Team).where(Team.id == 1))
    assert caught.value.fields == ()
    assert await session.scalar(select(func.count(Team.id))) == 2

    await session.execute(delete(Team).where(Team.id == 2))
    with pytest.raises(IntegrityError) as late:
        await session.commit()
    assert type(as_domain_error(late.value, Base.metadata)) is domain.ReferenceMissing


async def test_a_missing_value_names_its_field(session: AsyncSession) -> None:
    error = await refuse(session, email=None)
    assert facts(error) == (domain.FieldRequired, ("email",), None)


async def test_a_broken_rule_is_named(session: AsyncSession) -> None:
    error = await refuse(session, email="a", number=0)
    assert facts(error) == (domain.CheckFailed, (), "ck_player_number")


async def test_of_two_broken_constraints_one_is_named(session: AsyncSession) -> None:
    session.add(Player(email="ann@x"))
    await session.flush()
    error = await refuse(session, email="ann@x", number=0)
    assert type(error) in (domain.AlreadyExists, domain.CheckFailed)


@pytest.mark.parametrize(
    "values",
    [
        {"email": "a", "number": 2**70},
        {"email": "\ud800"},
        {"email": "a", "joined_at": datetime(2026, 6, 1)},
    ],
    ids=["too large", "lone surrogate", "naive time"],
)
async def test_a_value_that_cannot_be_stored_is_invalid(
    session: AsyncSession, values: dict[str, Any]
) -> None:
    error = await refuse(session, **values)
    assert facts(error) == (domain.InvalidValue, (), None)


@pytest.mark.trap("sqlite-accepts")
@pytest.mark.parametrize(
    "values",
    [
        {"email": "a\0b"},
        {"email": "longer than twenty characters"},
        {"email": "a", "number": 2**40},
    ],
    ids=["NUL", "too long", "above 32 bits"],
)
async def test_sqlite_stores_what_postgresql_refuses(
    session: AsyncSession, database: str, values: dict[str, Any]
) -> None:
    if database == "postgresql":
        assert type(await refuse(session, **values)) is domain.InvalidValue
        return
    async with savepoint(session, Base.metadata):
        session.add(Player(**values))
    assert await session.scalar(select(func.count(Player.id))) == 1


async def test_a_row_that_changed_meanwhile_is_told(session: AsyncSession) -> None:
    player = Player(email="ann@x")
    session.add(player)
    await session.commit()
    await session.execute(update(PLAYERS).values(version=7))

    with pytest.raises(domain.ChangedMeanwhile):
        async with savepoint(session, Base.metadata):
            player.nick = "Ann"


async def test_a_race_for_a_name_has_one_winner_and_one_clear_loser(
    sessions: Sessions,
) -> None:
    async def register(number: int) -> str:
        async with sessions.begin() as session:
            session.add(Team(name=f"team {number}"))
            await session.flush()
            try:
                async with savepoint(session, Base.metadata):
                    session.add(Player(email="ann@x"))
            except domain.AlreadyExists as error:
                return ",".join(error.fields)
            return "won"

    answers = await asyncio.gather(*(register(n) for n in range(4)))
    assert sorted(answers) == ["email", "email", "email", "won"]
    async with sessions() as session:
        assert await session.scalar(select(func.count(Team.id))) == 4


@pytest.mark.trap("transaction-aborted")
async def test_without_a_savepoint_the_transaction_is_over(
    session: AsyncSession,
) -> None:
    session.add(Player(email="ann@x"))
    await session.flush()
    session.add(Player(email="ann@x"))
    with pytest.raises(IntegrityError):
        await session.flush()
    with pytest.raises(Exception, match="rolled back"):
        await session.scalar(select(func.count(Player.id)))


@pytest.mark.trap("savepoint-expires")
async def test_what_the_savepoint_changed_must_be_read_again(
    session: AsyncSession,
) -> None:
    player, other = Player(email="ann@x"), Player(email="ben@x")
    session.add_all([player, other])
    await session.flush()
    with pytest.raises(domain.AlreadyExists):
        async with savepoint(session, Base.metadata):
            player.email = "ben@x"

    with lazy_load():
        _ = player.email
    await session.refresh(player)
    assert player.email == "ann@x"


async def meet(
    sessions: Sessions, first: int, second: int, both: asyncio.Barrier
) -> None:
    """Lock one row, wait for the other task, then lock the other row."""
    async with sessions.begin() as session:
        await session.execute(update(Team).where(Team.id == first).values(name="x"))
        await both.wait()
        await session.execute(update(Team).where(Team.id == second).values(name="y"))


async def deadlock(sessions: Sessions) -> list[BaseException]:
    both = asyncio.Barrier(2)
    found = await asyncio.gather(
        meet(sessions, 1, 2, both), meet(sessions, 2, 1, both), return_exceptions=True
    )
    return [error for error in found if error is not None]


async def serialize(sessions: Sessions) -> list[BaseException]:
    """Let two serializable transactions read what the other writes."""

    async def swap(read: int, write: int, both: asyncio.Barrier) -> None:
        async with sessions() as session:
            level = {"isolation_level": "SERIALIZABLE"}
            await session.connection(execution_options=level)
            await session.scalar(select(Team.name).where(Team.id == read))
            await both.wait()
            await session.execute(update(Team).where(Team.id == write).values(name="x"))
            await session.commit()

    both = asyncio.Barrier(2)
    found = await asyncio.gather(
        swap(1, 2, both), swap(2, 1, both), return_exceptions=True
    )
    return [error for error in found if error is not None]


async def wait_for_a_lock(sessions: Sessions) -> list[BaseException]:
    async with sessions.begin() as holder, sessions() as session:
        await holder.execute(update(Team).values(name="held"))
        await session.execute(text("SET LOCAL lock_timeout = '10ms'"))
        try:
            await session.execute(update(Team).values(name="waits"))
        except StatementError as error:
            return [error]
    return []


async def begin_while_locked(sessions: Sessions) -> list[BaseException]:
    """Two writers on SQLite, the second in no mood to wait."""
    async with sessions.begin() as holder, sessions() as session:
        await holder.execute(update(Team).values(name="held"))
        conn = await session.connection(execution_options={"sqlite_begin": "BEGIN"})
        await conn.exec_driver_sql("PRAGMA busy_timeout = 1")
        try:
            await session.execute(update(Team).values(name="waits"))
        except StatementError as error:
            return [error]
        finally:
            await conn.exec_driver_sql("PRAGMA busy_timeout = 10000")
    return []


async def read_then_write(sessions: Sessions) -> list[BaseException]:
    """Write on SQLite from a snapshot that another writer has made old."""
    async with sessions() as session:
        await session.connection(execution_options={"sqlite_begin": "BEGIN"})
        await session.scalar(select(func.count(Team.id)))
        async with sessions.begin() as other:
            await other.execute(update(Team).values(name="first"))
        try:
            await session.execute(update(Team).values(name="second"))
        except StatementError as error:
            return [error]
    return []


CONTENTIONS: dict[str, list[Callable[[Sessions], Awaitable[list[BaseException]]]]] = {
    "postgresql": [deadlock, serialize, wait_for_a_lock],
    "sqlite": [begin_while_locked, read_then_write],
}


async def test_contention_says_try_again(sessions: Sessions, database: str) -> None:
    async with sessions.begin() as session:
        session.add_all([Team(id=1, name="red"), Team(id=2, name="blue")])
    for contention in CONTENTIONS[database]:
        errors = await contention(sessions)
        assert len(errors) == 1
        assert isinstance(errors[0], Exception)
        assert type(as_domain_error(errors[0], Base.metadata)) is domain.TryAgain


UNKNOWN = {
    "postgresql": "CREATE TEMP TABLE stay (nights int4range,"
    " CONSTRAINT ex_stay EXCLUDE USING gist (nights WITH &&)) ON COMMIT DROP",
    "sqlite": "CREATE TABLE stay (nights TEXT UNIQUE)",
}


async def test_a_constraint_that_no_model_has_is_reported_as_the_database_knows_it(
    session: AsyncSession, database: str
) -> None:
    await session.execute(text(UNKNOWN[database]))
    book = text("INSERT INTO stay VALUES ('[1,5)')")
    await session.execute(book)
    with pytest.raises(domain.AlreadyExists) as caught:
        async with savepoint(session, Base.metadata):
            await session.execute(book)
    known = {"postgresql": ((), "ex_stay"), "sqlite": (("nights",), None)}
    assert facts(caught.value) == (domain.AlreadyExists, *known[database])


async def test_faults_of_the_program_pass_unchanged(session: AsyncSession) -> None:
    with pytest.raises(StatementError, match="nowhere"):
        async with savepoint(session, Base.metadata):
            await session.execute(text("SELECT * FROM nowhere"))
    with pytest.raises(ZeroDivisionError):
        async with savepoint(session, Base.metadata):
            _ = 1 / 0
    with pytest.raises(OverflowError):
        async with savepoint(session, Base.metadata):
            _ = 2.0**5000
    assert await session.scalar(text("SELECT 1")) == 1


async def test_what_succeeds_in_a_savepoint_stays(session: AsyncSession) -> None:
    async with savepoint(session, Base.metadata):
        session.add(Team(id=1, name="red"))
    await session.commit()
    assert await session.get(Team, 1) is not None
