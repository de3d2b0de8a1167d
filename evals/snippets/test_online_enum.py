"""Evals for snippets/online_enum.py: values come and go while two releases run."""

from __future__ import annotations

import asyncio
import itertools
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evals.harness.migrations import History
from evals.harness.shop import (
    HARMLESS,
    meanwhile,
    record,
    scalar,
    shop_engine,
    shop_history,
)
from snippets.enum_column import enum_type

shop, history = shop_engine, shop_history

IMPORTS = """
from snippets.backfill import backfill
from snippets.online_enum import replace_enum, set_values
from snippets.online_schema import add_check, add_enum_value


def upgrade():
"""
# "lost" is renamed to "missing". The code between the first and the second knows
# both, and writes "lost"; the code after it writes "missing".
RENAME = [
    """
    values = ["open", "lost", "missing"]
    set_values("ck_parcel_state", "parcel", "state", values)
""",
    """
    where, change = "state = 'lost'", "state = 'missing'"
    backfill("parcel", key="id", where=where, change=change)
""",
    """
    set_values("ck_parcel_state", "parcel", "state", ["open", "missing"])
""",
]


# A native enum becomes what `enum_column` makes; all rows are rewritten.
TEXT = """
    with op.batch_alter_table("parcel") as batch:
        batch.alter_column(
            "kind",
            type_=sa.String(32),
            server_default="b",
            postgresql_using="kind::text",
        )
        values = "kind IN ('a', 'b', 'c')"
        batch.create_check_constraint(op.f("ck_parcel_kind"), values)
    if op.get_context().dialect.name == "postgresql":
        op.execute('DROP TYPE "my kind"')
"""


class Old(Enum):
    OPEN = "open"
    LOST = "lost"


class Both(Enum):
    OPEN = "open"
    LOST = "lost"
    MISSING = "missing"


class Base(DeclarativeBase):
    pass


class Parcel(Base):
    """As the oldest release knows it."""

    __tablename__ = "parcel"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[Old] = mapped_column(enum_type(Old))


class Newer(DeclarativeBase):
    pass


class NewerParcel(Newer):
    __tablename__ = "parcel"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[Both] = mapped_column(enum_type(Both))


@pytest.fixture
async def states(shop: AsyncEngine) -> None:
    """Of the parcels, each second is lost."""
    column = "state VARCHAR(32) NOT NULL DEFAULT 'open'"
    rule = "CONSTRAINT ck_parcel_state CHECK (state IN ('open', 'lost'))"
    async with shop.begin() as connection:
        await connection.exec_driver_sql(f"ALTER TABLE parcel ADD {column} {rule}")
        lost = "UPDATE parcel SET state = 'lost' WHERE id % 2 = 0"
        await connection.exec_driver_sql(lost)


async def upgrade(history: History, *bodies: str) -> None:
    """Add revisions and run them."""
    for body in bodies:
        number = len(list(history.versions.glob("*.py")))
        down = f"r{number - 1}" if number else None
        history.revision(f"r{number}", down, IMPORTS + body)
    await asyncio.to_thread(history.upgrade)


@pytest.mark.usefixtures("states")
async def test_a_rule_of_another_name_is_an_error_and_not_a_second_rule(
    history: History, shop: AsyncEngine
) -> None:
    body = '\n    set_values("ck_parcel_stat", "parcel", "state", ["open"])\n'
    with pytest.raises((DBAPIError, ValueError), match="ck_parcel_stat"):
        await upgrade(history, body)
    async with shop.begin() as connection:
        await connection.execute(insert(Parcel), [{"id": -1, "state": Old.LOST}])


KEYS = itertools.count(10_000_000)


class Release:
    """One release of the code: it adds parcels, in turn, and reads all of a page."""

    def __init__(self, engine: AsyncEngine, model: Any, *states: Enum) -> None:
        self.engine, self.model, self.states = engine, model, states

    async def work(self) -> None:
        async with self.engine.begin() as connection:
            rows = [{"id": next(KEYS), "state": state} for state in self.states]
            await connection.execute(insert(self.model), rows)
        async with self.engine.connect() as connection:
            await connection.execution_options(sqlite_begin="BEGIN")
            page = select(self.model.state).order_by(self.model.id.desc()).limit(50)
            assert (await connection.scalars(page)).all()


