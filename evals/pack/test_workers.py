"""Sessions outside a web server: one engine for each event loop, in every process."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import URL

from evals.harness.project import Project

JOBS = """\
import asyncio

from sqlalchemy import text

from app.db.session import open_sessions
from app.db.settings import DatabaseSettings


async def count_to(number):
    async with open_sessions(DatabaseSettings().engine()) as sessions:
        async with sessions.begin() as session:
            return await session.scalar(text(f"SELECT {number}"))


def job(number):
    return asyncio.run(count_to(number))
"""


@pytest.fixture
def jobs(project: Project, fresh_database: URL) -> Project:
    """A project with the copied session, and jobs that use it as the page says."""
    project.add("session", "settings")
    project.write({"jobs.py": JOBS})
    project.env["DATABASE_URL"] = fresh_database.render_as_string(hide_password=False)
    return project


def test_a_script_runs_several_loops(jobs: Project) -> None:
    jobs.write({"script.py": "from jobs import job\nprint(job(1), job(2), job(3))\n"})
    assert jobs.run("-W", "error", "script.py").stdout == "1 2 3\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_a_pool_inherit_no_connection(jobs: Project, method: str) -> None:
    """As gunicorn with --preload, Celery's prefork and multiprocessing do."""
    script = f"""\
import multiprocessing
from jobs import job

if __name__ == "__main__":
    print(job(0))  # the parent has used the database before it forks
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        print(pool.map(job, range(1, 7)))
    print(job(7))
"""
    jobs.write({"pool.py": script})
    assert jobs.run("pool.py").stdout == "0\n[1, 2, 3, 4, 5, 6]\n7\n"


def test_a_connection_that_is_inherited_breaks_the_child(
    jobs: Project, database: str
) -> None:
    script = """\
import asyncio, os, signal
from sqlalchemy import text
from app.db.settings import DatabaseSettings

engine = DatabaseSettings().engine()  # at module level, kept over the fork
loop = asyncio.new_event_loop()

async def ask():
    async with engine.connect() as conn:
        return await conn.scalar(text("SELECT 1"))

print(loop.run_until_complete(ask()), flush=True)
if os.fork() == 0:
    signal.alarm(3)  # it may hang
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        print(asyncio.run(ask()), flush=True)
        os._exit(0)
    except BaseException:
        os._exit(1)
status = os.wait()[1]
print("broken" if status else "fine", flush=True)
os._exit(0)
"""
    jobs.write({"inherit.py": script})
    printed = jobs.run("-W", "ignore", "inherit.py").stdout.split()
    # On both: asyncpg's socket has two users, aiosqlite's thread stayed behind.
    assert printed == ["1", "broken"], database


NOTEBOOK = """\
import ast, asyncio, types

CELLS = '''
from app.db.session import open_sessions
from app.db.settings import DatabaseSettings
from sqlalchemy import text
---
engine = DatabaseSettings().engine()
opened = open_sessions(engine)
sessions = await opened.__aenter__()
---
async with sessions.begin() as session:
    print(await session.scalar(text("SELECT 41")))
---
async with sessions.begin() as session:
    print(await session.scalar(text("SELECT 42")))
---
await engine.dispose()
'''
names = {}
with asyncio.Runner() as runner:  # a notebook's cells share one loop
    for cell in CELLS.split("---"):
        code = compile(cell, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        made = types.FunctionType(code, names)()
        if made is not None:
            runner.run(made)
"""


def test_the_cells_of_a_notebook_share_one_loop_and_one_engine(jobs: Project) -> None:
    jobs.write({"notebook.py": NOTEBOOK})
    assert jobs.run("-W", "error::ResourceWarning", "notebook.py").stdout == "41\n42\n"


CELERY = """\
from celery import Celery
from jobs import job

app = Celery("tasks", broker="filesystem://", backend="file://results")
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue",
    "control_folder": "control",
}
app.conf.worker_hijack_root_logger = False


@app.task
def add(number):
    return job(number)
"""


def test_celery_runs_each_task_in_a_loop_of_its_own(jobs: Project) -> None:
    jobs.write({"tasks.py": CELERY, "queue/.keep": "", "results/.keep": ""})
    send = (
        "from tasks import add\n"
        "sent = [add.delay(number) for number in range(8)]\n"
        "print([one.get(timeout=60) for one in sent])\n"
    )
    worker = ("-m", "celery", "-A", "tasks", "worker", "-P", "prefork", "-c", "2")
    with jobs.running(*worker, "--loglevel", "error", "--without-mingle"):
        printed = jobs.run("-c", send, timeout=90).stdout
    assert printed == "[0, 1, 2, 3, 4, 5, 6, 7]\n"


def test_uvicorns_workers_open_a_database_each(jobs: Project) -> None:
    """The lifespan runs in every process; nothing connects at import."""
    jobs.add("fastapi_session")
    probe = (
        "import sys\n"
        "from fastapi import FastAPI\n"
        "from app.db.fastapi_session import lifespan\n"
        "app = FastAPI(lifespan=lifespan)\n"
        "assert 'asyncpg' not in sys.modules and 'aiosqlite' not in sys.modules\n"
    )
    jobs.write({"web.py": probe})
    done = subprocess.run(
        [sys.executable, "-c", "import web"],
        cwd=jobs.path,
        env=jobs.environment({"DATABASE_URL": "postgresql://127.0.0.1:1/none"}),
        check=False,
    )
    assert done.returncode == 0
