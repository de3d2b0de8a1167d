"""Evals for snippets/sqlmodel_base.py, and of its tables under other snippets."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pydantic
import pytest
import sqlmodel.ext.asyncio.session
from sqlalchemy import inspect, select, text, update
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    StatementError,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import selectinload
from sqlmodel import Field, Relationship, SQLModel

from evals.harness.observe import Statements
from snippets.base import Base
from snippets.database_error import savepoint
from snippets.domain_error import AlreadyExists, UnknownField
from snippets.keyset_pagination import Keyset
from snippets.money import Money
from snippets.repository import Repository
from snippets.sqlmodel_base import TableModel, TimestampFields
from snippets.timestamps import now
from snippets.unique_row import get_or_create

THEN = datetime(2020, 1, 1, tzinfo=UTC)


class TeamBase(SQLModel):
    name: str = Field(unique=True, max_length=10)


class Team(TeamBase, TimestampFields, TableModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    secret: str = "hidden"
    budget: Decimal | None = Field(default=None, sa_type=Money)
    heroes: list["Hero"] = Relationship(
        back_populates="team",
        cascade_delete=True,
        passive_deletes=True,
        sa_relationship_kwargs={"lazy": "raise", "order_by": "Hero.id"},
    )


class Hero(TableModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
    team_id: int | None = Field(
        default=None, foreign_key="team.id", index=True, ondelete="CASCADE"
    )
    team: Team | None = Relationship(
        back_populates="heroes", sa_relationship_kwargs={"lazy": "raise"}
    )


class HeroRead(SQLModel):
    name: str


class TeamRead(TeamBase):
    heroes: list[HeroRead] = []


class TeamPatch(SQLModel):
    name: str | None = None


class Teams(Repository[Team]):
    model = Team


Sessions = async_sessionmaker[AsyncSession]


async def test_constraints_have_names_and_the_metadata_is_one(
    engine: AsyncEngine,
) -> None:
    def names(conn: Any) -> set[str | None]:
        found = inspect(conn)
        uniques = found.get_unique_constraints("team")
        return {
            found.get_pk_constraint("team")["name"],
            *(unique["name"] for unique in uniques),
            *(key["name"] for key in found.get_foreign_keys("hero")),
        }

    async with engine.connect() as conn:
        assert await conn.run_sync(names) >= {
            "pk_team",
            "uq_team_name",
            "fk_hero_team_id_team",
        }
    assert Team.metadata is Base.metadata


async def test_both_times_are_set_move_and_are_aware(session: AsyncSession) -> None:
    team = Team.model_validate({"name": "red"})
    assert team.created_at.tzinfo is team.updated_at.tzinfo is UTC
    session.add(team)
    await session.commit()
    assert team.created_at <= team.updated_at <= now()
    await session.execute(update(Team).values(updated_at=THEN, created_at=THEN))
    await session.refresh(team)
    team.name = "blue"
    await session.commit()
    assert team.created_at == THEN < team.updated_at

    await session.execute(text("INSERT INTO team (name, secret) VALUES ('raw', '')"))
    raw = (await session.scalars(select(Team).where(Team.name == "raw"))).one()  # type: ignore[arg-type]
    assert abs((now() - raw.created_at).total_seconds()) < 60
    assert abs((now() - raw.updated_at).total_seconds()) < 60


@pytest.mark.parametrize("name", ["created_at", "updated_at"])
async def test_a_naive_time_is_refused(session: AsyncSession, name: str) -> None:
    naive: Any = {name: datetime(2026, 6, 1)}
    session.add(Team(name="red", **naive))
    with pytest.raises(StatementError, match="has no time zone"):
        await session.flush()


@pytest.mark.trap("table-skips-validation")
async def test_a_table_model_checks_nothing_and_model_validate_does(
    session: AsyncSession, database: str
) -> None:
    wrong: dict[str, Any] = {"name": "longer than ten", "budget": "abc"}
    assert Team(**wrong).name == "longer than ten"
    with pytest.raises(pydantic.ValidationError):
        Team.model_validate(wrong)
    session.add(Team(name="longer than ten"))
    if database == "sqlite":
        await session.flush()
        return
    with pytest.raises(DBAPIError):
        await session.flush()


@pytest.mark.trap("exec-of-sqlmodel")
async def test_exec_is_of_the_session_of_sqlmodel_and_scalars_of_both(
    session: AsyncSession, engine: AsyncEngine
) -> None:
    session.add(Team(name="red"))
    await session.commit()
    assert not hasattr(session, "exec")
    assert (await session.scalars(sqlmodel.select(Team))).one().name == "red"
    await session.commit()

    own = sqlmodel.ext.asyncio.session.AsyncSession
    sessions = async_sessionmaker(engine, class_=own, expire_on_commit=False)
    async with sessions() as other:
        assert (await other.exec(sqlmodel.select(Team))).one().name == "red"


async def test_relationships_raise_until_a_query_loads_them(
    session: AsyncSession, statements: Statements
) -> None:
    session.add_all(
        Team(name=name, heroes=[Hero(name="a"), Hero(name="b")]) for name in "xyz"
    )
    await session.commit()
    session.expunge_all()
    team = (await session.scalars(select(Team))).first()
    assert team is not None
    with pytest.raises(InvalidRequestError, match="lazy='raise'"):
        _ = team.heroes

    heroes: Any = Team.heroes
    with statements() as sent:
        teams = await Teams(session).list(options=[selectinload(heroes)])
        read = [TeamRead.model_validate(team) for team in teams]
    assert len(sent) == 2
    assert read[0].model_dump() == {
        "name": "x",
        "heroes": [{"name": "a"}, {"name": "b"}],
    }


async def test_the_repository_works_on_tables_and_schemas_of_sqlmodel(
    session: AsyncSession,
) -> None:
    teams = Teams(session)
    team = await teams.create(TeamBase(name="red"), budget=Decimal("1.5"))
    assert await teams.get(team.id) is team
    await teams.update(team, TeamPatch(name="blue"))
    await teams.update(team, TeamPatch())
    with pytest.raises(UnknownField):
        await teams.update(team, {"nam": "x"})
    await session.refresh(team)
    assert (team.name, team.budget) == ("blue", Decimal("1.5"))
    same, created = await get_or_create(session, Team, {"name": "blue"})
    assert (same is team, created) == (True, False)
    other, created = await get_or_create(session, Team, {"name": "new"})
    assert (other.secret, created) == ("hidden", True)

    with pytest.raises(AlreadyExists) as caught:
        async with savepoint(session, TableModel.metadata):
            session.add(Team(name="blue"))
    assert caught.value.fields == ("name",)
    assert await teams.count() == 2


async def test_pages_walk_a_table_of_sqlmodel(session: AsyncSession) -> None:
    session.add_all(Team(name=name) for name in "edcba")
    await session.commit()
    column: Any = Team.name
    by_name = Keyset(Team, column)
    seen: list[str] = []
    cursor = None
    while True:
        page = await by_name.fetch(session, select(Team), size=2, cursor=cursor)
        seen += [team.name for team in page.items]
        if not (cursor := page.next_cursor):
            break
    assert seen == list("abcde")


async def test_the_children_go_with_their_row_in_the_database(
    session: AsyncSession, statements: Statements
) -> None:
    team = Team(name="red", heroes=[Hero(name="a")])
    session.add(team)
    await session.commit()
    session.expunge_all()
    team = await Teams(session).get_one(team.id)
    with statements() as sent:
        await Teams(session).delete(team)
    assert len(sent) == 1
    assert (await session.scalars(select(Hero.id))).all() == []  # type: ignore[call-overload]


async def test_a_duplicate_is_an_integrity_error(session: AsyncSession) -> None:
    session.add_all([Team(name="red"), Team(name="red")])
    with pytest.raises(IntegrityError):
        await session.flush()
