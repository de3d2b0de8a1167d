"""An arq worker, which has one event loop: its hooks open and close the database."""

from __future__ import annotations

from sqlalchemy import URL

from evals.harness.project import Project

WORKER = """\
from contextlib import AsyncExitStack

from arq.connections import RedisSettings
from sqlalchemy import text

from app.db.session import open_sessions
from app.db.settings import DatabaseSettings


async def startup(ctx):
    ctx["stack"] = AsyncExitStack()
    opened = open_sessions(DatabaseSettings().engine())
    ctx["sessions"] = await ctx["stack"].enter_async_context(opened)


async def shutdown(ctx):
    await ctx["stack"].aclose()


async def add(ctx, number):
    async with ctx["sessions"].begin() as session:
        return await session.scalar(text(f"SELECT {number} + 1"))


class WorkerSettings:
    functions = [add]
    on_startup = startup
    on_shutdown = shutdown
    redis_settings = RedisSettings.from_dsn("@REDIS@")
    burst = True
    max_jobs = 4
"""

SEND = """\
import asyncio, sys
from arq import create_pool
from worker import WorkerSettings

async def main(collect):
    pool = await create_pool(WorkerSettings.redis_settings)
    from arq.jobs import Job
    for number in range(12):
        if collect:
            print(await Job(str(number), pool).result(timeout=10))
        else:
            await pool.enqueue_job("add", number, _job_id=str(number))
    await pool.aclose()

asyncio.run(main(sys.argv[1] == "collect"))
"""


async def test_jobs_of_a_worker_share_one_engine(
    project: Project, fresh_database: URL, redis: str
) -> None:
    project.add("session", "settings")
    project.write({"worker.py": WORKER.replace("@REDIS@", redis), "send.py": SEND})
    project.env["DATABASE_URL"] = fresh_database.render_as_string(hide_password=False)
    project.run("send.py", "send")
    project.run("-m", "arq", "worker.WorkerSettings")
    printed = project.run("send.py", "collect").stdout.split()
    assert printed == [str(number + 1) for number in range(12)]
