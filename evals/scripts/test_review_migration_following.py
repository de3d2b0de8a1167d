"""Evals of how far the reviewer follows code that real histories are made of.

Helpers of the same repository, what a branch leaves in a name, rows of the ORM, DO
blocks: each revision here is small and the form is one that was met in a history.
"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from scripts import review_migration
from scripts.reviewing.source import read_file
from scripts.reviewing.sql import read_sql

HEAD = """\
import sqlalchemy as sa
from alembic import context, op
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

revision = "b"
down_revision = "a"
"""
BEFORE = """\
import sqlalchemy as sa
from alembic import op

revision = "a"
down_revision = None

def upgrade():
    op.create_table(
        "parcel",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("note", sa.Text()),
        sa.Column("size", sa.Integer()),
    )

def downgrade():
    op.drop_table("parcel")
"""
END = "\n\ndef downgrade():\n    raise NotImplementedError\n"


def write(versions: Path, upgrade: str, module: str = "") -> Path:
    versions.mkdir(parents=True, exist_ok=True)
    (versions / "a.py").write_text(BEFORE, encoding="utf-8")
    body = indent(dedent(upgrade).strip(), "    ")
    path = versions / "b.py"
    text = f"{HEAD}\n{dedent(module)}\n\ndef upgrade():\n{body}\n{END}"
    path.write_text(text, encoding="utf-8")
    return path


def seen(path: Path) -> list[str]:
    """Return each operation, with its databases where they are not both."""
    revision = read_file(path)
    assert revision.problem == ""
    found = []
    for op in revision.upgrade:
        databases = " ".join(sorted(op.databases & {"postgresql", "sqlite"}))
        where = "" if databases == "postgresql sqlite" else f" ({databases})"
        found.append(f"{op}{where}")
    return found


def judged(
    capsys: pytest.CaptureFixture[str], path: Path, **options: Any
) -> dict[str, set[str]]:
    """Return the rules on each operation; notes and faults of the file are left out."""
    args = [str(path), "--json"]
    for name, value in options.items():
        args += [f"--{name}", value]
    review_migration.main(args)
    report = json.loads(capsys.readouterr().out)
    found: dict[str, set[str]] = {}
    for revision in report["revisions"]:
        for op in revision["operations"]:
            rules = {r["rule"] for r in op["reasons"] if r["verdict"] != "safe"}
            if rules != {"application-import"}:
                found.setdefault(op["operation"], set()).update(rules)
    return found


# --- names and branches ---

# What stands in upgrade(), what in the module, and the operations that it amounts to.
FOLLOWED = {
    "either text is read": (
        'text = "DROP TABLE a"\nif context.get_x_argument():\n'
        '    text = "DROP TABLE b"\nop.execute(text)',
        "",
        ["drop_table b", "drop_table a"],
    ),
    "either text of an expression is read": (
        'op.execute("DROP TABLE a" if input() else "DROP TABLE b")',
        "",
        ["drop_table a", "drop_table b"],
    ),
    "a text of each database": (
        'if op.get_bind().dialect.name == "sqlite":\n    text = "DROP TABLE a"\n'
        'else:\n    text = "DROP TABLE b"\nop.execute(sa.text(text))',
        "",
        ["drop_table a (sqlite)", "drop_table b (postgresql)"],
    ),
    "a text of each database, in an expression": (
        'on = op.get_bind().dialect.name\nop.execute("DROP TABLE a" if on == "sqlite"'
        ' else "DROP TABLE b")',
        "",
        ["drop_table a (sqlite)", "drop_table b (postgresql)"],
    ),
    "a helper that knows the database": (
        'if sqlite():\n    op.drop_table("a")\nelse:\n    op.drop_table("b")',
        "def sqlite():\n    if op.get_bind().dialect.name == 'sqlite':\n"
        "        return True\n    return False",
        ["drop_table a (sqlite)", "drop_table b (postgresql)"],
    ),
    "a name that only a run finds": (
        'op.drop_constraint(named(), "a", type_="unique")',
        "def named():\n"
        "    for found in sa.inspect(op.get_bind()).get_unique_constraints('a'):\n"
        "        if found['column_names'] == ['x']:\n            return found['name']\n"
        "    return None",
        ["drop_constraint a.?"],
    ),
    "one of two names that only a run finds": (
        "one, other = named()\nif one:\n    op.drop_constraint(one, 'a')\n"
        "elif other:\n    op.drop_index(other, 'a')",
        "def named():\n"
        "    for found in sa.inspect(op.get_bind()).get_unique_constraints('a'):\n"
        "        if found['x']:\n            return found['name'], None\n"
        "        if found['y']:\n            return None, found['name']\n"
        "    return None, None",
        ["drop_constraint a.?", "drop_index a.?"],
    ),
    "an argument that is left out": (
        'drop("a")\ndrop("b", "c")',
        "def drop(table, column=None):\n    if column is not None:\n"
        "        op.drop_column(table, column)\n"
        "    else:\n        op.drop_table(table)",
        ["drop_table a", "drop_column b.c"],
    ),
    "an argument that chooses": (
        'drop("a", "table")\ndrop("b", "index")',
        "def drop(name, kind):\n    if kind == 'table':\n        op.drop_table(name)\n"
        "    elif kind in ('index',):\n        op.drop_index(name)\n"
        "    else:\n        op.create_view(name)",
        ["drop_table a", "drop_index b"],
    ),
    "an item that is passed over": (
        'for name in ("a", "b"):\n    if name == "a":\n        continue\n'
        "    op.drop_table(name)",
        "",
        ["drop_table b"],
    ),
    "a database that is passed over": (
        'for name in ("a", "b"):\n    if op.get_bind().dialect.name == "sqlite":\n'
        '        continue\n    op.drop_table(name)\nop.drop_table("c")',
        "",
        ["drop_table a (postgresql)", "drop_table b (postgresql)", "drop_table c"],
    ),
    "a flag that a loop sets": (
        'done = False\nfor row in sa.inspect(op.get_bind()).get_indexes("a"):\n'
        '    if row["name"] == "i":\n        done = True\n'
        'if done:\n    op.drop_index("i")\nelse:\n    op.drop_table("a")',
        "",
        ["drop_index i", "drop_table a"],
    ),
    "a flag that a failure sets": (
        'done = True\ntry:\n    op.get_bind().execute(sa.text("SELECT 1"))\n'
        'except Exception:\n    done = False\nif done:\n    op.drop_table("a")\n'
        'else:\n    op.drop_table("b")',
        "",
        ["select select 1", "drop_table a", "drop_table b"],
    ),
    "a counter of rounds": (
        'round = 0\nwhile input():\n    if round == 0:\n        op.drop_table("a")\n'
        '    else:\n        op.drop_table("b")\n    round += 1',
        "",
        ["drop_table a", "drop_table b"],
    ),
    "a case that sets a name": (
        'match input():\n    case "x":\n        text = "DROP TABLE a"\n'
        '    case _:\n        text = "DROP TABLE b"\nop.execute(text)',
        "",
        ["drop_table a", "drop_table b"],
    ),
    "a case that nobody foresaw": (
        'text = "DROP TABLE a"\nmatch input():\n    case "x":\n'
        '        text = "DROP TABLE b"\nop.execute(text)',
        "",
        ["drop_table b", "drop_table a"],
    ),
    "more texts than anybody reads": (
        "text = ''\n"
        + "".join(f"if input():\n    text = 'DROP TABLE t{n}'\n" for n in range(10))
        + "op.execute(text)",
        "",
        ["unread SQL that is put together while it runs"],
    ),
    "a name that is not there in an old release": (
        "op.drop_table(NAME)",
        "try:\n    NAME = 'a'\nexcept ImportError:\n    NAME = 'b'",
        ["drop_table a"],
    ),
    "a name that a failure changes": (
        "op.drop_table(NAME)",
        "try:\n    NAME = 'a'\nexcept ValueError:\n    NAME = 'b'",
        ["drop_table ?"],
    ),
    "a try that always returns": (
        'try:\n    return\nfinally:\n    op.drop_table("a")\nop.drop_table("b")',
        "",
        ["drop_table a"],
    ),
    "a list in two ways": (
        "names = ['a', 'b'] if input() else ['a', 'c']\n"
        "for name in names:\n    op.drop_table(name)",
        "",
        ["drop_table a", "drop_table ?"],
    ),
    "a statement that is narrowed, or not": (
        "stop = sa.table('a').delete()\nif input():\n    stop = stop.where(sa.true())\n"
        "op.execute(stop)",
        "",
        ["delete a"],
    ),
    "the same on two ways": (
        "if input():\n    drop()\nelse:\n    drop()",
        "def drop():\n    op.drop_table('a')",
        ["drop_table a"],
    ),
    "a return inside with": (
        'with open("x"):\n    return\nop.drop_table("a")',
        "",
        [],
    ),
    "a word that is put into a text": (
        'run(TEXT.replace("__T__", "a"))\nrun("DROP TABLE {}".format("b"))\n'
        'run("DROP TABLE {t}".format(t="c"))\nrun("DROP TABLE %s" % "d")\n'
        'run("DROP TABLE %(t)s" % {"t": "e"})\nrun("DROP TABLE %s" % (NAME,))\n'
        'run("DROP TABLE {0.x}".format(1))',
        'TEXT = "DROP TABLE __T__"\nNAME = "f"\nrun = op.execute',
        [*(f"drop_table {name}" for name in "abcdef"), "drop_table ?"],
    ),
    "a name or another": ('op.drop_table("" or "a")', "", ["drop_table a"]),
    "a list that only a run knows": (
        'op.execute("DROP TABLE " + ", ".join([f"t_{n}" for n in input()]))',
        "",
        ["drop_table ?"],
    ),
    "a decorator": (
        "fill()",
        "def indexed(name):\n    def around(function):\n        def inner(*args):\n"
        "            op.create_index(name, 'a', ['x'])\n"
        "            function(*args)\n"
        "            op.drop_index(name, 'a')\n"
        "        return inner\n    return around\n"
        "@indexed('i')\ndef fill():\n    op.execute('UPDATE a SET y = 1')",
        ["create_index a.i", "update a", "drop_index a.i"],
    ),
}


@pytest.mark.parametrize("case", FOLLOWED)
def test_it_follows_names_through_branches(case: str, tmp_path: Path) -> None:
    upgrade, module, expected = FOLLOWED[case]
    assert seen(write(tmp_path, upgrade, module)) == expected


def test_a_type_of_each_database_is_that_of_postgresql(tmp_path: Path) -> None:
    upgrade = """
    kind = sa.JSON()
    if op.get_bind().dialect.name == "postgresql":
        kind = postgresql.JSONB()
    op.add_column("parcel", sa.Column("a", kind))
    op.add_column("parcel", sa.Column("b", json_type()))
    op.add_column("parcel", sa.Column("c", postgresql.JSONB() if POSTGRESQL else X))
    """
    module = """
    def json_type():
        if op.get_bind().dialect.name != "postgresql":
            return sa.JSON()
        return postgresql.JSONB()
    POSTGRESQL = op.get_bind().dialect.name == "postgresql"
    X = sa.Text()
    """
    found = read_file(write(tmp_path, upgrade, module)).upgrade
    assert [op.facts["column"].type.name for op in found] == ["jsonb"] * 3


# --- helpers of the same repository ---

HELPERS = """\
from contextlib import contextmanager
import logging

