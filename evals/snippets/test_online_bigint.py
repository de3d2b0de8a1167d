"""Evals for snippets/online_bigint.py: a column that refers to a key gets 64 bits."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from sqlalchemy import BigInteger, ForeignKey, Integer, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from evals.harness.migrations import History, until
from evals.harness.shop import (
    HARMLESS,
    meanwhile,
    record,
    scalar,
    shop_engine,
    shop_history,
)

shop, history = shop_engine, shop_history

# A key and the column that refers to it: that first.
WIDEN = [
    """
    widen_column("parcel", "van_id", key="id")
""",
    """
    widen_key("van", "id")
""",
]
IMPORTS = """
from snippets.online_bigint import widen_column
from snippets.online_key import widen_key


def upgrade():
"""
RULE = "CONSTRAINT fk_parcel_van FOREIGN KEY (van_id) REFERENCES van (id)"
RULE += " ON DELETE CASCADE"
BIG = 3_000_000_000


class Narrow(DeclarativeBase):
    pass


class Wide(DeclarativeBase):
    pass


class OldVan(Narrow):
    __tablename__ = "van"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    parcels: Mapped[list[OldParcel]] = relationship(back_populates="van")


class OldParcel(Narrow):
    __tablename__ = "parcel"

    id: Mapped[int] = mapped_column(primary_key=True)
    van_id: Mapped[int] = mapped_column(ForeignKey("van.id"))
    van: Mapped[OldVan] = relationship(back_populates="parcels")


class NewVan(Wide):
    __tablename__ = "van"

    # What `BigKey` of primary_key says.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    )
    parcels: Mapped[list[NewParcel]] = relationship(back_populates="van")


class NewParcel(Wide):
    __tablename__ = "parcel"

    id: Mapped[int] = mapped_column(primary_key=True)
    van_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("van.id"))
    van: Mapped[NewVan] = relationship(back_populates="parcels")


async def upgrade(history: History, *bodies: str) -> None:
    """Add revisions and run them."""
    for body in bodies:
        number = len(list(history.versions.glob("*.py")))
        down = f"r{number - 1}" if number else None
        history.revision(f"r{number}", down, IMPORTS + body)
    await asyncio.to_thread(history.upgrade)


@pytest.fixture
async def vans(shop: AsyncEngine, database: str) -> None:
    """Each parcel is in a van: that is NOT NULL, has an index and a foreign key."""
    if database == "postgresql":
        statements = [
            f"ALTER TABLE parcel ADD {RULE}",
            "ALTER TABLE parcel ALTER van_id SET NOT NULL",
            "ALTER TABLE parcel ALTER van_id SET DEFAULT 1",
        ]
    else:
        statements = [
            "ALTER TABLE parcel RENAME TO old",
            "CREATE TABLE parcel (id INTEGER PRIMARY KEY, code INTEGER, weight INTEGER,"
            f" van_id INTEGER DEFAULT 1 NOT NULL, {RULE})",
            "INSERT INTO parcel SELECT * FROM old",
            "DROP TABLE old",
        ]
    statements += ["CREATE INDEX ix_parcel_van ON parcel (van_id, code)"]
    async with shop.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


class Release:
    """One release of the code: puts parcels into a new van, moves and reads them."""

    def __init__(self, engine: AsyncEngine, van: Any, parcel: Any, first: int) -> None:
        self.engine, self.van, self.parcel = engine, van, parcel
        self.keys = itertools.count(first)
        self.moved = 0

    async def work(self) -> None:
        number = next(self.keys)
        try:
            await self.once(number)
        except DBAPIError as exc:
            # Prepared before the swap: each connection says it once.
            if "cached statement plan is invalid" not in str(exc):
                raise
            return
        self.moved += 1

    async def once(self, number: int) -> None:
        async with AsyncSession(self.engine) as session, session.begin():
            van = self.van(id=number)
            van.parcels = [self.parcel(id=number % BIG + 10**6)]
            session.add(van)
            await session.flush()
            # One of the rows from before.
            old = await session.get_one(self.parcel, number % 1000 + 1)
            old.van_id = number
            await session.flush()
            inside = select(self.parcel.id).join(self.parcel.van)
            found = await session.scalars(inside.where(self.van.id == number))
            assert len(found.all()) == 2


async def columns(history: History, table: str = "parcel") -> dict[str, Any]:
    found = await history.inspect(lambda c: inspect(c).get_columns(table))
    return {column["name"]: column for column in found}


@pytest.mark.usefixtures("vans")
async def test_a_key_and_what_refers_to_it_are_widened_beside_readers_and_writers(
    history: History, shop: AsyncEngine, database: str
) -> None:
    before = await scalar(shop, "SELECT count(*) FROM parcel")
    if database == "postgresql":
        async with shop.begin() as connection:
            await record(connection)
    old = Release(shop, OldVan, OldParcel, 2)
    new = Release(shop, NewVan, NewParcel, BIG)
    async with meanwhile(old.work):
        await upgrade(history, *WIDEN)
    async with meanwhile(old.work, new.work):
        await asyncio.sleep(0)
    await new.work()

    assert old.moved
    assert new.moved
    moved = old.moved + new.moved
    assert await scalar(shop, "SELECT count(*) FROM parcel") == before + moved
    assert await scalar(shop, "SELECT count(*) FROM van") == 1 + moved
    strays = "SELECT count(*) FROM parcel WHERE van_id NOT IN (SELECT id FROM van)"
    assert await scalar(shop, strays) == 0
    found = await columns(history)
    assert (await columns(history, "van")).keys() == {"id"}
    assert found.keys() == {"id", "code", "weight", "van_id"}
    assert str(found["van_id"]["type"]) == "BIGINT"
    if database == "postgresql":
        assert str((await columns(history, "van"))["id"]["type"]) == "BIGINT"
        seen = await history.read("SELECT query, mode, rows_read FROM seen")
        reading = {mode for _, mode, rows_read in seen if rows_read > 10}
        assert reading
        assert reading <= HARMLESS, [row for row in seen if row[2] > 10]


@pytest.mark.usefixtures("vans")
async def test_a_transaction_that_has_written_the_parent_may_write_the_child(
    history: History, shop: AsyncEngine, database: str
) -> None:
    """Which the last step would stop, if it held the child and waited for the parent:
    each would wait for the other.
    """
    if database == "sqlite":  # one writer at a time
        await upgrade(history, WIDEN[0])
        assert await history.version() == "r0"
        return
    # The upgrade stops before the rule of NOT NULL, when the foreign key is done.
    await history.read(
        "CREATE FUNCTION gate() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF current_query() LIKE '%IS NOT NULL) NOT VALID'"
        " THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; END $$"
    )
    await history.read(
        "CREATE EVENT TRIGGER gate ON ddl_command_start EXECUTE FUNCTION gate()"
    )
    history.options["lock_timeout"] = 30
    await history.read(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout TO 30000',"
        " current_database()); END $$"
    )
    locks = "SELECT count(*) FROM pg_locks WHERE NOT granted AND "

    async def at_the_gate() -> bool:
        here = "locktype = 'advisory' AND objid = 42 AND database ="
        oid = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        return bool(await scalar(shop, f"{locks} {here} {oid}"))

    async def waits_for_the_parent() -> bool:
        return bool(await scalar(shop, f"{locks} relation = 'van'::regclass"))

    async with shop.connect() as gate, shop.connect() as request:
        await gate.exec_driver_sql("SELECT pg_advisory_lock(42)")
        await gate.commit()
        task = asyncio.create_task(upgrade(history, WIDEN[0]))
        await until(at_the_gate)
        await request.exec_driver_sql("SET lock_timeout = '300ms'")
        await request.exec_driver_sql("INSERT INTO van VALUES (2)")
        await gate.exec_driver_sql("SELECT pg_advisory_unlock(42)")
        await gate.commit()
        await until(waits_for_the_parent)
        await request.exec_driver_sql("INSERT INTO parcel VALUES (-1, -1, 1, 2)")
        await request.commit()
        await task
    assert await scalar(shop, "SELECT van_id FROM parcel WHERE id = -1") == 2


@pytest.mark.usefixtures("vans")
async def test_the_column_keeps_all_that_it_had(
    history: History, shop: AsyncEngine, database: str
) -> None:
    if database == "postgresql":
        for statement in (
            'CREATE UNIQUE INDEX "Uq van" ON parcel USING btree'
            " (id DESC, van_id DESC NULLS LAST) INCLUDE (weight)",
            "ALTER TABLE parcel ADD CONSTRAINT uq_code UNIQUE (van_id, code)",
            "ALTER TABLE parcel ADD COLUMN old_van_id INTEGER REFERENCES van (id)",
            "ALTER TABLE parcel ADD COLUMN van_id_2 INTEGER",
            "CREATE INDEX ix_all ON parcel (old_van_id, van_id, van_id_2)"
            " WITH (fillfactor=70)",
            "CREATE SCHEMA other",
            "CREATE TABLE other.lorry (id INTEGER PRIMARY KEY)",
            "INSERT INTO other.lorry VALUES (1), (2)",
            'ALTER TABLE parcel ADD CONSTRAINT "Fk other" FOREIGN KEY (van_id)'
            " REFERENCES other.lorry (id) ON UPDATE CASCADE DEFERRABLE",
        ):
            await history.read(statement)

    async def look() -> Any:
        found = await columns(history)
        rules = (
            "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint"
            " WHERE conrelid = 'parcel'::regclass AND contype <> 'n' ORDER BY 1"
        )
        indexes = (
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid"
            " FROM pg_index WHERE indrelid = 'parcel'::regclass ORDER BY 1"
        )
        named = "SELECT name, sql FROM sqlite_master WHERE sql LIKE 'CREATE I%'"
        queries = [rules, indexes] if database == "postgresql" else [named]
        column = {k: v for k, v in found["van_id"].items() if k != "type"}
        return column, [await history.read(query) for query in queries]

    before = await look()
    await upgrade(history, WIDEN[0])
    assert await look() == before
    assert str((await columns(history))["van_id"]["type"]) == "BIGINT"
    await history.read("INSERT INTO parcel (id, code) VALUES (-1, -1)")
    assert await scalar(shop, "SELECT van_id FROM parcel WHERE id = -1") == 1
    with pytest.raises(IntegrityError):
        await history.read("UPDATE parcel SET van_id = 9")
    with pytest.raises(IntegrityError):
        await history.read("UPDATE parcel SET van_id = NULL")
    await history.read("DELETE FROM van")
    assert await scalar(shop, "SELECT count(*) FROM parcel") == 0
    if database == "postgresql":
        left = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'widen%%'"
        assert await scalar(shop, left) == 0


async def test_a_plain_column_keeps_its_null(
    history: History, shop: AsyncEngine
) -> None:
    await history.read("UPDATE parcel SET weight = NULL WHERE id = 1")
    await upgrade(history, '    widen_column("parcel", "weight", key="id")\n')
    await history.read(f"UPDATE parcel SET weight = {BIG} WHERE id = 2")
    rows = "SELECT weight FROM parcel WHERE id < 4 ORDER BY id"
    assert await history.read(rows) == [(None,), (BIG,), (3,)]


@pytest.mark.usefixtures("vans")
@pytest.mark.trap("child-too-narrow")
async def test_a_wide_key_cannot_be_referred_to_by_a_narrow_column(
    history: History, shop: AsyncEngine, database: str
) -> None:
    await upgrade(history, WIDEN[1])
    await history.read(f"INSERT INTO van VALUES ({BIG})")
    refer = f"UPDATE parcel SET van_id = {BIG} WHERE id = 1"
    if database == "postgresql":
        with pytest.raises(DBAPIError, match="integer out of range"):
            await history.read(refer)
        # A model that says Integer is stopped before the database is.
        session = AsyncSession(shop)
        session.add(OldParcel(id=-1, van_id=BIG))
        with pytest.raises(DBAPIError, match="value out of int32 range"):
            await session.commit()
        await session.close()
    await upgrade(history, WIDEN[0])
    await history.read(refer)
    assert await scalar(shop, "SELECT van_id FROM parcel WHERE id = 1") == BIG


@pytest.mark.usefixtures("vans")
async def test_it_runs_again_after_a_failure_at_any_statement(
    history: History, shop: AsyncEngine, database: str
) -> None:
    """Also when a row that was written between is not in the new column's index."""
    if database == "sqlite":  # one transaction
        await upgrade(history, WIDEN[0])
        await upgrade(history, WIDEN[0])
        assert await history.version() == "r1"
        return
    await history.read(
        "CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM nextval('statements'); IF currval('statements') = 1 + "
        " (SELECT last FROM stops) THEN RAISE EXCEPTION 'stop'; END IF; END $$"
    )
    await history.read("CREATE TABLE stops (last INTEGER)")
    await history.read("INSERT INTO stops VALUES (0)")
    await history.read("CREATE SEQUENCE statements MINVALUE 0")
    await history.read(
        "CREATE EVENT TRIGGER stop ON ddl_command_start EXECUTE FUNCTION stop()"
    )
    history.revision("r0", None, IMPORTS + WIDEN[0])
    for last in itertools.count(1):
        async with shop.begin() as connection:
            await connection.exec_driver_sql(f"UPDATE stops SET last = {last}")
            await connection.exec_driver_sql("SELECT setval('statements', 0)")
        try:
            await asyncio.to_thread(history.upgrade)
            break
        except DBAPIError as exc:
            if "stop" not in str(exc):
                raise
            await history.read(f"INSERT INTO parcel VALUES (-{last}, -{last}, 1, 1)")
    assert last > 12
    assert await history.version() == "r0"
    assert await scalar(shop, "SELECT count(*) FROM parcel WHERE id < 0") == last - 1
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    assert await scalar(shop, invalid) == 0
    with pytest.raises(IntegrityError):
        await history.read("UPDATE parcel SET van_id = 9")


