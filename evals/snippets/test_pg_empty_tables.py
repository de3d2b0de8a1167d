"""Evals for snippets/pg_empty_tables.py."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from snippets.engine import new_engine
from snippets.pg_empty_tables import emptying_statement


@pytest.fixture
async def connection(fresh_database: URL) -> AsyncIterator[AsyncConnection]:
    engine = new_engine(fresh_database, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


@pytest.fixture(params=["superuser", "owner"])
async def role(
    request: pytest.FixtureRequest, connection: AsyncConnection
) -> AsyncIterator[str]:
    """Who empties the tables: only a superuser can keep triggers from firing."""
    if request.param == "owner":
        name = await connection.scalar(text("SELECT current_database()"))
        await run(
            connection,
            f"CREATE ROLE {name}_owner",
            f"GRANT CREATE ON DATABASE {name} TO {name}_owner",
            f"GRANT ALL ON SCHEMA public TO {name}_owner",
            f"SET ROLE {name}_owner",
        )
    yield request.param
    if request.param == "owner":
        drop = (f"DROP OWNED BY {name}_owner", f"DROP ROLE {name}_owner")
        await run(connection, "RESET ROLE", *drop)


async def run(connection: AsyncConnection, *statements: str) -> None:
    for statement in statements:
        await connection.exec_driver_sql(statement)


async def count(connection: AsyncConnection, table: str) -> int:
    found = await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")
    return int(found.scalar_one())


async def test_tables_whose_keys_go_round_in_a_circle_are_emptied(
    connection: AsyncConnection, role: str
) -> None:
    await run(
        connection,
        "CREATE SCHEMA other",
        'CREATE TABLE "A b" (id int PRIMARY KEY, boss int REFERENCES "A b")',
        'CREATE TABLE other.c (id int PRIMARY KEY, a int REFERENCES "A b")',
        'ALTER TABLE "A b" ADD c int REFERENCES other.c',
    )
    empty = await emptying_statement(connection)
    await run(
        connection,
        'INSERT INTO "A b" VALUES (1, 1, NULL), (2, 1, NULL)',
        "INSERT INTO other.c VALUES (1, 1)",
        'UPDATE "A b" SET c = 1',
    )
    if role == "owner":
        with pytest.raises(IntegrityError):
            await run(connection, 'DELETE FROM "A b"')

    await run(connection, empty)

    assert await count(connection, '"A b"') == await count(connection, "other.c") == 0


async def test_it_is_one_statement_that_the_server_plans_once(
    connection: AsyncConnection,
) -> None:
    assert await emptying_statement(connection) == "SELECT 1"
    await run(connection, "CREATE TABLE a (id int)")
    assert await emptying_statement(connection) == "DELETE FROM public.a"
    await run(connection, "CREATE TABLE b (id int)", "CREATE VIEW v AS SELECT 1")
    statement = await emptying_statement(connection)
    assert statement.startswith("WITH s0 AS (DELETE FROM public.")
    await run(connection, f"PREPARE empty AS {statement}")


async def test_seed_data_are_put_back_whatever_their_type(
    connection: AsyncConnection,
) -> None:
    await run(
        connection,
        "CREATE TYPE mood AS ENUM ('sad', 'it''s')",
        "CREATE TABLE parent (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
        """CREATE TABLE seed (
            whole text, n numeric, b bytea, a text[], j jsonb, r int4range, m mood,
            at timestamptz, gone int, "Odd name" float8,
            parent_id int REFERENCES parent,
            twice int GENERATED ALWAYS AS ((n * 2)::int) STORED)""",
        "ALTER TABLE seed DROP gone",
        "INSERT INTO parent DEFAULT VALUES",
        r"""INSERT INTO seed VALUES
            ('it''s "100%" :x $1 {}\ ,()', 1.50, '\x00ff', '{a,NULL,"b c"}',
             'null', '[1,5)', 'it''s', '2026-01-01 12:00+02', 0.1, 1),
            (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            ('', 0, '', '{}', '{"k": [1]}', 'empty', 'sad', 'infinity', 'NaN', 1)""",
    )
    rows = "SELECT md5(string_agg(s::text, '|')) FROM seed s"
    before = (await connection.exec_driver_sql(rows)).scalar_one()
    empty = await emptying_statement(connection)
    await run(
        connection,
        "INSERT INTO parent DEFAULT VALUES",
        "DELETE FROM seed WHERE n = 0",
        "UPDATE seed SET whole = 'changed'",
    )
    await run(connection, empty, empty)

    assert (await connection.exec_driver_sql(rows)).scalar_one() == before
    assert await count(connection, "parent") == 1


async def test_the_revision_and_what_extensions_own_are_left_alone(
    connection: AsyncConnection,
) -> None:
    await run(
        connection,
        "CREATE TABLE alembic_version (version_num text)",
        "CREATE TABLE spatial_ref_sys (id int)",
        "ALTER EXTENSION plpgsql ADD TABLE spatial_ref_sys",
        "CREATE TABLE event (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10)",
    )
    empty = await emptying_statement(connection)
    await run(
        connection,
        "INSERT INTO alembic_version VALUES ('5c1f')",
        "INSERT INTO spatial_ref_sys VALUES (1)",
        "INSERT INTO event VALUES (1)",
        empty,
    )
    assert empty == "DELETE FROM public.event"
    assert await count(connection, "alembic_version") == 1
    assert await count(connection, "spatial_ref_sys") == 1
    assert await count(connection, "event_1") == 0


async def test_an_audit_trigger_leaves_nothing_behind(
    connection: AsyncConnection, role: str
) -> None:
    await run(
        connection,
        "CREATE TABLE audit (id int)",
        "CREATE TABLE song (id int)",
        """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO audit VALUES (old.id); RETURN NULL; END'""",
        "CREATE TRIGGER note AFTER DELETE ON song FOR EACH ROW EXECUTE FUNCTION note()",
    )
    empty = await emptying_statement(connection)
    await run(connection, "INSERT INTO song VALUES (1)", empty)

    assert await count(connection, "audit") == await count(connection, "song") == 0
