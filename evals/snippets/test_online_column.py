"""Evals for snippets/online_column.py: two releases write the same rows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import inspect, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evals.harness.migrations import History
from evals.harness.shop import meanwhile, record, scalar, shop_engine, shop_history

shop, history = shop_engine, shop_history

# The four revisions of a column that another one replaces: two before the release of
# the code that knows the new one only, two when no code is left that knows the old one.
REPLACE = [
    """
    op.add_column("parcel", sa.Column("grams", sa.Integer))
    sync_columns(
        "sync_parcel_grams",
        "parcel",
        forward={"grams": "weight * 1000"},
        backward={"weight": "grams / 1000"},
    )
""",
    """
    backfill(
        "parcel",
        key="id",
        where="grams IS NULL AND weight IS NOT NULL",
        change="grams = weight * 1000",
    )
""",
    """
    drop_sync("sync_parcel_grams", "parcel")
    op.drop_column("parcel", "weight")
""",
    """
    set_not_null("parcel", "grams")
""",
]
IMPORTS = """
from snippets.backfill import backfill
from snippets.online_column import drop_sync, sync_columns
from snippets.online_schema import set_not_null


def upgrade():
"""


class Before(DeclarativeBase):
    pass


class After(DeclarativeBase):
    pass


class OldParcel(Before):
    __tablename__ = "parcel"

    id: Mapped[int] = mapped_column(primary_key=True)
    weight: Mapped[int]


class NewParcel(After):
    __tablename__ = "parcel"

    id: Mapped[int] = mapped_column(primary_key=True)
    grams: Mapped[int]


async def upgrade(history: History, *bodies: str) -> None:
    """Add revisions and run them."""
    for body in bodies:
        number = len(list(history.versions.glob("*.py")))
        down = f"r{number - 1}" if number else None
        history.revision(f"r{number}", down, IMPORTS + body)
    await asyncio.to_thread(history.upgrade)


class Release:
    """One release of the code: adds parcels, changes and reads them."""

    def __init__(self, engine: AsyncEngine, model: Any, column: str, unit: int) -> None:
        self.engine, self.model, self.column, self.unit = engine, model, column, unit
        self.key = 10_000_000 * (1 + (model is NewParcel))
        self.kilos: dict[int, int] = {}

    async def work(self) -> None:
        self.key += 1
        column = getattr(self.model, self.column)
        async with AsyncSession(self.engine) as session, session.begin():
            session.add(self.model(id=self.key, **{self.column: 5 * self.unit}))
        async with AsyncSession(self.engine) as session, session.begin():
            parcel = await session.get_one(self.model, self.key)
            assert getattr(parcel, self.column) == 5 * self.unit
            setattr(parcel, self.column, 6 * self.unit)
            await session.flush()
            # One of the rows from before: each work adds a kilo.
            old = update(self.model).where(self.model.id == self.key % 1000 + 1)
            await session.execute(old.values({column: column + self.unit}))
        self.kilos[self.key] = 6

    async def finds(self, kilos: dict[int, int]) -> None:
        async with AsyncSession(self.engine) as session:
            for key, value in kilos.items():
                parcel = await session.get_one(self.model, key)
                assert getattr(parcel, self.column) == value * self.unit


async def test_a_column_is_replaced_while_both_releases_write(
    history: History, shop: AsyncEngine, database: str
) -> None:
    before = await scalar(shop, "SELECT count(*) FROM parcel")
    if database == "postgresql":
        async with shop.begin() as connection:
            await record(connection)
    old = Release(shop, OldParcel, "weight", 1)
    new = Release(shop, NewParcel, "grams", 1000)

    async with meanwhile(old.work):
        await upgrade(history, *REPLACE[:2])
    async with meanwhile(old.work, new.work):
        await asyncio.sleep(0)
    await old.finds(new.kilos)
    await new.finds(old.kilos)
    async with meanwhile(new.work):
        await upgrade(history, *REPLACE[2:])

    await new.finds(old.kilos | new.kilos)
    added = len(old.kilos) + len(new.kilos)
    assert await scalar(shop, "SELECT count(*) FROM parcel") == before + added
    # No row was forgotten, and no change lost.
    total = "SELECT sum(grams - id * 1000) FROM parcel WHERE id < 1000000"
    assert await scalar(shop, total) == added * 1000
    if database == "postgresql":
        seen = await history.read("SELECT mode, rows_read FROM seen")
        reading = {mode for mode, rows_read in seen if rows_read > 10}
        # Only the validation of NOT NULL, beside which all may write.
        assert reading == {"ShareUpdateExclusiveLock"}, seen


SYNC = """
    sync_columns("sync", "parcel", forward={forward}, backward={backward})
