"""Evals for snippets/sqlite_rules.py."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from evals.harness.migrations import History
from evals.snippets.test_sqlite_recreate import BATCH, SCHEMA, VIEW, WIDEN, make, table
from snippets.sqlite_rules import refuse_lost_rules


@pytest.mark.parametrize("word", ["COLLATE NOCASE", "ON CONFLICT IGNORE", "AUTO"])
async def test_a_word_that_would_be_lost_stops_the_revision(
    history: History, word: str
) -> None:
    unique = f"UNIQUE {word}" if word.startswith("ON") else word
    name = "" if word == "AUTO" else unique
    key = "INTEGER PRIMARY KEY AUTOINCREMENT" if word == "AUTO" else "INTEGER"
    await make(
        history, f"CREATE TABLE parent (id {key}, name VARCHAR(20) {name}, m INTEGER)"
    )
    history.revision("r1", None, WIDEN.replace("existing_nullable=False", ""))
    with pytest.raises(
        CommandError, match=f"would lose {word.rpartition(' ')[0]}"
    ) as caught:
        history.upgrade()
    assert str(caught.value).endswith("by hand in the revision, and copy the rows")
    assert await table(history) == (
        f"CREATE TABLE parent (id {key}, name VARCHAR(20) {name}, m INTEGER)"
    )


@pytest.mark.parametrize("option", ["STRICT", "WITHOUT ROWID"])
async def test_an_option_of_the_table_is_kept_or_stops_the_revision(
    history: History, option: str
) -> None:
    """SQLAlchemy sees them since 2.1."""
    parent = "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT, m INTEGER)"
    await make(history, f"{parent} {option}")
    body = WIDEN.replace("sa.String(50), existing_nullable=False", "sa.Text()")
    history.revision("r1", None, body.replace("type_", "server_default='x', type_"))
    with suppress(CommandError):
        history.upgrade()
    assert (await table(history)).rstrip().endswith(option)

    refuse_lost_rules("parent", f"{parent}\n{option}", f"{parent} {option}")
    with pytest.raises(CommandError, match=f"lose {option} of table parent"):
        refuse_lost_rules("parent", f"{parent}\n{option}", parent)
    # ON DELETE RESTRICT is another word.
    refuse_lost_rules("parent", f"{parent} RESTRICT", parent)


async def test_deferrable_at_a_column_stops_the_revision(history: History) -> None:
    parent = "CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(20), m INTEGER"
    late = "REFERENCES house (id) DEFERRABLE INITIALLY DEFERRED"
    await history.read("CREATE TABLE house (id INTEGER PRIMARY KEY)")
    await history.read("INSERT INTO house VALUES (2)")
    body = WIDEN.replace("existing_nullable=False", "")
    history.revision("r1", None, body)
    await make(history, f"{parent} {late})")
    with pytest.raises(CommandError, match="would lose DEFERRABLE of table parent"):
        history.upgrade()
    assert "DEFERRABLE" in await table(history)

    # In a clause of its own it is seen, and may go on purpose.
    await history.read("DROP TABLE parent")
    await make(history, f"{parent}, CONSTRAINT fk FOREIGN KEY (m) {late})")
    history.upgrade()
    assert "DEFERRABLE" in await table(history)
    drop = BATCH.format(operation="drop_constraint('fk', type_='foreignkey')")
    history.revision("r2", "r1", drop)
    history.upgrade()
    assert "DEFERRABLE" not in await table(history)


UNNAMED = """CREATE TABLE parent (
    id INTEGER PRIMARY KEY,
    name VARCHAR(20) CHECK (name <> ''),
    m INTEGER,
    CONSTRAINT ck_m CHECK (m < 1000)
)"""


@pytest.mark.trap("unnamed-check-lost")
async def test_a_check_without_a_name_stops_the_revision_until_it_has_one(
    history: History,
) -> None:
    await make(history, UNNAMED)
    # The loss of one is not made good by a new CHECK that replaces another.
    replaces = """drop_constraint(op.f("ck_m"), type_="check")
        batch.create_check_constraint(op.f("ck_m2"), "m < 2000")"""
    for body in (WIDEN.replace(", existing_nullable=False", ""), WIDEN):
        history.revision("r1", None, body)
        with pytest.raises(CommandError, match="lose a CHECK without a name of table"):
            history.upgrade()
    assert "name <> ''" in await table(history)

    named = "\"parent\", table_args=(sa.CheckConstraint(\"name <> ''\", name='ck_n'),)"
    history.revision(
        "r1", None, BATCH.format(operation=replaces).replace('"parent"', named)
    )
    history.upgrade()
    for broken in ("(2, '', 1)", "(2, 'a', 2000)"):
        with pytest.raises(DBAPIError, match="CHECK constraint failed"):
            await history.read(f"INSERT INTO parent VALUES {broken}")
    await history.read("INSERT INTO parent VALUES (2, 'a', 1999)")


async def test_a_check_with_a_name_may_go(history: History) -> None:
    await make(history)
    drop = 'drop_constraint(op.f("ck_m"), type_="check")'
    history.revision("r1", None, BATCH.format(operation=drop))
    history.upgrade()
    assert "CHECK" not in await table(history)


@pytest.mark.parametrize(
    ("lost", "statement"),
    [
        ("by_name", VIEW.replace("names", "by_name")),
        ("ix_lower", SCHEMA["ix_lower"]),
        ("renamed", SCHEMA["renamed"]),
        ("renamed", SCHEMA["renamed"].replace("UPDATE OF name", "update of m,\n name")),
        ("a trigger", SCHEMA["renamed"].replace(" OF name", "")),
        (
            "a trigger",
            "CREATE TRIGGER added AFTER INSERT ON parent BEGIN SELECT new.name; END",
        ),
    ],
)
async def test_what_needs_a_dropped_column_stops_the_revision(
    history: History, lost: str, statement: str
) -> None:
    await make(history, SCHEMA["parent"], SCHEMA["log"], statement)
    operations = (
        'alter_column("m", type_=sa.BigInteger)\n        batch.drop_column("name")'
    )
    history.revision("r1", None, BATCH.format(operation=operations))
    message = re.escape(f"{lost} needs what this revision takes away from table parent")
    with pytest.raises(CommandError, match=message):
        history.upgrade()
    assert await history.read("SELECT name FROM parent") == [("ann",)]
