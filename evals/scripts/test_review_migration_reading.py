"""Evals of what scripts/reviewing reads in Python and in SQL."""

from __future__ import annotations

import random
from pathlib import Path
from textwrap import dedent, indent

import pytest

from scripts import review_migration
from scripts.reviewing.revision import Revision
from scripts.reviewing.source import read_file
from scripts.reviewing.sql import read_sql

HEAD = """\
import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

revision = "a"
down_revision = None
"""
ALL = "postgresql sqlite"


def read(tmp_path: Path, upgrade: str, module: str = "") -> Revision:
    body = indent(dedent(upgrade).strip(), "    ")
    path = tmp_path / "a.py"
    text = f"{HEAD}\n{dedent(module)}\n\ndef upgrade():\n{body}\n"
    path.write_text(text, encoding="utf-8")
    found = read_file(path)
    assert found.problem == ""
    return found


def seen(revision: Revision) -> list[str]:
    """Return each operation, with its databases where they are not both."""
    found = []
    for op in revision.upgrade:
        databases = " ".join(sorted(op.databases & {"postgresql", "sqlite"}))
        where = "" if databases == ALL else f" ({databases or 'neither'})"
        found.append(f"{op}{where}")
    return found


# What stands in upgrade(), and the operations that it amounts to.
FOLLOWED = {
    "a constant of the module": (
        "op.drop_table(NAME)",
        'NAME = "a" + "b"',
        ["drop_table ab"],
    ),
    "a loop over a tuple": (
        'for name in ("a", "b"):\n    op.drop_table(name)',
        "",
        ["drop_table a", "drop_table b"],
    ),
    "a loop over pairs": (
        'for old, new in PAIRS:\n    op.alter_column("t", old, new_column_name=new)',
        'PAIRS = [("a", "b"), ("c", "d")]',
        ["alter_column t.a", "alter_column t.c"],
    ),
    "a loop over a dictionary": (
        "for table, names in TABLES.items():\n"
        "    for name in names:\n        op.drop_column(table, name)",
        'TABLES = {"a": ["x"], "b": ["y", "z"]}',
        ["drop_column a.x", "drop_column b.y", "drop_column b.z"],
    ),
    "a list that grows": (
        'names = []\nnames.append("a")\nnames.extend(["b"])\nnames += ["c"]\n'
        "for name in names:\n    op.drop_table(name)",
        "",
        ["drop_table a", "drop_table b", "drop_table c"],
    ),
    "a comprehension": (
        'for name in [f"old_{n}" for n in ("a", "b")]:\n    op.drop_table(name)',
        "",
        ["drop_table old_a", "drop_table old_b"],
    ),
    "a helper with defaults, keywords and more": (
        'drop("a", "b", column="c")\ndrop(table="d")',
        "def drop(table, *more, column='x', **options):\n"
        "    op.drop_column(table, column)\n"
        "    for name in more:\n        op.drop_table(name)",
        ["drop_column a.c", "drop_table b", "drop_column d.x"],
    ),
    "a helper's result": (
        "op.drop_table(name())",
        'def name():\n    return "-".join(["a", "b"]).upper().lower()',
        ["drop_table a-b"],
    ),
    "a function in a function": (
        'def inner(name):\n    op.drop_table(name)\ninner("a")',
        "",
        ["drop_table a"],
    ),
    "a lambda": (
        'drop = lambda name: op.drop_table(name)\ndrop("a")',
        "",
        ["drop_table a"],
    ),
    "both ways of a test": (
        'if context.get_x_argument():\n    op.drop_table("a")\n'
        'else:\n    op.drop_table("b")',
        "",
        ["drop_table a", "drop_table b"],
    ),
    "a switch of the module": (
        'if ON:\n    op.drop_table("a")\nelse:\n    op.drop_table("b")',
        "ON = False",
        ["drop_table b"],
    ),
    "a try": (
        'try:\n    op.drop_table("a")\nexcept Exception:\n    op.drop_table("b")\n'
        'else:\n    op.drop_table("c")\nfinally:\n    op.drop_table("d")',
        "",
        ["drop_table a", "drop_table b", "drop_table c", "drop_table d"],
    ),
    "a match": (
        'match NAME:\n    case "a":\n        op.drop_table("a")\n'
        '    case _:\n        op.drop_table("b")',
        "",
        ["drop_table a", "drop_table b"],
    ),
    "a while": ('while True:\n    op.drop_table("a")', "", ["drop_table a"]),
    "op under another name": (
        'o.drop_table("a")',
        "import alembic.op as o",
        ["drop_table a"],
    ),
    "a directive by itself": (
        'drop_table("a")',
        "from alembic.op import drop_table",
        ["drop_table a"],
    ),
    "a schema": ('op.drop_table("a", schema="s")', "", ["drop_table s.a"]),
    "keywords": (
        'op.drop_column(table_name="a", column_name="b")\n'
        'op.create_index(index_name="i", table_name="a", columns=["b"])\n'
        'op.create_foreign_key(constraint_name="f", source_table="a",'
        ' referent_table="b", local_cols=["c"], remote_cols=["d"])',
        "",
        ["drop_column a.b", "create_index a.i", "add_constraint a.f"],
    ),
    "a batch block": (
        'with op.batch_alter_table("a") as b:\n'
        '    b.drop_column("x")\n    b.create_index("i", ["y"])\n'
        '    b.drop_constraint("c", type_="unique")\n'
        '    b.create_foreign_key(constraint_name="f", referent_table="r",'
        ' local_cols=["x"], remote_cols=["y"])\n'
        '    b.execute("DELETE FROM z")',
        "",
        [
            "drop_column a.x",
            "create_index a.i",
            "drop_constraint a.c",
            "add_constraint a.f",
            "delete z",
        ],
    ),
    "a Table": (
        't = sa.Table("a", sa.MetaData(), autoload_with=op.get_bind())\n'
        "t.drop(op.get_bind())\nt.create(op.get_bind())",
        "",
        ["drop_table a", "create_table a"],
    ),
    "DDL elements": (
        't = sa.Table("a", sa.MetaData(), sa.Column("x", sa.Integer()))\n'
        "op.execute(sa.schema.DropTable(t))\nop.execute(sa.schema.CreateTable(t))\n"
        'op.execute(sa.schema.CreateSequence(sa.Sequence("s")))\n'
        'op.execute(sa.DDL("DROP TABLE b"))\nop.execute(sa.schema.DropSequence(1))',
        "",
        [
            "drop_table a",
            "create_table a",
            "quiet CreateSequence",
            "drop_table b",
            "unread DropSequence(...)",
        ],
    ),
    "an Index of its own": (
        't = sa.table("a", sa.column("x"))\nsa.Index("i", t.c.x).create(op.get_bind())',
        "",
        ["create_index a.i"],
    ),
    "Core statements": (
        't = sa.table("a", sa.column("x"))\nbind = op.get_bind()\n'
        "bind.execute(t.delete())\nbind.execute(sa.delete(t).where(t.c.x == 1))\n"
        "bind.execute(sa.update(t).values({'x': 1}))\n"
        "bind.execute(sa.insert(t), [{'x': 1}])\n"
        "bind.execute(sa.select(t)).all()",
        "",
        ["delete a", "update a", "insert a", "select a"],
    ),
    "a session": (
        "session = Session(bind=op.get_bind())\n"
        "session.add(Row())\nsession.delete(session.get(Row, 1))\n"
        "session.query(Row).update({'x': 1})\n"
        "session.bulk_update_mappings(Row, [])\nsession.commit()",
        "class Row(Base):\n    __tablename__ = 'rows'",
        ["insert ?", "delete ?", "update rows"],
    ),
    "reflected tables": (
        'meta = sa.MetaData()\nmeta.reflect(op.get_bind())\nt = meta.tables["a"]\n'
        "op.execute(t.delete())",
        "",
        ["delete a"],
    ),
    "a string with a hole": (
        'op.execute(f"DELETE FROM {table_name()}")\n'
        'op.execute("DELETE FROM %s" % table_name())\n'
        'op.execute("DELETE FROM {}".format(table_name()))',
        "from os import getlogin as table_name",
        ["delete ?"],
    ),
    "SQL that somebody else wrote": (
        "op.execute(open('x.sql').read())\nop.execute(A if B else C)\n"
        "op.get_bind().execute(sa.text(LATER))",
        "A, C = 'DROP TABLE a', 'DROP TABLE b'\nB = input()",
        [
            "unread SQL that is put together while it runs",
            "drop_table a",
            "drop_table b",
        ],
    ),
    "a directive that nobody knows": (
        'op.create_view("v")\nop.run_async(print)',
        "",
        ["unread op.create_view()", "unread op.run_async()"],
    ),
    "code that is made up": (
        'exec("op.drop_table(1)")',
        "",
        ["unread exec('op.drop_table(1)')"],
    ),
    "an argument list that only a run knows": (
        "op.drop_table(*names())",
        "from app import names",
        ["drop_table ?"],
    ),
}