@pytest.mark.parametrize(
    "dependent",
    [
        "CREATE INDEX ix_some ON parcel (code) WHERE van_id > 1",
        "CREATE INDEX ix_open ON parcel (van_id) WHERE code > 1",
        "CREATE INDEX ix_expression ON parcel ((van_id + 1))",
        "ALTER TABLE parcel ADD CONSTRAINT ck CHECK (van_id <> 0)",
        "CREATE VIEW heavy AS SELECT van_id FROM parcel",
        "ALTER TABLE parcel ADD CONSTRAINT both_keys UNIQUE (id, van_id) DEFERRABLE",
        "CREATE STATISTICS together ON van_id, code FROM parcel",
        "CREATE INDEX ix_mixed ON parcel (van_id, (code + 1))",
        "ALTER TABLE parcel ADD EXCLUDE USING btree (id WITH =, van_id WITH =)",
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'ix_parcel_van'::regclass",
    ],
    ids=[
        *(
            "partial",
            "partial of it",
            "expression",
            "check",
            "view",
            "deferrable",
            "statistics",
        ),
        *("mixed", "exclusion", "invalid"),
    ],
)
@pytest.mark.usefixtures("vans")
async def test_what_would_go_with_the_old_column_stops_it_before_it_begins(
    history: History, shop: AsyncEngine, dependent: str, database: str
) -> None:
    if database == "sqlite":
        await upgrade(history, WIDEN[0])
        assert await history.version() == "r0"
        return
    await history.read(dependent)
    with pytest.raises(DBAPIError, match="uses the column: drop it, and make it anew"):
        await upgrade(history, WIDEN[0])
    assert len(await columns(history)) == 4


