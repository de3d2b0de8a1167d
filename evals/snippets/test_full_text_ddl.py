"""Evals for snippets/full_text_ddl.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import URL, Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.engine import new_engine
from snippets.full_text_ddl import (
    MAX_INDEXED,
    create_full_text,
    drop_full_text,
    keep_full_text,
)


class Page(DeclarativeBase):
    """Not called Base: the evals make the table themselves."""


class Order(Page):
    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    group: Mapped[str | None]
    note: Mapped[str]


COLUMNS = ["group", "note"]


def upgrade(op: Operations, **options: Any) -> None:
    dialect = op.get_bind().dialect.name
    for sql in create_full_text(dialect, "order", COLUMNS, **options):
        op.execute(sql)


def downgrade(op: Operations) -> None:
    for sql in drop_full_text(op.get_bind().dialect.name, "order"):
        op.execute(sql)


def migrate(conn: Connection, /, step: Callable[..., None], **options: Any) -> None:
    step(Operations(MigrationContext.configure(conn)), **options)


async def create(conn: AsyncConnection, **options: Any) -> None:
    await conn.run_sync(migrate, upgrade, **options)


@pytest.fixture
async def conn(fresh_database: URL) -> Any:
    engine: AsyncEngine = new_engine(fresh_database)
    async with engine.connect() as conn:
        await conn.run_sync(Page.metadata.create_all)
        await add(conn, 1, "Fruit", "two Apples")
        await add(conn, 2, None, "one pear")
        yield conn
    await engine.dispose()


async def add(conn: AsyncConnection, key: int, group: str | None, note: str) -> None:
    sql = text('INSERT INTO "order" (id, "group", note) VALUES (:id, :group, :note)')
    await conn.execute(sql, {"id": key, "group": group, "note": note})


async def found(conn: AsyncConnection, database: str, word: str) -> list[int]:
    sql = {
        "sqlite": "SELECT rowid FROM order_fts WHERE order_fts MATCH :word ORDER BY 1",
        "postgresql": 'SELECT id FROM "order" WHERE search_vector'
        " @@ to_tsquery('simple', :word) ORDER BY 1",
    }
    return list(await conn.scalars(text(sql[database]), {"word": word}))


async def test_the_index_holds_what_was_there_and_follows_every_change(
    conn: AsyncConnection, database: str
) -> None:
    await create(conn)
    assert await found(conn, database, "apples") == [1]
    assert await found(conn, database, "fruit") == [1]
    await add(conn, 3, "x", "Apples again")
    assert await found(conn, database, "apples") == [1, 3]
    await conn.execute(text("UPDATE \"order\" SET note = 'plums' WHERE id = 1"))
    assert await found(conn, database, "apples") == [3]
    assert await found(conn, database, "plums") == [1]
    assert await found(conn, database, "fruit") == [1]
    await conn.execute(text('DELETE FROM "order" WHERE id = 3'))
    assert await found(conn, database, "apples") == []
    if database == "sqlite":
        # Raises if the index and the table differ.
        check = "INSERT INTO order_fts (order_fts, rank) VALUES ('integrity-check', 1)"
        await conn.execute(text(check))


@pytest.mark.trap("index-out-of-step")
async def test_an_external_index_without_triggers_finds_what_is_gone(
    conn: AsyncConnection, database: str
) -> None:
    await create(conn)
    if database == "sqlite":
        for event in ("insert", "update", "delete"):
            await conn.execute(text(f"DROP TRIGGER order_fts_{event}"))
    await add(conn, 3, None, "quince")
    await conn.execute(text('DELETE FROM "order" WHERE id = 1'))
    left = {"sqlite": ([1], []), "postgresql": ([], [3])}
    gone = await found(conn, database, "apples")
    assert (gone, await found(conn, database, "quince")) == left[database]


async def test_a_language_reduces_words_to_their_stems(
    conn: AsyncConnection, database: str
) -> None:
    await create(conn, language="english")
    word = "apple" if database == "sqlite" else "appl"  # FTS5 stems the question too
    assert await found(conn, database, word) == [1]


async def test_words_are_taken_as_they_are_otherwise(
    conn: AsyncConnection, database: str
) -> None:
    await create(conn)
    await add(conn, 4, None, "Café")
    assert await found(conn, database, "apple") == []
    assert await found(conn, database, "café") == [4]
    assert await found(conn, database, "cafe") == []


async def test_down_takes_everything_away(conn: AsyncConnection, database: str) -> None:
    def names(conn: Connection) -> set[str]:
        found = inspect(conn)
        columns = {column["name"] for column in found.get_columns("order")}
        indexes = {str(index["name"]) for index in found.get_indexes("order")}
        return columns | indexes | set(found.get_table_names())

    before = await conn.run_sync(names)
    await create(conn)
    made = await conn.run_sync(names) - before
    assert (
        made
        == {
            "sqlite": {
                f"order_fts{part}"
                for part in ("", "_data", "_idx", "_docsize", "_config")
            },
            "postgresql": {"search_vector", "order_fts"},
        }[database]
    )
    await conn.run_sync(migrate, downgrade)
    assert await conn.run_sync(names) == before
    await add(conn, 3, None, "no trigger is left")


@pytest.mark.trap("autogenerate-drops-search")
async def test_autogenerate_would_drop_it(conn: AsyncConnection, database: str) -> None:
    def changes(conn: Connection, options: dict[str, Any]) -> Any:
        context = MigrationContext.configure(conn, opts=options)
        return compare_metadata(context, Page.metadata)

    await create(conn)
    operations = {
        "sqlite": {"remove_table"},
        "postgresql": {"remove_column", "remove_index"},
    }
    assert {change[0] for change in await conn.run_sync(changes, {})} == operations[
        database
    ]
    kept = await conn.run_sync(changes, {"include_name": keep_full_text})
    assert kept == []


def test_nothing_else_is_hidden_from_autogenerate() -> None:
    for name in ("order", "order_fts_archive", "fts", "order_by_note", None):
        assert keep_full_text(name, "table", {}), name
    for name in ("order_fts", "order_fts_data", "search_vector"):
        assert not keep_full_text(name, "table", {}), name


@pytest.mark.trap("text-too-long-for-index")
async def test_a_long_text_by_hand_cannot_be_saved_on_postgresql(
    conn: AsyncConnection, database: str
) -> None:
    words = " ".join(f"word{n}" for n in range(150_000))
    if database == "postgresql":
        await conn.commit()
        with pytest.raises(DBAPIError, match="too long for tsvector"):
            await conn.scalar(text("SELECT to_tsvector('simple', :t)"), {"t": words})
        await conn.rollback()
    await create(conn)
    await add(conn, 3, words, words)
    await add(conn, 4, "ж" * 4 * MAX_INDEXED, " ".join("жщ" * n for n in range(300)))
    assert await found(conn, database, "word77") == [3]
    late = await found(conn, database, "word149999")
    assert late == {"sqlite": [3], "postgresql": []}[database]


@pytest.mark.parametrize("columns", [["a"], ["a", "b", "c", "d"]], ids=range(2))
def test_one_column_will_do_and_four_too(columns: list[str]) -> None:
    statements = create_full_text("postgresql", "order", columns)
    assert statements[0].count("setweight") == len(columns)


@pytest.mark.parametrize("columns", [[], ["a", "b", "c", "d", "e"]], ids=range(2))
async def test_an_index_has_one_to_four_columns(
    conn: AsyncConnection, columns: list[str]
) -> None:
    with pytest.raises(ValueError, match=f"{len(columns)} columns: expected 1 to 4"):
        create_full_text(conn.dialect.name, "order", columns)