@pytest.mark.parametrize("case", FOLLOWED)
def test_it_follows_what_the_file_tells(case: str, tmp_path: Path) -> None:
    upgrade, module, expected = FOLLOWED[case]
    found = seen(read(tmp_path, upgrade, module))
    assert list(dict.fromkeys(found)) == expected


# A test of the dialect, and where the two ways of it run.
DIALECTS = {
    'op.get_bind().dialect.name == "postgresql"': ("postgresql", "sqlite"),
    'op.get_context().dialect.name != "postgresql"': ("sqlite", "postgresql"),
    'op.get_bind().dialect.name in ("postgresql", "mysql")': ("postgresql", "sqlite"),
    'op.get_bind().dialect.name not in ["sqlite"]': ("postgresql", "sqlite"),
    'not op.get_bind().dialect.name == "sqlite"': ("postgresql", "sqlite"),
    'op.get_bind().dialect.name == "mysql"': ("neither", ALL),
    'op.get_bind().dialect.name.startswith("postgres")': ("postgresql", "sqlite"),
    'dialect == "sqlite"': ("sqlite", "postgresql"),
    "is_sqlite": ("sqlite", "postgresql"),
    "not is_sqlite": ("postgresql", "sqlite"),
    "is_sqlite and input()": ("sqlite", ALL),
    "is_sqlite or dialect == 'mysql'": ("sqlite", "postgresql"),
    "is_sqlite or input()": (ALL, "postgresql"),
}


