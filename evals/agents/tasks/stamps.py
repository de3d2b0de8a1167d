"""Adoption: timestamps on every table of a project that keeps its Base and its rows."""

from __future__ import annotations

import json
import re

from evals.agents.task import Task, Work, want
from evals.agents.tasks import shop

PROMPT = """\
Every table of this shop needs `created_at` and `updated_at`: not null, aware (UTC),
and `updated_at` must move with every change that shop/service.py makes, the bulk one as
well. Production (PostgreSQL, DATABASE_URL) has rows already: `alembic upgrade head` has
to work there and to fill the columns of those rows. Keep our Base and our layout.
"""

REVISION = """\
\"\"\"timestamps\"\"\"

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    for table in ("customer", "orders"):
        for name in ("created_at", "updated_at"):
            op.add_column(
                table,
                sa.Column(
                    name,
                    sa.DateTime(timezone=True),
                    nullable=False,
                    server_default=sa.text("now()"),
                ),
            )


def downgrade():
    for table in ("customer", "orders"):
        for name in ("created_at", "updated_at"):
            op.drop_column(table, name)
"""

BASE = """\
from sqlalchemy import DateTime

from ..database import Base as Base


class UtcDateTime(DateTime):
    def __init__(self):
        super().__init__(timezone=True)
"""


def reference(work: Work) -> None:
    work.write({"shop/db/base.py": BASE})
    work.add("timestamps", "--into", "shop/db")
    for model in ("Customer", "Order"):
        work.replace(
            "shop/models.py", f"class {model}(Base)", f"class {model}(Timestamps, Base)"
        )
    work.replace(
        "shop/models.py",
        "from .database import Base\n",
        "from .database import Base\nfrom .db.timestamps import Timestamps\n",
    )
    work.write({"migrations/versions/0002_timestamps.py": REVISION})


def listens_to_the_orm(work: Work) -> None:
    """An event of the unit of work: no bulk statement passes there."""
    reference(work)
    work.replace(
        "shop/db/timestamps.py",
        "insert_default=now, onupdate=now, ",
        "insert_default=now, ",
    )
    models = (work.path / "shop/models.py").read_text(encoding="utf-8")
    listener = (
        '\n\n@event.listens_for(Base, "before_update", propagate=True)\n'
        "def touch(mapper, connection, target):\n"
        "    target.updated_at = datetime.now(UTC)\n"
    )
    head = "from datetime import UTC, datetime\n\nfrom sqlalchemy import event\n"
    work.write({"shop/models.py": head + models + listener})


def forgets_the_rows(work: Work) -> None:
    reference(work)
    name = "migrations/versions/0002_timestamps.py"
    work.replace(name, '                    server_default=sa.text("now()"),\n', "")


def a_second_base(work: Work) -> None:
    """add.py with all that it brings, beside what was there."""
    reference(work)
    (work.path / "shop/db/base.py").unlink()
    work.add("timestamps", "--into", "shop/db")
    work.replace(
        "shop/models.py", "from .database import Base\n", "from .db.base import Base\n"
    )


OLD = "2001-01-01T00:00:00+00:00"
PLACE = """\
import asyncio
from sqlalchemy import text
from shop.database import make

async def main():
    engine, sessions = make()
    async with sessions.begin() as session:
        await session.execute(text("INSERT INTO customer (email) VALUES ('old')"))
        order = "INSERT INTO orders (customer_id, total) SELECT id, 5 FROM customer"
        await session.execute(text(order))
    await engine.dispose()

asyncio.run(main())
"""
CHANGE = f"""\
import asyncio, json
from sqlalchemy import text
from shop import service
from shop.database import make

async def times(session, *tables):
    told = []
    for table in tables:
        asked = f"SELECT created_at, updated_at FROM {{table}} ORDER BY id"
        rows = await session.execute(text(asked))
        told += [[t.isoformat() if t else None for t in row] for row in rows]
    return told

async def main():
    engine, sessions = make()
    told = {{}}
    async with sessions.begin() as session:
        told["migrated"] = await times(session, "customer", "orders")
        await service.place(session, "new", 7)
        told["placed"] = await times(session, "customer", "orders")
    for table in ("customer", "orders"):
        async with sessions.begin() as session:
            old = "SET created_at = '{OLD}', updated_at = '{OLD}'"
            await session.execute(text(f"UPDATE {{table}} {{old}}"))
    async with sessions.begin() as session:
        id = await session.scalar(text("SELECT min(id) FROM customer"))
        await service.rename(session, id, "renamed")
    async with sessions.begin() as session:
        await service.raise_all(session, 1)
    async with sessions.begin() as session:
        told["renamed"] = await times(session, "customer")
        told["raised"] = await times(session, "orders")
    await engine.dispose()
    print(json.dumps(told))

asyncio.run(main())
"""


def changed(work: Work) -> dict[str, list[list[str | None]]]:
    """Upgrade a database that has rows, change them, and tell all the times."""
    url = work.postgres()
    work.run("-m", "alembic", "upgrade", "0001", DATABASE_URL=url)
    work.run("-c", PLACE, DATABASE_URL=url)
    work.run("-m", "alembic", "upgrade", "head", DATABASE_URL=url)
    found: dict[str, list[list[str | None]]] = json.loads(
        work.run("-c", CHANGE, DATABASE_URL=url)
    )
    return found


def filled(work: Work) -> None:
    told = changed(work)
    want(len(told["migrated"]) == 2, "rows were lost")
    for row in told["migrated"] + told["placed"]:
        want(
            all(t and re.search(r"[+-]\d\d:\d\d$", t) for t in row), f"a row has {row}"
        )


def moves(work: Work) -> None:
    told = changed(work)
    moved = [updated != OLD[:10] + OLD[10:] for _, updated in told["renamed"]]
    want(moved == [True, False], f"a rename left {told['renamed']}")
    left = [row for row in told["raised"] if row[1] and row[1].startswith("2001")]
    want(not left, f"the bulk change left {left}")
    kept = [row[0] for row in told["raised"] + told["renamed"]]
    want(all(t and t.startswith("2001") for t in kept), f"created_at moved: {kept}")


def fits(work: Work) -> None:
    url = work.postgres()
    work.run("-m", "alembic", "upgrade", "head", DATABASE_URL=url)
    work.run("-m", "alembic", "check", DATABASE_URL=url)
    work.run("-m", "alembic", "downgrade", "0001", DATABASE_URL=url)
    work.run("-m", "alembic", "upgrade", "head", DATABASE_URL=url)


def one_base(work: Work) -> None:
    out = work.run(
        "-c",
        "from shop import models, database\n"
        "bases = {c.registry for c in (models.Customer, models.Order)}\n"
        "print(bases == {database.Base.registry})",
        DATABASE_URL="postgresql://nobody@localhost/none",
    )
    want(out.strip() == "True", "the models are not on the Base of shop/database.py")


TASK = Task(
    kind="adopt",
    minutes=30,
    prompt=PROMPT,
    start=shop.FILES,
    checks={
        "rows that are there get both times, and so do new ones": filled,
        "updated_at moves with the rename and with the bulk change": moves,
        "the models fit the revisions, which go down and up": fits,
        "the models stay on the project's Base": one_base,
    },
    reference=reference,
    wrong={
        "listens_to_the_orm": listens_to_the_orm,
        "forgets_the_rows": forgets_the_rows,
        "a_second_base": a_second_base,
    },
    databases="postgresql",
)
