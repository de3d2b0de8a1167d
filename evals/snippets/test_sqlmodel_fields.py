"""Evals for snippets/sqlmodel_fields.py, and of such tables under other snippets."""

import asyncio
import contextvars
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pydantic
import pytest
from sqlalchemy import Index, insert, inspect, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Field, Relationship, SQLModel

from snippets.actor import NoActor, acting_as
from snippets.audit_columns import AuditColumns
from snippets.audit_log import Audited, AuditEntry
from snippets.base import Base
from snippets.children import count_children, first_children
from snippets.database_error import savepoint
from snippets.domain_error import AlreadyExists, ChangedMeanwhile, NotFound
from snippets.factory import Factory
from snippets.keyset_pagination import Keyset
from snippets.offset_pagination import Numbered
from snippets.query_assertions import assert_statements, count_rows
from snippets.savepoint_isolation import isolated_sessions
from snippets.schema_query import fetch_as
from snippets.soft_delete import SoftDelete
from snippets.soft_delete_repository import SoftDeleteRepository
from snippets.sqlmodel_base import TableModel, TimestampFields
from snippets.sqlmodel_fields import AuditFields, SoftDeleteFields, VersionField
from snippets.timestamps import Timestamps
from snippets.unique_row import upsert
from snippets.version_column import Versioned, check_version

Sessions = async_sessionmaker[AsyncSession]
LIVE = text("deleted_at IS NULL")


