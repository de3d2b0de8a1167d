"""Judge the operations of a revision, knowing what the revisions before it made.

The rules' texts are in rules.py, their proofs in evals/scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from .effects import default_kind, spell, type_change
from .revision import Revision
from .rules import RULES, VERDICTS
from .sql import HOLE, Column, Operation, Type
from .state import GENERATED, State, Table, is_generated


@dataclass(frozen=True)
class Reason:
    rule: str
    other: str = ""

    @property
    def verdict(self) -> str:
        return RULES[self.rule].verdict

    @property
    def why(self) -> str:
        return RULES[self.rule].why.replace("{other}", self.other).replace(HOLE, "?")


@dataclass
class Finding:
    """One operation, and what is to be said of it; no reason means safe."""

    operation: Operation
    reasons: list[Reason] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return worst(reason.verdict for reason in self.reasons)


def worst(verdicts: Iterable[str]) -> str:
    return max(verdicts, key=VERDICTS.index, default="safe")


DATA = {"insert", "update", "delete", "truncate", "select", "quiet", "commit"}
DATA |= {"unread", "result"}  # and what may be
INDEXES = {"create_index", "online"}
# What leaves nothing behind that a second upgrade would stumble over.
DATA |= {"validate", "reindex", "cluster", "vacuum", "refresh", "lock"}
# The catalogue changes behind these take a lock that data changes then hold on to.
STRONG = {
    "add_column",
    "drop_column",
    "alter_column",
    "add_constraint",
    "drop_constraint",
}


class Judge:
    """Judge one revision. `fresh`: the revisions that go out in the same deploy."""

    def __init__(
        self,
        revision: Revision,
        state: State,
        fresh: set[str],
        database: str,
        down: bool,
    ) -> None:
        self.revision = revision
        self.state = state
        self.id = revision.revision or revision.path
        self.fresh = fresh or {self.id}
        if down:
            self.fresh = set()
        self.down = down
        self.database = database
        self.ops = revision.downgrade if down else revision.upgrade
        self.others = revision.upgrade if down else revision.downgrade
        self.at = 0
        self.main = state
        self.lite: State | None = None  # of SQLite, once it goes a way of its own
        self.recreated: set[int] = set()
        self.noted: set[str] = set()

    def run(self) -> list[Finding]:
        """Judge each operation in order, and note in the state what it makes."""
        found = []
        for at, op in enumerate(self.ops):
            self.at = at
            self.state = self.of(op)
            method = getattr(self, op.kind, None)
            reasons: list[Reason] = []
            if self.wanted(op):
                reasons += self.traps(op)
                reasons += self.values_used(op)
                reasons += method(op) if method is not None else ()
                reasons += self.sqlite(op)
            self.note(op)
            found.append(Finding(op, list(dict.fromkeys(reasons))))
        self.state = self.main
        if self.lite is not None:
            self.main.keep(self.lite)
        self.autocommit_blocks(found)
        self.whole(found)
        return found

    def of(self, op: Operation) -> State:
        """Return the state that an operation meets: of PostgreSQL, if it runs there."""
        apart = "sqlite" in op.databases and not self.postgresql(op)
        if not apart or self.database == "sqlite":
            return self.main
        if self.lite is None:
            self.lite = deepcopy(self.main)
        return self.lite

    def note(self, op: Operation) -> None:
        """Keep in the states what an operation leaves behind."""
        indexed = self.indexed(op) if op.kind == "create_table" else set[str]()
        states = [self.of(op)] if self.wanted(op) else []
        if self.lite is not None and "sqlite" in op.databases:
            states = [self.lite, *(self.main for _ in states if self.postgresql(op))]
        for state in states:
            state.apply(op, self.id, self.fresh, indexed)

    # --- what is asked of the state -------------------------------------------------

    def wanted(self, op: Operation) -> bool:
        """Whether the operation runs on a database that is judged at all."""
        names = {"": {"postgresql", "sqlite"}, "both": {"postgresql", "sqlite"}}
        return bool(op.databases & names.get(self.database, {self.database}))

    def postgresql(self, op: Operation) -> bool:
        return "postgresql" in op.databases and self.database != "sqlite"

    def new(self, name: str) -> bool:
        """Whether a table was made in this deploy: nobody else sees it yet."""
        table = self.state.tables.get(name)
        known = table is not None and name != HOLE
        return known and table is not None and table.made_in in self.fresh

    def here(self, kind: str, after: bool = False) -> list[Operation]:
        """Return the operations of a kind of this revision, before or after."""
        ops = self.ops[self.at + 1 :] if after else self.ops[: self.at]
        return [op for op in ops if op.kind == kind]

    def column(self, op: Operation) -> Column | None:
        table = self.state.tables.get(op.table)
        return table.columns.get(op.name) if table else None

    def added(self, table: str, column: str) -> bool:
        return self.state.added.get((table, column)) in self.fresh

    # --- each kind ------------------------------------------------------------------

    def traps(self, op: Operation) -> Iterator[Reason]:
        for rule, other in op.facts.get("traps", ()):
            yield Reason(rule, other)

    def create_table(self, op: Operation) -> Iterator[Reason]:
        explicit = {other.name for other in self.here("create_enum")}
        for column in op.facts["columns"]:
            made = self.state.enums.get(column.type.enum)
            twice = made not in (None, self.id) or column.type.enum in explicit
            if self.postgresql(op) and column.type.enum and twice:
                yield Reason("enum-created-twice", column.type.enum)
        indexed = self.indexed(op)
        for names in self.references(op):
            # An index that begins with any of its columns finds the rows.
            if names and self.postgresql(op) and not indexed & {*names}:
                where = f"{op.table}.{names[0]}"
                yield Reason("foreign-key-without-index", where)
        unnamed = [
            c.facts["type"] for c in op.facts["constraints"] if not c.facts["named"]
        ]
        unnamed = [kind for kind in unnamed if kind not in ("primary key", "not null")]
        if unnamed and op.facts.get("python"):
            yield Reason("unnamed-in-table", f"a {unnamed[0]} constraint")

    def references(self, op: Operation) -> Iterator[list[str]]:
        for column in op.facts["columns"]:
            if column.foreign:
                yield [column.name]
        for constraint in op.facts["constraints"]:
            if constraint.facts["type"] == "foreign key":
                yield constraint.facts["columns"]

    def parents(self, op: Operation) -> list[str]:
        """Return the tables that a new table refers to."""
        keys = [c.facts.get("foreign", "") for c in op.facts["constraints"]]
        return [
            name for name in [*keys, *(c.foreign for c in op.facts["columns"])] if name
        ]

    def indexed(self, op: Operation) -> set[str]:
        """Return the columns of a new table that an index begins with."""
        found = set()
        primary = [c.name for c in op.facts["columns"] if c.primary]
        for column in op.facts["columns"]:
            if column.indexed and (not column.primary or column.name == primary[0]):
                found.add(column.name)
        for constraint in op.facts["constraints"]:
            if constraint.facts["type"] in ("primary key", "unique"):
                found.update(constraint.facts["columns"][:1])
        for columns in op.facts.get("indexes", ()):
            found.update(columns[:1])
        return found | self.indexed_later(op.table)

    def indexed_later(self, table: str) -> set[str]:
        found = set()
        for later in self.ops:
            unique = later.facts.get("type") in ("unique", "primary key")
            if later.table == table and (later.kind in INDEXES or unique):
                found.update(later.facts.get("columns", [])[:1])
        return found

    def drop_table(self, op: Operation) -> Iterator[Reason]:
        if self.new(op.table):
            return
        copy = self.renamed_table(op)
        yield Reason("table-rename-loses", copy) if copy else Reason("table-dropped")
        if op.facts.get("cascade"):
            yield Reason("cascade")

    def renamed_table(self, op: Operation) -> str:
        """Return the new table that has the columns of the dropped one."""
        made = [o for o in self.ops if o.kind == "create_table" and o.table != op.table]
        dropped = [o for o in self.ops if o.kind == "drop_table"]
        before = self.state.tables.get(op.table)
        old = set(before.columns) if before else set()
        for other in self.others:
            if other.kind == "create_table" and other.table == op.table:
                old |= {column.name for column in other.facts["columns"]}
        copied = {o.table for o in self.here("insert")}
        for other in made:
            if other.table in copied:
                continue
            new = {column.name for column in other.facts["columns"]}
            alike = len(old & new) / max(len(old), len(new), 1)
            if alike > 0.6 or (not old and len(made) == len(dropped) == 1):
                return other.table
        return ""

    def rename_table(self, op: Operation) -> Iterator[Reason]:
        if not self.new(op.table) and not self.taken_back(op):
            yield Reason("table-renamed")

    def taken_back(self, op: Operation) -> bool:
        """Whether a table or a view gets the old name in this revision."""
        view = re.compile(rf"view (if not exists )?{re.escape(op.table.lower())} ")
        return any(
            (other.table == op.table and other.kind == "create_table")
            or (other.kind == "create_other" and view.search(other.facts["full"]))
            for other in self.ops[self.at + 1 :]
        )

    def add_column(self, op: Operation) -> Iterator[Reason]:
        column: Column = op.facts["column"]
        table = self.state.tables.get(op.table)
        new = self.new(op.table)
        if new and not (table and table.filled):
            return
        if column.name == HOLE and column.default == HOLE and not column.type.name:
            yield Reason("unread-code")
            return
        required = not column.nullable and column.default is None and not column.makes
        if required:
            if not self.state.is_empty(op):
                yield Reason("not-null-without-default")
            if not new:
                yield Reason("insert-blocked", column.name)
        if new or not self.postgresql(op):
            return
        enum = column.type.enum
        if enum and enum not in self.state.enums:
            yield Reason("enum-not-created", enum)
        kind = default_kind(column.default)
        if kind == "volatile":
            yield Reason("volatile-default")
        elif kind == "unknown":
            yield Reason("unread-default")
        if column.makes and column.makes != "virtual":
            yield Reason("generated-rewrites", f"a {column.makes} column")
        if column.indexed:
            yield Reason("unique-builds" if column.unique else "index-build")
        if column.foreign:
            quick = op.facts["inline"] and column.nullable and column.default is None
            if not quick:
                yield Reason("foreign-key-checks")
            if not column.indexed and column.name not in self.indexed_later(op.table):
                yield Reason("foreign-key-without-index", f"{op.table}.{column.name}")

    def drop_column(self, op: Operation) -> Iterator[Reason]:
        if self.new(op.table) or self.added(op.table, op.name):
            return
        column = self.column(op)
        if column and is_generated(column):
            later = self.here("add_column", after=True)
            if (op.table, op.name) not in {(o.table, o.name) for o in later}:
                yield Reason("object-dropped")
            return
        copy = self.renamed_column(op)
        yield Reason("column-rename-loses", copy) if copy else Reason("column-dropped")
        if op.facts.get("cascade"):
            yield Reason("cascade")

    def renamed_column(self, op: Operation) -> str:
        """Return the column added beside the dropped one that has its type."""
        old = self.column(op)
        for other in self.others:
            if other.kind == "add_column" and (other.table, other.name) == (
                op.table,
                op.name,
            ):
                old = other.facts["column"]
        same = [o for o in self.ops if o.table == op.table]
        added = [o for o in same if o.kind == "add_column"]
        dropped = [o for o in same if o.kind == "drop_column"]
        written = {
            c for o in self.ops if o.kind == "update" for c in o.facts["columns"]
        }
        for other in added:
            column: Column = other.facts["column"]
            if column.name in written | {o.name for o in dropped}:
                continue
            alike = old is not None and old.type.name == column.type.name != ""
            if alike or (old is None and len(added) == len(dropped) == 1):
                return column.name
        return ""

    def alter_column(self, op: Operation) -> Iterator[Reason]:
        facts, column = op.facts, self.column(op)
        if self.new(op.table):
            return
        seen = not self.new(op.table) and not self.added(op.table, op.name)
        if facts.get("new", op.name) != op.name and seen:
            yield Reason("column-renamed")
        if facts.get("nullable") is False and self.postgresql(op):
            yield from self.set_not_null(op, column)
        if facts.get("nullable") is False and self.left_out(op, column):
            yield Reason("insert-blocked", op.name)
        if facts.get("default", "") is None and facts.get("nullable") is not True:
            required = (
                facts.get("was_nullable") is False or facts.get("nullable") is False
            )
            if required or (column is not None and not column.nullable):
                had = column is None or column.default is not None or column.makes
                if had and not self.new(op.table):
                    yield Reason("insert-blocked", op.name)
        if "type" in facts:
            yield from self.change_type(op, column)

    def left_out(self, op: Operation, column: Column | None) -> bool:
        """Whether the running release inserts without a column, which becomes NULL."""
        if column is None or not self.added(op.table, op.name):
            return False
        given = op.facts.get("default") or column.default or column.makes
        return column.nullable and not given and op.table not in self.state.triggers

    def set_not_null(self, op: Operation, column: Column | None) -> Iterator[Reason]:
        if op.facts.get("not_valid"):
            yield Reason("not-null-not-valid")
            return
        if column is not None and not column.nullable and not self.new(op.table):
            return
        proof = re.compile(rf"\(?\"?{re.escape(op.name.lower())}\"? is not null\)?$")
        for (table, _), known in self.state.checks.items():
            if table == op.table and known.valid and proof.match(known.text):
                return
        for later in self.here("drop_constraint", after=True):
            name = later.name.lower()
            check = later.table == op.table and later.facts["type"] in ("check", "")
            named = op.name.lower() in name or "null" in name
            if check and named and not self.state.complete:
                yield Reason("check-assumed", later.name)
                return
        yield Reason("not-null-scans")

    def change_type(self, op: Operation, column: Column | None) -> Iterator[Reason]:
        new: Type = op.facts["type"]
        old: Type = op.facts.get("old_type") or (column.type if column else Type(""))
        if not old.name and column is not None:
            old = column.type
        using = op.facts.get("using", "")
        change = type_change(old, new)
        if change == "loses" and not (
            using and "round" not in using and "::" not in using
        ):
            yield Reason("type-loses", f"{spell(old)} to {spell(new)}")
        if not self.postgresql(op):
            return
        if new.enum and new.name == old.name and "values" in op.facts:
            kinds = ("add_value", "rename_type", "create_enum", "drop_type")
            if all(o.name != new.name for kind in kinds for o in self.here(kind)):
                yield Reason("enum-unchanged", ", ".join(op.facts["values"]))
        if new.enum and new.name != old.name:
            if new.enum not in self.state.enums:
                yield Reason("enum-not-created", new.enum)
            if not using:
                yield Reason("enum-cast")
        if change == "timestamptz":
            utc = any(
                re.search(r"(?i)set .*time ?zone (= |to )?'?utc", o.facts["text"])
                for o in self.here("quiet")
            )
            if using or not utc:
                yield Reason("timestamptz-rewrites")
        elif change != "safe" or (using and not trivial(using, op.name)):
            yield Reason("type-rewrites", f"{spell(old)} to {spell(new)}")

    def create_index(self, op: Operation) -> Iterator[Reason]:
        if not self.postgresql(op) or self.new(op.table):
            return
        if not op.facts["concurrently"]:
            yield Reason("index-build")
            return
        if not op.autocommit:
            yield Reason("concurrently-in-transaction")
        if op.facts["if_not_exists"]:
            yield Reason("concurrently-if-not-exists")
        elif op.name not in [o.name for o in self.here("drop_index")]:
            yield Reason("not-resumable")

    def drop_index(self, op: Operation) -> Iterator[Reason]:
        gone = [o.table for o in self.ops if o.kind == "drop_table"]
        made = [o.name for o in self.here("create_index")]
        skip = self.new(op.table) or op.table in gone or op.name in made
        if skip or not self.postgresql(op):
            return
        if not op.facts["concurrently"]:
            yield Reason("index-drop")
        elif not op.autocommit:
            yield Reason("concurrently-in-transaction")

    def add_constraint(self, op: Operation) -> Iterator[Reason]:
        facts = op.facts
        batch = facts.get("batch")
        named = facts["named"] or (batch and "naming_convention" in batch.kwargs)
        if facts.get("python") and not named:
            yield Reason("unnamed-constraint")
        if self.new(op.table) or not self.postgresql(op):
            return
        kind = facts.get("type")
        if kind == "foreign key":
            if not facts.get("not_valid"):
                yield Reason("foreign-key-checks")
            columns = facts.get("columns") or [HOLE]
            if all(self.without_index(op.table, column) for column in columns):
                yield Reason("foreign-key-without-index", f"{op.table}.{columns[0]}")
        elif kind == "check" and not facts.get("not_valid"):
            yield Reason("check-scans")
        elif kind == "not null" and not facts.get("not_valid"):
            yield Reason("not-null-scans")
        elif kind in ("unique", "primary key", "exclude") and not facts.get(
            "using_index"
        ):
            yield Reason("unique-builds")

    def without_index(self, table: str, column: str) -> bool:
        """Whether it is certain that no index begins with the column."""
        known = self.state.tables.get(table)
        if HOLE in column or column in self.indexed_later(table):
            return False
        if self.added(table, column):
            return known is None or column not in known.indexed
        return bool(self.state.complete and known and column not in known.indexed)

    def online(self, op: Operation) -> Iterator[Reason]:
        for column in op.facts.get("refers", ()):
            if self.postgresql(op) and self.without_index(op.table, column):
                yield Reason("foreign-key-without-index", f"{op.table}.{column}")

    def drop_constraint(self, op: Operation) -> Iterator[Reason]:
        if not op.facts.get("named", True):
            yield Reason("unnamed-constraint")
        if op.facts.get("cascade"):
            yield Reason("cascade")

    def validate(self, op: Operation) -> Iterator[Reason]:
        made = [o for o in self.here("add_constraint") if o.name == op.name]
        if (
            made
            and not op.autocommit
            and not self.new(op.table)
            and self.postgresql(op)
        ):
            yield Reason("validated-at-once")

    def create_enum(self, op: Operation) -> Iterator[Reason]:
        made = self.state.enums.get(op.name)
        guarded = op.facts.get("guarded")
        sql = op.facts.get("sql") and not guarded
        if sql and made is not None and self.postgresql(op):
            yield Reason("enum-created-twice", op.name)

    def add_value(self, op: Operation) -> Iterator[Reason]:
        value = op.facts["value"]
        if op.autocommit:
            if not op.facts["if_not_exists"]:
                yield Reason("not-resumable")
        elif self.state.enums.get(op.name) != self.id:
            wanted = f"'{value}'"
            if any(uses(later, wanted) for later in self.ops[self.at + 1 :]):
                yield Reason("enum-value-used", wanted)

    def values_used(self, op: Operation) -> Iterator[Reason]:
        """Values that an earlier revision of the same run adds, if that is one
        transaction, as it is where the environment does not say otherwise."""
        for value, made_in in self.state.values.items():
            known = made_in != self.id and made_in in self.fresh
            if known and uses(op, value) and not self.transactions_apart():
                yield Reason("enum-value-used-later", value)

    def transactions_apart(self) -> bool:
        if not self.revision.has:  # generated SQL
            return True
        env = Path(self.revision.path).resolve().parent.parent / "env.py"
        try:
            text = env.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return "transaction_per_migration" in text or "run_env" in text

    def rename_value(self, op: Operation) -> Iterator[Reason]:
        if self.state.enums.get(op.name) not in self.fresh:
            yield Reason("enum-value-renamed")

    def rename_type(self, op: Operation) -> Iterator[Reason]:
        again = [o.name for o in self.ops if o.kind == "create_enum"]
        if op.name not in again and op.facts["new"] not in again:
            yield Reason("table-renamed")

    def drop_type(self, op: Operation) -> Iterator[Reason]:
        if op.facts.get("cascade"):
            yield Reason("cascade")

    def update(self, op: Operation) -> Iterator[Reason]:
        facts = op.facts
        if facts.get("skips"):
            yield Reason("skips-locked")
        if self.new(op.table):
            return
        columns = [c for c in facts["columns"] if not self.added(op.table, c)]
        if HOLE in op.table or HOLE in columns or not facts["columns"]:
            yield Reason("unread-sql")
        elif columns and not facts.get("fills") and not facts.get("maps"):
            yield Reason("values-overwritten", ", ".join(columns))
        batches = op.autocommit and (facts.get("limited") or op.repeated)
        one = re.fullmatch(r"(\w+ \. )?id = ('[^']*'|\d+)", facts.get("where", ""))
        if not batches and not one and self.postgresql(op):
            yield Reason("rows-held")
            strong = [o for o in self.ops if o.kind in STRONG and not self.new(o.table)]
            if any(o.table == op.table and not o.autocommit for o in strong):
                yield Reason("data-with-ddl")

    def delete(self, op: Operation) -> Iterator[Reason]:
        if not self.new(op.table):
            yield Reason("rows-deleted")

    truncate = delete

    def insert(self, op: Operation) -> Iterator[Reason]:
        table = self.state.tables.get(op.table)
        text = op.facts.get("full", "")
        explicit = re.search(r"\( \"?id\"? [,)].*values \( ?\d", text) or op.facts.get(
            "ids"
        )
        key = table.columns.get("id") if table else None
        counted = (
            key is not None and key.primary and key.type.name in ("integer", "bigint")
        )
        moved = any("setval" in o.facts.get("full", "") for o in self.ops)
        if explicit and counted and not moved and self.postgresql(op):
            yield Reason("sequence-behind")
        copies = re.search(r"\bselect\b.* from \w", text) and self.new(op.table)
        if copies and not op.autocommit and self.postgresql(op):
            parents = [
                parent
                for made in self.here("create_table")
                for parent in self.parents(made)
                if made.table == op.table and not self.new(parent)
            ]
            if parents:
                yield Reason("copied-under-lock", parents[0])

    def select(self, op: Operation) -> Iterator[Reason]:
        if "is_offline_mode" not in self.revision.text and "reads" not in self.noted:
            self.noted.add("reads")
            if not op.facts.get("python") and self.revision.text:
                yield Reason("reads-data")

    def lock(self, op: Operation) -> Iterator[Reason]:
        if self.postgresql(op):
            yield Reason("table-locked")

    def reindex(self, op: Operation) -> Iterator[Reason]:
        if not self.postgresql(op):
            return
        if "concurrently" not in op.facts["full"]:
            yield Reason("table-locked")
        elif not op.autocommit:
            yield Reason("concurrently-in-transaction")

    def refresh(self, op: Operation) -> Iterator[Reason]:
        if self.postgresql(op) and "concurrently" not in op.facts["full"]:
            yield Reason("table-locked")

    def vacuum(self, op: Operation) -> Iterator[Reason]:
        if "full" in op.facts["full"] and self.postgresql(op):
            yield Reason("table-rewrites")
        if not op.autocommit:
            yield Reason("concurrently-in-transaction")

    def cluster(self, op: Operation) -> Iterator[Reason]:
        yield Reason("table-rewrites")

    def rewrite(self, op: Operation) -> Iterator[Reason]:
        if not self.new(op.table) and self.postgresql(op):
            yield Reason("table-rewrites")

    def secure(self, op: Operation) -> Iterator[Reason]:
        if self.postgresql(op) and not self.new(op.table):
            yield Reason("rows-hidden")

    def revoke(self, op: Operation) -> Iterator[Reason]:
        yield Reason("object-dropped")

    def drop_other(self, op: Operation) -> Iterator[Reason]:
        if op.facts.get("cascade"):
            yield Reason("cascade")
            return
        words = op.facts["text"].split()
        name = next((w for w in words[2:] if w not in ("if", "exists", "view")), "?")
        others = [o.facts["full"] for o in self.ops if o.kind == "create_other"]
        if not any(re.search(rf"\b{re.escape(name)}\b", text) for text in others):
            yield Reason("object-dropped")

    def drop_all(self, op: Operation) -> Iterator[Reason]:
        yield Reason("everything-dropped")

    def create_all(self, op: Operation) -> Iterator[Reason]:
        yield Reason("create-all")

    def commit(self, op: Operation) -> Iterator[Reason]:
        if not op.autocommit:
            yield Reason("commits")

    def quiet(self, op: Operation) -> Iterator[Reason]:
        ends = op.facts["text"].split(" ")[0] in ("commit", "end", "rollback", "begin")
        if ends and op.facts.get("sql") and not op.autocommit and self.revision.text:
            yield Reason("commits")

    def result(self, op: Operation) -> Iterator[Reason]:
        yield Reason("execute-result")

    def unread(self, op: Operation) -> Iterator[Reason]:
        inside = op.facts.get("full", "").lower()
        if re.search(r"\bdrop (table|column|schema)\b", inside):
            yield Reason("table-dropped")
        elif re.search(r"\b(delete from|truncate)\b", inside):
            yield Reason("rows-deleted")
        yield Reason("unread-sql" if op.facts.get("sql") or inside else "unread-code")

    # --- SQLite ---------------------------------------------------------------------

    def sqlite(self, op: Operation) -> Iterator[Reason]:
        if "sqlite" not in op.databases or self.database == "postgresql":
            return
        batch = op.facts.get("batch")
        moved = op.kind in STRONG - {"add_column", "drop_column"}
        if batch is None:
            asked = self.database in ("sqlite", "both") and op.facts.get("python")
            if asked and moved and not ("new" in op.facts and len(op.facts) < 6):
                yield Reason("sqlite-needs-batch")
            column = op.facts.get("column")
            computed = column is not None and "(" in (column.default or "")
            if asked and computed and not self.new(op.table):
                yield Reason("sqlite-default")
            return
        recreate = batch.kwargs.get("recreate", "auto")
        column = op.facts.get("column")
        computed = column is not None and "(" in (column.default or "")
        made = (
            computed or op.facts.get("clause") or (column and column.makes == "stored")
        )
        copies = moved or op.kind == "drop_column" or made or recreate == "always"
        if not copies or recreate == "never" or self.new(op.table):
            return
        if id(batch) not in self.recreated:
            self.recreated.add(id(batch))
            yield Reason("sqlite-recreate")
            table = self.state.tables.get(op.table)
            left_out = self.lost(table, batch) if table else []
            if left_out and "table_args" not in batch.kwargs:
                yield Reason("sqlite-recreate-drops", ", ".join(left_out))
            if table is not None:
                table.left_out.clear()

    def lost(self, table: Table, batch: object) -> list[str]:
        """Return what the copy of a table leaves out."""
        same = [op for op in self.ops if op.facts.get("batch") is batch]
        dropped = {op.name for op in same if op.kind == "drop_column"}
        made = [name for name, column in table.columns.items() if is_generated(column)]
        return [*table.left_out, *([GENERATED] if {*made} - dropped else [])]

    # --- the revision as a whole ------------------------------------------------------

    def autocommit_blocks(self, found: list[Finding]) -> None:
        """An autocommit block must come first, or alone, and be repeatable."""
        quiet = ("quiet", "select", "result")
        real = [f for f in found if self.postgresql(f.operation)]
        real = [f for f in real if f.operation.kind not in quiet]
        inside = [f for f in real if f.operation.autocommit]
        real = [f for f in real if f in inside or not repeatable(f.operation)]
        if not inside or len(inside) == len(real):
            return
        at = real.index(inside[0])
        notes = {reason.rule for f in inside for reason in f.reasons}
        if at > 0 or "not-resumable" in notes:
            inside[0].reasons.append(Reason("autocommit-not-alone"))

    def whole(self, found: list[Finding]) -> None:
        """Add what concerns no single operation."""
        revision = self.revision
        # Generated SQL has no downgrade() that it could lack.
        if self.down or revision.problem or not revision.has:
            return
        for fault in revision.faults:
            found.append(Finding(fault, [Reason("application-import", fault.name)]))
        kinds = {op.kind for op in revision.upgrade if not resumable_value(op)}
        downgrade = revision.has["downgrade"]
        blank = revision.has["upgrade"] in ("pass", "")
        if blank and downgrade != "body" and len(revision.down) < 2:
            found.append(Finding(Operation("upgrade"), [Reason("empty-revision")]))
        elif downgrade == "" or (downgrade == "pass" and kinds - DATA):
            if revision.upgrade:
                found.append(Finding(Operation("downgrade"), [Reason("no-downgrade")]))
        elif downgrade == "body":
            left = self.enums_left()
            for name in left:
                reason = Reason("enum-left-behind", name)
                found.append(Finding(Operation("downgrade"), [reason]))

    def enums_left(self) -> list[str]:
        """Return the types that the upgrade makes and the downgrade does not drop."""
        made = []
        for op in self.revision.upgrade:
            if op.kind == "create_table" and self.postgresql(op):
                made += [c.type.enum for c in op.facts["columns"] if c.type.enum]
            elif op.kind == "create_enum" and self.postgresql(op):
                made.append(op.name)
        if any(op.kind in ("unread", "drop_all") for op in self.revision.downgrade):
            return []
        dropped = {op.name for op in self.revision.downgrade if op.kind == "drop_type"}
        if "" in dropped or any(HOLE in name for name in dropped):
            return []
        known = {n for n, where in self.state.enums.items() if where != self.id}
        again = {op.name for op in self.revision.upgrade if op.kind == "rename_type"}
        return [
            name for name in dict.fromkeys(made) if name not in dropped | known | again
        ]


def uses(op: Operation, value: str) -> bool:
    """Whether an operation names the value of an enum."""
    column = op.facts.get("column")
    text = f"{op.facts.get('full', '')} {op.facts.get('source', '')}".replace('"', "'")
    default = column.default if column else op.facts.get("default")
    return op.kind != "add_value" and (value in text or default == value)


def trivial(using: str, column: str) -> bool:
    """Whether USING only names the column, with a cast that the change is anyway."""
    return bool(
        re.fullmatch(
            rf"\"?{re.escape(column.lower())}\"? ?(:: ?[\w ()]+)?", using.lower()
        )
    )


def repeatable(op: Operation) -> bool:
    """Whether a second run of this statement finds its work done."""
    text = op.facts.get("full", "")
    return "if not exists" in text or "if exists" in text


def resumable_value(op: Operation) -> bool:
    return op.kind == "add_value" and bool(op.facts["if_not_exists"])
