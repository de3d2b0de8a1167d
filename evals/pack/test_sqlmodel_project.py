"""A project of SQLModel tables on the starter: revisions, fixtures, pages, features."""

from __future__ import annotations

from evals.harness.project import Project

NOTE = """\
from sqlmodel import Field, Relationship, SQLModel

from ..db.sqlmodel_base import TableModel, TimestampFields
from ..db.sqlmodel_fields import SoftDeleteFields, VersionField


class NoteBase(SQLModel):
    text: str = Field(max_length=200)


class Note(
    NoteBase, SoftDeleteFields, VersionField, TimestampFields, TableModel, table=True
):
    id: int | None = Field(default=None, primary_key=True)
    lines: list["Line"] = Relationship(
        cascade_delete=True,
        passive_deletes=True,
        sa_relationship_kwargs={"lazy": "raise", "order_by": "Line.id"},
    )


class Line(SoftDeleteFields, TableModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    note_id: int = Field(foreign_key="note.id", index=True, ondelete="CASCADE")
    text: str
"""

SCHEMAS = """\
from datetime import datetime

from sqlmodel import SQLModel

from .models import NoteBase


class NoteIn(NoteBase):
    lines: list[str] = []


class NotePatch(SQLModel):
    version: int
    text: str | None = None


class LineOut(SQLModel):
    text: str


class NoteOut(NoteBase):
    id: int
    version: int
    updated_at: datetime


class NoteFull(NoteOut):
    lines: list[LineOut]
"""

SERVICE = """\
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from ..db.keyset_pagination import Keyset, Page
from ..db.soft_delete_repository import SoftDeleteRepository
from ..db.version_column import check_version
from .models import Line, Note
from .schemas import NoteIn, NotePatch

ID: Any = Note.id
LINES: Any = Note.lines
NEWEST_FIRST = Keyset(Note, ID.desc())


class Notes(SoftDeleteRepository[Note]):
    model = Note

    async def write(self, new: NoteIn) -> Note:
        lines = [Line(text=text) for text in new.lines]
        return await self.create({"text": new.text}, lines=lines)

    async def change(self, note_id: int, patch: NotePatch) -> Note:
        note = await self.get_one(note_id)
        check_version(note, patch.version)
        sent = patch.model_dump(exclude_unset=True, exclude={"version"})
        return await self.update(note, sent)

    async def page(self, size: int, cursor: str | None) -> Page[Note]:
        stmt = select(Note).options(selectinload(LINES))
        return await NEWEST_FIRST.fetch(self.session, stmt, size=size, cursor=cursor)
"""

ROUTES = """\
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from ..db.fastapi_pagination import CursorPage
from ..db.fastapi_session import ReadSessionDep, SessionDep
from .models import Note
from .schemas import NoteFull, NoteIn, NoteOut, NotePatch
from .service import Notes

router = APIRouter(prefix="/notes")


def notes(session: SessionDep) -> Notes:
    return Notes(session)


NotesDep = Annotated[Notes, Depends(notes)]


@router.post("", status_code=201, response_model=NoteOut)
async def write(new: NoteIn, notes: NotesDep) -> Note:
    return await notes.write(new)


@router.get("", response_model=CursorPage[NoteFull])
async def read(session: ReadSessionDep, cursor: str | None = None) -> Any:
    return await Notes(session).page(2, cursor)


@router.patch("/{note_id}", response_model=NoteOut)
async def change(note_id: int, patch: NotePatch, notes: NotesDep) -> Note:
    return await notes.change(note_id, patch)


@router.delete("/{note_id}", status_code=204)
async def remove(note_id: int, notes: NotesDep) -> None:
    await notes.delete(await notes.get_one(note_id))
"""

MAIN = """\
from fastapi import FastAPI

from .db.base import Base
from .db.fastapi_errors import add_error_handlers
from .db.fastapi_session import lifespan
from .notes.routes import router as notes

app = FastAPI(lifespan=lifespan)
add_error_handlers(app, Base.metadata)
app.include_router(notes)
"""