from .deep import deeper
import elsewhere

TABLE = "parcel"
log = logging.getLogger(__name__)

class Parcel(Base):
    __tablename__ = TABLE

class Money(TypeDecorator):
    impl = Numeric

@contextmanager
def quiet(op):
    op.execute("PRAGMA foreign_keys = OFF")
    yield
    op.execute("PRAGMA foreign_keys = ON")

def drop(op, name):
    log.info("dropping %s", name)
    op.drop_table(name)

def drop_by_itself(name):
    from alembic import op
    op.drop_table(name)

def drop_deeply(op, name):
    deeper(op, name)

def hidden(op):
    elsewhere.work(op)

def looks(name):
    if shown(name) not in WORDS:
        raise ValueError(name)

def shown(name):
    return name.upper()

def works(name):
    elsewhere.connect().run(name)

def endless(op):
    while True:
        endless(op)

def huge(op):
    for a in range(1):
        for b in WORDS:
            for c in WORDS:
                for d in WORDS:
                    for e in WORDS:
                        op.drop_table(a)

WORDS = ["x"] + ["y"] + ["z"] + ["u"] + ["v"] + ["w"] + ["a", "b", "c", "d", "e", "f"]
WORDS = WORDS + WORDS + WORDS
"""
DEEP = "def deeper(op, name):\n    op.drop_table(name)\n"


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A repository with the helpers, and the place of its revisions."""
    package = tmp_path / "shop" / "db"
    package.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    (package / "__init__.py").write_text(
        "from .helpers import drop as gone\n", encoding="utf-8"
    )
    (package / "helpers.py").write_text(HELPERS, encoding="utf-8")
    (package / "deep.py").write_text(DEEP, encoding="utf-8")
    (package / "broken.py").write_text("def drop(op, name:\n", encoding="utf-8")
    return tmp_path / "migrations" / "versions"


