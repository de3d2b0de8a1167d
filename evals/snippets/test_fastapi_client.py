"""Evals for snippets/fastapi_client.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import pytest
from fastapi import (
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    Response,
)
from fastapi.responses import StreamingResponse
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.fastapi_client import open_client
from snippets.fastapi_session import (
    ReadSessionDep,
    SessionDep,
    SessionsDep,
    get_session,
    lifespan,
)
from snippets.savepoint_isolation import isolated_sessions

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Song(Base):
    __tablename__ = "song"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)


class User(Base):
    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    token: Mapped[str] = mapped_column(unique=True)


log: list[str] = []


@asynccontextmanager
async def with_a_task_group(app: FastAPI) -> AsyncGenerator[dict[str, Any], None]:
    log.append("started")
    async with anyio.create_task_group():
        yield {"greeting": "hello"}
    log.append("stopped")


def new_app(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.post("/songs")
    async def add(title: str, session: SessionDep) -> int:
        song = Song(title=title)
        session.add(song)
        await session.flush()
        return song.id

    @app.post("/forgotten")
    async def forgets_to_commit(title: str, sessions: SessionsDep) -> None:
        async with sessions() as session:
            session.add(Song(title=title))
            await session.flush()

    @app.post("/forgotten-too")
    async def shares(
        title: str, session: Annotated[AsyncSession, Depends(get_session)]
    ) -> None:
        session.add(Song(title=title))
        await session.flush()

    @app.post("/refused")
    async def refuse(title: str, session: SessionDep) -> None:
        session.add(Song(title=title))
        await session.flush()
        raise HTTPException(409, "no")

    @app.get("/greeting")
    async def greet(request: Request, user: Annotated[str, Header()] = "you") -> str:
        return f"{request.state.greeting} {user}"

    @app.get("/broken")
    async def fail() -> None:
        raise ZeroDivisionError

    @app.post("/login")
    async def log_in(token: str, response: Response) -> None:
        response.set_cookie("token", token)

    @app.get("/me")
    async def me(
        session: ReadSessionDep,
        authorization: Annotated[str, Header()] = "",
        token: Annotated[str, Cookie()] = "",
    ) -> str:
        given = authorization.removeprefix("Bearer ") or token
        name = await session.scalar(select(User.name).filter_by(token=given))
        if name is None:
            raise HTTPException(401)
        return name

    @app.get("/titles")
    async def stream(sessions: SessionsDep) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            async with sessions() as session:
                for title in await session.scalars(select(Song.title)):
                    yield f"{title}\n"

        return StreamingResponse(lines())

    return app


async def titles(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return sorted(await session.scalars(select(Song.title)))


async def test_each_request_commits_and_rolls_back_as_in_production(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    async with isolated_sessions(engine) as isolated:
        async with open_client(new_app(), isolated) as client:
            assert (await client.post("/songs?title=one")).status_code == 200
            assert (await client.post("/refused?title=two")).status_code == 409
            await client.post("/forgotten?title=three")
            assert (await client.get("/titles")).text == "one\n"
        assert await titles(isolated) == ["one"]

    assert await titles(sessions) == []


@pytest.mark.trap("one-session-for-all")
async def test_the_session_of_the_test_hides_a_missing_commit(
    engine: AsyncEngine,
) -> None:
    async with isolated_sessions(engine) as isolated, isolated() as session:
        app = new_app()
        app.dependency_overrides[get_session] = lambda: session
        async with open_client(app, isolated) as client:
            await client.post("/forgotten-too?title=one")

        found = (await session.scalars(select(Song.title))).all()
        assert found == ["one"]  # green, and nothing was committed
        assert session.in_transaction()


async def test_requests_at_the_same_time_work_on_real_commits(
    sessions: Sessions,
) -> None:
    async with open_client(new_app(), sessions) as client:
        posts = (client.post(f"/songs?title={n}") for n in range(5))
        answers = await asyncio.gather(*posts)

    assert len({answer.json() for answer in answers}) == 5
    assert await titles(sessions) == ["0", "1", "2", "3", "4"]


async def test_each_client_is_a_user_of_its_own(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add_all([User(name="ann", token="t1"), User(name="bob", token="t2")])
    app = new_app()
    async with (
        open_client(app, sessions, headers={"authorization": "Bearer t1"}) as ann,
        open_client(app, sessions, headers={"authorization": "Bearer t2"}) as bob,
        open_client(app, sessions) as nobody,
    ):
        answers = await asyncio.gather(*(c.get("/me") for c in (ann, bob, nobody)))
        assert [answer.status_code for answer in answers] == [200, 200, 401]
        assert [answer.json() for answer in answers[:2]] == ["ann", "bob"]

        # Signed in by a cookie: the client keeps it, as a browser does.
        assert (await nobody.post("/login?token=t2")).status_code == 200
        assert (await nobody.get("/me")).json() == "bob"


@pytest.mark.trap("no-lifespan")
async def test_httpx_alone_does_not_start_the_application() -> None:
    app = new_app(lifespan=with_a_task_group)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://t") as client:
        with pytest.raises(AttributeError, match="greeting"):
            await client.get("/greeting")


@pytest.mark.trap("cancel-scope")
async def test_a_task_group_of_the_lifespan_outlives_the_task_of_the_fixture(
    sessions: Sessions,
) -> None:
    log.clear()
    app = new_app(lifespan=with_a_task_group)
    direct = app.router.lifespan_context(app)
    await asyncio.create_task(entered(direct))
    with pytest.raises(RuntimeError, match="different task"):
        await direct.__aexit__(None, None, None)

    client_context = open_client(app, sessions, headers={"user": "me"})
    client = await asyncio.create_task(entered(client_context))
    assert (await client.get("/greeting")).json() == "hello me"
    assert log == ["started", "started"]
    await client_context.__aexit__(None, None, None)
    assert log == ["started", "started", "stopped"]


async def entered(context: Any) -> Any:
    return await context.__aenter__()


async def test_what_the_application_raises_reaches_the_test(
    sessions: Sessions,
) -> None:
    @asynccontextmanager
    async def fails_to_stop(app: FastAPI) -> AsyncGenerator[None, None]:
        yield
        raise OSError("stop")

    @asynccontextmanager
    async def fails_to_start(app: FastAPI) -> AsyncGenerator[None, None]:
        raise OSError("start")
        yield

    with pytest.raises(OSError, match="start"):
        async with open_client(new_app(lifespan=fails_to_start), sessions):
            pass
    with pytest.raises(OSError, match="stop"):
        async with open_client(new_app(lifespan=fails_to_stop), sessions) as client:
            with pytest.raises(ZeroDivisionError):
                await client.get("/broken")


async def test_the_sessions_of_the_test_take_the_place_of_the_lifespan_s(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    async with open_client(new_app(lifespan=lifespan), sessions) as client:
        await client.post("/songs?title=one")

    assert await titles(sessions) == ["one"]
