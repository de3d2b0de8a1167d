"""Example: create, list and read notes over HTTP."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from .db.fastapi_session import ReadSessionDep, SessionDep
from .models import Note

router = APIRouter(prefix="/notes", tags=["notes"])


class NoteIn(BaseModel):
    text: str = Field(min_length=1, max_length=200)


class NoteOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    text: str
    created_at: datetime


@router.post("", status_code=201, response_model=NoteOut)
async def add_note(new: NoteIn, session: SessionDep) -> Note:
    note = Note(text=new.text)
    session.add(note)
    await session.flush()  # the database gives the id; the commit follows by itself
    return note


@router.get("", response_model=list[NoteOut])
async def list_notes(session: ReadSessionDep) -> list[Note]:
    newest_first = select(Note).order_by(Note.id.desc()).limit(50)
    return list(await session.scalars(newest_first))


@router.get("/{note_id}", response_model=NoteOut)
async def read_note(note_id: int, session: ReadSessionDep) -> Note:
    note = await session.get(Note, note_id)
    if note is None:
        raise HTTPException(404, f"there is no note {note_id}")
    return note