IMPORTED = {
    "a function": (
        "drop(op, 'x')",
        "from shop.db.helpers import drop",
        ["drop_table x"],
    ),
    "a function under another name": (
        "h.drop(op, 'x')",
        "import shop.db.helpers as h",
        ["drop_table x"],
    ),
    "a function of a module of a package": (
        "helpers.drop(op, 'x')",
        "from shop.db import helpers",
        ["drop_table x"],
    ),
    "a function with its whole name": (
        "shop.db.helpers.drop(op, 'x')",
        "import shop.db.helpers",
        ["drop_table x"],
    ),
    "a function that is imported on": (
        "gone(op, 'x')",
        "from shop.db import gone",
        ["drop_table x"],
    ),
    "a function that imports op": (
        "drop_by_itself('x')",
        "from shop.db.helpers import drop_by_itself",
        ["drop_table x"],
    ),
    "a function that calls another module": (
        "drop_deeply(op, 'x')",
        "from shop.db.helpers import drop_deeply",
        ["drop_table x"],
    ),
    "a context manager": (
        "with quiet(op):\n    op.drop_table('x')",
        "from shop.db.helpers import quiet",
        [
            "quiet pragma foreign_keys = off",
            "quiet pragma foreign_keys = on",
            "drop_table x",
        ],
    ),
    "a constant": (
        "op.drop_table(TABLE)",
        "from shop.db.helpers import TABLE",
        ["drop_table parcel"],
    ),
    "the table of a model": (
        "op.drop_table(Parcel.__tablename__)\nop.execute(sa.delete(Parcel))",
        "from shop.db.helpers import Parcel",
        ["drop_table parcel", "delete parcel"],
    ),
    "a function that hands on to what is not there": (
        "hidden(op)",
        "from shop.db.helpers import hidden",
        ["unread hidden(op)"],
    ),
    "a function that only looks": (
        "looks('x')",
        "from shop.db.helpers import looks",
        [],
    ),
    "a function that works by itself, elsewhere": (
        "works('x')",
        "from shop.db.helpers import works",
        ["unread works('x')"],
    ),
    "a function that ends never": (
        "endless(op)",
        "from shop.db.helpers import endless",
        [],
    ),
    "a function that does too much": (
        "huge(op)\nop.drop_table('x')",
        "from shop.db.helpers import huge",
        ["unread huge(op)", "drop_table x"],
    ),
    "a name that is not there": (
        "other(op)",
        "from shop.db.helpers import other",
        ["unread other(op)"],
    ),
    "a module that is broken": (
        "drop(op, 'x')",
        "from shop.db.broken import drop",
        ["unread drop(op, 'x')"],
    ),
    "a module that is not there": (
        "drop(op, 'x')",
        "from shop.nowhere import drop",
        ["unread drop(op, 'x')"],
    ),
}


