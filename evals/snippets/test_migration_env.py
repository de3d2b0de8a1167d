"""Evals for snippets/migration_env.py, and for the starter's Alembic files."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.config import fileConfig
from pathlib import Path
from typing import Any

import pytest
from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from fastapi import FastAPI
from sqlalchemy import URL, Connection, inspect, pool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from evals.harness.migrations import History, Migrated
from evals.harness.project import ROOT, Project
from snippets.database_url import InvalidDatabaseURL
from snippets.engine import new_engine
from snippets.migration_env import run_env
from snippets.migration_lock import migration_lock

CREATE = """
def upgrade():
    op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))


def downgrade():
    op.drop_table("{table}")
"""
FAIL = """
def upgrade():
    op.create_table("third", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("SELECT * FROM nowhere")


def downgrade():
    pass
"""
PARCEL = """
class Parcel(Base):
    __tablename__ = "parcel"
    id: Mapped[int] = mapped_column(primary_key=True)


class First(Base):
    __tablename__ = "first"
    id: Mapped[int] = mapped_column(primary_key=True)


class Second(Base):
    __tablename__ = "second"
    id: Mapped[int] = mapped_column(primary_key=True)
"""


@pytest.fixture
def history(empty_history: History) -> History:
    """Two revisions, a table each."""
    empty_history.revision("r1", None, CREATE.format(table="first"))
    empty_history.revision("r2", "r1", CREATE.format(table="second"))
    return empty_history


async def tables(history: History) -> set[str]:
    return set(await history.inspect(lambda c: inspect(c).get_table_names()))


def plain_env(history: History, **options: Any) -> Any:
    """What Alembic's own template does."""

    def migrate(connection: Connection) -> None:
        context.configure(
            connection=connection,
            target_metadata=history.module.Base.metadata,
            **options,
        )
        with context.begin_transaction():
            context.run_migrations()

    async def online() -> None:
        engine = create_async_engine(history.url, poolclass=pool.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
        await engine.dispose()

    def env() -> None:
        connection = context.config.attributes.get("connection")
        if connection is not None:
            migrate(connection)
            return
        main = online()
        try:
            asyncio.run(main)
        finally:
            main.close()

    return env


async def test_the_starters_models_and_revisions_agree(
    project: Project, fresh_database: URL
) -> None:
    starter = Migrated(project, fresh_database, bare=False)
    job = (ROOT / "evals/snippets/migrations_ci.yaml").read_text(encoding="utf-8")
    commands = re.findall(r"run: uv run alembic (.*)", job)
    done = {line: starter.alembic(*line.split(" > ")[0].split()) for line in commands}
    upgrade, check, current, sql = done.values()
    assert "Running upgrade  -> 5c1f0e7a2b64, Example: create note" in upgrade.stderr
    assert "No new upgrade operations" in check.stdout
    assert "5c1f0e7a2b64 (head)" in current.stdout
    assert "CREATE TABLE note" in sql.stdout


async def test_the_command_line_prints_a_message_instead_of_a_traceback(
    project: Project, fresh_database: URL, database: str
) -> None:
    starter = Migrated(project, fresh_database)
    nowhere = {"sqlite": "sqlite:////no/x.db", "postgresql": "postgresql://u@[::1]:1/x"}
    message = {"sqlite": "create /no", "postgresql": "cannot be reached"}
    url = {"DATABASE_URL": nowhere[database]}
    assert message[database] in starter.fails("upgrade", "head", env=url)
    assert "no database is configured" in starter.fails(
        "upgrade", "head", env={"DATABASE_URL": ""}
    )


async def test_a_new_revision_is_named_by_the_utc_day(
    project: Project, fresh_database: URL
) -> None:
    starter = Migrated(project, fresh_database)
    done = starter.alembic("revision", "--autogenerate", "-m", "create note")
    assert "Detected added table 'note'" in done.stderr
    (file,) = starter.versions.glob("*.py")
    created = file.read_text(encoding="utf-8").split("Created: ")[1].split("\n")[0]
    assert created.endswith("+00:00")
    stamp = created.replace("-", "_").replace(" ", "_").replace(":", "")[:15]
    assert file.name.startswith(stamp)
    assert file.name.endswith("_create_note.py")
    assert await starter.inspect(lambda c: not inspect(c).has_table("note"))


@pytest.mark.trap("running-loop")
async def test_it_migrates_while_an_event_loop_runs(history: History) -> None:
    with pytest.raises(RuntimeError, match="cannot be called from a running event"):
        history.upgrade(env=plain_env(history))
    assert await tables(history) == set()

    history.upgrade()
    assert await tables(history) == {"first", "second", "alembic_version"}


async def test_it_migrates_in_a_thread_without_an_event_loop(history: History) -> None:
    await asyncio.to_thread(history.upgrade)
    assert await history.version() == "r2"


async def migrate(connection: AsyncConnection, config: Config, revision: str) -> None:
    def run(sync: Connection) -> None:
        config.attributes["connection"] = sync
        command.upgrade(config, revision)

    await connection.run_sync(run)


async def test_it_migrates_on_the_connection_that_it_is_given(
    history: History,
) -> None:
    def no_url() -> URL:
        raise AssertionError

    def env() -> None:
        module = history.module
        run_env(module.Base.metadata, no_url, models=module, lock_timeout=1)

    engine = new_engine(history.url)
    async with engine.connect() as connection:
        for revision in ("r1", "r2"):
            await migrate(connection, history.config(env), revision)
            assert not connection.in_transaction()
            assert await history.version() == revision
    await engine.dispose()
    assert await tables(history) == {"first", "second", "alembic_version"}


@pytest.mark.trap("open-transaction")
async def test_a_connection_with_an_open_transaction_is_refused(
    history: History, database: str
) -> None:
    async def upgrade(env: Any) -> None:
        engine = new_engine(history.url)
        try:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                await migrate(connection, history.config(env), "head")
        finally:
            await engine.dispose()

    await upgrade(plain_env(history))  # succeeds, and everything is rolled back
    assert "first" not in await tables(history)

    with pytest.raises(CommandError, match="has an open transaction"):
        await upgrade(history.env)


@pytest.mark.trap("half-applied")
async def test_a_revision_that_fails_leaves_nothing_and_keeps_those_before(
    history: History, database: str
) -> None:
    file = history.revision("r3", "r2", FAIL)
    with pytest.raises(Exception, match="nowhere"):
        await asyncio.to_thread(history.upgrade, env=plain_env(history))
    left = {
        "sqlite": {"first", "second", "third", "alembic_version"},
        "postgresql": set(),
    }
    assert await tables(history) == left[database]
    if database == "sqlite":
        await history.read("DROP TABLE third")

    with pytest.raises(Exception, match="nowhere"):
        history.upgrade()
    assert await tables(history) == {"first", "second", "alembic_version"}
    assert await history.version() == "r2"
    file.unlink()
    history.revision("r3", "r2", CREATE.format(table="third"))
    history.upgrade()
    assert await history.version() == "r3"


@pytest.mark.trap("logging-replaced")
async def test_the_applications_logging_stays_as_it_is(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    def loses_logging() -> None:
        fileConfig(ini, disable_existing_loggers=False)
        history.env()

    ini = history.path / "logging.ini"
    ini.write_text(
        "[loggers]\nkeys = root\n[handlers]\nkeys = err\n[formatters]\nkeys =\n"
        "[logger_root]\nlevel = WARNING\nhandlers = err\n"
        "[handler_err]\nclass = StreamHandler\nargs = (sys.stderr,)\n",
        encoding="utf-8",
    )
    caplog.set_level(logging.INFO)
    root = logging.getLogger()
    handlers = list(root.handlers)
    shop = logging.getLogger("shop")

    history.upgrade("r1")
    shop.info("seen")
    assert (root.handlers, root.level) == (handlers, logging.INFO)
    assert "seen" in caplog.messages

    try:
        history.upgrade("r2", env=loses_logging)
        shop.info("lost")
        assert root.handlers != handlers
        assert "lost" not in caplog.messages
    finally:
        root.handlers[:] = handlers


async def test_only_the_command_line_shows_alembics_log(history: History) -> None:
    alembic = logging.getLogger("alembic")
    alembic.setLevel(logging.NOTSET)
    history.upgrade("r1")
    assert alembic.level == logging.NOTSET

    config = history.config()
    config.cmd_opts = Namespace(cmd=(command.upgrade, [], []))
    try:
        command.upgrade(config, "r2")
        assert alembic.level == logging.INFO
    finally:
        alembic.setLevel(logging.NOTSET)


async def test_metadata_without_a_table_is_refused(
    history: History, database: str
) -> None:
    history.models("")
    with pytest.raises(CommandError, match=r"no module of shop_\w+ declares a table"):
        history.upgrade()


async def test_a_revision_that_does_not_exist_is_named(history: History) -> None:
    with pytest.raises(CommandError, match=r"Can't locate revision .* 'r9'"):
        history.upgrade("r9")


async def test_two_heads_are_refused(history: History) -> None:
    history.revision("r2b", "r1", CREATE.format(table="other"))
    with pytest.raises(CommandError, match="Multiple head revisions"):
        history.upgrade()
    assert await tables(history) == set()


async def test_a_url_that_cannot_be_used_is_a_message(history: History) -> None:
    def env() -> None:
        def url() -> URL:
            raise InvalidDatabaseURL("the database URL cannot be read")

        run_env(history.module.Base.metadata, url, models=history.module)

    with pytest.raises(CommandError, match="cannot be read"):
        history.upgrade(env=env)


async def test_sql_is_written_without_a_database(
    history: History, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    history.revision(
        "r3",
        "r2",
        "def upgrade():\n"
        "    first = sa.table('first', sa.column('id', sa.Integer))\n"
        "    op.execute(first.insert().values(id=7))\n",
    )
    history.url = history.url.set(host="nowhere.invalid", database="/nowhere/at/all")
    history.upgrade("r1:head", sql=True)
    sql = capsys.readouterr().out
    assert sql.count("BEGIN;") == sql.count("COMMIT;") == 2
    assert "VALUES (7)" in sql


async def test_only_a_command_that_changes_something_waits_for_the_lock(
    history: History,
) -> None:
    history.options["patience"] = 0.1
    engine = new_engine(history.url)
    async with (
        engine.connect() as connection,
        migration_lock(connection, patience=10),
    ):
        with pytest.raises(CommandError, match="another process is migrating"):
            history.upgrade()
        for reads in (
            command.check,
            command.current,
            command.history,
            command.revision,
        ):
            config = history.config()
            config.cmd_opts = Namespace(cmd=(reads, [], []))
            command.current(config)
        with pytest.raises(CommandError, match="another process is migrating"):
            history.run("current")
    await engine.dispose()
    history.upgrade()


@pytest.mark.trap("two-at-once")
async def test_the_second_of_two_commands_takes_the_context_of_the_first(
    history: History,
) -> None:
    """Alembic has one for the whole process, whatever thread asks for it."""
    entered, free = threading.Event(), threading.Event()

    def env() -> None:
        entered.set()
        free.wait(30)
        history.env()

    first = asyncio.create_task(asyncio.to_thread(history.upgrade, env=env))
    await asyncio.to_thread(entered.wait, 30)
    await asyncio.to_thread(history.upgrade, "r1")
    free.set()
    with pytest.raises(KeyError) as caught:
        await first
    assert caught.traceback[-1].name == "_remove_proxy"
    assert await history.version() == "r1"
    history.upgrade()  # one after the other
    assert await history.version() == "r2"


SAFE = {
    "current": (),
    "history": (),
    "heads": (),
    "show": ("r2",),
    "check": (),
    "upgrade": ("r1:head",),
    "revision": (),
    "merge": ("heads",),
}


@pytest.mark.parametrize("name", SAFE)
async def test_a_command_that_the_page_calls_safe_changes_nothing(
    history: History, name: str, database: str
) -> None:
    page = (ROOT / "references/migrations.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if row.startswith("| `alembic")]
    safe = " ".join(row for row in rows if "| safe:" in row)
    assert f"{name}`" in safe or f"{name} " in safe

    async def state() -> Any:
        found = await tables(history) - {"alembic_version"}
        return found, "first" in found and await history.version()

    for before in ("nothing", "r1"):
        if before == "r1":
            history.upgrade("r1")
        found = await state()
        if name == "merge":
            history.revision("other", "r1")
        options: dict[str, Any] = {"sql": True} if name == "upgrade" else {}
        try:
            history.run(name, *SAFE[name], **options)
        except CommandError as exc:
            assert "not up to date" in str(exc)  # noqa: PT017 - what check may say
        assert await state() == found


async def test_an_application_may_migrate_while_it_starts(
    history: History, database: str
) -> None:
    """In its lifespan, where a loop runs; a failure is a server that does not start."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(history.upgrade)
        yield

    app = FastAPI(lifespan=lifespan)
    async with app.router.lifespan_context(app):
        assert await history.version() == "r2"
    file = history.revision("r3", "r2", FAIL)
    with pytest.raises(Exception, match="nowhere"):
        async with app.router.lifespan_context(app):
            raise AssertionError
    file.unlink()
    async with app.router.lifespan_context(app):
        assert "third" not in await tables(history)


async def test_characters_that_urls_escape_reach_the_database(
    history: History, database: str
) -> None:
    odd = "o%41@d:/ d"
    admin, quoted = history.url, '"o%41@d:/ d"'
    if database == "sqlite":
        history.url = admin.set(database=str(history.path / odd.replace("/", "")))
        history.upgrade()
        assert {file.name for file in history.path.glob("o*")} >= {"o%41@d: d"}
        return
    await history.read(f"CREATE ROLE {quoted} LOGIN PASSWORD '{odd}'")
    await history.read(f"GRANT CREATE ON SCHEMA public TO {quoted}")
    history.url = admin.set(username=odd, password=odd)
    history.upgrade()
    assert await history.read("SELECT current_user") == [(odd,)]
    assert await history.version() == "r2"
    history.url = admin
    await history.read(f"DROP OWNED BY {quoted}")
    await history.read(f"DROP ROLE {quoted}")


async def test_a_project_with_create_all_is_adopted_with_its_rows(
    history: History,
) -> None:
    """Stamped at the revision that makes what is there; nothing is made again."""
    history.models(PARCEL)
    history.revision("r3", "r2", CREATE.format(table="parcel"))
    engine = new_engine(history.url)
    async with engine.begin() as connection:
        await connection.run_sync(history.module.Base.metadata.create_all)
    await engine.dispose()
    await history.read("INSERT INTO parcel (id) VALUES (7)")
    with pytest.raises(Exception, match="already exists"):
        history.upgrade()

    history.run("stamp", "r3")
    history.run("check")
    history.revision("r4", "r3", CREATE.format(table="van"))
    history.upgrade()
    assert await history.read("SELECT id FROM parcel") == [(7,)]


@pytest.mark.trap("revision-skipped")
async def test_a_revision_put_before_one_that_is_applied_never_runs(
    history: History,
) -> None:
    history.upgrade()
    history.revision("between", "r1", CREATE.format(table="between"))
    history.revision("r2", "between", CREATE.format(table="second"))
    history.upgrade()
    assert "between" not in await tables(history)

    history.revision("r2", "r1", CREATE.format(table="second"))
    history.run("merge", "heads")
    history.upgrade()
    assert {"between", "second"} <= await tables(history)


async def test_a_revision_that_no_database_has_may_get_another_parent(
    history: History,
) -> None:
    """What is merged elsewhere a rebase does here: one head, and no merge revision."""
    history.upgrade()
    history.revision("theirs", "r2", CREATE.format(table="theirs"))
    history.upgrade()
    history.revision("ours", "r2", CREATE.format(table="ours"))
    with pytest.raises(CommandError, match="heads"):
        history.upgrade()
    history.revision("ours", "theirs", CREATE.format(table="ours"))
    history.upgrade()
    assert {"theirs", "ours"} <= await tables(history)
    assert await history.version() == "ours"


async def test_a_history_is_squashed_where_every_database_is_at_its_head(
    history: History, tmp_path: Path
) -> None:
    history.upgrade()
    await history.read("INSERT INTO first VALUES (7)")

    def look(connection: Connection) -> list[str]:
        found = inspect(connection)
        names = sorted(set(found.get_table_names()) - {"alembic_version"})
        return [
            f"{n} {found.get_columns(n)} {found.get_pk_constraint(n)}" for n in names
        ]

    before = await history.inspect(look)
    for file in history.versions.glob("*.py"):
        file.unlink()
    both = CREATE.format(table="first").replace(
        "\n\n\ndef downgrade():\n",
        '\n    op.create_table("second", sa.Column("id", sa.Integer, primary_key=True))'
        '\n\n\ndef downgrade():\n    op.drop_table("second")\n',
    )
    history.revision("squashed", None, both)
    with pytest.raises(CommandError, match="r2"):
        history.upgrade()  # the database's revision is gone
    with pytest.raises(CommandError, match="r2"):
        history.run("stamp", "squashed")
    history.run("stamp", "squashed", purge=True)
    history.upgrade()
    assert await history.read("SELECT id FROM first") == [(7,)]
    # A new database comes out the same.
    history.run("downgrade", "base")
    history.upgrade()
    assert await history.inspect(look) == before


async def test_a_database_that_knew_no_alembic_is_compared_before_it_is_trusted(
    history: History,
) -> None:
    """Its tables were made by hand, and one column is not as the models say."""
    for table in ("first", "second", "parcel"):
        await history.read(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
    await history.read("INSERT INTO parcel VALUES (7)")
    code = "    code: Mapped[int | None] = mapped_column()\n"
    history.models(PARCEL.replace("\n\n\nclass First", f"\n{code}\n\nclass First", 1))
    history.revision("r3", "r2", CREATE.format(table="parcel"))
    history.run("stamp", "r3")
    with pytest.raises(CommandError, match="code"):
        history.run("check")
    history.run("revision", message="what was missing", autogenerate=True)
    history.upgrade()
    history.run("check")
    assert await history.read("SELECT id, code FROM parcel") == [(7, None)]


@pytest.mark.trap("schemas-unfiltered")
async def test_with_several_schemas_those_of_others_are_left_alone_by_a_filter(
    history: History, database: str
) -> None:
    schema = ', "schema": "sales"' if database == "postgresql" else ""
    history.models(
        PARCEL + "\n\nclass Bill(Base):\n    __tablename__ = 'bill'\n"
        f'    __table_args__ = {{"comment": "owed"{schema}}}\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
    )
    history.options["include_schemas"] = True
    history.upgrade()
    other = "other." if database == "postgresql" else ""
    if database == "postgresql":
        await history.read("CREATE SCHEMA other")
        await history.read("CREATE SCHEMA sales")
    await history.read(f"CREATE TABLE {other}theirs (id INTEGER PRIMARY KEY)")
    # Without a filter, all that the connection can see is ours.
    with pytest.raises(CommandError, match=rf"would drop {re.escape(other)}theirs"):
        history.run("check")

    metadata = history.module.Base.metadata

    def ours(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name in (None, "sales")
        return kind != "table" or parents["schema_qualified_table_name"] in (
            metadata.tables
        )

    history.options["include_name"] = ours
    history.run("revision", message="bill", autogenerate=True)
    history.upgrade()
    history.run("check")
    assert await history.read(f"SELECT * FROM {other}theirs") == []
    bill = "sales.bill" if database == "postgresql" else "bill"
    assert await history.read(f"SELECT * FROM {bill}") == []


async def test_options_of_configure_can_be_added(history: History) -> None:
    history.options["version_table"] = "shop_version"
    history.upgrade()
    assert "shop_version" in await tables(history)


@pytest.mark.trap("killed-halfway")
async def test_an_upgrade_that_is_killed_at_any_point_goes_on_to_the_same_end(
    project: Project, fresh_database: URL, full: bool
) -> None:
    """SIGKILL before and after statements and at commits; all points with --full."""
    url = fresh_database.render_as_string(hide_password=False)
    kills = 0 if full else 5
    args = "-m", "evals.harness.long_history", str(project.path), url, str(kills)
    done = project.run(*args, timeout=3600, env={"PYTHONPATH": str(ROOT)})
    outcome = json.loads(done.stdout)
    assert outcome["wrong"] == []
    assert outcome["killed"] >= (outcome["points"] if full else kills)
    assert outcome["points"] > 150
