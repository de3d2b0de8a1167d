"""Evals for snippets/factory.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

import pytest
from sqlalchemy import ForeignKey, func, inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

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