@pytest.mark.parametrize("test", DIALECTS)
@pytest.mark.parametrize("form", ["else", "return"])
def test_it_knows_on_which_database_a_branch_runs(
    test: str, form: str, tmp_path: Path
) -> None:
    other = 'else:\n    op.drop_table("b")'
    if form == "return":
        other = '    return\nop.drop_table("b")'
    module = "def dialect_name():\n    return op.get_bind().dialect.name\n"
    upgrade = (
        "dialect = dialect_name()\n"
        'is_sqlite = op.get_bind().dialect.name == "sqlite"\n'
        f'if {test}:\n    op.drop_table("a")\n{other}'
    )
    yes, no = DIALECTS[test]
    expected = [
        name if where == ALL else f"{name} ({where})"
        for name, where in (("drop_table a", yes), ("drop_table b", no))
    ]
    assert seen(read(tmp_path, upgrade, module)) == expected


SQL = {
    "CREATE TABLE IF NOT EXISTS a (id int)": ["create_table a"],
    "create temporary table a as select 1": ["create_table a"],
    'ALTER TABLE "A" DROP COLUMN IF EXISTS "B"': ["drop_column A.B"],
    "ALTER TABLE a.b DROP c": ["drop_column a.b.c"],
    "ALTER TABLE a DROP PRIMARY KEY": ["drop_constraint a"],
    "ALTER TABLE a ADD b int, DROP c, RENAME TO d": [
        "add_column a.b",
        "drop_column a.c",
        "rename_table a",
    ],
    "ALTER TABLE a ALTER b DROP DEFAULT, ALTER b SET STATISTICS 5": [
        "alter_column a.b",
        "alter_column a.b",
    ],
    "ALTER TABLE a ENABLE ROW LEVEL SECURITY": ["secure a"],
    "ALTER TABLE a ENABLE TRIGGER b": ["quiet a"],
    "ALTER TABLE a FROB": ["unread a"],
    "ALTER TABLE a ALTER COLUMN b FROB": ["unread a.b"],
    "ALTER TABLE a DETACH PARTITION b": ["drop_other a"],
    "ALTER TABLE a SET SCHEMA b": ["rename_table a"],
    "ALTER TYPE a OWNER TO b": ["quiet ALTER"],
    "ALTER TYPE a FROB": ["unread"],
    "DROP INDEX CONCURRENTLY a": ["drop_index a"],
    "DROP TYPE IF EXISTS a CASCADE": ["drop_type a"],
    "DROP DATABASE a": ["drop_all"],
    "DROP EXTENSION a": ["drop_other"],
    "DROP MATERIALIZED VIEW a": ["drop_other"],
    "CREATE INDEX ON a USING gin (b)": ["create_index a"],
    "CREATE UNIQUE INDEX i ON ONLY a (lower(b))": ["create_index a.i"],
    "CREATE TYPE a AS (b int)": ["create_other a"],
    "CREATE RULE a AS ON INSERT TO b DO NOTHING": ["create_other"],
    "CREATE FUNCTION f() RETURNS int AS $x$ SELECT 1; SELECT 2 $x$ LANGUAGE sql": [
        "create_other"
    ],
    "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; SELECT 1; END": [
        "create_other"
    ],
    "INSERT OR IGNORE INTO a VALUES (1)": ["insert a"],
    "REPLACE INTO a VALUES (1)": ["insert a"],
    "TRUNCATE TABLE ONLY a": ["truncate a"],
    "SELECT 1": ["select"],
    "SELECT setval('a', (SELECT max(id) FROM a))": ["select"],
    "SELECT drop_everything()": ["unread"],
    "SELECT id FROM a FOR UPDATE SKIP LOCKED": ["select"],
    "WITH d AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM d": [
        "delete a",
        "insert b",
    ],
    "WITH x AS (SELECT 1) UPDATE a SET b = 1": ["update a"],
    "SET lock_timeout = 0": ["quiet"],
    "PRAGMA foreign_keys = OFF": ["quiet"],
    "REVOKE ALL ON a FROM b": ["revoke"],
    "CALL f()": ["unread"],
    "COPY a FROM '/x'": ["unread"],
    "MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE": ["unread"],
    "DELETE FROM a; -- and ; not this\n DROP TABLE b /* ; */": [
        "delete a",
        "drop_table b",
    ],
    "INSERT INTO a VALUES ('; DROP TABLE b')": ["insert a"],
    "": [],
}


