"""Evals for snippets/factory.py."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any, ClassVar
from uuid import UUID

import pytest
from freezegun import freeze_time
from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory
from sqlalchemy import ForeignKey, func, inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
)

from snippets.base import UtcDateTime
from snippets.factory import Factory, numbered_uuid
from snippets.query_assertions import assert_statements, count_rows

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {datetime: UtcDateTime}


class Team(Base):
    __tablename__ = "team"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Player(Base):
    __tablename__ = "player"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    joined_at: Mapped[datetime]
    seen_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    team_id: Mapped[UUID] = mapped_column(ForeignKey("team.id"))
    team: Mapped[Team] = relationship()


@pytest.fixture
def new_team() -> Factory[Team]:
    return Factory(Team, id=numbered_uuid, name=lambda n: f"team {n}")


@pytest.fixture
def new_player(new_team: Factory[Team]) -> Factory[Player]:
    return Factory(
        Player,
        email=lambda n: f"player{n}@example.org",
        role="keeper",
        joined_at=lambda n: NOON + timedelta(hours=n),
        team=new_team,
    )


async def test_what_is_unique_or_required_is_there_without_asking(
    session: AsyncSession, new_player: Factory[Player]
) -> None:
    one, two = await new_player.create(session), await new_player.create(session)
    assert (one.email, two.email) == ("player1@example.org", "player2@example.org")
    assert one.team.name == "team 1"
    assert two.team.name == "team 2"
    assert two.team.id == UUID("00000000-0000-4000-8000-000000000002")
    assert two.joined_at - one.joined_at == timedelta(hours=1)
    assert one.role == "keeper"
    assert inspect(one).persistent


async def test_what_is_given_goes_before_the_defaults(
    session: AsyncSession, new_player: Factory[Player], new_team: Factory[Team]
) -> None:
    team = await new_team.create(session, name="ours")
    players = await new_player.create_many(session, 3, team=team, role="coach")

    assert [player.team_id for player in players] == [team.id] * 3
    assert {player.role for player in players} == {"coach"}
    assert await session.scalar(select(func.count()).select_from(Team)) == 1


async def test_many_are_inserted_together(
    session: AsyncSession, new_team: Factory[Team]
) -> None:
    with assert_statements(at_most=1):
        await new_team.create_many(session, 50)


async def test_an_object_that_is_built_is_in_no_session(
    session: AsyncSession, new_player: Factory[Player]
) -> None:
    player = new_player.build()
    assert inspect(player).transient
    assert inspect(player.team).transient
    session.add(player)
    await session.flush()


async def test_the_caller_commits(
    sessions: async_sessionmaker[AsyncSession], new_team: Factory[Team]
) -> None:
    async with sessions() as session:
        await new_team.create(session)
    assert await count_rows(sessions, Team) == 0
    async with sessions.begin() as session:
        await new_team.create(session)
    assert await count_rows(sessions, Team) == 1


async def test_a_value_that_is_wrong_is_an_error_of_the_database(
    session: AsyncSession, new_team: Factory[Team]
) -> None:
    with pytest.raises(IntegrityError):
        await new_team.create_many(session, 2, name="same")


@pytest.mark.trap("two-clocks")
async def test_the_clock_of_the_database_is_not_that_of_the_test(
    session: AsyncSession, new_player: Factory[Player]
) -> None:
    player = await new_player.create(session, joined_at=NOON - timedelta(days=9000))
    await session.refresh(player)

    assert player.seen_at is not None
    assert player.seen_at - player.joined_at > timedelta(days=8000)
    fixed = await new_player.create(session, seen_at=NOON)
    assert fixed.seen_at == NOON


class RandomTeam(SQLAlchemyFactory[Team]):
    __set_relationships__ = True


class RandomPlayer(SQLAlchemyFactory[Player]):
    """Of polyfactory: random values for whatever the model has."""

    __set_relationships__ = True
    __set_primary_key__ = False
    team = RandomTeam

    @classmethod
    def get_provider_map(cls) -> dict[Any, Callable[[], Any]]:
        # Its datetimes are naive.
        return {**super().get_provider_map(), datetime: lambda: NOON}


# Its types are not exported.
factory_boy: Any = import_module("factory")
model_factory = partial(
    factory_boy.make_factory,
    FACTORY_CLASS=import_module("factory.alchemy").SQLAlchemyModelFactory,
)
TeamFactory = model_factory(
    Team,
    id=factory_boy.Sequence(numbered_uuid),
    name=factory_boy.Sequence("team {}".format),
)
PlayerFactory = model_factory(
    Player,
    email=factory_boy.Sequence("player{}@example.org".format),
    role="keeper",
    joined_at=NOON,
    team=factory_boy.SubFactory(TeamFactory),
)


@pytest.mark.parametrize("build", [RandomPlayer.batch, PlayerFactory.build_batch])
async def test_other_libraries_build_and_the_session_stores(
    sessions: async_sessionmaker[AsyncSession], build: Callable[..., list[Player]]
) -> None:
    async with sessions() as session:
        players = build(3, role="coach")
        session.add_all(players)
        await session.flush()
        assert len({player.team_id for player in players}) == 3
        assert await session.scalar(select(func.count()).select_from(Player)) == 3
    assert await count_rows(sessions, Player) == 0


@pytest.mark.trap("factory-commits")
async def test_what_polyfactory_creates_is_committed(
    sessions: async_sessionmaker[AsyncSession],
) -> None:
    async with sessions() as session:
        RandomTeam.__async_session__ = session
        try:
            await RandomTeam.create_async()
        finally:
            RandomTeam.__async_session__ = None
        await session.rollback()
    assert await count_rows(sessions, Team) == 1


@pytest.mark.trap("unawaited-flush")
async def test_what_factory_boy_creates_is_never_flushed(
    session: AsyncSession,
) -> None:
    def create(given: AsyncSession | Session) -> Player:
        for factory in (TeamFactory, PlayerFactory):
            factory._meta.sqlalchemy_session = given
            factory._meta.sqlalchemy_session_persistence = "flush"
        player: Player = PlayerFactory()
        gc.collect()
        return player

    with pytest.warns(RuntimeWarning, match=r"flush' was never awaited"):
        player = create(session)
    assert inspect(player).pending
    assert player.id is None
    session.expunge_all()

    player = await session.run_sync(create)
    assert inspect(player).persistent
    assert player.team_id == player.team.id


@pytest.mark.trap("frozen-loop")
async def test_a_frozen_clock_stops_the_event_loop_too(session: AsyncSession) -> None:
    """`asyncio.sleep`, timeouts and retries wait for ever."""

    async def time_passes() -> bool:
        before = asyncio.get_running_loop().time()
        await session.execute(select(func.now()))
        return asyncio.get_running_loop().time() > before

    with freeze_time("2020-01-01"):
        assert not await time_passes()
    with freeze_time("2020-01-01", real_asyncio=True):
        assert await time_passes()
        await asyncio.sleep(0.001)
        assert datetime.now(UTC).year == 2020


async def test_what_python_makes_is_frozen_and_what_the_database_makes_is_not(
    session: AsyncSession,
) -> None:
    new_player = Factory(
        Player,
        email="ann@example.org",
        role="keeper",
        joined_at=lambda n: datetime.now(UTC),
        team=lambda n: Team(id=numbered_uuid(n), name="ours"),
    )
    with freeze_time("2020-01-01", real_asyncio=True):
        player = await new_player.create(session)
    await session.refresh(player)

    assert player.joined_at == datetime(2020, 1, 1, tzinfo=UTC)
    assert player.seen_at is not None
    assert player.seen_at.year > 2020
