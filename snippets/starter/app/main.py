"""The application: run it with `uvicorn app.main:app`."""

from __future__ import annotations

from fastapi import FastAPI

from .db.fastapi_session import lifespan
# example: begin
from .notes import router as notes
# example: end

app = FastAPI(lifespan=lifespan)
# example: begin
app.include_router(notes)
# example: end
