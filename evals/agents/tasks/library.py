"""Greenfield: a service from nothing, on two databases, with migrations and tests."""

from __future__ import annotations

import re
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor

from evals.agents.task import Task, Unmet, Work, status, want

PROMPT = """\
Write a small FastAPI service for our library, `app.main:app`, in this empty repository.

- POST /books takes {"isbn": ..., "title": ...} and answers 201 with the book and its
  id, or 409 if that isbn is there already.
- GET /books/{id} answers the book, or 404.
- GET /books lists all of them, as an array.

It stores them in the database that DATABASE_URL names: `sqlite:///books.db` on a
laptop, `postgresql://...` in production. The tables come from `alembic upgrade head`
and only from there. Several people add books at the same time. Add tests for pytest.
"""

START = {"README.md": "# Library\n", ".gitignore": "*.db\n.venv/\n__pycache__/\n"}

MODELS = """\
from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .db.base import Base as Base


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str] = mapped_column(String(20), unique=True)
    title: Mapped[str] = mapped_column(String(300))
"""

MAIN = """\
from __future__ import annotations

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from .db.fastapi_session import ReadSessionDep, SessionDep, lifespan
from .models import Book

app = FastAPI(lifespan=lifespan)


class BookIn(BaseModel):
    isbn: str
    title: str


class BookOut(BookIn):
    model_config = ConfigDict(from_attributes=True)

    id: int


@app.post("/books", status_code=201, response_model=BookOut)
async def add_book(new: BookIn, session: SessionDep) -> Book:
    book = Book(isbn=new.isbn, title=new.title)
    try:
        async with session.begin_nested():
            session.add(book)
    except IntegrityError:
        raise HTTPException(409, f"isbn {new.isbn} is there already") from None
    return book


@app.get("/books", response_model=list[BookOut])
async def list_books(session: ReadSessionDep) -> list[Book]:
    return list(await session.scalars(select(Book).order_by(Book.id)))


@app.get("/books/{book_id}", response_model=BookOut)
async def read_book(book_id: int, session: ReadSessionDep) -> Book:
    book = await session.get(Book, book_id)
    if book is None:
        raise HTTPException(404)
    return book
"""

TESTS = """\
import pytest


@pytest.mark.parametrize("database", ["sqlite"])
async def test_an_isbn_is_taken_once(client):
    book = {"isbn": "1", "title": "Emma"}
    assert (await client.post("/books", json=book)).status_code == 201
    assert (await client.post("/books", json=book)).status_code == 409
    assert [b["title"] for b in (await client.get("/books")).json()] == ["Emma"]
"""


def reference(work: Work) -> None:
    work.add("starter", "--bare")
    work.write(
        {"app/models.py": MODELS, "app/main.py": MAIN, "tests/test_books.py": TESTS}
    )
    words = ["-m", "alembic", "revision", "--autogenerate", "-m", "books"]
    url = f"sqlite:///{work.scratch}/empty.db"
    work.run(*words, DATABASE_URL=url)


def looks_before_it_inserts(work: Work) -> None:
    """No constraint: two requests look at the same time and both insert."""
    reference(work)
    work.replace("app/models.py", ", unique=True", "")
    (revision,) = work.path.glob("migrations/versions/*.py")
    text = revision.read_text(encoding="utf-8")
    kept = re.sub(r"\n *sa\.UniqueConstraint\(.*\),", "", text)
    revision.write_text(kept, encoding="utf-8")
    work.replace(
        "app/main.py",
        "    try:\n        async with session.begin_nested():\n"
        "            session.add(book)\n    except IntegrityError:\n"
        '        raise HTTPException(409, f"isbn {new.isbn} is there already")'
        " from None\n",
        "    if await session.scalar(select(Book).where(Book.isbn == new.isbn)):\n"
        "        raise HTTPException(409)\n"
        "    await asyncio.sleep(0.05)  # what a request does besides\n"
        "    session.add(book)\n    await session.flush()\n",
    )
    work.replace(
        "app/main.py", "from fastapi import", "import asyncio\n\nfrom fastapi import"
    )


