"""A live schema: an index for a table that is written to all day."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import asyncpg

from evals.agents.task import Task, Work, want
from evals.agents.tasks import shop

PROMPT = """\
`orders` has 40 million rows in production (PostgreSQL, DATABASE_URL) and is written to
all day. Looking up the orders of a customer is slow: give `customer_id` an index, in
the model and in a revision. `alembic upgrade head` runs during the day, and no request
that writes an order may wait for it. There are always some requests in the middle of a
transaction.
"""

HEAD = '''\
"""index of the customer's orders"""

from alembic import op

revision = "0002"
down_revision = "0001"


'''
PLAIN = (
    HEAD
    + """\
def upgrade():
    op.create_index("ix_orders_customer_id", "orders", ["customer_id"])


def downgrade():
    op.drop_index("ix_orders_customer_id", table_name="orders")
"""
)
IMPORT = "from shop.db.online_index import create_index, drop_index"
ONLINE = (
    HEAD.replace("from alembic import op", IMPORT)
    + """\
def upgrade():
    create_index("ix_orders_customer_id", "orders", ["customer_id"])


def downgrade():
    drop_index("ix_orders_customer_id")
"""
)
NAME = "migrations/versions/0002_index_orders.py"


def declared(work: Work) -> None:
    work.replace(
        "shop/models.py",
        'ForeignKey("customer.id")',
        'ForeignKey("customer.id"), index=True',
    )


def reference(work: Work) -> None:
    work.add("online_index", "--into", "shop/db")
    declared(work)
    work.write({NAME: ONLINE})


def plain(work: Work) -> None:
    """What autogenerate writes."""
    declared(work)
    work.write({NAME: PLAIN})


def in_the_database_only(work: Work) -> None:
    """The next autogenerate would drop it."""
    reference(work)
    work.replace("shop/models.py", ", index=True", "")


def nothing_waits(work: Work) -> None:
    url = work.postgres()
    work.run("-m", "alembic", "upgrade", "0001", DATABASE_URL=url)
    words = [sys.executable, "-m", "alembic", "upgrade", "head"]
    env = work.project.environment({"DATABASE_URL": url})

    def upgrade() -> subprocess.Popen[str]:
        return subprocess.Popen(
            words, cwd=work.path, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    said = asyncio.run(beside(url, upgrade))
    want(not said, said)


INSERT = "INSERT INTO orders (customer_id, total) VALUES (1, 1)"
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def beside(url: str, upgrade: Any) -> str:
    """Write while the upgrade runs; return what was wrong.

    One request is in the middle of its transaction. Once the upgrade waits for it, or
    is through, another request writes: it must not have to wait behind the upgrade.
    """
    one, two = await asyncpg.connect(url), await asyncpg.connect(url)
    await one.execute("INSERT INTO customer (id, email) VALUES (1, 'a')")
    try:
        begun = one.transaction()
        await begun.start()
        await one.execute(INSERT)
        process = upgrade()
        try:
            while process.poll() is None and not await two.fetchval(WAITING):
                await two.execute("SELECT pg_sleep(0.02)")
            try:
                await two.execute("SET lock_timeout = '1s'")
                await two.execute(INSERT)
            except asyncpg.LockNotAvailableError:
                return "a request that writes waits for the upgrade"
            finally:
                await begun.commit()
            out, _ = await asyncio.to_thread(process.communicate, timeout=60)
            if process.returncode:
                return f"the upgrade failed: {out[-500:]}"
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        rows = await two.fetchval("SELECT count(*) FROM orders")
        return "" if rows == 2 else f"{rows} rows, not 2"
    finally:
        await one.close()
        await two.close()


USABLE = """
SELECT count(*) FROM pg_index
WHERE indrelid = 'orders'::regclass AND indisvalid
AND pg_get_indexdef(indexrelid) LIKE '%(customer_id%'
"""


def usable(work: Work) -> None:
    url = work.postgres()
    work.run("-m", "alembic", "upgrade", "head", DATABASE_URL=url)

    async def count() -> int:
        conn = await asyncpg.connect(url)
        try:
            return int(await conn.fetchval(USABLE))
        finally:
            await conn.close()

    want(asyncio.run(count()) == 1, "there is no valid index on customer_id")
    work.run("-m", "alembic", "check", DATABASE_URL=url)


TASK = Task(
    kind="live-schema",
    minutes=15,
    prompt=PROMPT,
    start=shop.FILES,
    checks={
        "the index is valid, and the model and the revision agree": usable,
        "no request waits while the index is built beside an open transaction": (
            nothing_waits
        ),
    },
    reference=reference,
    wrong={"plain": plain, "in_the_database_only": in_the_database_only},
    databases="postgresql",
)