class Crew(
    SoftDeleteFields,
    VersionField,
    AuditFields,
    TimestampFields,
    Audited,
    TableModel,
    table=True,
):
    __table_args__ = (
        Index(
            "uq_crew_name",
            "name",
            unique=True,
            postgresql_where=LIVE,
            sqlite_where=LIVE,
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str
    sailors: list["Sailor"] = Relationship(
        back_populates="crew",
        cascade_delete=True,
        passive_deletes=True,
        sa_relationship_kwargs={"lazy": "raise", "order_by": "Sailor.id"},
    )


class Sailor(SoftDeleteFields, TableModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
    crew_id: int | None = Field(
        default=None, foreign_key="crew.id", index=True, ondelete="CASCADE"
    )
    crew: Crew | None = Relationship(
        back_populates="sailors", sa_relationship_kwargs={"lazy": "raise"}
    )


class CrewPatch(SQLModel):
    name: str | None = None


class CrewLine(SQLModel):
    name: str
    created_by: str


class Crews(SoftDeleteRepository[Crew]):
    model = Crew


# What type checkers take for the types of values are columns.
SAILORS: Any = Crew.sailors
NAME: Any = Crew.name
SAILOR_NAME: Any = Sailor.name


@pytest.fixture(autouse=True)
def somebody() -> Iterator[None]:
    with acting_as("user:1"):
        yield


def stamps(crew: Crew) -> tuple[str | None, str | None]:
    return crew.created_by, crew.updated_by


async def names(session: AsyncSession, **options: Any) -> list[str]:
    stmt = select(NAME).order_by(NAME)
    return list(await session.scalars(stmt, execution_options=options))


@pytest.mark.trap("mapped-in-sqlmodel")
@pytest.mark.parametrize("mixin", [Timestamps, SoftDelete, Versioned, AuditColumns])
def test_a_mix_in_of_plain_models_is_refused_by_pydantic(mixin: type[Any]) -> None:
    with pytest.raises(pydantic.errors.PydanticSchemaGenerationError):
        type(
            "Ghost",
            (mixin, TableModel),
            {
                "__module__": __name__,
                "__annotations__": {"id": int | None},
                "id": Field(default=None, primary_key=True),
            },
            table=True,
        )


async def test_deleted_rows_are_hidden_with_their_children_and_can_come_back(
    session: AsyncSession,
) -> None:
    crews = Crews(session)
    blue = Crew(name="blue", sailors=[Sailor(name="Ann"), Sailor(name="Ben")])
    blue.sailors[1].mark_deleted()
    await crews.add_many([blue, Crew(name="red")])
    await session.commit()
    session.expunge_all()

    (blue, _) = await crews.list(order_by=[NAME], options=[selectinload(SAILORS)])
    assert [sailor.name for sailor in blue.sailors] == ["Ann"]
    await crews.delete(blue)
    await session.commit()
    session.expunge_all()
    assert await names(session) == ["red"]
    assert await names(session, include_deleted=True) == ["blue", "red"]
    assert (await session.scalars(select(SAILOR_NAME))).all() == []
    with pytest.raises(NotFound):
        await crews.get_one(blue.id)

    (gone,) = await crews.deleted()
    assert gone.is_deleted
    assert gone.deleted_at is not None
    assert gone.deleted_at.tzinfo is not None
    await crews.restore(gone)
    assert await names(session) == ["blue", "red"]
    assert (await session.scalars(select(SAILOR_NAME))).all() == ["Ann"]


async def test_a_naive_time_is_refused(session: AsyncSession) -> None:
    session.add(Sailor(name="Ann", deleted_at=datetime(2026, 6, 1)))
    with pytest.raises(StatementError, match="has no time zone"):
        await session.flush()


async def test_a_name_is_unique_among_live_rows(session: AsyncSession) -> None:
    crews = Crews(session)
    await crews.delete(await crews.add(Crew(name="blue")))
    live = await crews.add(Crew(name="blue"))
    with pytest.raises(AlreadyExists) as caught:
        async with savepoint(session, TableModel.metadata):
            session.add(Crew(name="blue"))
    assert caught.value.fields == ("name",)
    assert await crews.list() == [live]


async def test_the_second_of_two_changes_fails(sessions: Sessions) -> None:
    async with sessions() as session:
        crew = await Crews(session).add(Crew(name="blue"))
        await session.commit()
        check_version(crew, 1)
        async with sessions.begin() as other:
            mine = await Crews(other).get_one(crew.id)
            await Crews(other).update(mine, CrewPatch(name="theirs"))
            assert mine.version == 2
            with pytest.raises(ChangedMeanwhile):
                check_version(mine, 1)
        crew.name = "ours"
        with pytest.raises(StaleDataError):
            await session.flush()
    async with sessions.begin() as session:
        await session.execute(update(Crew).values(name="all"))
        assert await session.scalar(select(Crew.version)) == 3  # type: ignore[call-overload]


async def test_each_kind_of_write_is_stamped_when_it_is_written(
    session: AsyncSession,
) -> None:
    crew = Crew(name="blue")
    assert stamps(crew) == (None, None)
    session.add(crew)
    with acting_as("user:2"):
        await session.flush()
    assert stamps(crew) == ("user:2", "user:2")
    crew.name = "red"
    with acting_as("user:3"):
        await session.flush()
    assert stamps(crew) == ("user:2", "user:3")
    with acting_as("script:import"):
        await session.execute(insert(Crew), [{"name": "green"}])
        sailor = await upsert(session, Sailor, {"id": 1}, {"name": "Ann"})
    assert sailor.name == "Ann"
    lines = await fetch_as(session, select(Crew).order_by(NAME), CrewLine)
    assert [(line.name, line.created_by) for line in lines] == [
        ("green", "script:import"),
        ("red", "user:2"),
    ]


async def test_nobody_is_no_author(session: AsyncSession) -> None:
    session.add(Crew(name="blue", created_by="user:1"))
    nobody = contextvars.Context()
    flush = asyncio.get_running_loop().create_task(session.flush(), context=nobody)
    with pytest.raises((NoActor, StatementError), match="nobody acts"):
        await flush


async def test_the_columns_are_required_and_short_as_those_of_plain_models(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as conn:
        columns = await conn.run_sync(lambda c: inspect(c).get_columns("crew"))
    facts = {c["name"]: (c["nullable"], str(c["type"])) for c in columns}
    assert facts["version"] == (False, "INTEGER")
    assert facts["created_by"] == facts["updated_by"] == (False, "VARCHAR(64)")
    assert facts["deleted_at"][0] is True


async def test_plain_sql_gets_the_first_version(session: AsyncSession) -> None:
    await session.execute(
        text("INSERT INTO crew (name, created_by, updated_by) VALUES ('raw', 'a', 'a')")
    )
    assert await session.scalar(select(Crew.version)) == 1  # type: ignore[call-overload]


async def test_changes_are_logged(session: AsyncSession) -> None:
    crew = await Crews(session).add(Crew(name="blue"))
    await Crews(session).update(crew, CrewPatch(name="red"))
    stmt = select(AuditEntry).order_by(AuditEntry.id)
    made, changed = (await session.scalars(stmt)).all()
    assert (made.action, made.table, made.key) == ("insert", "crew", str(crew.id))
    assert changed.changes["name"] == ["blue", "red"]


async def test_children_are_counted_and_cut(session: AsyncSession) -> None:
    blue = Crew(name="blue", sailors=[Sailor(name=name) for name in "abc"])
    session.add_all([blue, Crew(name="red")])
    await session.flush()
    rows = await session.execute(select(NAME, count_children(SAILORS)).order_by(NAME))
    assert [tuple(row) for row in rows] == [("blue", 3), ("red", 0)]
    ((same, first),) = await first_children(
        session, [blue], SAILORS, SAILOR_NAME.desc(), limit=2
    )
    assert same is blue
    assert [sailor.name for sailor in first] == ["c", "b"]


@pytest.fixture
def new_crew() -> Factory[Crew]:
    return Factory(Crew, name=lambda n: f"crew {n}")


async def test_pages_of_both_kinds_leave_deleted_rows_out(
    session: AsyncSession, new_crew: Factory[Crew]
) -> None:
    made = await new_crew.create_many(session, 6)
    made[1].mark_deleted()
    await session.commit()
    by_name = Keyset(Crew, NAME)
    page = await by_name.fetch(session, select(Crew), size=3)
    assert [crew.name for crew in page.items] == ["crew 1", "crew 3", "crew 4"]
    assert page.next_cursor is not None
    rest = await by_name.fetch(session, select(Crew), size=3, cursor=page.next_cursor)
    assert [crew.name for crew in rest.items] == ["crew 5", "crew 6"]
    assert rest.next_cursor is None

    numbered = Numbered(Crew, NAME)
    last = await numbered.fetch(
        session, select(Crew), page=2, per_page=3, count="exact"
    )
    assert [crew.name for crew in last.items] == ["crew 5", "crew 6"]
    assert (last.total, last.has_next) == (5, False)


async def test_a_test_that_commits_leaves_no_row(
    engine: AsyncEngine, new_crew: Factory[Crew]
) -> None:
    new_sailor = Factory(Sailor, name=lambda n: f"sailor {n}", crew=new_crew)
    async with isolated_sessions(engine) as sessions:
        async with sessions() as session:
            sailor = await new_sailor.create(session)
            assert sailor.crew is not None
            await new_sailor.create_many(session, 2, crew=sailor.crew)
            await session.commit()
        with assert_statements(at_most=2):
            async with sessions() as session:
                (crew,) = await Crews(session).list(options=[selectinload(SAILORS)])
                assert len(crew.sailors) == 3
        assert await count_rows(sessions, Sailor, SAILOR_NAME == "sailor 1") == 1
    async with async_sessionmaker(engine)() as session:
        assert await names(session, include_deleted=True) == []


def test_none_of_the_fields_is_asked_for() -> None:
    made = Crew.model_validate({"name": "blue"})
    assert (made.deleted_at, made.version, *stamps(made)) == (None,) * 4


def test_rows_have_no_hash_and_are_equal_by_their_fields() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Crew(name="blue"))
    assert Sailor(name="Ann") == Sailor(name="Ann")


def test_the_fields_are_columns_of_the_one_metadata() -> None:
    assert Base.metadata.tables["crew"] is inspect(Crew).local_table
    assert set(Crew.model_fields) >= {"deleted_at", "version", "created_by"}
