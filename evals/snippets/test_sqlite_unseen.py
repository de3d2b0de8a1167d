"""Evals for snippets/sqlite_unseen.py: rules that batch mode would lose in silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from alembic.util import CommandError

from evals.harness.migrations import History
from evals.snippets.test_migration_env import plain_env

HOUSE = "CREATE TABLE house (id INTEGER PRIMARY KEY)"
KEY = "INTEGER REFERENCES house (id)"
# How a column, or what follows it, is declared; and what is lost.
LOST = {
    "length": ("code VARCHAR(9) UNIQUE", "UNIQUE of code"),
    "two numbers": ("code NUMERIC(9, 2) UNIQUE", "UNIQUE of code"),
    "default": ("code TEXT DEFAULT 'x' UNIQUE", "UNIQUE of code"),
    "order": ("code TEXT, n INTEGER, UNIQUE (n, code DESC)", "UNIQUE of n, code"),
    "at the column": (f"code {KEY} ON DELETE CASCADE", "ON DELETE CASCADE of code"),
    "update": (f"code {KEY} on update  set null", "ON UPDATE SET NULL of code"),
    "no column": (
        "code INTEGER, FOREIGN KEY (code) REFERENCES house ON DELETE CASCADE",
        "ON DELETE CASCADE of code",
    ),
}
SEEN = {
    "plain": "code INTEGER UNIQUE",
    "clause": "code VARCHAR(9), UNIQUE (code)",
    "two": "code VARCHAR(9), n INTEGER, CONSTRAINT uq UNIQUE (code, n)",
    "foreign key": (
        "code INTEGER, n INTEGER,"
        " foreign key (code) references house (id) on delete set null,"
        " CONSTRAINT fk FOREIGN KEY (n) REFERENCES house (id) ON UPDATE CASCADE"
    ),
}
TABLE = "CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(20), {})"
NAMES = "naming_convention={'fk': 'fk_%(column_0_name)s'}"
WIDEN = "batch.alter_column('name', type_=sa.String(50))"


def revision(history: History, *operations: str, options: str = NAMES) -> None:
    head = f"    with op.batch_alter_table('parent', {options}) as batch:"
    lines = [head, *(f"        {operation}" for operation in operations)]
    body = "\n".join(lines)
    history.revision("r1", None, f"def upgrade():\n{body}\n")


async def make(history: History, declared: str) -> None:
    await history.read(HOUSE)
    await history.read(TABLE.format(declared))
    await history.read("INSERT INTO parent (id, name) VALUES (1, 'ann')")


async def rules(history: History) -> Any:
    """Return what SQLite says of the table."""
    unique = "SELECT group_concat(i.name) FROM pragma_index_list('parent') AS l"
    unique += " JOIN pragma_index_info(l.name) AS i WHERE origin = 'u' GROUP BY l.seq"
    keys = (
        "SELECT \"from\", on_delete, on_update FROM pragma_foreign_key_list('parent')"
    )
    return [sorted(await history.read(query)) for query in (unique, keys)]


@pytest.mark.trap("rule-lost")
@pytest.mark.parametrize("case", LOST)
async def test_a_rule_that_reflection_misses_stops_the_revision(
    history: History, case: str
) -> None:
    declared, lost = LOST[case]
    await make(history, declared)
    before = await rules(history)
    revision(history, WIDEN)
    with pytest.raises(CommandError, match=f"would lose {lost} of table parent: "):
        history.upgrade()
    assert await rules(history) == before
    # Alembic alone loses it, and says nothing.
    await asyncio.to_thread(history.upgrade, env=plain_env(history))
    assert await rules(history) != before
    assert await history.read("SELECT name FROM parent") == [("ann",)]


@pytest.mark.parametrize("case", SEEN)
async def test_a_rule_that_reflection_sees_is_kept(history: History, case: str) -> None:
    await make(history, SEEN[case])
    before = await rules(history)
    revision(history, WIDEN)
    history.upgrade()
    assert await rules(history) == before
    assert await history.version() == "r1"


@pytest.mark.parametrize(
    ("case", "operations"),
    [
        ("length", ["batch.create_unique_constraint('uq', ['code'])"]),
        ("order", ["batch.create_unique_constraint('uq', ['n', 'code'])"]),
        (
            "at the column",
            [
                "batch.drop_constraint('fk_code', type_='foreignkey')",
                "batch.create_foreign_key('fk', 'house', ['code'], ['id'],"
                " ondelete='CASCADE')",
            ],
        ),
    ],
)
async def test_a_rule_that_is_repeated_in_the_batch_is_kept(
    history: History, case: str, operations: list[str]
) -> None:
    declared, _ = LOST[case]
    await make(history, declared)
    before = await rules(history)
    revision(history, WIDEN, *operations)
    history.upgrade()
    assert await rules(history) == before
    assert await history.version() == "r1"


async def test_a_rule_may_go_with_its_column_and_not_with_its_name(
    history: History,
) -> None:
    await make(history, "code VARCHAR(9) UNIQUE, n INTEGER")
    revision(history, "batch.alter_column('code', new_column_name='number')", WIDEN)
    with pytest.raises(CommandError, match="would lose UNIQUE of code"):
        history.upgrade()
    revision(history, "batch.drop_column('n')", WIDEN)
    with pytest.raises(CommandError, match="would lose UNIQUE of code"):
        history.upgrade()
    revision(history, "batch.drop_column('code')", WIDEN)
    history.upgrade()
    assert await history.read("SELECT * FROM parent") == [(1, "ann", None)]


@pytest.mark.parametrize(
    ("case", "operations"),
    [
        ("two", ["batch.drop_constraint('uq', type_='unique')"]),
        (
            "foreign key",
            [
                "batch.drop_constraint('fk', type_='foreignkey')",
                "batch.drop_constraint('fk_code', type_='foreignkey')",
            ],
        ),
    ],
)
async def test_a_rule_that_is_seen_may_go_on_purpose(
    history: History, case: str, operations: list[str]
) -> None:
    await make(history, SEEN[case])
    revision(history, *operations, WIDEN)
    history.upgrade()
    assert await rules(history) == [[], []]


async def test_a_unique_index_is_no_rule_of_the_table(history: History) -> None:
    await make(history, f"code {KEY}")
    await history.read("CREATE UNIQUE INDEX ix ON parent (code)")
    revision(history, "batch.drop_index('ix')", WIDEN)
    history.upgrade()
    revision(history, "batch.drop_constraint('fk_code', type_='foreignkey')", WIDEN)
    await history.read("DELETE FROM alembic_version")
    history.upgrade()
    assert await rules(history) == [[], []]
