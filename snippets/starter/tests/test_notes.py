"""Example: the notes over HTTP, on every database that the fixtures find."""

from __future__ import annotations

from fastapi import HTTPException
from httpx import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.fastapi_session import SessionDep
from app.main import app
from app.models import Note


async def test_a_note_is_stored_and_read_back(
    client: AsyncClient, session: AsyncSession
) -> None:
    created = await client.post("/notes", json={"text": "milk"})
    assert created.status_code == 201

    stored = await session.get_one(Note, created.json()["id"])
    assert stored.text == "milk"
    read = await client.get(f"/notes/{stored.id}")
    assert read.json() == created.json()


async def test_notes_are_listed_newest_first(client: AsyncClient) -> None:
    for text in ("milk", "bread"):
        await client.post("/notes", json={"text": text})

    listed = (await client.get("/notes")).json()
    assert [note["text"] for note in listed] == ["bread", "milk"]


async def test_a_request_that_is_refused_stores_nothing(
    client: AsyncClient, session: AsyncSession
) -> None:
    assert (await client.post("/notes", json={"text": ""})).status_code == 422
    assert (await client.get("/notes/0")).status_code == 404
    assert await session.scalar(select(func.count()).select_from(Note)) == 0


async def write_then_fail(session: SessionDep) -> None:
    session.add(Note(text="lost"))
    await session.flush()
    raise HTTPException(409)


async def test_a_handler_that_raises_stores_nothing(
    client: AsyncClient, session: AsyncSession
) -> None:
    app.add_api_route("/fail", write_then_fail, methods=["POST"])
    failed = await client.post("/fail")
    app.router.routes.pop()

    assert failed.status_code == 409
    assert await session.scalar(select(func.count()).select_from(Note)) == 0