@pytest.mark.usefixtures("states")
async def test_a_value_is_renamed_while_two_releases_read_and_write_it(
    history: History, shop: AsyncEngine, database: str
) -> None:
    if database == "postgresql":
        async with shop.begin() as connection:
            await record(connection)
            # At the end of each statement: is there a rule?
            await connection.exec_driver_sql("CREATE TABLE rules (number INTEGER)")
            await connection.exec_driver_sql(
                "CREATE FUNCTION note_rule() RETURNS event_trigger LANGUAGE plpgsql"
                " AS $$ BEGIN INSERT INTO rules SELECT count(*) FROM pg_constraint"
                " WHERE conname = 'ck_parcel_state'; END $$"
            )
            await connection.exec_driver_sql(
                "CREATE EVENT TRIGGER note_rule ON ddl_command_end"
                " EXECUTE FUNCTION note_rule()"
            )
    oldest = Release(shop, Parcel, Old.OPEN, Old.LOST)
    middle = Release(shop, NewerParcel, Both.OPEN, Both.LOST)
    newest = Release(shop, NewerParcel, Both.OPEN, Both.MISSING)
    async with meanwhile(oldest.work):
        await upgrade(history, RENAME[0])
    async with meanwhile(oldest.work, middle.work):
        await asyncio.sleep(0)
    async with meanwhile(middle.work, newest.work):
        await asyncio.sleep(0)
    async with meanwhile(newest.work):
        await upgrade(history, *RENAME[1:])

    count = "SELECT count(*) FROM parcel WHERE state = 'lost'"
    assert await scalar(shop, count) == 0
    with pytest.raises(IntegrityError, match="ck_parcel_state"):
        await history.read("UPDATE parcel SET state = 'lost' WHERE id = 1")
    if database == "postgresql":
        assert set(await history.read("SELECT number FROM rules")) == {(1,)}
        seen = await history.read("SELECT mode, rows_read FROM seen")
        reading = {mode for mode, rows_read in seen if rows_read > 10}
        assert reading
        assert reading <= HARMLESS


@pytest.mark.usefixtures("states")
@pytest.mark.trap("unknown-value-read")
async def test_code_that_does_not_know_a_value_cannot_read_its_rows(
    history: History, shop: AsyncEngine
) -> None:
    await upgrade(history, RENAME[0])
    newest = Release(shop, NewerParcel, Both.MISSING)
    await newest.work()
    with pytest.raises(LookupError, match="'missing' is not among the defined enum"):
        await Release(shop, Parcel, Old.OPEN).work()
    await Release(shop, NewerParcel, Both.OPEN).work()


@pytest.mark.usefixtures("states")
async def test_rows_that_have_a_removed_value_stop_its_removal(
    history: History, shop: AsyncEngine
) -> None:
    with pytest.raises(IntegrityError, match="ck_parcel_state"):
        await upgrade(history, RENAME[2])
    await history.read("UPDATE parcel SET state = 'open'")
    history.upgrade()
    assert await history.version() == "r0"


@pytest.mark.usefixtures("states")
async def test_a_rule_of_another_name_is_an_error(
    history: History, shop: AsyncEngine
) -> None:
    """And not a second rule, which would keep new values out."""
    with pytest.raises((DBAPIError, ValueError), match="ck_parcel_kind"):
        await upgrade(history, RENAME[2].replace("_state", "_kind"))
    await history.read("UPDATE parcel SET state = 'lost' WHERE id = 1")


@pytest.mark.usefixtures("states")
async def test_a_value_may_have_any_character(
    history: History, shop: AsyncEngine
) -> None:
    value = """it's 50% :of "it" """
    values = ["open", "lost", value]
    call = f"set_values('ck_parcel_state', 'parcel', 'state', {values!r})"
    await upgrade(history, f"    {call}\n")
    async with shop.begin() as connection:
        change = text("UPDATE parcel SET state = :value WHERE id = 1")
        await connection.execute(change, {"value": value})
    with pytest.raises(IntegrityError, match="ck_parcel_state"):
        await history.read("UPDATE parcel SET state = 'it' WHERE id = 1")