@pytest.mark.parametrize("case", IMPORTED)
def test_it_reads_helpers_of_the_same_repository(case: str, versions: Path) -> None:
    upgrade, module, expected = IMPORTED[case]
    path = write(versions, upgrade, module)
    assert list(dict.fromkeys(seen(path))) == expected


def test_a_helper_beside_the_revisions_is_read(versions: Path) -> None:
    path = write(versions, "drop('x')", "from .helpers import drop")
    text = "from alembic import op\ndef drop(name):\n    op.drop_table(name)\n"
    (versions / "helpers.py").write_text(text, encoding="utf-8")
    assert seen(path) == ["drop_table x"]


def test_an_operation_of_a_helper_has_the_line_of_its_call(versions: Path) -> None:
    path = write(versions, "drop(op, 'x')", "from shop.db.helpers import drop")
    lines = path.read_text(encoding="utf-8").splitlines()
    [op] = read_file(path).upgrade
    assert lines[op.line - 1].strip() == "drop(op, 'x')"


def test_a_helper_is_still_an_import_of_the_application(
    versions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(versions, "quiet(op)", "from shop.db.helpers import quiet")
    review_migration.main([str(path), "--json"])
    assert "application-import" in capsys.readouterr().out


def test_a_type_of_the_application_is_no_table(versions: Path) -> None:
    column = "op.add_column('parcel', sa.Column('x', Money()))"
    path = write(versions, column, "from shop.db.helpers import Money")
    [op] = read_file(path).upgrade
    assert op.facts["column"].type.name == ""


def test_a_layout_with_src_is_known(versions: Path) -> None:
    package = versions.parents[1] / "src" / "depot"
    package.mkdir(parents=True)
    (package / "tables.py").write_text("NAME = 'x'\n", encoding="utf-8")
    path = write(versions, "op.drop_table(NAME)", "from depot.tables import NAME")
    assert seen(path) == ["drop_table x"]


def test_a_huge_module_and_a_circle_of_modules_are_left_alone(versions: Path) -> None:
    package = versions.parents[1] / "depot"
    package.mkdir()
    text = "NAME = 'x'\n" + "# filler\n" * 200_000
    (package / "huge.py").write_text(text, encoding="utf-8")
    (package / "one.py").write_text("from .two import NAME\n", encoding="utf-8")
    (package / "two.py").write_text("from .one import NAME\n", encoding="utf-8")
    for module in ("huge", "one"):
        path = write(
            versions, "op.drop_table(NAME)", f"from depot.{module} import NAME"
        )
        [op] = seen(path)
        assert op.startswith("drop_table ?")


def test_a_relative_import_from_above_everything_is_left_alone(tmp_path: Path) -> None:
    dots = "." * 60
    path = write(tmp_path, "drop(op)", f"from {dots}helpers import drop")
    assert seen(path) == ["unread drop(op)"]


def test_nothing_above_the_repository_is_read(tmp_path: Path) -> None:
    outside = "def drop(op):\n    op.execute('SELECT 1')\n"
    (tmp_path / "helpers.py").write_text(outside, encoding="utf-8")
    inside = tmp_path / "shop"
    path = write(inside / "versions", "drop(op)", "from helpers import drop")
    assert seen(path) == ["select select 1"]
    (inside / "pyproject.toml").write_text("", encoding="utf-8")
    assert seen(path) == ["unread drop(op)"]


# --- rows of the ORM ---

MODEL = """
class Parcel(Base):
    __tablename__ = "parcel"
    id = sa.Column(sa.Integer, primary_key=True)
    note = sa.Column(sa.Text)
    size = sa.Column(sa.Integer)
session = orm.Session(bind=op.get_bind())
"""
OVERWRITTEN = {"values-overwritten", "rows-held"}
ROWS = {
    "for p in session.query(Parcel).all():\n    p.note = x(p.note)": OVERWRITTEN,
    "for p in session.query(Parcel).yield_per(5):\n    p.note = x(p)": OVERWRITTEN,
    "for p in session.scalars(sa.select(Parcel)):\n    p.note = 'x'": OVERWRITTEN,
    "for p in session.scalars(sa.select(Parcel)).all():\n    p.note = 1": OVERWRITTEN,
    "for p in session.execute(sa.select(Parcel)).scalars():\n    p.note = 1": (
        OVERWRITTEN
    ),
    "for p in session.query(Parcel).filter(Parcel.note.is_(None)):\n    p.note = 1": {
        "rows-held"
    },
    "rows = [{'id': p.id, 'note': p.size} for p in session.query(Parcel)]\n"
    "session.bulk_update_mappings(Parcel, rows)": OVERWRITTEN,
    "rows = []\nfor p in session.query(Parcel):\n"
    "    rows.append({'id': p.id, 'note': 1})\n"
    "session.bulk_update_mappings(Parcel, rows)": OVERWRITTEN,
    "op.add_column('parcel', sa.Column('new', sa.Text()))\n"
    "rows = [{'id': p.id, 'new': p.size} for p in session.query(Parcel)]\n"
    "session.bulk_update_mappings(Parcel, rows)": {"rows-held", "data-with-ddl"},
    "session.bulk_update_mappings(Parcel, input())": {"unread-sql", "rows-held"},
}


@pytest.mark.parametrize("upgrade", ROWS)
def test_a_row_that_is_changed_is_an_update(
    upgrade: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = judged(capsys, write(tmp_path, upgrade, MODEL))
    assert found["update parcel"] == ROWS[upgrade]


# --- blocks of PL/pgSQL ---

BLOCKS = {
    "DO $$ BEGIN CREATE TYPE mood AS ENUM ('a'); EXCEPTION"
    " WHEN duplicate_object THEN null; END $$": ["create_enum mood"],
    "DO LANGUAGE plpgsql $x$ BEGIN DROP TABLE a; DELETE FROM b WHERE c = 1; END $x$": [
        "drop_table a",
        "delete b",
    ],
    "DO $$ DECLARE n int := (SELECT count(*) FROM a); BEGIN IF n > 0 THEN"
    " ALTER TABLE a DROP COLUMN b; ELSIF n < 0 THEN DROP INDEX i; ELSE"
    " ALTER TABLE a ADD c int; END IF; RAISE NOTICE 'x'; END $$ LANGUAGE plpgsql": [
        "drop_column a.b",
        "drop_index i",
        "add_column a.c",
    ],
    "DO $$ BEGIN FOR i IN 1..5 LOOP UPDATE a SET b = 1; END LOOP; END $$": ["update a"],
    "DO $$ BEGIN WHILE true LOOP DELETE FROM a; EXIT; END LOOP; RETURN; END $$": [
        "delete a"
    ],
    "DO $$ DECLARE n int; BEGIN n := 1; n = 2; PERFORM setval('s', n); END $$": [
        "select"
    ],
    "DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$": ["drop_table a"],
    "DO $$ BEGIN EXECUTE format('DROP TABLE %I', x); END $$": ["unread"],
    "DO $$ BEGIN PERFORM drop_everything(); END $$": ["unread"],
    "DO $$ BEGIN CALL f(); END $$": ["unread"],
    "DO $$ BEGIN NULL; END $$": ["quiet"],
    "DO 'BEGIN DROP TABLE a; END'": ["drop_table a"],
    "DO $$ BEGIN IF": ["unread"],
    "DO": ["unread"],
    "DO $$ DECLARE x": ["unread"],
    "DO $$ $$ LANGUAGE plpython3u": ["unread"],
}


@pytest.mark.parametrize("text", BLOCKS)
def test_it_reads_a_block(text: str) -> None:
    found = [str(op) if op.table or op.name else op.kind for op in read_sql(text)]
    assert found == BLOCKS[text]


def test_a_type_that_is_made_unless_it_is_there_is_not_made_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = "CREATE TYPE mood AS ENUM ('a')"
    guarded = f"DO $$ BEGIN {made}; EXCEPTION WHEN duplicate_object THEN null; END $$"
    for text, rules in (
        (f"op.execute({guarded!r})\nop.execute({made!r})", {"enum-created-twice"}),
        (f"op.execute({made!r})\nop.execute({guarded!r})", set()),
    ):
        found = judged(capsys, write(tmp_path, text))
        assert found["create_enum mood"] == rules
