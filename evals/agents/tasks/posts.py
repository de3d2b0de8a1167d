"""A feature: pages by cursor over a sort key that ties and may be null."""

from __future__ import annotations

import sqlite3
from typing import Any

import httpx

from evals.agents.task import Task, Work, status, want

PROMPT = """\
GET /posts returns all posts, and there are too many now. Give it pages by cursor:
`GET /posts?limit=20&cursor=...` answers {"items": [...], "next": "..."}, where `next`
is the cursor of the following page, or null on the last one; limit is 20 by default.

Best score first, posts without a score last, the newest id first among equals. Posts
come and go between two requests: no other post may be shown twice or left out for that.
A cursor that somebody made up is a 4xx, never a 500. POST /posts stays as it is.
"""

DATABASE = """\
import os
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


sessions = async_sessionmaker(expire_on_commit=False)


@asynccontextmanager
async def lifespan(app):
    url = os.environ.get("DATABASE_URL", "sqlite:///posts.db")
    engine = create_async_engine(url.replace("sqlite://", "sqlite+aiosqlite://", 1))
    sessions.configure(bind=engine)
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()
"""

MODELS = """\
from sqlalchemy.orm import Mapped, mapped_column

from .database import Base


class Post(Base):
    __tablename__ = "post"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    score: Mapped[float | None]
"""

MAIN = """\
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from .database import lifespan, sessions
from .models import Post

app = FastAPI(lifespan=lifespan)


class PostIn(BaseModel):
    title: str
    score: float | None = None


class PostOut(PostIn):
    model_config = ConfigDict(from_attributes=True)

    id: int


@app.post("/posts", status_code=201)
async def add_post(new: PostIn) -> PostOut:
    async with sessions.begin() as session:
        post = Post(**new.model_dump())
        session.add(post)
    return PostOut.model_validate(post)


@app.get("/posts")
async def list_posts() -> list[PostOut]:
    async with sessions() as session:
        found = await session.scalars(select(Post))
        return [PostOut.model_validate(post) for post in found]
"""

START = {
    "app/database.py": DATABASE,
    "app/models.py": MODELS,
    "app/main.py": MAIN,
    ".gitignore": "*.db\n",
}

LISTED = MAIN[MAIN.index('@app.get("/posts")') :]
PAGED = """\
class Posts(BaseModel):
    items: list[PostOut]
    next: str | None


@app.get("/posts")
async def list_posts(limit: Annotated[int, Query(ge=1, le=100)] = 20,
                     cursor: str | None = None) -> Posts:
"""
HEAD = """\
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
"""


def paged(work: Work, body: str, imports: str = "") -> None:
    work.replace("app/main.py", LISTED, PAGED + body)
    work.replace("app/main.py", "from fastapi import FastAPI\n", HEAD + imports)


def reference(work: Work) -> None:
    work.add("keyset_pagination")
    paged(
        work,
        "    try:\n"
        "        async with sessions() as session:\n"
        "            page = await ORDER.fetch(\n"
        "                session, select(Post), size=limit, cursor=cursor\n"
        "            )\n"
        "    except InvalidCursor as error:\n"
        "        raise HTTPException(422, str(error)) from None\n"
        "    return Posts(\n"
        "        items=[PostOut.model_validate(post) for post in page.items],\n"
        "        next=page.next_cursor,\n"
        "    )\n",
    )
    work.replace(
        "app/main.py",
        "from .models import Post\n",
        "from .db.cursor_codec import InvalidCursor\n"
        "from .db.keyset_pagination import Keyset\n"
        "from .models import Post\n\n"
        "ORDER = Keyset(Post, Post.score.desc().nulls_last(), Post.id.desc())\n",
    )


def counts_rows(work: Work) -> None:
    """A cursor that is an offset: rows that come or go shift all that follow."""
    paged(
        work,
        "    if cursor is not None and not cursor.isdecimal():\n"
        "        raise HTTPException(422)\n"
        "    skip = int(cursor or 0)\n"
        "    order = Post.score.desc().nulls_last(), Post.id.desc()\n"
        "    stmt = select(Post).order_by(*order).offset(skip).limit(limit + 1)\n"
        "    async with sessions() as session:\n"
        "        found = list(await session.scalars(stmt))\n"
        "    more = str(skip + limit) if len(found) > limit else None\n"
        "    items = [PostOut.model_validate(post) for post in found[:limit]]\n"
        "    return Posts(items=items, next=more)\n",
    )