"""
# The columns that are added; how each side follows from the other; what the old code
# writes and the new code finds; and the other way round.
CASES: dict[str, Any] = {
    "rename": (
        ["label VARCHAR(20)"],
        ["title VARCHAR(20)"],
        {"title": "label"},
        {"label": "title"},
        [{"label": "a"}, {"title": "a"}, {"title": "b"}, {"label": "b"}],
    ),
    "type": (
        ["sold VARCHAR(20)"],
        ["pieces BIGINT"],
        {"pieces": "CAST(sold AS BIGINT)"},
        {"sold": "CAST(pieces AS VARCHAR(20))"},
        [{"sold": "7"}, {"pieces": 7}, {"pieces": 9}, {"sold": "9"}],
    ),
    "split": (
        ["place VARCHAR(20)"],
        ["country VARCHAR(2)", "city VARCHAR(20)"],
        {"country": "substr(place, 1, 2)", "city": "substr(place, 4)"},
        {"place": "country || '-' || city"},
        [
            {"place": "NO-Oslo"},
            {"country": "NO", "city": "Oslo"},
            {"country": "SE", "city": "Umea"},
            {"place": "SE-Umea"},
        ],
    ),
    "merge": (
        ["country VARCHAR(2)", "city VARCHAR(20)"],
        ["place VARCHAR(20)"],
        {"place": "country || '-' || city"},
        {"country": "substr(place, 1, 2)", "city": "substr(place, 4)"},
        [
            {"country": "NO", "city": "Oslo"},
            {"place": "NO-Oslo"},
            {"place": "SE-Umea"},
            {"country": "SE", "city": "Umea"},
        ],
    ),
}


def literal(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


async def insert(history: History, key: int, row: Mapping[str, object]) -> None:
    columns = ", ".join(["id", *row])
    values = ", ".join([str(key), *map(literal, row.values())])
    await history.read(f"INSERT INTO parcel ({columns}) VALUES ({values})")


async def change(history: History, key: int, row: Mapping[str, object]) -> None:
    changes = ", ".join(f"{name} = {literal(value)}" for name, value in row.items())
    await history.read(f"UPDATE parcel SET {changes} WHERE id = {key}")


async def found(
    history: History, key: int, row: Mapping[str, object]
) -> dict[str, Any]:
    ((*values,),) = await history.read(
        f"SELECT {', '.join(row)} FROM parcel WHERE id = {key}"
    )
    return dict(zip(row, values, strict=True))


@pytest.mark.parametrize("case", CASES)
async def test_what_one_release_writes_the_other_reads(
    history: History, shop: AsyncEngine, case: str
) -> None:
    old, new, forward, backward, values = CASES[case]
    old_row, as_new, new_row, as_old = values
    for column in old:  # the old code never writes NULL
        default = "0" if case == "type" else ""
        await history.read(
            f"ALTER TABLE parcel ADD COLUMN {column} NOT NULL DEFAULT '{default}'"
        )
    for column in new:
        await history.read(f"ALTER TABLE parcel ADD COLUMN {column}")
    await upgrade(history, SYNC.format(forward=forward, backward=backward))

    await insert(history, -1, old_row)
    assert await found(history, -1, as_new) == as_new
    await change(history, -1, new_row)
    assert await found(history, -1, as_old) == as_old
    await insert(history, -2, new_row)
    assert await found(history, -2, as_old) == as_old
    await change(history, -2, old_row)
    assert await found(history, -2, as_new) == as_new
    # Code of both releases may write one row at once, as may code that writes both.
    await insert(history, -3, old_row | new_row)
    assert await found(history, -3, as_old) == as_old
    await change(history, -3, old_row | as_new)
    assert await found(history, -3, old_row | as_new) == old_row | as_new


async def test_one_of_several_columns_may_change_alone(
    history: History, shop: AsyncEngine
) -> None:
    old, new, forward, backward, _ = CASES["split"]
    for column in (*old, *new):
        await history.read(f"ALTER TABLE parcel ADD COLUMN {column}")
    await upgrade(history, SYNC.format(forward=forward, backward=backward))
    await insert(history, -1, {"place": "NO-Oslo"})
    await change(history, -1, {"country": "SE"})
    row = {"place": "SE-Oslo", "country": "SE", "city": "Oslo"}
    assert await found(history, -1, row) == row
    await change(history, -1, {"city": "Umea"})
    row = {"place": "SE-Umea", "country": "SE", "city": "Umea"}
    assert await found(history, -1, row) == row


async def test_columns_without_a_default_are_filled_at_an_insert_of_new_code(
    history: History, shop: AsyncEngine
) -> None:
    await history.read("DELETE FROM parcel")
    await upgrade(history, 'set_not_null("parcel", "weight")\n'.join(["    ", ""]))
    await upgrade(history, REPLACE[0])
    await insert(history, 1, {"grams": 5000})
    assert await found(history, 1, {"weight": 5}) == {"weight": 5}


async def test_what_a_computation_loses_stays_where_it_was_written(
    history: History, shop: AsyncEngine
) -> None:
    await upgrade(history, REPLACE[0])
    await change(history, 1, {"grams": 1500})
    assert await found(history, 1, {"weight": 1}) == {"weight": 1}
    await change(history, 1, {"code": -1})
    both = {"weight": 1, "grams": 1500}
    assert await found(history, 1, both) == both
    await insert(history, -1, {"grams": 2500})
    await change(history, -1, {"code": -2})
    assert await found(history, -1, {"grams": 1}) == {"grams": 2500}
    await change(history, -1, {"weight": 7})
    assert await found(history, -1, {"grams": 1}) == {"grams": 7000}


async def test_a_backfill_leaves_the_old_column_as_it_is(
    history: History, shop: AsyncEngine
) -> None:
    """Although it changes the new one: '007' is 7, and 7 would be '7'."""
    await history.read("ALTER TABLE parcel ADD COLUMN sold VARCHAR(20) DEFAULT '007'")
    await history.read("ALTER TABLE parcel ADD COLUMN pieces BIGINT")
    _, _, forward, backward, _ = CASES["type"]
    await upgrade(history, SYNC.format(forward=forward, backward=backward))
    await history.read("UPDATE parcel SET pieces = CAST(sold AS BIGINT) WHERE id = 1")
    row = {"sold": "007", "pieces": 7}
    assert await found(history, 1, row) == row
    # Any other change of a row fills it too.
    await change(history, 2, {"code": -2})
    assert await found(history, 2, row) == row
    assert await found(history, 3, row) == {"sold": "007", "pieces": None}


async def test_null_is_a_value_that_is_kept_the_same(
    history: History, shop: AsyncEngine
) -> None:
    await upgrade(history, REPLACE[0])
    await history.read("UPDATE parcel SET weight = 1 WHERE id = 1")
    await history.read("UPDATE parcel SET grams = NULL WHERE id = 1")
    nothing = {"weight": None, "grams": None}
    assert await found(history, 1, nothing) == nothing
    await change(history, 1, {"code": -1})
    assert await found(history, 1, nothing) == nothing


@pytest.mark.trap("written-between")
async def test_without_triggers_rows_that_old_code_writes_after_the_backfill_are_missed(
    history: History, shop: AsyncEngine
) -> None:
    add = '    op.add_column("parcel", sa.Column("grams", sa.Integer))\n'
    await upgrade(history, add, REPLACE[1])
    await insert(history, -1, {"weight": 7})
    assert await found(history, -1, {"grams": 1}) == {"grams": None}
    await upgrade(history, REPLACE[0].replace(add.strip(), ""))
    await insert(history, -2, {"weight": 7})
    assert await found(history, -2, {"grams": 1}) == {"grams": 7000}


@pytest.mark.trap("trigger-outlives-column")
async def test_a_column_that_a_trigger_uses_is_dropped_with_it(
    history: History, shop: AsyncEngine, database: str
) -> None:
    await upgrade(history, REPLACE[0])
    if database == "postgresql":
        # The column goes, and from then on no row can be written.
        await history.read("ALTER TABLE parcel DROP COLUMN weight")
        with pytest.raises(DBAPIError, match='"weight" does not exist'):
            await insert(history, -1, {"grams": 1000})
        await history.read("ALTER TABLE parcel ADD COLUMN weight INTEGER")
    else:
        with pytest.raises(DBAPIError, match="error in trigger sync_parcel_grams"):
            await history.read("ALTER TABLE parcel DROP COLUMN weight")
    await upgrade(history, REPLACE[2])
    await insert(history, -1, {"grams": 1000})
    columns = await history.inspect(lambda c: inspect(c).get_columns("parcel"))
    assert "weight" not in [column["name"] for column in columns]
    functions = "SELECT count(*) FROM pg_proc WHERE proname = 'sync_parcel_grams'"
    triggers = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
    left = functions if database == "postgresql" else triggers
    assert await scalar(shop, left) == 0


async def test_a_new_column_with_a_default_is_refused(
    history: History, shop: AsyncEngine
) -> None:
    default = 'sa.Column("grams", sa.Integer, server_default="0")'
    body = REPLACE[0].replace('sa.Column("grams", sa.Integer)', default)
    with pytest.raises(
        ValueError, match=r"grams has a default, .*: add the default after drop_sync"
    ):
        await upgrade(history, body)
    # One of the old column does no harm.
    await history.read("ALTER TABLE parcel ADD COLUMN label INTEGER DEFAULT 3")
    (history.versions / "r0.py").unlink()
    await upgrade(history, REPLACE[0].replace("weight", "label"))
    await insert(history, -1, {"grams": 5000})
    assert await found(history, -1, {"label": 5}) == {"label": 5}


async def test_names_that_need_quotes_are_quoted(
    history: History, shop: AsyncEngine
) -> None:
    await history.read('CREATE TABLE "order" (id INTEGER PRIMARY KEY, "to" INTEGER)')
    await history.read('ALTER TABLE "order" ADD COLUMN "From" INTEGER')
    call = "sync_columns('sync to', 'order', forward={'From': '\"to\"'},"
    await upgrade(history, f"    {call} backward={{'to': '\"From\"'}})\n")
    await history.read('INSERT INTO "order" (id, "to") VALUES (1, 1)')
    await history.read('INSERT INTO "order" (id, "From") VALUES (2, 2)')
    await history.read('UPDATE "order" SET "From" = 3 WHERE id = 1')
    rows = 'SELECT "to", "From" FROM "order" ORDER BY id'
    expected = [(3, 3), (2, 2)]
    assert await history.read(rows) == expected
    await upgrade(history, "    drop_sync('sync to', 'order')\n")
    await history.read('UPDATE "order" SET "From" = 4')
    assert await scalar(shop, 'SELECT count(*) FROM "order" WHERE "to" = 4') == 0


async def test_offline_sql_is_the_same_statements(
    history: History,
    shop: AsyncEngine,
    capsys: pytest.CaptureFixture[str],
    database: str,
) -> None:
    if database == "sqlite":  # batch mode has to see the table
        return
    history.revision("r0", None, IMPORTS + REPLACE[0])
    history.upgrade(sql=True)
    sql = capsys.readouterr().out
    assert "CREATE OR REPLACE FUNCTION sync_parcel_grams()" in sql
    assert "CREATE OR REPLACE TRIGGER sync_parcel_grams" in sql