@pytest.fixture
async def native(shop: AsyncEngine, history: History, database: str) -> None:
    """Two columns of a native enum, in two tables; one with a default."""
    kind = "VARCHAR(10)"
    if database == "postgresql":
        kind = '"my kind"'
        await history.read(f"CREATE TYPE {kind} AS ENUM ('a', 'b', 'c')")
    for table, default in (("parcel", "DEFAULT 'b'"), ("van", "")):
        await history.read(f"ALTER TABLE {table} ADD COLUMN kind {kind} {default}")
    await history.read("UPDATE parcel SET kind = 'c' WHERE id = 1")
    await history.read("UPDATE van SET kind = 'a'")


@pytest.mark.usefixtures("native")
async def test_a_native_enum_loses_a_value_in_every_table_and_keeps_the_default(
    history: History, shop: AsyncEngine, database: str
) -> None:
    body = "    replace_enum('my kind', ['b', 'a'])\n"
    if database == "sqlite":  # text: nothing to do
        await upgrade(history, body)
        assert await history.version() == "r0"
        return
    with pytest.raises(DBAPIError, match="invalid input value for enum"):
        await upgrade(history, body)
    await history.read("UPDATE parcel SET kind = 'a' WHERE id = 1")
    await asyncio.to_thread(history.upgrade)
    await history.read("INSERT INTO parcel (id) VALUES (-1)")
    rows = "SELECT id, kind::text FROM parcel WHERE id < 2 ORDER BY id"
    assert await history.read(rows) == [(-1, "b"), (1, "a")]
    assert await history.read("SELECT kind::text FROM van") == [("a",)]
    with pytest.raises(DBAPIError, match="invalid input value for enum"):
        await history.read("UPDATE van SET kind = 'c'")
    types = "SELECT typname FROM pg_type WHERE typtype = 'e'"
    assert await history.read(types) == [("my kind",)]
    assert await history.read("SELECT min(kind)::text FROM parcel") == [("b",)]


@pytest.mark.usefixtures("native")
@pytest.mark.trap("value-used-too-early")
async def test_an_added_value_cannot_be_used_in_the_transaction_that_adds_it(
    history: History, shop: AsyncEngine, database: str
) -> None:
    uses = "    op.execute(\"UPDATE van SET kind = 'd'\")\n"
    adds = """
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TYPE \\"my kind\\" ADD VALUE 'd'")
"""
    if database == "sqlite":
        await upgrade(history, adds + uses)
    else:
        with pytest.raises(DBAPIError, match='unsafe use of new value "d"'):
            await upgrade(history, adds + uses)
        (history.versions / "r0.py").unlink()
        await upgrade(history, "    add_enum_value('my kind', 'd')\n", uses)
    assert await scalar(shop, "SELECT kind FROM van") == "d"


@pytest.mark.usefixtures("native")
async def test_a_native_enum_becomes_text_with_a_check_and_its_type_goes(
    history: History, shop: AsyncEngine, database: str
) -> None:
    await history.read("ALTER TABLE van DROP COLUMN kind")
    await upgrade(history, TEXT)
    with pytest.raises(IntegrityError, match="ck_parcel_kind"):
        await history.read("UPDATE parcel SET kind = 'd' WHERE id = 1")
    await history.read("INSERT INTO parcel (id) VALUES (-1)")
    assert await history.read("SELECT kind FROM parcel WHERE id < 2 ORDER BY id") == [
        ("b",),
        ("c",),
    ]
    if database == "postgresql":
        types = "SELECT count(*) FROM pg_type WHERE typname = 'my kind'"
        assert await scalar(shop, types) == 0


@pytest.mark.usefixtures("native")
async def test_a_value_of_a_type_is_renamed_or_forbidden_without_a_rewrite(
    history: History, shop: AsyncEngine, database: str
) -> None:
    forbid = "    add_check('ck_parcel_a', 'parcel', \"kind <> 'a'\")\n"
    rename = """
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TYPE \\"my kind\\" RENAME VALUE 'c' TO 'd'")
"""
    file = "SELECT pg_relation_filenode('parcel')"
    postgresql = database == "postgresql"
    before = await scalar(shop, file) if postgresql else None
    await upgrade(history, forbid, rename)
    with pytest.raises(IntegrityError, match="ck_parcel_a"):
        await history.read("UPDATE parcel SET kind = 'a' WHERE id = 2")
    kind = await scalar(shop, "SELECT kind FROM parcel WHERE id = 1")
    assert kind == ("d" if postgresql else "c")
    assert (await scalar(shop, file) if postgresql else None) == before
