"""Evals of what the reviewer says of the pack's own recipes for live schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.harness.shop import CALLS
from evals.snippets.test_online_column import REPLACE
from evals.snippets.test_online_enum import RENAME, TEXT
from evals.snippets.test_online_key import PARTITION
from scripts import review_migration
from scripts.reviewing.online import CALLS as KNOWN

HEAD = """
import sqlalchemy as sa
from alembic import op
"""
FOOT = """

def downgrade():
    raise NotImplementedError("restore a backup")
"""
CREATE = """op.create_table("parcel", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("weight", sa.Integer), sa.Column("van_id", sa.Integer))"""
# What a page's recipe is judged to be, of all that stops or warns.
RECIPES: dict[str, tuple[str, set[str]]] = {
    **{name: (call, set()) for name, call in CALLS.items()},
    "foreign key": (CALLS["foreign key"], {"foreign-key-without-index"}),
    "expand": (REPLACE[0], set()),
    "backfill": (REPLACE[1], set()),
    "contract": (REPLACE[2], {"column-dropped"}),
    "not null at the end": (REPLACE[3], set()),
    "value added": (RENAME[0], set()),
    "value mapped": (RENAME[1], set()),
    "value removed": (RENAME[2], set()),
    "enum to text": (TEXT, {"type-rewrites", "check-scans", "sqlite-recreate"}),
    "key": ('widen_key("parcel", "id")', set()),
    "column": ('widen_column("parcel", "van_id", key="id")', set()),
    "type made anew": ('replace_enum("kind", ["a"])', {"table-rewrites"}),
    "partition bound": (PARTITION[0], set()),
    "partition check": (PARTITION[2], set()),
}


def review(
    folder: Path, capsys: pytest.CaptureFixture[str], *bodies: str, since: str = ""
) -> set[str]:
    """Write a history, judge its end, and return the rules that are raised."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    imports = "".join(
        f"from app.db.{module} import {', '.join(sorted(names))}\n"
        for module, names in KNOWN.items()
    )
    for number, body in enumerate(bodies):
        down = f"r{number - 1}" if number else None
        text = f'{HEAD}{imports}\nrevision = "r{number}"\ndown_revision = {down!r}\n'
        text += f"\n\ndef upgrade():\n    {body.strip()}\n{FOOT}"
        (versions / f"r{number}.py").write_text(text, encoding="utf-8")
    last = str(versions / f"r{len(bodies) - 1}.py")
    chosen = ["--since", since, str(versions)] if since else [last]
    code = review_migration.main(["--json", *chosen])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    reasons = [
        reason
        for revision in report["revisions"]
        for operation in revision["operations"]
        for reason in operation["reasons"]
        if reason["verdict"] != "safe"
    ]
    assert (code == 0) is (reasons == [])
    return {reason["rule"] for reason in reasons}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_a_page_is_judged_as_the_page_says(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body, rules = RECIPES[name]
    assert review(tmp_path, capsys, CREATE, body) == rules


# One revision, or several; what is raised by the last.
JUDGED: dict[str, tuple[list[str], set[str]]] = {
    "values written over": (
        ['backfill("parcel", key="id", where="weight > 9", change="weight = 9")'],
        {"values-overwritten"},
    ),
    "a text that is not known": (
        ['backfill("parcel", key="id", where=input(), change=input())'],
        {"unread-sql"},
    ),
    "beside an operation": (
        [
            'op.add_column("parcel", sa.Column("a", sa.Integer))\n'
            '    create_index("ix", "parcel", ["a"])'
        ],
        {"autocommit-not-alone"},
    ),
    "beside triggers": (
        [REPLACE[0].strip() + "\n    " + REPLACE[1].strip()],
        {"autocommit-not-alone"},
    ),
    "a foreign key without an index": (
        ['add_foreign_key("fk", "parcel", "van", ["van_id"], ["id"])'],
        {"foreign-key-without-index"},
    ),
    "a foreign key with one": (
        [
            'create_index("ix", "parcel", ["van_id"])',
            'add_foreign_key("fk", "parcel", "van", ["van_id"], ["id"])',
        ],
        set(),
    ),
    "a foreign key on a unique column": (
        [
            'add_unique("uq", "parcel", ["van_id"])',
            'add_foreign_key("fk", "parcel", "van", ["van_id"], ["id"])',
        ],
        set(),
    ),
    "a check that spares the scan": (
        [
            'add_check("ck", "parcel", "weight IS NOT NULL")',
            'op.alter_column("parcel", "weight", nullable=False)',
        ],
        set(),
    ),
    "a column that is not null already": (
        [
            'set_not_null("parcel", "weight")',
            'op.alter_column("parcel", "weight", nullable=False)',
        ],
        set(),
    ),
    "a key that is wide already": (
        [
            'widen_key("parcel", "id")',
            'op.alter_column("parcel", "id", type_=sa.BigInteger())',
        ],
        set(),
    ),
    "a column that is wide already": (
        [
            'widen_column("parcel", "van_id", key="id")',
            'op.alter_column("parcel", "van_id", type_=sa.BigInteger())',
        ],
        set(),
    ),
    "a lock by hand": (
        ['lock("parcel", "SHARE")\n    op.execute("SELECT 1")'],
        set(),
    ),
    "steps by hand": (
        [
            "if on_postgresql():\n"
            '        with own_transactions(), unlimited("lock_timeout"):\n'
            "            name = quoted('ix')\n"
            "            op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {name}')"
        ],
        set(),
    ),
    "a constraint dropped that spared the scan": (
        [
            'add_check("ck", "parcel", "weight IS NOT NULL")',
            'drop_index("ix")',
            'drop_constraint("parcel", "ck")',
            'op.alter_column("parcel", "weight", nullable=False)',
        ],
        {"not-null-scans"},
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_call_is_judged_by_what_it_does(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies, rules = JUDGED[name]
    assert review(tmp_path, capsys, CREATE, *bodies) == rules


def test_another_function_of_such_a_module_is_not_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "from app.db.online_schema import drop_it\n    drop_it('parcel')"
    rules = review(tmp_path, capsys, CREATE, body)
    assert rules == {"unread-code", "application-import"}


def test_every_call_is_a_function_of_a_snippet() -> None:
    snippets = Path(__file__).resolve().parents[2] / "snippets"
    for module, names in KNOWN.items():
        text = (snippets / f"{module}.py").read_text(encoding="utf-8")
        assert {name for name in names if f"\ndef {name}(" not in text} == set()


ADDS = "op.execute(\"ALTER TYPE kind ADD VALUE IF NOT EXISTS 'lost'\")"
USES = "op.alter_column('parcel', 'kind', server_default='lost')"


@pytest.mark.parametrize(
    ("adds", "env", "rules"),
    [
        (ADDS, "context.configure()", {"enum-value-used-later"}),
        (ADDS, "", {"enum-value-used-later"}),
        (ADDS, "context.configure(transaction_per_migration=True)", set()),
        (ADDS, "run_env(Base.metadata, url, models=models)", set()),
        ("add_enum_value('kind', 'lost')", "context.configure()", set()),
        (ADDS.replace("lost", "gone"), "context.configure()", set()),
    ],
    ids=["one transaction", "no env.py", "apart", "run_env", "snippet", "another"],
)
def test_a_value_that_an_earlier_revision_of_the_run_adds_may_not_be_used(
    adds: str,
    env: str,
    rules: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if env:
        (tmp_path / "migrations").mkdir()
        (tmp_path / "migrations/env.py").write_text(env, encoding="utf-8")
    assert review(tmp_path, capsys, CREATE, adds, USES, since="r0") == rules
