"""The model layer together over HTTP: a help desk, cut by feature as the page says.

Models, schemas, service and routes stand in one file here; a project has one each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from evals.harness.observe import Statements
from snippets.actor import acting_as
from snippets.audit_columns import AuditColumns
from snippets.audit_log import Audited, AuditEntry
from snippets.base import Base
from snippets.domain_error import NotFound
from snippets.fastapi_errors import add_error_handlers
from snippets.fastapi_session import ReadSessionDep, SessionDep
from snippets.primary_key import UuidKey
from snippets.schema_query import fetch_as
from snippets.soft_delete import SoftDelete
from snippets.soft_delete_repository import SoftDeleteRepository
from snippets.timestamps import Timestamps
from snippets.version_column import Versioned, check_version

LIVE = text("deleted_at IS NULL")


class Status(Enum):
    OPEN = "open"
    DONE = "done"


class Ticket(Audited, Versioned, SoftDelete, AuditColumns, Timestamps, Base):
    __tablename__ = "ticket"

    id: Mapped[UuidKey]
    reference: Mapped[str]
    title: Mapped[str]
    status: Mapped[Status] = mapped_column(default=Status.OPEN)
    due_at: Mapped[datetime | None]
    internal: Mapped[str] = mapped_column(default="not for clients")
    notes: Mapped[list[Note]] = relationship(
        cascade="all", lazy="raise", order_by="Note.id"
    )

    __table_args__ = (
        Index(
            "uq_ticket_reference",
            "reference",
            unique=True,
            postgresql_where=LIVE,
            sqlite_where=LIVE,
        ),
    )


class Note(SoftDelete, Timestamps, Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[Any] = mapped_column(ForeignKey("ticket.id"), index=True)
    text: Mapped[str]


WITH_NOTES = [selectinload(Ticket.notes)]


class TicketIn(BaseModel):
    reference: str = Field(max_length=20)
    title: str


class TicketPatch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int
    title: str | None = None
    status: Status | None = None
    due_at: datetime | None = None


class TicketLine(BaseModel):
    reference: str
    status: Status


class NoteOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    text: str


class TicketOut(TicketLine):
    model_config = ConfigDict(from_attributes=True)

    title: str
    version: int
    updated_at: datetime
    updated_by: str


class TicketPage(TicketOut):
    notes: list[NoteOut]


class Tickets(SoftDeleteRepository[Ticket]):
    model = Ticket

    async def by_reference(self, reference: str) -> Ticket:
        found = await self.find_one(Ticket.reference == reference)
        if found is None:
            raise NotFound
        return found


class TicketService:
    """Decides; what it is given commits."""

    def __init__(self, session: AsyncSession) -> None:
        self.tickets = Tickets(session)

    async def change(self, reference: str, patch: TicketPatch) -> Ticket:
        ticket = await self.tickets.by_reference(reference)
        check_version(ticket, patch.version)
        sent = patch.model_dump(exclude_unset=True, exclude={"version"})
        if sent.get("status") is Status.DONE:
            self.tickets.session.add(Note(ticket_id=ticket.id, text="closed"))
        return await self.tickets.update(ticket, sent)


async def actor(user: Annotated[str, Header()]) -> AsyncIterator[None]:
    with acting_as(user):
        yield


def service(session: SessionDep) -> TicketService:
    return TicketService(session)


ServiceDep = Annotated[TicketService, Depends(service)]


def application() -> FastAPI:
    app = FastAPI(dependencies=[Depends(actor)])
    add_error_handlers(app, Base.metadata)

    @app.post("/tickets", status_code=201, response_model=TicketOut)
    async def open_ticket(new: TicketIn, desk: ServiceDep) -> Ticket:
        return await desk.tickets.create(new)

    @app.patch("/tickets/{reference}", response_model=TicketOut)
    async def change(reference: str, patch: TicketPatch, desk: ServiceDep) -> Ticket:
        return await desk.change(reference, patch)

    @app.get("/tickets")
    async def lines(session: ReadSessionDep) -> list[TicketLine]:
        return await fetch_as(session, Tickets(session).query(), TicketLine)

    @app.get("/tickets/full", response_model=list[TicketPage])
    async def full(session: ReadSessionDep) -> Any:
        return await Tickets(session).list(options=WITH_NOTES)

    @app.delete("/tickets/{reference}", status_code=204)
    async def remove(reference: str, desk: ServiceDep) -> None:
        await desk.tickets.delete(await desk.tickets.by_reference(reference))

    return app


@pytest.fixture
async def client(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncIterator[httpx.AsyncClient]:
    app = application()
    app.state.sessions = sessions
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers={"user": "user:1"}
    ) as client:
        yield client


async def opened(client: httpx.AsyncClient, reference: str) -> dict[str, Any]:
    new = {"reference": reference, "title": "broken"}
    answer = await client.post("/tickets", json=new)
    assert answer.status_code == 201
    content: dict[str, Any] = answer.json()
    return content


async def test_a_change_is_answered_with_its_time_its_author_and_its_version(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    first = await opened(client, "A-1")
    assert (first["version"], first["updated_by"]) == (1, "user:1")
    assert "internal" not in first
    patch = {"version": 1, "status": "done"}
    answer = await client.patch("/tickets/A-1", json=patch, headers={"user": "user:2"})
    changed = answer.json()
    assert (answer.status_code, changed["status"]) == (200, "done")
    assert (changed["version"], changed["updated_by"]) == (2, "user:2")
    assert changed["title"] == "broken"
    assert changed["updated_at"] > first["updated_at"]

    stmt = select(AuditEntry.actor, AuditEntry.action).order_by(AuditEntry.id)
    log = (await session.execute(stmt)).all()
    assert [tuple(entry) for entry in log] == [
        ("user:1", "insert"),
        ("user:2", "update"),
    ]


async def test_wrong_requests_have_clear_answers_and_change_nothing(
    client: httpx.AsyncClient,
) -> None:
    await opened(client, "A-1")
    again = await client.post("/tickets", json={"reference": "A-1", "title": "x"})
    stale = await client.patch("/tickets/A-1", json={"version": 7, "title": "x"})
    missing = await client.patch("/tickets/none", json={"version": 1})
    null = await client.patch("/tickets/A-1", json={"version": 1, "title": None})
    found = [(a.status_code, a.json()["error"]) for a in (again, stale, missing, null)]
    assert found == [
        (409, "AlreadyExists"),
        (409, "ChangedMeanwhile"),
        (404, "NotFound"),
        (422, "FieldRequired"),
    ]
    assert (again.json()["fields"], null.json()["fields"]) == (["reference"], ["title"])
    lines = (await client.get("/tickets")).json()
    assert lines == [{"reference": "A-1", "status": "open"}]


NUL = {"reference": "A-1\0", "title": "x"}
WRONG: dict[str, tuple[str, str, Any, int, int]] = {
    "unknown id": ("PATCH", "/tickets/none", {"version": 1}, 404, 404),
    "NUL in an id": ("PATCH", "/tickets/%00", {"version": 1}, 404, 422),
    "bytes that are no text": ("DELETE", "/tickets/%ED%A0%80", None, 404, 404),
    "NUL in a value": ("POST", "/tickets", NUL, 201, 422),
    "lone surrogate": ("POST", "/tickets", {"reference": "\ud800"}, 422, 422),
    "too long": ("POST", "/tickets", {"reference": "x" * 21, "title": "x"}, 422, 422),
    "number out of range": ("PATCH", "/tickets/A-1", {"version": 2**70}, 409, 409),
    "unknown value": (
        "PATCH",
        "/tickets/A-1",
        {"version": 1, "status": "gone"},
        422,
        422,
    ),
    "unknown field": ("PATCH", "/tickets/A-1", {"version": 1, "nope": 1}, 422, 422),
    "naive time": (
        "PATCH",
        "/tickets/A-1",
        {"version": 1, "due_at": "2026-06-01T12:00:00"},
        422,
        422,
    ),
    "two at once": (
        "PATCH",
        "/tickets/A-1",
        {"version": 1, "title": None, "status": None},
        422,
        422,
    ),
    "one right, one wrong": (
        "PATCH",
        "/tickets/A-1",
        {"version": 1, "status": "done", "title": None},
        422,
        422,
    ),
}


@pytest.mark.parametrize("fault", WRONG)
async def test_bad_input_is_never_a_500_and_changes_nothing(
    client: httpx.AsyncClient, session: AsyncSession, database: str, fault: str
) -> None:
    await opened(client, "A-1")
    method, path, body, *answers = WRONG[fault]
    answer = await client.request(
        method,
        path,
        content=json.dumps(body),  # with its lone surrogate as an escape
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == answers[database == "postgresql"], answer.text

    stmt = select(Ticket).where(Ticket.reference == "A-1").options(*WITH_NOTES)
    ticket = (await session.scalars(stmt)).one()
    assert (ticket.version, ticket.title, ticket.status) == (1, "broken", Status.OPEN)
    assert ticket.notes == []
    made = (await session.scalars(select(AuditEntry.action))).all()
    assert made == ["insert"] * (1 + (answer.status_code == 201))


async def test_of_many_requests_for_one_reference_one_wins(
    client: httpx.AsyncClient,
) -> None:
    new = {"reference": "A-1", "title": "x"}
    calls = (client.post("/tickets", json=new) for _ in range(5))
    codes = sorted(a.status_code for a in await asyncio.gather(*calls))
    assert codes == [201, 409, 409, 409, 409]


async def test_a_deleted_ticket_is_gone_with_its_notes_and_frees_its_reference(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    await opened(client, "A-1")
    await client.patch("/tickets/A-1", json={"version": 1, "status": "done"})
    assert (await client.delete("/tickets/A-1")).status_code == 204
    assert (await client.get("/tickets")).json() == []
    assert (await session.scalars(select(Note))).all() == []
    await session.rollback()  # on SQLite it would keep the writers out
    assert (await client.delete("/tickets/A-1")).status_code == 404
    assert (await opened(client, "A-1"))["version"] == 1


@pytest.mark.parametrize("number", [1, 4])
async def test_a_list_with_children_is_two_statements_for_any_number_of_rows(
    client: httpx.AsyncClient, statements: Statements, number: int
) -> None:
    for reference in range(number):
        await opened(client, f"A-{reference}")
        done = {"version": 1, "status": "done"}
        await client.patch(f"/tickets/A-{reference}", json=done)
    with statements() as sent:
        found = (await client.get("/tickets/full")).json()
    assert len(sent) == 2
    assert [len(ticket["notes"]) for ticket in found] == [1] * number