@pytest.mark.usefixtures("vans")
async def test_the_build_of_an_index_may_take_its_time(
    history: History, shop: AsyncEngine, database: str
) -> None:
    if database == "postgresql":
        await history.read(
            "CREATE FUNCTION need_time() RETURNS event_trigger LANGUAGE plpgsql AS $$"
            " BEGIN IF current_query() LIKE 'CREATE INDEX%'"
            " AND (current_setting('statement_timeout') <> '0'"
            " OR current_setting('lock_timeout') <> '0')"
            " THEN RAISE EXCEPTION 'limited'; END IF; END $$"
        )
        await history.read(
            "CREATE EVENT TRIGGER need_time ON ddl_command_start"
            " EXECUTE FUNCTION need_time()"
        )
    await upgrade(history, WIDEN[0])
    assert await history.version() == "r0"


async def test_a_part_of_the_key_is_refused(
    history: History, shop: AsyncEngine, database: str
) -> None:
    await history.read(
        "CREATE TABLE load (id INTEGER, van_id INTEGER, PRIMARY KEY (id, van_id))"
    )
    body = '    widen_column("load", "van_id", key="id")\n'
    if database == "sqlite":
        await upgrade(history, body)
        assert await history.version() == "r0"
        return
    with pytest.raises(DBAPIError, match="constraint load_pkey on table load uses the"):
        await upgrade(history, body)
    assert (await columns(history, "load")).keys() == {"id", "van_id"}


