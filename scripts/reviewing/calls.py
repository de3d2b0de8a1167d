"""Note what reaches the database: what statements and calls amount to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from . import online, sql
from .branches import Either
from .sql import DATABASES, HOLE, Operation
from .values import (
    DIRECTIVES,
    UNKNOWN,
    DialectTest,
    Final,
    Made,
    Ref,
    Unknown,
    enum_name,
    has_ids,
    read_type,
    source_text,
    table_facts,
    table_name,
    table_of,
    text_of,
    update_facts,
)

HARMLESS = {"get_bind", "get_context", "batch_alter_table", "inline_literal"}
HARMLESS |= {"create_table_comment", "drop_table_comment", "implementation_for"}
# In a batch block the table's name is left out; it stands second in these.
SECOND = {"create_foreign_key", "create_index", "drop_index", "create_primary_key"}
SECOND |= {"create_unique_constraint", "drop_constraint", "create_check_constraint"}
SECOND |= {"create_exclude_constraint"}
LATER = "SQL that is put together while it runs"
VERBS = {"insert", "update", "delete", "select"}
# What sqlalchemy.text() takes for a bind parameter.
BIND = re.compile(r"(?<![:\w\\]):(?!:)(\w+)(?!:)")


class Recorder:
    """Hold the operations so far, and under what conditions the next one runs."""

    def __init__(self) -> None:
        self.out: list[Operation] = []
        self.databases = DATABASES
        self.autocommit = False
        self.repeated = False
        self.ways: tuple[int, ...] = ()  # to here that may not be taken
        self.line = 0

    def emit(
        self, kind: str, table: str = "", name: str = "", *, line: int = 0, **facts: Any
    ) -> None:
        op = Operation(kind, table, name, line or self.line, facts)
        self.add(op)

    def add(self, op: Operation) -> None:
        op.databases &= self.databases
        op.autocommit = op.autocommit or self.autocommit
        op.repeated = op.repeated or self.repeated
        op.ways = self.ways + op.ways
        if op not in self.out:
            self.out.append(op)

    def execute(self, made: Made, position: int = 0) -> None:
        """Read what an `execute()` was given."""
        given = (
            made.args[position]
            if len(made.args) > position
            else made.kwargs.get("sqltext")
        )
        if given is None:
            given = made.kwargs.get("statement", UNKNOWN)
        bound = len(made.args) > position + 1 or "parameters" in made.kwargs
        raw = made.last() == "exec_driver_sql"
        if isinstance(given, Made):
            names = [part.last() for part in given.chain()]
            bound = bound or bool({"bindparams", "params", "columns"} & {*names})
            root = given.root()
            if root.last() in ("text", "DDL") and root.args:
                given, raw = root.args[0], raw or root.last() == "DDL"
                bound = bound or "bindparams" in root.kwargs
            else:
                self.construct(given, names)
                return
        if isinstance(given, Either):
            self.choice(given, bound=bound, raw=raw)
        elif isinstance(given, str) and given.strip(HOLE + " \n"):
            self.script(given, bound=bound, raw=raw)
        elif not isinstance(given, str) or given:
            self.emit("unread", text=LATER)

    def choice(self, given: Either, *, bound: bool, raw: bool) -> None:
        """Read each of the texts that a run chooses from."""
        databases, ways = self.databases, self.ways
        for at, (where, text) in enumerate(given.texts):
            self.databases = databases & where
            self.ways = ways if self.databases != databases else (*ways, -at)
            if self.databases and text.strip(HOLE + " \n"):
                self.script(text, bound=bound, raw=raw)
            elif self.databases and text:
                self.emit("unread", text=LATER)
        self.databases, self.ways = databases, ways

    def script(self, text: str, *, bound: bool, raw: bool) -> None:
        ops = sql.read_sql(text)
        traps = []
        clean = re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.S)
        if not bound and not raw and (hit := BIND.search(clean)):
            traps.append(("bind-trap", hit[0]))
        if len([*sql.statements(text)]) > 1:
            traps.append(("several-statements", ""))
        if re.search(rf"'[^']*{HOLE}[^']*'", text):
            traps.append(("sql-from-data", ""))
        for at, op in enumerate(ops):
            op.line = self.line
            op.facts["sql"] = True
            if at == 0:
                op.facts["traps"] = traps
            self.add(op)

    def construct(self, given: Made, names: list[str]) -> None:
        """Read a Core statement: an update, a delete, DDL."""
        chain = given.chain()
        verb = next((part for part in chain if part.last() in VERBS), None)
        root = chain[0]
        if verb is None:
            kind = root.last()
            if kind in ("CreateTable", "DropTable") and root.args:
                name = "create" if kind == "CreateTable" else "drop"
                self.schema_item(root.args[0], name)
            elif kind in (
                "CreateSequence",
                "CreateSchema",
                "CreateColumn",
                "SetTableComment",
            ):
                self.emit("quiet", text=kind)
            elif not {"select", "exists", "union", "union_all"} & {*names}:
                self.emit("unread", text=LATER if kind == "?" else f"{kind}(...)")
            return
        word = verb.last()
        if verb.name.startswith(".") and verb.base is not None:
            table = table_of(verb.base)
        else:
            table = table_of(verb.args[0] if verb.args else None)
        if word == "insert":
            values = [
                v
                for part in chain
                for v in [*part.args, *part.kwargs]
                if part is not root
            ]
            self.emit("insert", table, ids=has_ids(values), source=source_text(given))
        elif word == "delete":
            self.emit("delete", table, whole="where" not in names)
        elif word == "update":
            facts = update_facts(chain)
            self.emit("update", table, **facts, source=source_text(given))
        else:
            self.emit("select", table)

    def op(self, name: str, made: Made) -> Any:
        """Note one directive of `op` or of a batch block."""
        batch = made.base if isinstance(made.base, Made) else None
        args = list(made.args)
        if batch is not None:
            at = 1 if name in SECOND else 0
            if name not in ("execute", "f"):
                if len(args) >= at:
                    args.insert(at, table_name(batch))
                else:  # what stands before it was given by name
                    made.kwargs["table_name"] = table_name(batch)
            made = replace(made, args=args)
        reader = DIRECTIVES.get(name)
        if name == "execute":
            self.execute(made)
            return Made("alembic.op.execute")
        if name == "f":
            return Final(args[0]) if args and isinstance(args[0], str) else UNKNOWN
        if reader is None:
            if name not in HARMLESS:
                self.emit("unread", text=f"op.{name}()")
            return made
        for op in reader(made):
            op.line = self.line
            op.facts["python"] = True
            if batch is not None:
                op.facts["batch"] = batch
            self.add(op)
        return made

    # --- the ORM, and what makes itself -----------------------------------------------

    def orm_query(self, made: Made, name: str) -> None:
        """Note `session.query(X)...delete()` and `.update({...})`."""
        source = next(part for part in made.chain() if part.last() == "query")
        table = table_of(source.args[0]) if source.args else HOLE
        if name == "delete":
            parts = {part.last() for part in made.chain()}
            whole = not parts & {"filter", "filter_by", "where"}
            self.emit("delete", table, whole=whole)
        elif name == "update":
            values = (
                made.args[0] if made.args and isinstance(made.args[0], dict) else {}
            )
            columns = [key for key in values if isinstance(key, str)] or [HOLE]
            self.emit("update", table, columns=columns, where=source_text(made))

    def changed_row(self, row: Made, column: str) -> None:
        """Note that an attribute of a loaded row is set."""
        source = text_of(row.args[1])
        empty = rf"\b{re.escape(column)}(\.is_\(None\)| == None)"
        fills = bool(re.search(empty, source))
        table = table_of(row.args[0])
        self.emit("update", table, columns=[column], fills=fills, where=source)

    def changed_rows(self, made: Made) -> None:
        """Note `session.bulk_update_mappings(Model, rows)`."""
        model = made.args[0] if made.args else None
        rows = made.args[1] if len(made.args) > 1 else None
        known = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
        names = {key: None for row in rows for key in row} if known and rows else {}
        keys = model.root().kwargs.get("keys", ()) if isinstance(model, Made) else ()
        columns = [name for name in names if name not in keys] or [HOLE]
        self.emit("update", table_of(model), columns=columns, where="")

    def schema_item(self, base: Any, name: str) -> None:
        """Note what `X.create(bind)` and `X.drop(bind)` do, for what X was made as."""
        if name in ("create_all", "drop_all"):
            self.emit(name, text=f"metadata.{name}()")
            return
        if not isinstance(base, Made):
            if isinstance(base, (Unknown, Ref)):
                self.emit("unread", text=f".{name}() of something that it cannot see")
            return
        kind = base.root().last()
        if kind.lower() == "enum":
            label = read_type(base.root()).enum or enum_name(base.root())
            self.emit(
                "create_enum" if name == "create" else "drop_type",
                name=label,
                if_exists=True,
            )
        elif kind in ("Table", "table"):
            self.emit(
                f"{name}_table", table_of(base), **table_facts(base.root().args[1:])
            )
        elif kind == "Index":
            table = next((c.base for c in base.args if isinstance(c, Made)), None)
            self.emit(
                f"{name}_index",
                table_of(table),
                text_of(base.args[0] if base.args else ""),
            )
        elif kind not in ("Sequence", "inspect", "Session"):
            self.emit("unread", text=f"{kind}.{name}()")

    def online(self, made: Made) -> Any:
        """Note a call of one of the pack's snippets."""
        if made.last() == "own_transactions":
            return Made(".autocommit_block")
        if made.last() in ("quoted", "literal"):
            return made.args[0] if made.args else UNKNOWN
        if made.last() == "on_postgresql":
            only = frozenset({"postgresql"})
            return DialectTest(only, DATABASES - only)
        if made.last() != "unlimited":
            for op in online.read_call(made):
                op.line = self.line
                self.add(op)
        return made