def forgets_null(work: Work) -> None:
    """The comparison that everybody writes; nothing compares with NULL."""
    paged(
        work,
        "    order = Post.score.desc().nulls_last(), Post.id.desc()\n"
        "    stmt = select(Post).order_by(*order).limit(limit + 1)\n"
        "    if cursor is not None:\n"
        "        try:\n"
        "            score, last = json.loads(cursor)\n"
        "            after = (Post.score < score) | (\n"
        "                (Post.score == score) & (Post.id < int(last))\n"
        "            )\n"
        "        except (TypeError, ValueError):\n"
        "            raise HTTPException(422) from None\n"
        "        stmt = stmt.where(after)\n"
        "    async with sessions() as session:\n"
        "        found = list(await session.scalars(stmt))\n"
        "    items = [PostOut.model_validate(post) for post in found[:limit]]\n"
        "    more = json.dumps([items[-1].score, items[-1].id])\n"
        "    return Posts(items=items, next=more if len(found) > limit else None)\n",
        "import json\n",
    )


def fill(web: httpx.Client) -> list[dict[str, Any]]:
    """Store posts with ties and without scores; return them in the order asked for."""
    scores = [
        3.0,
        None,
        1.5,
        3.0,
        None,
        0.1,
        1.5,
        None,
        3.0,
        2.0,
        -1.0,
        0.30000000000000004,
    ]
    made = [
        status(web.post("/posts", json={"title": f"p{n}", "score": score}), 201)
        for n, score in enumerate(scores)
    ]
    return sorted(
        made, key=lambda p: (p["score"] is None, -(p["score"] or 0), -p["id"])
    )


def page(web: httpx.Client, cursor: str | None, limit: int = 3) -> dict[str, Any]:
    asked = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
    found: dict[str, Any] = status(web.get("/posts", params=asked), 200)
    return found


def walk(web: httpx.Client, cursor: str | None, limit: int = 3) -> list[Any]:
    seen: list[Any] = []
    for _ in range(30):
        got = page(web, cursor, limit)
        want(len(got["items"]) <= limit, "a page holds more than its limit")
        seen += got["items"]
        cursor = got["next"]
        if cursor is None:
            return seen
    return seen


def whole(work: Work) -> None:
    with work.serving(DATABASE_URL=f"sqlite:///{work.scratch}/walk.db") as web:
        truth = fill(web)
        for limit in (1, 2, 5, 12, 50):
            seen = walk(web, None, limit)
            ids = [post["id"] for post in seen], [post["id"] for post in truth]
            want(ids[0] == ids[1], f"with limit {limit}: {ids[0]}, not {ids[1]}")


def moving(work: Work) -> None:
    file = work.scratch / "moving.db"
    with work.serving(DATABASE_URL=f"sqlite:///{file}") as web:
        truth = fill(web)
        first = page(web, None, 4)
        for title in ("new", "newer"):
            status(web.post("/posts", json={"title": title, "score": 9.0}), 201)
        gone = [truth[3]["id"], truth[5]["id"]]  # one is what the cursor stands on
        with sqlite3.connect(file) as conn:
            conn.execute("DELETE FROM post WHERE id IN (?, ?)", gone)
        conn.close()
        seen = [post["id"] for post in first["items"] + walk(web, first["next"], 4)]
        left = [post["id"] for post in truth if post["id"] != truth[5]["id"]]
        want(seen == left, f"{seen}, not {left}")


def made_up(work: Work) -> None:
    with work.serving(DATABASE_URL=f"sqlite:///{work.scratch}/made.db") as web:
        fill(web)
        cursor = page(web, None)["next"]
        for bad in (
            "x",
            "-1",
            "null",
            "[]",
            '["a", "b"]',
            cursor[:-2],
            cursor + "%00",
            "A" * 5000,
        ):
            code = web.get("/posts", params={"cursor": bad}).status_code
            want(code < 500, f"cursor {bad[:20]!r}: {code}")
        code = web.get("/posts", params={"cursor": "no cursor of ours"}).status_code
        want(400 <= code < 500, f"nonsense is answered with {code}")


TASK = Task(
    kind="feature",
    minutes=30,
    prompt=PROMPT,
    start=START,
    checks={
        "every post is shown once, in the order asked for, with any limit": whole,
        "posts that come and go make no other post repeat or vanish": moving,
        "a cursor that somebody made up is never a 500": made_up,
    },
    reference=reference,
    wrong={"counts_rows": counts_rows, "forgets_null": forgets_null},
)