def creates_tables_at_start(work: Work) -> None:
    reference(work)
    work.replace(
        "app/main.py",
        "app = FastAPI(lifespan=lifespan)\n",
        "@asynccontextmanager\nasync def start(app):\n"
        "    async with lifespan(app):\n"
        "        async with app.state.sessions() as session:\n"
        "            conn = await session.connection()\n"
        "            await conn.run_sync(Book.metadata.create_all)\n"
        "            await session.commit()\n"
        "        yield\n\n\napp = FastAPI(lifespan=start)\n",
    )
    work.replace(
        "app/main.py", "from fastapi import",
        "from contextlib import asynccontextmanager\n\nfrom fastapi import",
    )  # fmt: skip


def migrated(work: Work, name: str) -> str:
    """Return the URL of a migrated database of SQLite; alembic runs once for all."""
    made, own = work.scratch / "migrated.db", work.scratch / f"{name}.db"
    if not made.exists():
        work.run("-m", "alembic", "upgrade", "head", DATABASE_URL=f"sqlite:///{made}")
        want(made.exists(), "alembic upgrade head made no database")
    shutil.copy(made, own)
    return f"sqlite:///{own}"


def tables_come_from_alembic(work: Work) -> None:
    url = migrated(work, "alembic")
    work.run("-m", "alembic", "check", DATABASE_URL=url)
    empty = work.scratch / "nothing.db"
    try:
        with work.serving(DATABASE_URL=f"sqlite:///{empty}") as web:
            web.get("/books")
    except Unmet:
        pass  # it may refuse to start on an empty database
    with sqlite3.connect(empty) as conn:
        made = conn.execute("SELECT name FROM sqlite_master").fetchall()
    conn.close()
    want(made == [], f"the application made {made} itself")


def stored(work: Work) -> None:
    url = migrated(work, "stored")
    with work.serving(DATABASE_URL=url) as web:
        made = status(web.post("/books", json={"isbn": "1", "title": "Emma"}), 201)
        want((made["isbn"], made["title"]) == ("1", "Emma"), f"it answered {made}")
        status(web.get(f"/books/{made['id'] + 1}"), 404)
        status(web.post("/books", json={"isbn": "1", "title": "Ivanhoe"}), 409)
    with work.serving(DATABASE_URL=url) as web:
        found = status(web.get(f"/books/{made['id']}"), 200)
        want(found == made, f"after a restart it is {found}")
        want(status(web.get("/books"), 200) == [made], "the list differs")


def on_postgresql(work: Work) -> None:
    url = work.postgres()
    work.run("-m", "alembic", "upgrade", "head", DATABASE_URL=url)
    with work.serving(DATABASE_URL=url) as web:
        status(web.get("/books"), 200)
        book = {"isbn": "2", "title": "Emma"}
        with ThreadPoolExecutor(10) as pool:
            asked = [pool.submit(web.post, "/books", json=book) for _ in range(10)]
            codes = sorted(answer.result().status_code for answer in asked)
        want(codes == [201] + [409] * 9, f"they answered {codes}")
        want(len(status(web.get("/books"), 200)) == 1, "it is stored more than once")


def own_tests(work: Work) -> None:
    out = work.run("-m", "pytest", "-q", DATABASE_URL=f"sqlite:///{work.scratch}/t.db")
    want(re.search(r"\b[1-9]\d* passed", out), f"no test ran: {out[-300:]}")


TASK = Task(
    kind="greenfield",
    minutes=60,
    prompt=PROMPT,
    start=START,
    checks={
        "tables come from alembic upgrade head and only from there": (
            tables_come_from_alembic
        ),
        "a book is stored, survives a restart, and its isbn is taken once": stored,
        "of ten equal requests at once PostgreSQL stores one, and nine are 409": (
            on_postgresql
        ),
        "its own tests pass": own_tests,
    },
    reference=reference,
    wrong={
        "looks_before_it_inserts": looks_before_it_inserts,
        "creates_tables_at_start": creates_tables_at_start,
    },
)