TESTS = """\
import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db.base import Base
from app.db.factory import Factory
from app.db.foreign_key_index import unindexed_foreign_keys
from app.db.query_assertions import assert_statements, count_rows
from app.notes.models import Line, Note

new_note = Factory(Note, text=lambda n: f"note {n}")


async def test_a_note_is_written_changed_once_and_deleted(
    client: AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> None:
    made = await client.post("/notes", json={"text": "milk", "lines": ["a", "b"]})
    assert (made.status_code, made.json()["version"]) == (201, 1)
    path = f"/notes/{made.json()['id']}"
    patch = {"version": 1, "text": "bread"}
    assert (await client.patch(path, json=patch)).json()["version"] == 2
    assert (await client.patch(path, json=patch)).status_code == 409
    assert (await client.delete(path)).status_code == 204
    assert (await client.patch(path, json=patch)).status_code == 404
    assert await count_rows(sessions, Line) == 0


@pytest.mark.parametrize("run", [1, 2])
async def test_pages_begin_empty_in_each_test(
    client: AsyncClient, session: AsyncSession, run: int
) -> None:
    assert (await client.get("/notes")).json()["items"] == []
    made = await new_note.create_many(session, 3)
    await Factory(Line, text="a").create(session, note_id=made[2].id)
    await session.commit()
    with assert_statements(at_most=2):
        page = (await client.get("/notes")).json()
    assert [len(note["lines"]) for note in page["items"]] == [1, 0]
    rest = await client.get("/notes", params={"cursor": page["next_cursor"]})
    assert [note["id"] for note in rest.json()["items"]] == [made[0].id]


@pytest.mark.isolation("commit")
async def test_rows_that_are_committed_are_gone_in_the_next(
    sessions: async_sessionmaker[AsyncSession],
) -> None:
    async with sessions.begin() as session:
        assert (await session.scalars(select(Note))).all() == []
        await new_note.create(session)


def test_every_foreign_key_has_an_index() -> None:
    assert unindexed_foreign_keys(Base.metadata) == []
"""

FUTURE = """\
from __future__ import annotations

from sqlalchemy.orm import configure_mappers
from sqlmodel import Field, Relationship, SQLModel


class Team(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    heroes: list["Hero"] = Relationship(back_populates="team")


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    team_id: int | None = Field(default=None, foreign_key="team.id")
    team: Team | None = Relationship(back_populates="heroes")


configure_mappers()
"""

SNIPPETS = (
    "sqlmodel_base sqlmodel_fields soft_delete_repository fastapi_errors"
    " keyset_pagination fastapi_pagination factory query_assertions foreign_key_index"
)


def test_revisions_fixtures_and_pages_work_on_tables_of_sqlmodel(
    project: Project,
) -> None:
    project.add("starter", "--bare")
    project.add(*SNIPPETS.split())
    feature = {"models": NOTE, "schemas": SCHEMAS, "service": SERVICE, "routes": ROUTES}
    project.write({f"app/notes/{name}.py": text for name, text in feature.items()})
    project.write(
        {
            ".env": "DATABASE_URL=sqlite:///app.db\\n",
            "app/main.py": MAIN,
            "tests/test_notes.py": TESTS,
        }
    )
    versions = project.path / "migrations/versions"
    versions.mkdir(exist_ok=True)  # the oldest Alembic does not
    project.run("-m", "alembic", "revision", "--autogenerate", "-m", "create note")
    (revision,) = versions.glob("*.py")
    written = revision.read_text(encoding="utf-8")
    assert "sqlmodel" not in written
    assert "app." not in written
    assert "pk_note" in written
    project.run("-m", "alembic", "upgrade", "head")
    assert "No new upgrade" in project.run("-m", "alembic", "check").stdout
    printed = project.run("-m", "pytest", "-q").stdout
    assert "9 passed" in printed, printed


def test_relationships_break_where_annotations_are_text(project: Project) -> None:
    first, rest = FUTURE.split("\n", 1)
    project.write({"future.py": FUTURE, "plain.py": rest})
    project.run("plain.py")
    broken = project.run("future.py", check=False)
    assert "InvalidRequestError" in broken.stderr
    assert first == "from __future__ import annotations"