@pytest.mark.parametrize("text", SQL)
def test_it_reads_sql(text: str) -> None:
    found = []
    for op in read_sql(text):
        named = bool(op.table or op.name)
        found.append(str(op) if named else op.kind)
    expected = [name.removesuffix(" ALTER") for name in SQL[text]]
    assert found == expected


def test_a_column_is_read_the_same_from_python_and_from_sql(tmp_path: Path) -> None:
    columns = {
        'sa.Column("c", sa.String(50), nullable=False)': "c varchar(50) NOT NULL",
        'sa.Column("c", sa.Text(), server_default="x")': "c text DEFAULT 'x'",
        'sa.Column("c", sa.Numeric(10, 2))': "c DECIMAL(10, 2)",
        'sa.Column("c", sa.DateTime(timezone=True))': "c TIMESTAMP WITH TIME ZONE",
        'sa.Column("c", sa.DateTime())': "c timestamp without time zone",
        'sa.Column("c", sa.BigInteger(), sa.Identity())': (
            "c bigint GENERATED BY DEFAULT AS IDENTITY"
        ),
        'sa.Column("c", sa.Integer(), sa.Computed("1", persisted=True))': (
            "c int GENERATED ALWAYS AS (1) STORED"
        ),
        'sa.Column("c", sa.Integer(), sa.ForeignKey("a.id"))': "c int REFERENCES a",
        'sa.Column("c", sa.Double(), unique=True)': "c float8 UNIQUE",
        'sa.Column("c", sa.SmallInteger(), server_default=sa.text("1"))': (
            "c int2 DEFAULT 1"
        ),
        'sa.Column("c", sa.Boolean(), server_default=sa.true())': "c bool DEFAULT true",
        'sa.Column("c", postgresql.JSONB())': "c jsonb",
    }
    for python, text in columns.items():
        [here] = read(tmp_path, f'op.add_column("t", {python})').upgrade
        [there] = read_sql(f"ALTER TABLE t ADD COLUMN {text}")
        one, two = here.facts["column"], there.facts["column"]
        two.foreign = two.foreign.partition(" ")[0]
        assert one == two, python


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_revision_never_crashes_the_reviewer(
    seed: int, tmp_path: Path, full: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(seed)
    own = sorted((Path(__file__).parent / "revisions").rglob("*.py"))
    pieces = [
        b"(",
        b")",
        b"'",
        b'"',
        b"\n",
        b":",
        b"$$",
        b",",
        b"{",
        b"op",
        b"None",
        b"\x00",
    ]
    for _ in range(200 if full else 10):
        data = bytearray(chance.choice(own).read_bytes())
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data) or 1)
            if chance.random() < 0.5:
                del data[at : at + chance.randint(1, 30)]
            else:
                data[at:at] = chance.choice(pieces)
        path = tmp_path / "damaged.py"
        path.write_bytes(bytes(data))
        assert review_migration.main([str(path), "--json"]) in (0, 1, 3, 4)
        capsys.readouterr()
