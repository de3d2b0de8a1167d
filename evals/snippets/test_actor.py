"""Evals for snippets/actor.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Header
from sqlalchemy import MetaData, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.actor import NoActor, acting_as, current_actor
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Visit(Base):
    __tablename__ = "visit"

    id: Mapped[int] = mapped_column(primary_key=True)
    by: Mapped[str] = mapped_column(default=current_actor)


async def test_a_write_knows_the_actor_of_its_block(session: AsyncSession) -> None:
    with acting_as("worker:cleanup"):
        with acting_as("user:1"):
            session.add(Visit())
            await session.flush()
        session.add(Visit())
        await session.flush()
    by = await session.scalars(select(Visit.by).order_by(Visit.id))
    assert by.all() == ["user:1", "worker:cleanup"]


def test_nobody_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(NoActor, match=r"with acting_as.*worker:cleanup.*script:import"):
        current_actor()
    with pytest.raises(ZeroDivisionError), acting_as("user:1"):
        _ = 1 / 0
    with pytest.raises(NoActor):
        current_actor()


async def test_tasks_at_once_have_an_actor_each() -> None:
    async def work(number: int) -> str:
        with acting_as(f"user:{number}"):
            await asyncio.sleep(0)
            return current_actor()

    names = await asyncio.gather(*(work(number) for number in range(3)))
    assert names == ["user:0", "user:1", "user:2"]


async def act(user: Annotated[str, Header()]) -> AsyncIterator[None]:
    with acting_as(user):
        yield


def act_in_a_thread(user: Annotated[str, Header()]) -> Iterator[None]:
    with acting_as(user):
        yield


@pytest.mark.trap("actor-in-thread")
async def test_an_async_dependency_names_the_actor_and_a_plain_one_does_not() -> None:
    app = FastAPI()

    @app.get("/async", dependencies=[Depends(act)])
    async def who() -> str:
        return current_actor()

    @app.get("/sync", dependencies=[Depends(act)])
    def who_in_a_thread() -> str:
        return current_actor()

    @app.get("/lost", dependencies=[Depends(act_in_a_thread)])
    async def lost() -> str:
        return current_actor()

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        for path in ("/async", "/sync"):
            calls = (client.get(path, headers={"user": f"u{n}"}) for n in range(3))
            found = [answer.json() for answer in await asyncio.gather(*calls)]
            assert found == ["u0", "u1", "u2"]
        assert (await client.get("/lost", headers={"user": "u"})).status_code == 500
