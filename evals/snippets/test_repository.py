"""Evals for snippets/repository.py."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import ForeignKey, MetaData, delete, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlmodel import Field, SQLModel

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.base_query import Condition
from snippets.database_error import savepoint
from snippets.domain_error import DomainError, UnknownField
from snippets.repository import Repository
from snippets.timestamps import Timestamps


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Task(Timestamps, Base):
    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column("task_title", unique=True)
    owner: Mapped[str] = mapped_column(default="nobody")
    note: Mapped[str | None]
    steps: Mapped[list[Step]] = relationship(
        lazy="raise", cascade="all, delete-orphan", passive_deletes=True
    )


class Step(Base):
    __tablename__ = "step"

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(
        ForeignKey("task.id", ondelete="CASCADE"), index=True
    )


class Errand(SQLModel, table=True):
    """The same, as SQLModel users write it."""

    metadata = Base.metadata

    id: int | None = Field(default=None, primary_key=True)
    title: str = Field(unique=True)
    owner: str = "nobody"
    note: str | None = None


class TaskIn(BaseModel):
    title: str
    note: str | None = None


class TaskPatch(BaseModel):
    title: str | None = None
    note: str | None = None


class ErrandPatch(SQLModel):
    title: str | None = None
    note: str | None = None


class Tasks(Repository[Task]):
    model = Task


class Errands(Repository[Errand]):
    model = Errand


class OwnTasks(Tasks):
    def visible(self) -> Sequence[Condition]:
        return (Task.owner == "ann",)


KINDS: list[type[Repository[Any]]] = [Tasks, Errands]
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def tasks(session: AsyncSession) -> Tasks:
    return Tasks(session)


async def stored(session: AsyncSession, *columns: Any) -> list[tuple[Any, ...]]:
    rows = await session.execute(select(*columns).order_by(columns[0]))
    return [tuple(row) for row in rows]


@each_kind
async def test_a_row_is_added_in_one_statement_and_not_committed(
    kind: type[Repository[Any]],
    session: AsyncSession,
    sessions: async_sessionmaker[AsyncSession],
    statements: Statements,
) -> None:
    repository = kind(session)
    with statements() as sent:
        row = await repository.add(kind.model(title="write"))
        assert (row.owner, row.note) == ("nobody", None)
    assert len(sent) == 1
    assert await repository.get(row.id) is row

    await session.rollback()
    async with sessions() as other:
        assert await kind(other).count() == 0


@each_kind
async def test_many_rows_are_added_with_their_keys(
    kind: type[Repository[Any]],
    session: AsyncSession,
    statements: Statements,
    database: str,
) -> None:
    with statements() as sent:
        rows = await kind(session).add_many(kind.model(title=str(n)) for n in range(30))
    assert len({row.id for row in rows}) == 30
    assert [row.title for row in rows] == [str(n) for n in range(30)]
    # SQLite returns no keys in the order of the rows: one statement each.
    assert len(sent) == {"sqlite": 30, "postgresql": 1}[database]
    assert await kind(session).add_many([]) == []


@each_kind
async def test_a_schema_makes_a_row_and_the_server_has_the_last_word(
    kind: type[Repository[Any]], session: AsyncSession
) -> None:
    made = await kind(session).create(TaskIn(title="write"), owner="ann", note="now")
    assert (made.title, made.owner, made.note) == ("write", "ann", "now")
    other = await kind(session).create({"title": "read"}, owner="ben")
    assert (other.title, other.owner) == ("read", "ben")


@each_kind
async def test_an_update_leaves_what_was_not_sent(
    kind: type[Repository[Any]], session: AsyncSession, statements: Statements
) -> None:
    repository = kind(session)
    row = await repository.create({"title": "write", "note": "soon", "owner": "ann"})
    with statements() as sent:
        same = await repository.update(row, TaskPatch(title="read"), owner="ben")
        assert same is row
        assert (row.title, row.note, row.owner) == ("read", "soon", "ben")
    assert len(sent) == 1

    await repository.update(row, ErrandPatch(note=None))
    await repository.update(row, {"title": "sing"})
    await session.refresh(row)
    assert (row.title, row.note) == ("sing", None)
    with statements() as sent:
        await repository.update(row, TaskPatch())
    assert sent == []


@each_kind
async def test_an_unknown_field_is_refused_before_anything_changes(
    kind: type[Repository[Any]], session: AsyncSession
) -> None:
    repository = kind(session)
    row = await repository.create({"title": "write"})
    for attempt in (
        repository.create({"title": "read", "titel": "x"}),
        repository.update(row, {"title": "read", "titel": "x"}),
        repository.update_where({"title": "read", "titel": "x"}, true()),
    ):
        with pytest.raises(UnknownField) as caught:
            await attempt
        assert caught.value.fields == ("titel",)
    await session.refresh(row)
    assert (await repository.count(), row.title) == (1, "write")


@pytest.mark.trap("lost-attribute")
async def test_setattr_takes_a_misspelt_name_and_saves_nothing(
    session: AsyncSession, tasks: Tasks
) -> None:
    task = await tasks.create({"title": "write"})
    setattr(task, "nots", "lost")  # noqa: B010
    await session.commit()
    assert await stored(session, Task.title, Task.note) == [("write", None)]


@each_kind
async def test_rows_are_updated_where_a_condition_holds(
    kind: type[Repository[Any]], session: AsyncSession, statements: Statements
) -> None:
    repository, model = kind(session), kind.model
    row = await repository.create({"title": "a", "note": "soon"})
    await repository.create({"title": "b"})
    await repository.create({"title": "c", "owner": "ben"})
    with statements() as sent:
        changed = await repository.update_where(
            TaskPatch(note="done"), model.owner == "nobody", model.title != "b"
        )
    assert (changed, len(sent)) == (1, 1)
    assert row.note == "done"
    assert await stored(session, model.title, model.note) == [
        ("a", "done"),
        ("b", None),
        ("c", None),
    ]
    assert await repository.update_where({"note": "x"}, model.title == "none") == 0
    assert await repository.update_where({"note": "x"}, true()) == 3
    with statements() as sent:
        assert await repository.update_where(TaskPatch(), true()) == 0
    assert sent == []


async def test_an_update_of_many_moves_updated_at(
    session: AsyncSession, tasks: Tasks
) -> None:
    task = await tasks.create({"title": "a"})
    before = task.updated_at
    await tasks.update_where({"note": "x"}, true())
    assert task.updated_at > before


@each_kind
async def test_rows_are_deleted_one_by_one_or_where_a_condition_holds(
    kind: type[Repository[Any]], session: AsyncSession, statements: Statements
) -> None:
    repository, model = kind(session), kind.model
    first = await repository.create({"title": "a"})
    for title in "bcd":
        await repository.create({"title": title})
    await repository.delete(first)
    assert await stored(session, model.title) == [("b",), ("c",), ("d",)]
    with statements() as sent:
        gone = await repository.delete_where(model.title > "b", model.title != "d")
    assert (gone, len(sent)) == (1, 1)
    assert await stored(session, model.title) == [("b",), ("d",)]
    assert await repository.delete_where(true()) == 2


@pytest.mark.parametrize("where", [False, True])
async def test_the_children_of_a_deleted_row_go_without_being_loaded(
    session: AsyncSession, tasks: Tasks, statements: Statements, where: bool
) -> None:
    task = await tasks.create({"title": "a"})
    session.add_all([Step(task_id=task.id), Step(task_id=task.id)])
    await session.commit()
    session.expunge_all()
    task = await tasks.get_one(task.id)
    with statements() as sent:
        if where:
            await tasks.delete_where(Task.id == task.id)
        else:
            await tasks.delete(task)
    assert len(sent) == 1
    assert await stored(session, Step.id) == []


async def test_writes_of_many_touch_what_is_visible_only(
    session: AsyncSession, tasks: Tasks
) -> None:
    await tasks.add_many(Task(title=name, owner=name) for name in ("ann", "ben"))
    own = OwnTasks(session)
    assert await own.update_where({"note": "mine"}, true()) == 1
    assert await stored(session, Task.owner, Task.note) == [
        ("ann", "mine"),
        ("ben", None),
    ]
    assert await own.delete_where(true()) == 1
    assert await stored(session, Task.owner) == [("ben",)]


async def outcome(session: AsyncSession, work: Awaitable[Any]) -> Any:
    """Return what comes back, or the name of the domain error; the session goes on."""
    try:
        async with savepoint(session, Base.metadata):
            return await work
    except DomainError as error:
        return type(error).__name__


@each_kind
@pytest.mark.parametrize(
    ("ident", "sqlite", "postgresql"),
    [
        (-1, None, None),
        (0, None, None),
        (None, None, None),
        (2**40, None, "InvalidValue"),
        (2**70, "InvalidValue", "InvalidValue"),
    ],
    ids=["negative", "zero", "none", "64 bits", "too large"],
)
async def test_an_id_that_cannot_be_is_not_found_or_invalid(
    kind: type[Repository[Any]],
    session: AsyncSession,
    database: str,
    ident: Any,
    sqlite: str | None,
    postgresql: str | None,
) -> None:
    repository = kind(session)
    await repository.create({"title": "write"})
    error = {"sqlite": sqlite, "postgresql": postgresql}[database]
    assert await outcome(session, repository.get(ident)) == error
    many = await outcome(session, repository.get_many([ident]))
    assert many == (error or [])
    one = await outcome(session, repository.get_one(ident))
    assert one == (error or "NotFound")
    where = kind.model.id == ident
    assert await outcome(session, repository.update_where({"note": "x"}, where)) in (
        error or 0,
    )
    assert await outcome(session, repository.delete_where(where)) == (error or 0)
    assert await repository.count() == 1


@each_kind
@pytest.mark.parametrize(
    ("title", "sqlite", "postgresql"),
    [("a\0b", [], "InvalidValue"), ("\ud800", "InvalidValue", "InvalidValue")],
    ids=["NUL", "surrogate"],
)
async def test_text_that_is_no_text_is_in_no_row_or_invalid(
    kind: type[Repository[Any]],
    session: AsyncSession,
    database: str,
    title: str,
    sqlite: Any,
    postgresql: Any,
) -> None:
    repository, where = kind(session), kind.model.title == title
    error = {"sqlite": sqlite, "postgresql": postgresql}[database]
    assert await outcome(session, repository.list(where)) == error
    assert await outcome(session, repository.find_one(where)) == (error or None)
    assert await outcome(session, repository.count(where)) == (error or 0)
    assert await outcome(session, repository.exists(where)) == (error or False)


@each_kind
async def test_empty_lists_have_the_empty_answer(
    kind: type[Repository[Any]], session: AsyncSession, statements: Statements
) -> None:
    repository, none = kind(session), kind.model.id.in_([])
    await repository.create({"title": "write"})
    with statements() as sent:
        assert await repository.get_many([]) == []
        assert await repository.add_many([]) == []
    assert sent == []
    assert await repository.list(none) == []
    assert await repository.find_one(none) is None
    assert (await repository.count(none), await repository.exists(none)) == (0, False)
    assert [row async for row in repository.stream(none)] == []
    assert await repository.update_where({"note": "x"}, none) == 0
    assert await repository.delete_where(none) == 0
    assert await repository.count() == 1


@each_kind
@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ({"title": "\ud800"}, {"InvalidValue"}),
        ({"title": "a", "id": 2**70}, {"InvalidValue"}),
        ({"title": None}, {"FieldRequired"}),
        ({"title": "write", "owner": None}, {"AlreadyExists", "FieldRequired"}),
        ({"titel": "a", "title": "write"}, {"UnknownField"}),
        ({"title": "write"}, {"AlreadyExists"}),
    ],
    ids=["surrogate", "too large", "null", "two at once", "unknown", "duplicate"],
)
async def test_a_value_that_is_refused_changes_nothing(
    kind: type[Repository[Any]],
    session: AsyncSession,
    values: dict[str, Any],
    errors: set[str],
) -> None:
    """Not half either: of many rows none is written, of many fields none is changed."""
    repository, model = kind(session), kind.model
    first = await repository.create({"title": "write", "note": "soon"})
    other = await repository.create({"title": "read", "note": "soon"})
    await session.commit()
    before = await stored(session, model.title, model.owner, model.note)
    ident = other.id

    assert await outcome(session, repository.create(values)) in errors
    changed = {**values, "note": "late"}
    assert await outcome(session, repository.update(other, changed)) in errors
    where = model.id == ident
    assert await outcome(session, repository.update_where(changed, where)) in errors
    if "titel" not in values:
        rows = [model(title="b"), model(**values), model(title="c")]
        assert await outcome(session, repository.add_many(rows)) in errors
    await session.commit()
    assert await stored(session, model.title, model.owner, model.note) == before
    assert (await repository.get_one(ident), first.title) == (other, "write")


async def test_a_naive_time_is_invalid_and_changes_nothing(
    session: AsyncSession, tasks: Tasks
) -> None:
    naive = datetime(2026, 6, 1)
    task = await tasks.create({"title": "write"})
    await session.commit()
    late = {"note": "late", "created_at": naive}
    new = tasks.create({"title": "read", "created_at": naive})
    assert await outcome(session, new) == "InvalidValue"
    assert await outcome(session, tasks.update(task, late)) == "InvalidValue"
    assert await outcome(session, tasks.update_where(late, true())) == "InvalidValue"
    since = tasks.list(Task.created_at > naive)
    assert await outcome(session, since) == "InvalidValue"
    await session.commit()
    assert await stored(session, Task.title, Task.note) == [("write", None)]


async def test_a_row_that_is_gone_changed_meanwhile(
    session: AsyncSession, tasks: Tasks
) -> None:
    task = await tasks.create({"title": "write"})
    await session.execute(delete(Task).execution_options(synchronize_session=False))
    changed = tasks.update(task, {"note": "late"})
    assert await outcome(session, changed) == "ChangedMeanwhile"
    assert await tasks.count() == 0


async def test_a_duplicate_is_left_to_the_caller(tasks: Tasks) -> None:
    await tasks.create({"title": "a"})
    with pytest.raises(IntegrityError):
        await tasks.create({"title": "a"})
