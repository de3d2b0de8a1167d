"""What the revisions so far made, as far as they could be read."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from .sql import HOLE, Column, Operation, Type

GENERATED = "a generated column (the copy fails)"


def is_generated(column: Column) -> bool:
    return column.makes in ("stored", "virtual", "computed")


@dataclass
class Table:
    made_in: str
    columns: dict[str, Column] = field(default_factory=dict)
    filled: bool = False
    indexed: set[str] = field(default_factory=set)  # first columns of its indexes
    left_out: list[str] = field(default_factory=list)  # by SQLite's batch copy


@dataclass
class Check:
    text: str
    valid: bool


@dataclass
class State:
    """What the revisions so far made, as far as they could be read."""

    complete: bool = True  # back to the first revision, with nothing unread
    tables: dict[str, Table] = field(default_factory=dict)
    enums: dict[str, str] = field(default_factory=dict)  # type: revision
    checks: dict[tuple[str, str], Check] = field(default_factory=dict)
    added: dict[tuple[str, str], str] = field(default_factory=dict)  # column: revision
    # Values that enums got in a transaction: revision.
    values: dict[str, str] = field(default_factory=dict)
    triggers: set[str] = field(default_factory=set)  # tables that have one
    # Emptied by the revision that is judged: the doubtful ways to where it is.
    emptied: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @staticmethod
    def after(parents: list[State], known: bool) -> State:
        found = State(complete=known and all(parent.complete for parent in parents))
        for parent in parents:
            copy = deepcopy(parent)
            found.tables |= copy.tables
            found.enums |= copy.enums
            found.checks |= copy.checks
            found.added |= copy.added
            found.values |= copy.values
            found.triggers |= copy.triggers
        return found

    def is_empty(self, op: Operation) -> bool:
        """Whether the table has no rows where an operation meets it."""
        ways = self.emptied.get(op.table)
        return ways is not None and op.ways[: len(ways)] == ways

    def keep(self, lite: State) -> None:
        """Take over what SQLite's copies leave out, from what is true of SQLite."""
        for name, table in self.tables.items():
            if name in lite.tables:
                table.left_out = lite.tables[name].left_out

    def apply(
        self, op: Operation, made_in: str, fresh: set[str], indexed: set[str]
    ) -> None:
        """Note what an operation of the revision `made_in` leaves behind.

        `indexed`: the columns that an index begins with, of a table that it creates.
        """
        facts, table = op.facts, self.tables.get(op.table)
        self.apply_rows(op)
        if op.kind == "create_table":
            self.apply_table(op, made_in, indexed)
        elif op.kind == "drop_table":
            self.tables.pop(op.table, None)
        elif op.kind == "rename_table" and table is not None:
            self.tables[facts["new"]] = self.tables.pop(op.table)
            for name in table.columns:
                if (op.table, name) in self.added:
                    self.added[facts["new"], name] = self.added[op.table, name]
        elif op.kind == "add_column":
            self.added[op.table, op.name] = made_in
            table = self.tables.setdefault(op.table, Table(""))
            table.columns[op.name] = facts["column"]
            if facts["column"].indexed:
                table.indexed.add(op.name)
        elif op.kind == "drop_column" and table is not None:
            table.columns.pop(op.name, None)
        elif op.kind == "alter_column":
            self.apply_alter(op)
        elif op.kind == "online":
            self.apply_online(op)
        elif op.kind == "create_index":
            if table is not None:
                table.indexed.update(facts["columns"][:1])
                if facts["expression"]:
                    table.left_out.append(f"the expression index {op.name}")
        elif op.kind == "add_constraint":
            self.apply_constraint(op)
        elif op.kind == "drop_constraint":
            self.checks.pop((op.table, op.name), None)
        elif op.kind == "validate" and (op.table, op.name) in self.checks:
            self.checks[op.table, op.name].valid = True
        elif op.kind == "add_value":
            if not op.autocommit and self.enums.get(op.name) not in fresh:
                self.values[f"'{facts['value']}'"] = made_in
        elif op.kind == "create_enum":
            self.enums.setdefault(op.name, made_in)
        elif op.kind == "drop_type":
            self.enums.pop(op.name, None)
        elif op.kind == "rename_type" and op.name in self.enums:
            self.enums[facts["new"]] = self.enums.pop(op.name)
        elif op.kind == "insert" and table is not None:
            table.filled = True
        elif op.kind == "create_other" and "on" in facts:
            self.triggers.add(facts["on"])
            if facts["on"] in self.tables:
                self.tables[facts["on"]].left_out.append("a trigger")
        elif op.kind == "unread":
            self.complete = False

    def apply_rows(self, op: Operation) -> None:
        """Note which tables are certain to be empty from here on, on which way."""
        certain = not op.repeated and "postgresql" in op.databases
        if op.kind in ("delete", "truncate") and op.facts.get("whole") and certain:
            self.emptied[op.table] = op.ways
        elif op.kind == "insert":
            self.emptied.pop(op.table, None)
            if HOLE in op.table:
                self.emptied.clear()
        elif op.kind == "rename_table" and op.table in self.emptied:
            self.emptied[op.facts["new"]] = self.emptied[op.table]
        elif op.kind == "unread":
            self.emptied.clear()

    def apply_table(self, op: Operation, made_in: str, indexed: set[str]) -> None:
        columns = {column.name: column for column in op.facts["columns"]}
        table = Table(made_in, columns, filled=op.facts.get("filled", False))
        table.indexed = indexed
        for constraint in op.facts["constraints"]:
            facts = constraint.facts
            if facts["type"] == "primary key":
                for name in facts["columns"]:
                    if name in columns:
                        columns[name].primary = True
                        columns[name].nullable = False
            if facts["type"] == "check":
                if not facts["named"]:
                    table.left_out.append("an unnamed CHECK")
                text = facts["check"].lower()
                self.checks[op.table, constraint.name] = Check(text, True)
        self.tables[op.table] = table
        for column in op.facts["columns"]:
            if column.type.enum:
                self.enums.setdefault(column.type.enum, made_in)

    def apply_alter(self, op: Operation) -> None:
        facts, table = op.facts, self.tables.get(op.table)
        column = table.columns.get(op.name) if table else None
        if "new" in facts and (op.table, op.name) in self.added:
            self.added[op.table, facts["new"]] = self.added[op.table, op.name]
        if column is None or table is None:
            return
        if "nullable" in facts:
            column.nullable = facts["nullable"]
        if "type" in facts:
            column.type = facts["type"]
        if "default" in facts:
            column.default = facts["default"]
        if "new" in facts:
            table.columns[facts["new"]] = table.columns.pop(op.name)
            if op.name in table.indexed:
                table.indexed.add(facts["new"])

    def apply_online(self, op: Operation) -> None:
        facts, table = op.facts, self.tables.get(op.table)
        if facts["text"] == "sync_columns":
            self.triggers.add(op.table)
        if "check" in facts:
            self.checks[op.table, op.name] = Check(facts["check"].lower(), True)
        if table is None:
            return
        table.indexed.update(facts["columns"][:1])
        if facts.get("wide") in table.columns:
            table.columns[facts["wide"]].type = Type("bigint")
        if facts.get("not_null") in table.columns:
            table.columns[facts["not_null"]].nullable = False

    def apply_constraint(self, op: Operation) -> None:
        facts = op.facts
        if facts.get("type") == "check":
            valid = not facts.get("not_valid")
            self.checks[op.table, op.name] = Check(
                facts.get("check", "").lower(), valid
            )
        if facts.get("type") in ("unique", "primary key"):
            table = self.tables.get(op.table)
            if table is not None:
                table.indexed.update(facts.get("columns", [])[:1])
