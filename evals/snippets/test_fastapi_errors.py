"""Evals for snippets/fastapi_errors.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import CheckConstraint, ForeignKey, MetaData, func, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets import domain_error as domain
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.database_error import savepoint
from snippets.fastapi_errors import add_error_handlers
from snippets.fastapi_session import SessionDep


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Room(Base):
    __tablename__ = "room"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    seats: Mapped[int] = mapped_column(default=1)
    above_id: Mapped[int | None] = mapped_column(ForeignKey("room.id"), index=True)
    beside_id: Mapped[int | None] = mapped_column(
        ForeignKey("room.id", deferrable=True, initially="DEFERRED"), index=True
    )
    version: Mapped[int] = mapped_column()

    __table_args__ = (CheckConstraint("seats > 0", "seats"),)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


ROOMS = Base.metadata.tables["room"]


class RoomIn(BaseModel):
    name: str | None = Field(default=None, max_length=20)
    note: str = ""
    seats: int = 1
    above_id: int | None = None
    beside_id: int | None = None


def application() -> FastAPI:
    app = FastAPI()
    add_error_handlers(app, Base.metadata)

    @app.post("/rooms", status_code=201)
    async def add(new: RoomIn, session: SessionDep) -> None:
        session.add(Room(**new.model_dump(exclude={"note"})))
        await session.scalar(select(Room.id).where(Room.name == new.note))

    @app.post("/rooms/or-another")
    async def add_or_another(new: RoomIn, session: SessionDep) -> str:
        """Take the next free name: the request goes on after the duplicate."""
        name = new.name or ""
        while True:
            try:
                async with savepoint(session, Base.metadata):
                    session.add(Room(name=name))
            except domain.AlreadyExists:
                name += "'"
            else:
                return name

    @app.get("/rooms/{name}")
    async def read(name: str, session: SessionDep) -> int:
        seats = await session.scalar(select(Room.seats).where(Room.name == name))
        if seats is None:
            raise domain.NotFound
        return seats

    @app.get("/with/{seats}")
    async def with_seats(seats: int, session: SessionDep) -> int:
        rooms = select(func.count(Room.id)).where(Room.seats == seats)
        return await session.scalar(rooms) or 0

    @app.get("/surrogate")
    async def surrogate(session: SessionDep) -> None:
        await session.scalar(select(Room.id).where(Room.name == "\ud800"))

    @app.delete("/rooms/{name}")
    async def remove(name: str, session: SessionDep) -> None:
        found = await session.scalars(select(Room).where(Room.name == name))
        await session.delete(found.one())

    @app.put("/stale")
    async def stale(session: SessionDep) -> None:
        room = (await session.scalars(select(Room))).one()
        await session.execute(update(ROOMS).values(version=9))
        room.seats += 1

    @app.post("/busy")
    async def busy(session: SessionDep) -> None:
        raise domain.TryAgain

    @app.get("/fault")
    async def fault(session: SessionDep) -> None:
        await session.execute(text("SELECT * FROM nowhere"))

    return app


@pytest.fixture
async def client(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncIterator[httpx.AsyncClient]:
    app = application()
    app.state.sessions = sessions
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def answer(response: httpx.Response) -> tuple[int, str, list[str]]:
    content = response.json()
    return response.status_code, content["error"], content["fields"]


async def test_a_duplicate_is_409_and_names_the_field(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.post("/rooms", json={"name": "blue"})).status_code == 201
    again = await client.post("/rooms", json={"name": "blue"})
    assert again.status_code == 409
    assert again.json() == {
        "detail": "this is taken: name",
        "error": "AlreadyExists",
        "fields": ["name"],
    }
    assert (await client.get("/rooms/blue")).json() == 1


async def test_one_of_many_at_once_wins_and_no_other_is_500(
    client: httpx.AsyncClient,
) -> None:
    calls = (client.post("/rooms", json={"name": "blue"}) for _ in range(6))
    codes = [response.status_code for response in await asyncio.gather(*calls)]
    assert sorted(codes) == [201, 409, 409, 409, 409, 409]


async def test_the_request_goes_on_after_a_savepoint(
    client: httpx.AsyncClient,
) -> None:
    for name in ("blue", "blue'", "blue''"):
        assert (
            await client.post("/rooms/or-another", json={"name": "blue"})
        ).json() == name


async def test_what_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    assert answer(await client.get("/rooms/none")) == (404, "NotFound", [])


@pytest.mark.parametrize(
    ("values", "error", "fields"),
    [
        ({"name": None}, "FieldRequired", ["name"]),
        ({"name": "a", "seats": 0}, "CheckFailed", []),
        ({"name": "a", "seats": 2**70}, "InvalidValue", []),
    ],
)
async def test_a_bad_value_is_422_and_nothing_is_written(
    client: httpx.AsyncClient,
    session: AsyncSession,
    values: dict[str, Any],
    error: str,
    fields: list[str],
) -> None:
    response = await client.post("/rooms", json=values)
    assert answer(response) == (422, error, fields)
    assert await session.scalar(select(func.count(Room.id))) == 0


async def test_a_number_that_no_column_holds_is_422_in_a_query_too(
    client: httpx.AsyncClient,
) -> None:
    assert answer(await client.get(f"/with/{2**70}")) == (422, "InvalidValue", [])


async def test_a_lone_surrogate_is_422(client: httpx.AsyncClient) -> None:
    # Pydantic refuses it where a length is asked for; elsewhere it comes through.
    for field in ("name", "note"):
        body = json.dumps({"name": "blue", field: "\ud800"})
        as_json = {"content-type": "application/json"}
        response = await client.post("/rooms", content=body, headers=as_json)
        assert answer(response) == (422, "InvalidValue", [])
    assert (await client.get("/rooms/blue")).status_code == 404
    response = await client.post("/rooms", json={"seats": "many"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "seats"]
    assert answer(await client.get("/surrogate")) == (422, "InvalidValue", [])


async def test_a_missing_reference_is_422(
    client: httpx.AsyncClient, database: str
) -> None:
    response = await client.post("/rooms", json={"name": "a", "above_id": -1})
    fields = {"sqlite": [], "postgresql": ["above_id"]}
    assert answer(response) == (422, "ReferenceMissing", fields[database])


async def test_a_commit_that_fails_is_answered_as_well(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    response = await client.post("/rooms", json={"name": "a", "beside_id": -1})
    assert answer(response)[:2] == (422, "ReferenceMissing")
    assert await session.scalar(select(func.count(Room.id))) == 0


async def test_deleting_what_is_referred_to_is_409(
    client: httpx.AsyncClient, session: AsyncSession
) -> None:
    below = Room(name="below")
    session.add(below)
    await session.flush()
    session.add(Room(name="above", above_id=below.id))
    await session.commit()

    response = await client.delete("/rooms/below")
    assert answer(response) == (409, "StillReferenced", [])


async def test_a_row_that_changed_meanwhile_is_409(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/rooms", json={"name": "blue"})
    assert answer(await client.put("/stale")) == (409, "ChangedMeanwhile", [])


async def test_contention_is_503_and_says_when_to_come_back(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post("/busy")
    assert answer(response) == (503, "TryAgain", [])
    assert response.headers["Retry-After"] == "1"
    assert "Retry-After" not in (await client.get("/rooms/none")).headers


async def test_a_fault_of_the_program_stays_500(client: httpx.AsyncClient) -> None:
    response = await client.get("/fault")
    assert response.status_code == 500
    assert "nowhere" not in response.text
    transport = httpx.ASGITransport(client._transport.app)  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as strict:
        with pytest.raises(StatementError, match="nowhere"):
            await strict.get("/fault")
