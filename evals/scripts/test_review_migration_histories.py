"""Evals of verdicts that the histories of large packages showed to be wrong.

Each revision here is small, and of a form that was met in a history.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from evals.harness.postgres import OwnServer
from evals.scripts.test_review_migration_following import (
    BEFORE,
    FOLLOWED,
    judged,
    write,
)
from scripts import review_migration

REQUIRED = "op.add_column('parcel', sa.Column('x', sa.Text(), nullable=False))"
EMPTIED = {
    "op.execute('DELETE FROM parcel')": False,
    "op.execute('TRUNCATE parcel')": False,
    "op.execute(sa.table('parcel').delete())": False,
    "op.execute('DELETE FROM parcel')\nop.execute('DELETE FROM x')": False,
    "op.execute('DELETE FROM parcel WHERE id > 1')": True,
    "op.execute('DELETE FROM parcel USING x')": True,
    "op.execute(sa.table('parcel').delete().where(sa.text('x')))": True,
    "orm.Session(op.get_bind()).query(Parcel).delete()": False,
    "orm.Session(op.get_bind()).query(Parcel).filter(Parcel.id > 1).delete()": True,
    "if context.is_offline_mode():\n    op.execute('DELETE FROM parcel')": True,
    "if op.get_bind().dialect.name == 'sqlite':\n"
    "    op.execute('DELETE FROM parcel')": True,
    "try:\n    op.execute('DELETE FROM parcel')\nexcept Exception:\n    pass": False,
    "try:\n    pass\nexcept Exception:\n    op.execute('DELETE FROM parcel')": True,
    "match input():\n    case 'x':\n        op.execute('DELETE FROM parcel')": True,
    "op.execute('DELETE FROM parcel' if input() else 'SELECT 1')": True,
    "op.execute('DELETE FROM parcel')\nop.execute('INSERT INTO parcel VALUES (1)')": (
        True
    ),
    "for x in input():\n    op.execute('DELETE FROM parcel')": True,
    "op.execute('DELETE FROM parcel')\nsession.add(Parcel())": True,
    "op.execute('DELETE FROM parcel')\nop.execute(input())": True,
    "op.execute('DO $$ BEGIN IF x THEN DELETE FROM parcel; END IF; END $$')": True,
    "op.execute('DO $$ BEGIN DELETE FROM parcel; END $$')": False,
}


@pytest.mark.parametrize("emptied", EMPTIED)
def test_a_required_column_fails_unless_the_table_was_emptied_before(
    emptied: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = "class Parcel(Base):\n    __tablename__ = 'parcel'"
    found = judged(capsys, write(tmp_path, f"{emptied}\n{REQUIRED}", model))
    rules = {"not-null-without-default"} if EMPTIED[emptied] else set()
    assert found["add_column parcel.x"] == {"insert-blocked", *rules}


def test_a_table_that_is_emptied_on_one_way_is_empty_to_the_end_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade = f"""
    if context.is_offline_mode():
        op.execute("DELETE FROM parcel")
        if input():
            {REQUIRED.replace("'x'", "'y'")}
        {REQUIRED}
    else:
        {REQUIRED.replace("'x'", "'z'")}
    {REQUIRED.replace("'x'", "'w'")}
    """
    found = judged(capsys, write(tmp_path, upgrade))
    fails = {"not-null-without-default"}
    said = {name[-1]: fails <= rules for name, rules in found.items() if "add" in name}
    assert said == {"y": False, "x": False, "z": True, "w": True}


def test_an_emptied_table_is_empty_under_its_new_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade = "op.execute('DELETE FROM parcel')\nop.rename_table('parcel', 'box')\n"
    found = judged(
        capsys, write(tmp_path, upgrade + REQUIRED.replace("'parcel'", "'box'"))
    )
    assert found["add_column box.x"] == {"insert-blocked"}


ADDED = "op.add_column('parcel', sa.Column('x', sa.Text(){}))\n"
NOT_NULL = "op.alter_column('parcel', 'x', nullable=False)"
SINCE_THEN = {
    ADDED.format("") + NOT_NULL: True,
    ADDED.format(", server_default=''") + NOT_NULL: False,
    ADDED.format("") + NOT_NULL[:-1] + ", server_default='')": False,
    "op.alter_column('parcel', 'note', new_column_name='x')\n" + NOT_NULL: False,
    ADDED.format("") + "op.execute('CREATE TRIGGER t BEFORE INSERT ON parcel"
    " FOR EACH ROW EXECUTE FUNCTION f()')\n" + NOT_NULL: False,
    ADDED.format("") + "from app.db.online_column import sync_columns\n"
    "sync_columns('s', 'parcel', forward={'x': 'note'}, backward={})\n"
    + NOT_NULL: False,
}


@pytest.mark.parametrize("upgrade", SINCE_THEN)
def test_old_code_leaves_out_a_column_that_this_deploy_adds_and_requires(
    upgrade: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = judged(capsys, write(tmp_path, upgrade))
    assert ("insert-blocked" in found["alter_column parcel.x"]) is SINCE_THEN[upgrade]


def test_a_name_that_is_left_out_is_none_and_one_that_is_found_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade = "op.drop_constraint({}, 'parcel', type_='unique')"
    unnamed = write(tmp_path, upgrade.format("None"))
    assert judged(capsys, unnamed)["drop_constraint parcel"] == {"unnamed-constraint"}
    module, _, expected = FOLLOWED["a name that only a run finds"][1], 0, set[str]()
    found = write(tmp_path, upgrade.format("named()"), module)
    assert judged(capsys, found)["drop_constraint parcel.?"] == expected


# A column that a batch block adds, and whether SQLite copies the table for it.
BATCHED = {
    "sa.Column('x', sa.Text())": False,
    "sa.Column('x', sa.Text(), server_default='y')": False,
    "sa.Column('x', sa.Text(), server_default=sa.text(\"'y'\"))": True,
    "sa.Column('x', sa.Boolean(), server_default=sa.false())": True,
    "sa.Column('x', sa.Integer(), sa.Computed('size + 1', persisted=True))": True,
    "sa.Column('x', sa.Integer(), sa.Computed('size + 1', persisted=False))": False,
}


@pytest.mark.parametrize("column", BATCHED)
def test_the_batch_copies_when_alembic_copies(
    column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: dict[str, sa.Column[Any]] = {
        "Column": sa.Column("x", sa.Text()),
        "y": sa.Column("x", sa.Text(), server_default="y"),
        "text": sa.Column("x", sa.Text(), server_default=sa.text("'y'")),
        "false": sa.Column("x", sa.Boolean(), server_default=sa.false()),
        "True": sa.Column("x", sa.Integer(), sa.Computed("size + 1", persisted=True)),
        "False": sa.Column("x", sa.Integer(), sa.Computed("size + 1", persisted=False)),
    }
    at = [*BATCHED].index(column)
    sent: list[str] = []
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE parcel (id INTEGER, size INTEGER)"))

        @sa.event.listens_for(engine, "before_cursor_execute")
        def note(*args: Any) -> None:
            sent.append(args[2])

        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("parcel") as batch:
            batch.add_column([*made.values()][at])
    engine.dispose()
    assert any("INSERT INTO" in text for text in sent) is BATCHED[column]
    upgrade = f"with op.batch_alter_table('parcel') as b:\n    b.add_column({column})"
    found = judged(capsys, write(tmp_path, upgrade), database="sqlite")
    assert ("sqlite-recreate" in found["add_column parcel.x"]) is BATCHED[column]


# The primary key of a table whose rows refer to two columns of another, and whether
# a delete there finds them by an index.
COMPOSITE = {"id": False, "box": True, "shelf": True}


@pytest.mark.parametrize("first", COMPOSITE)
def test_an_index_that_begins_with_any_column_of_a_foreign_key_is_enough(
    first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ", ".join(f"sa.Column('{n}', sa.Integer())" for n in ("box", "shelf"))
    made = (
        f"op.create_table('item', sa.Column('id', sa.Integer()), {columns},"
        f" sa.PrimaryKeyConstraint('{first}', 'id', name='p'){{}})\n"
    )
    key = ", sa.ForeignKeyConstraint(['box', 'shelf'], ['a.box', 'a.shelf'], name='f')"
    found = judged(capsys, write(tmp_path, made.format(key)))
    missing = {"foreign-key-without-index"}
    assert found["create_table item"] == (set() if COMPOSITE[first] else missing)
    added = (
        "op.add_column('item', sa.Column('box', sa.Integer()))\n"
        "op.add_column('item', sa.Column('shelf', sa.Integer()))\n"
        "op.create_foreign_key('f', 'item', 'a', ['box', 'shelf'], ['box', 'shelf'])"
    )
    if first != "id":
        added += f"\nop.create_index('i', 'item', ['{first}'])"
    found = judged(capsys, write(tmp_path, added))
    assert (missing <= found["add_constraint item.f"]) is not COMPOSITE[first]


def test_a_generated_column_is_no_lost_data_and_may_be_dropped_before_the_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = "op.create_table('box', sa.Column('id', sa.Integer(), primary_key=True),"
    made += " sa.Column('a', sa.Integer()), sa.Column('b', sa.Integer(), {}))\n"
    computed = "sa.Computed('a + 1', persisted=True)"
    first = made.format(computed)
    drop = "op.drop_column('box', 'b')"
    again = f"op.add_column('box', sa.Column('b', sa.Integer(), {computed}))"
    batch = "with op.batch_alter_table('box') as batch:\n    "
    cases = {
        drop: {"object-dropped"},
        f"{drop}\n{again}": set(),
        f"{batch}batch.drop_column('b')": {"object-dropped", "sqlite-recreate"},
        f"{batch}batch.alter_column('a', nullable=True)": {
            "sqlite-recreate",
            "sqlite-recreate-drops",
        },
    }
    for upgrade, rules in cases.items():
        path = write(tmp_path, upgrade)
        earlier = BEFORE.replace("op.create_table(", first + "    op.create_table(", 1)
        (tmp_path / "a.py").write_text(earlier, encoding="utf-8")
        [name, *_] = found = judged(capsys, path)
        assert found[name] == rules, upgrade


# What only SQLite does to a table, and the rules on the statement after it.
APART = {
    "op.create_index('i', 'parcel', ['size'])": {"index-build"},
    "op.execute('DROP TABLE parcel')": {"table-dropped"},
    "op.execute('ALTER TABLE parcel ADD COLUMN x int NOT NULL')": {
        "not-null-without-default",
        "insert-blocked",
    },
}


@pytest.mark.parametrize("after", APART)
def test_what_sqlite_does_to_a_table_is_not_true_of_postgresql(
    after: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade = f"""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE TABLE other (id INTEGER)")
        op.execute("INSERT INTO other SELECT id FROM parcel")
        op.execute("DELETE FROM parcel")
        op.execute("ALTER TABLE parcel RENAME TO old")
        op.execute("ALTER TABLE other RENAME TO parcel")
    {after}
    """
    found = judged(capsys, write(tmp_path, upgrade))
    assert found["rename_table other"] == set()
    assert [*found.values()][-1] == APART[after]


def test_a_savepoint_that_is_released_commits_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade = "bind = op.get_bind()\npoint = bind.begin_nested()\npoint.commit()"
    assert judged(capsys, write(tmp_path, upgrade)) == {}
    found = judged(capsys, write(tmp_path, "op.get_bind().commit()"))
    assert found["commit"] == {"commits"}


def test_an_import_for_the_type_checker_is_no_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = """
    from typing import TYPE_CHECKING
    import typing
    if TYPE_CHECKING:
        from shop.models import Parcel
    if typing.TYPE_CHECKING:
        from shop.models import Box
    """
    review_migration.main([str(write(tmp_path, "pass", module)), "--json"])
    assert "application-import" not in capsys.readouterr().out


def test_a_copy_on_sqlite_loses_an_expression_index_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = "with op.batch_alter_table('parcel') as b:\n    b.alter_column('{0}',"
    again += " nullable=True)\n"
    made = "op.create_index('i', 'parcel', [sa.text('lower(note)')])\n"
    path = write(tmp_path, made + again.format("note") + again.format("size"))
    found = judged(capsys, path)
    loses = {"sqlite-recreate", "sqlite-recreate-drops"}
    assert found["alter_column parcel.note"] == loses
    assert found["alter_column parcel.size"] == {"sqlite-recreate"}
    path = write(tmp_path, again.format("note") + made + again.format("size"))
    found = judged(capsys, path)
    assert found["alter_column parcel.note"] == {"sqlite-recreate"}
    assert found["alter_column parcel.size"] == loses


ENUM = "sa.Enum({}, name='{}')"
OLD, NEW = ENUM.format("'a'", "mood"), ENUM.format("'a', 'b'", "mood")
CHANGED = "op.alter_column('parcel', 'mood', existing_type={}, type_={})"
ADD = "op.execute(\"ALTER TYPE mood ADD VALUE 'b'\")\n"
# A change of a column from one sa.Enum to another, and whether nothing comes of it.
ENUMS = {
    CHANGED.format(OLD, NEW): True,
    CHANGED.format(NEW, OLD): True,
    CHANGED.format(OLD, NEW.replace("sa.Enum", "postgresql.ENUM")): True,
    CHANGED.format(OLD, OLD): False,
    CHANGED.format(OLD, NEW.replace("mood", "other")): False,
    CHANGED.format(OLD, "sa.Enum(Mood, name='mood')"): False,
    CHANGED.format("sa.Text()", NEW): False,
    CHANGED.format(OLD, NEW.replace(")", ", native_enum=False)")): False,
    ADD + CHANGED.format(OLD, NEW): False,
    "op.execute('ALTER TYPE mood RENAME TO old')\n"
    f"{NEW}.create(op.get_bind())\n{CHANGED.format(OLD, NEW)}": False,
}


@pytest.mark.parametrize("upgrade", ENUMS)
def test_a_change_from_an_enum_to_itself_does_nothing(
    upgrade: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, upgrade, "from enum import Enum as E\nclass Mood(E): a = 1")
    found = judged(capsys, path)["alter_column parcel.mood"]
    assert ("enum-unchanged" in found) is ENUMS[upgrade]


async def test_postgresql_keeps_an_enum_that_alembic_changes_to_itself(
    server: OwnServer,
) -> None:
    sent = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": sent}
    )
    Operations(context).alter_column(
        "parcel",
        "mood",
        existing_type=sa.Enum("a", name="mood"),
        type_=sa.Enum("a", "b", name="mood"),
    )
    url = str(server.url).replace("postgresql+asyncpg", "postgresql")
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TYPE mood AS ENUM ('a')")
    await connection.execute("CREATE TABLE parcel (mood mood)")
    await connection.execute(sent.getvalue())
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await connection.execute("INSERT INTO parcel VALUES ('b')")
    await connection.close()


def test_a_column_that_this_deploy_adds_is_its_own_under_the_table_s_new_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade = "op.add_column('parcel', sa.Column('x', sa.Text()))\n"
    upgrade += "op.rename_table('parcel', 'box')\nop.drop_column('box', '{}')"
    found = judged(capsys, write(tmp_path, upgrade.format("x")))
    assert found["drop_column box.x"] == set()
    found = judged(capsys, write(tmp_path, upgrade.format("note")))
    assert found["drop_column box.note"] == {"column-dropped"}


# A type that a revision creates before it adds a column of it, by its class.
CLASSES = {
    "sa.Enum(Mood).create(op.get_bind())": set[str](),
    "sa.Enum(Row.Mood).create(op.get_bind())": set[str](),
    "sa.Enum(depot.Mood).create(op.get_bind())": set[str](),
    "sa.Enum(Other).create(op.get_bind())": {"enum-not-created"},
    "sa.Enum(Mood, name='other').create(op.get_bind())": {"enum-not-created"},
}


@pytest.mark.parametrize("made", CLASSES)
def test_an_enum_without_a_name_has_that_of_its_class_in_lower_case(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = """
    import enum
    import depot
    class Mood(enum.Enum):
        a = 1
    class Other(enum.Enum):
        a = 1
    class Row(Base):
        __tablename__ = "row"
    """
    column = "op.add_column('parcel', sa.Column('m', sa.Enum('a', name='mood')))"
    found = judged(capsys, write(tmp_path, f"{made}\n{column}", module))
    assert found["add_column parcel.m"] == CLASSES[made]