async def test_names_may_be_long_and_need_quotes(
    history: History, shop: AsyncEngine
) -> None:
    column = "To " + "v" * 60
    await history.read("CREATE TABLE lorry (id BIGINT PRIMARY KEY)")
    await history.read(f"INSERT INTO lorry VALUES ({BIG})")
    await history.read(
        f'CREATE TABLE "order" ("Id" INTEGER PRIMARY KEY, "{column}" INTEGER,'
        f' FOREIGN KEY ("{column}") REFERENCES lorry (id))'
    )
    await history.read(f'CREATE INDEX "ix to" ON "order" ("{column}", "Id")')
    await upgrade(history, f'    widen_column("order", "{column}", key="Id")\n')
    await history.read(f'INSERT INTO "order" VALUES (1, {BIG})')
    assert await scalar(shop, f'SELECT "{column}" FROM "order"') == BIG
    indexes = await history.inspect(lambda c: inspect(c).get_indexes("order"))
    assert [(i["name"], i["column_names"]) for i in indexes] == [
        ("ix to", [column, "Id"])
    ]


@pytest.mark.usefixtures("vans")
async def test_offline_sql_stops_where_it_cannot_see_an_index(
    history: History,
    shop: AsyncEngine,
    database: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if database == "sqlite":  # batch mode has to see the table
        return
    history.revision("r0", None, IMPORTS + WIDEN[0])
    history.upgrade(sql=True)
    sql = capsys.readouterr().out
    first = sql[sql.index("DO $$") : sql.index("END $$;")] + "END $$"
    with pytest.raises(DBAPIError, match="uses the column: drop it"):
        await history.read(first)
    await history.read("DROP INDEX ix_parcel_van")
    await history.read("ALTER TABLE parcel DROP CONSTRAINT fk_parcel_van")
    await history.read(first)
    assert "SET NOT NULL" in sql
