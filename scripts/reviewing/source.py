"""Read a revision file into the operations that review_migration.py judges.

The file is parsed, never imported: constants, loops over literals and helpers of
the same file are followed; what is left is an operation of kind "unread".
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import online, sql
from .sql import DATABASES, HOLE, Operation
from .values import (
    DIRECTIVES,
    UNKNOWN,
    DialectTest,
    Final,
    Function,
    Made,
    Ref,
    Unknown,
    enum_name,
    hands_over,
    has_ids,
    is_dialect,
    is_foreign,
    is_session,
    read_type,
    shape,
    short,
    source_text,
    string_method,
    subscript,
    table_facts,
    table_name,
    table_of,
    text_of,
    update_facts,
)


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LIMIT = 2_000_000  # bytes: nobody writes a longer revision by hand
STEPS = 100_000  # expressions evaluated in one revision
ITEMS = 10_000  # in a list, or in the operations of a revision
DEPTH = 12  # helpers that call helpers
# Libraries whose names in a revision are types, not the application's code.
LIBRARIES = words(
    "alembic sqlalchemy sqlmodel sqlalchemy_utils geoalchemy2 pgvector"
    " alembic_utils alembic_postgresql_enum sqlalchemy_json sqlalchemy_jsonfield"
    " uuid6 uuid_utils citext advanced_alchemy fastapi_users_db_sqlalchemy"
    " packaging dateutil pydantic rich tqdm typing_extensions orjson"
)
BUILTINS = words("list tuple sorted set str eval exec getattr reversed")
HARMLESS = {"get_bind", "get_context", "batch_alter_table", "inline_literal"}
HARMLESS |= {"create_table_comment", "drop_table_comment", "implementation_for"}
# In a batch block the table's name is left out; it stands second in these.
SECOND = words(
    "create_foreign_key create_index drop_index create_unique_constraint"
    " drop_constraint create_check_constraint create_primary_key"
    " create_exclude_constraint"
)
EXECUTES = words("execute exec_driver_sql scalar scalars stream executescript")
ADDS = {"add", "add_all", "bulk_save_objects", "bulk_insert_mappings", "merge"}
LATER = "SQL that is put together while it runs"
VERBS = {"insert", "update", "delete", "select"}
# What sqlalchemy.text() takes for a bind parameter.
BIND = re.compile(r"(?<![:\w\\]):(?!:)(\w+)(?!:)")


class Unread(Exception):
    """The file cannot be read; the text says why and what to do."""


@dataclass
class Revision:
    """One file: where it stands in the history, and what it does."""

    path: str
    revision: str = ""
    down: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    upgrade: list[Operation] = field(default_factory=list)
    downgrade: list[Operation] = field(default_factory=list)
    faults: list[Operation] = field(default_factory=list)  # of the file as a whole
    # What "upgrade" and "downgrade" amount to: "" (missing), "pass", "raise" or "body".
    has: dict[str, str] = field(default_factory=dict)
    problem: str = ""  # why it could not be read
    text: str = ""


def read_file(path: Path) -> Revision:
    """Read a revision; `problem` says why it could not be, and nothing is raised."""
    found = Revision(str(path))
    try:
        data = path.read_bytes()
        if len(data) > LIMIT:
            raise Unread(f"it has more than {LIMIT} bytes: read it yourself")
        with warnings.catch_warnings():  # of an invalid escape, which is not ours
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
        found.text = data.decode("utf-8", "replace")
        Module(tree, found).read()
    except Unread as exc:
        found.problem = str(exc)
    except OSError as exc:
        found.problem = f"it cannot be opened: {exc.strerror or exc}"
    except SyntaxError as exc:
        found.problem = f"it is not Python: {exc.msg} (line {exc.lineno or '?'})"
    except (ValueError, UnicodeError) as exc:  # null bytes, a wrong coding line
        found.problem = f"it is not Python: {exc}"
    except (RecursionError, MemoryError):
        found.problem = "it is nested too deeply to be read"
    return found


def names_of(value: Any) -> tuple[str, ...]:
    """Return the revision ids in `down_revision`, `depends_on`, `branch_labels`."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple, set)):
        return tuple(str(item) for item in value)
    return () if value is None else (HOLE,)


class Module:
    """Interpret one file as far as its text tells what it does."""

    def __init__(self, tree: ast.Module, found: Revision) -> None:
        self.tree = tree
        self.found = found
        self.scope: dict[str, Any] = {}
        self.out: list[Operation] = []
        self.databases = DATABASES
        self.autocommit = False
        self.repeated = False
        self.depth = 0
        self.inside: list[ast.AST] = []
        self.steps = 0
        self.line = 0
        self.whole: ast.expr | None = None  # the call that is a statement by itself
        self.application: dict[str, int] = {}

    def read(self) -> None:
        self.run(self.tree.body, self.scope)
        self.out.clear()  # what runs at import is no operation
        found = self.found
        revision = self.scope.get("revision")
        found.revision = revision if isinstance(revision, str) else ""
        found.down = names_of(self.scope.get("down_revision"))
        found.depends = names_of(self.scope.get("depends_on"))
        found.labels = names_of(self.scope.get("branch_labels"))
        for direction, target in (
            ("upgrade", found.upgrade),
            ("downgrade", found.downgrade),
        ):
            function = self.scope.get(direction)
            found.has[direction] = shape(function)
            if isinstance(function, Function):
                self.out, self.databases = [], DATABASES
                self.autocommit = self.repeated = False
                self.call_function(function, [], {})
                target.extend(self.out)
        for module, line in self.application.items():
            fault = Operation("import", name=module, line=line)
            found.faults.append(fault)

    # --- statements ---------------------------------------------------------------

    def run(self, body: list[ast.stmt], scope: dict[str, Any]) -> bool:
        """Run statements; return whether they always leave the function."""
        for node in body:
            self.line = node.lineno
            if isinstance(node, ast.If):
                if self.branch(node, scope):
                    return True
            elif isinstance(node, (ast.Return, ast.Raise)):
                if isinstance(node, ast.Return) and node.value is not None:
                    scope["return"] = self.value_of(node.value, scope)
                elif isinstance(node, ast.Raise) and node.exc is not None:
                    self.value_of(node.exc, scope)
                return True
            else:
                self.statement(node, scope)
        return False

    def branch(self, node: ast.If, scope: dict[str, Any]) -> bool:
        """Run both ways of an `if`; a test of the dialect narrows each of them."""
        self.value_of(node.test, scope)
        asked = self.dialects(node.test, scope) or DialectTest(DATABASES, DATABASES)
        before = self.databases
        yes, no = before & asked.yes, before & asked.no
        ends = []
        known = self.truth(node.test, scope)
        for body, databases, skipped in (
            (node.body, yes, known is False),
            (node.orelse, no, known is True),
        ):
            self.databases = databases
            ends.append(not skipped and bool(databases) and self.run(body, scope))
        self.databases = before
        if ends == [True, False]:
            self.databases = no
        elif ends == [False, True]:
            self.databases = yes
        return all(ends)

    def truth(self, test: ast.expr, scope: dict[str, Any]) -> bool | None:
        """Return what a test of a constant of this file gives."""
        if isinstance(test, (ast.Name, ast.Constant)):
            value = self.value_of(test, scope)
            return bool(value) if isinstance(value, (bool, int)) else None
        return None

    def dialects(self, test: ast.expr, scope: dict[str, Any]) -> DialectTest | None:
        """Return where a test may hold and where it may not, if it asks for that."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            found = self.dialects(test.operand, scope)
            return found and DialectTest(found.no, found.yes)
        if isinstance(test, ast.BoolOp):
            both = DialectTest(DATABASES, DATABASES)
            every = [self.dialects(value, scope) or both for value in test.values]
            yes, no = [each.yes for each in every], [each.no for each in every]
            if isinstance(test.op, ast.And):
                return DialectTest(frozenset.intersection(*yes), frozenset.union(*no))
            return DialectTest(frozenset.union(*yes), frozenset.intersection(*no))
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return self.compared(test, scope)
        if isinstance(test, ast.Call) and "dialect" in ast.unparse(test.func).lower():
            text = ast.unparse(test).lower()
            if "startswith" in text:
                names = frozenset(n for n in DATABASES if f"'{n[:6]}" in text)
                return DialectTest(names, DATABASES - names)
        value = self.value_of(test, scope)
        return value if isinstance(value, DialectTest) else None

    def compared(self, test: ast.Compare, scope: dict[str, Any]) -> DialectTest | None:
        """Read `dialect == "..."`, `dialect in (...)` and their opposites."""
        names = self.value_of(test.comparators[0], scope)
        value = self.value_of(test.left, scope)
        if "dialect" not in ast.unparse(test.left).lower() and not is_dialect(value):
            return None
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, (list, tuple, set)):
            return None
        wanted = DATABASES & {name for name in names if isinstance(name, str)}
        if isinstance(test.ops[0], (ast.Eq, ast.In, ast.Is)):
            return DialectTest(wanted, DATABASES - wanted)
        return DialectTest(DATABASES - wanted, wanted)

    def statement(self, node: ast.stmt, scope: dict[str, Any]) -> None:
        match node:
            case ast.Expr():
                self.whole = node.value
                self.value_of(node.value, scope)
            case ast.Assign():
                value = self.tested(node.value, scope)
                self.result(value)
                for target in node.targets:
                    self.assign(target, value, scope)
            case ast.AnnAssign() if node.value is not None:
                self.assign(node.target, self.tested(node.value, scope), scope)
            case ast.AugAssign():
                both = ast.BinOp(node.target, node.op, node.value)
                ast.copy_location(both, node)
                self.assign(node.target, self.value_of(both, scope), scope)
            case ast.For() | ast.AsyncFor():
                self.loop(node, scope)
            case ast.While():
                self.value_of(node.test, scope)
                self.again(node.body, scope)
            case ast.With() | ast.AsyncWith():
                self.block(node, scope)
            case ast.Try() | ast.TryStar():
                self.run(node.body, scope)
                for handler in node.handlers:
                    self.run(handler.body, scope)
                self.run(node.orelse, scope)
                self.run(node.finalbody, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                scope[node.name] = Function(node, scope)
            case ast.ClassDef():
                scope[node.name] = self.local_class(node, scope)
            case ast.Import() | ast.ImportFrom():
                self.imports(node, scope)
            case ast.Match():
                self.value_of(node.subject, scope)
                for case in node.cases:
                    self.run(case.body, scope)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.value_of(child, scope)

    def tested(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        """Evaluate; remember a test of the dialect under the name it is given."""
        value = self.value_of(node, scope)
        if isinstance(node, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Call)):
            chosen = self.dialects(node, scope)
            if chosen is not None:
                return chosen
        return value

    def result(self, value: Any) -> None:
        """Note that somebody wants what op.execute() returns."""
        if isinstance(value, Made) and value.name == "alembic.op.execute":
            self.emit("result", text="the result of op.execute()")

    def again(self, body: list[ast.stmt], scope: dict[str, Any]) -> None:
        before, self.repeated = self.repeated, True
        self.run(body, scope)
        self.repeated = before

    def loop(self, node: ast.For | ast.AsyncFor, scope: dict[str, Any]) -> None:
        items = self.value_of(node.iter, scope)
        self.result(items)
        if isinstance(items, dict):
            items = list(items)
        if isinstance(items, (list, tuple, set)):
            for item in items:
                self.assign(node.target, item, scope)
                self.run(node.body, scope)
        else:
            self.assign(node.target, UNKNOWN, scope)
            self.again(node.body, scope)
        self.run(node.orelse, scope)

    def block(self, node: ast.With | ast.AsyncWith, scope: dict[str, Any]) -> None:
        before = self.autocommit
        for item in node.items:
            value = self.value_of(item.context_expr, scope)
            if isinstance(value, Made) and value.last() == "autocommit_block":
                self.autocommit = True
            elif isinstance(value, Made) and value.last() == "suppress":
                value = UNKNOWN
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value, scope)
        self.run(node.body, scope)
        self.autocommit = before

    def local_class(self, node: ast.ClassDef, scope: dict[str, Any]) -> Made:
        """Keep a model that the revision froze for itself, by its table's name."""
        inner = dict(scope)
        self.run(node.body, inner)
        name = inner.get("__tablename__")
        return Made("sqlalchemy.table", [name if isinstance(name, str) else HOLE])

    def imports(self, node: ast.Import | ast.ImportFrom, scope: dict[str, Any]) -> None:
        module = (
            ""
            if isinstance(node, ast.Import)
            else "." * node.level + (node.module or "")
        )
        for alias in node.names:
            full = f"{module}.{alias.name}" if module else alias.name
            top = full.partition(".")[0]
            if online.is_known(module, alias.name):
                full = f"online.{alias.name}"
            elif top not in LIBRARIES and top not in sys.stdlib_module_names:
                self.application.setdefault(module or alias.name, node.lineno)
                full = f"application.{full}"
            bound = alias.asname or alias.name.partition(".")[0]
            scope[bound] = Ref(
                full if alias.asname or module else full.partition(".")[0]
            )
            if full.startswith("application.") and not alias.asname and not module:
                scope[bound] = Ref(f"application.{bound}")

    def assign(self, target: ast.expr, value: Any, scope: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            scope[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            known = isinstance(value, (list, tuple)) and len(value) == len(target.elts)
            for at, item in enumerate(target.elts):
                self.assign(item, value[at] if known else UNKNOWN, scope)
        elif isinstance(target, ast.Attribute):
            owner = self.value_of(target.value, scope)
            loaded = isinstance(owner, Unknown) and self.repeated
            if loaded or (isinstance(owner, Made) and "query" in str(owner.name)):
                text = f"{ast.unparse(target)} = ..."
                self.emit("unread", line=target.lineno, text=text)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, UNKNOWN, scope)

    # --- expressions --------------------------------------------------------------

    def value_of(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        self.steps += 1
        if self.steps > STEPS or len(self.out) > ITEMS:
            raise Unread("it does too much to be followed: read it yourself")
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.name(node.id, scope)
            case ast.Attribute():
                base = self.value_of(node.value, scope)
                if isinstance(base, Ref):
                    return Ref(f"{base.name}.{node.attr}")
                self.result(base)
                return Made(f".{node.attr}", base=base, node=node)
            case ast.Call():
                return self.call(node, scope)
            case ast.List() | ast.Tuple() | ast.Set():
                return self.items(node.elts, scope)
            case ast.Dict():
                keys = [
                    UNKNOWN if k is None else self.value_of(k, scope) for k in node.keys
                ]
                values = [self.value_of(value, scope) for value in node.values]
                both = zip(keys, values, strict=True)
                return {k: v for k, v in both if isinstance(k, (str, int, bool))}
            case ast.JoinedStr():
                return short(
                    "".join(text_of(self.value_of(v, scope)) for v in node.values)
                )
            case ast.FormattedValue():
                return self.value_of(node.value, scope)
            case ast.BinOp():
                return self.binary(node, scope)
            case ast.UnaryOp(op=ast.USub()):
                value = self.value_of(node.operand, scope)
                return -value if isinstance(value, (int, float)) else UNKNOWN
            case ast.IfExp():
                self.value_of(node.test, scope)
                first, second = (
                    self.value_of(node.body, scope),
                    self.value_of(node.orelse, scope),
                )
                alike = isinstance(first, (str, int)) and first != second
                return UNKNOWN if alike else first
            case ast.Subscript():
                return subscript(
                    self.value_of(node.value, scope), self.value_of(node.slice, scope)
                )
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self.comprehension(node, scope)
            case ast.Lambda():
                return Function(node, scope)
            case ast.NamedExpr():
                value = self.value_of(node.value, scope)
                self.assign(node.target, value, scope)
                return value
            case ast.Await() | ast.Starred():
                return self.value_of(node.value, scope)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.value_of(child, scope)
                return UNKNOWN

    def name(self, name: str, scope: dict[str, Any]) -> Any:
        if name in scope:
            return scope[name]
        return self.scope.get(name, Ref(name) if name in BUILTINS else UNKNOWN)

    def items(self, nodes: list[ast.expr], scope: dict[str, Any]) -> Any:
        found: list[Any] = []
        for node in nodes:
            value = self.value_of(node, scope)
            if isinstance(node, ast.Starred) and isinstance(value, (list, tuple)):
                found.extend(value)
            else:
                found.append(value)
        return found

    def binary(self, node: ast.BinOp, scope: dict[str, Any]) -> Any:
        left, right = self.value_of(node.left, scope), self.value_of(node.right, scope)
        if isinstance(left, str) and isinstance(node.op, ast.Mod):
            return re.sub(r"%(\(\w+\))?[sdr]", HOLE, left)
        if isinstance(node.op, ast.Add):
            if isinstance(left, list) and isinstance(right, list):
                return left + right if len(left) + len(right) < ITEMS else UNKNOWN
            if isinstance(left, str) or isinstance(right, str):
                return short(text_of(left) + text_of(right))
        return UNKNOWN

    def comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: dict[str, Any]
    ) -> Any:
        source = node.generators[0]
        items = self.value_of(source.iter, scope)
        inner = dict(scope)
        if (
            len(node.generators) > 1
            or not isinstance(items, (list, tuple))
            or source.ifs
        ):
            for generator in node.generators:
                self.assign(generator.target, UNKNOWN, inner)
            self.value_of(node.elt, inner)
            return UNKNOWN
        found = []
        for item in items:
            self.assign(source.target, item, inner)
            found.append(self.value_of(node.elt, inner))
        return found

    # --- calls --------------------------------------------------------------------

    def call(self, node: ast.Call, scope: dict[str, Any]) -> Any:
        callee = self.value_of(node.func, scope)
        args = self.items(node.args, scope)
        kwargs = {k.arg: self.value_of(k.value, scope) for k in node.keywords if k.arg}
        for keyword in node.keywords:
            if keyword.arg is None and isinstance(
                more := self.value_of(keyword.value, scope), dict
            ):
                kwargs |= {k: v for k, v in more.items() if isinstance(k, str)}
        self.line = node.lineno
        if isinstance(callee, Function):
            return self.call_function(callee, args, kwargs)
        if isinstance(callee, Ref):
            return self.call_name(callee.name, args, kwargs, node)
        if isinstance(callee, Made) and callee.name.startswith("."):
            made = Made(callee.name, args, kwargs, callee.base, node)
            return self.call_method(made, scope)
        if any(hands_over(value) for value in [*args, *kwargs.values()]):
            self.emit("unread", text=ast.unparse(node)[:70])
        return Made("?", args, kwargs, None, node)

    def call_function(
        self, function: Function, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        node = function.node
        if self.depth >= DEPTH:
            self.emit("unread", text="a helper that calls helpers too deeply")
            return UNKNOWN
        if node in self.inside:  # what it does, it did the first time
            return UNKNOWN
        names = [arg.arg for arg in [*node.args.posonlyargs, *node.args.args]]
        inner = dict(function.scope) if function.scope is not self.scope else {}
        known = [*names, *(arg.arg for arg in node.args.kwonlyargs)]
        inner |= dict.fromkeys(known, UNKNOWN)
        defaults = node.args.defaults
        for name, default in zip(
            names[len(names) - len(defaults) :], defaults, strict=True
        ):
            inner[name] = self.value_of(default, self.scope)
        for arg, given in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            if given is not None:
                inner[arg.arg] = self.value_of(given, self.scope)
        inner |= dict(zip(names, args, strict=False))
        if node.args.vararg:
            inner[node.args.vararg.arg] = args[len(names) :]
        inner |= {k: v for k, v in kwargs.items() if k in inner}
        self.depth += 1
        self.inside.append(node)
        databases, line = self.databases, self.line
        if isinstance(node, ast.Lambda):
            inner["return"] = self.value_of(node.body, inner)
        else:
            self.run(node.body, inner)
        self.databases, self.line = databases, line
        self.depth -= 1
        self.inside.pop()
        return inner.get("return", UNKNOWN)

    def call_name(
        self, name: str, args: list[Any], kwargs: dict[str, Any], node: ast.Call
    ) -> Any:
        made = Made(name, args, kwargs, None, node)
        if name.startswith("alembic.op."):
            return self.op(name.removeprefix("alembic.op."), made)
        if name.startswith("online."):
            return self.online(made)
        if name in ("textwrap.dedent", "inspect.cleandoc") and args:
            return args[0]
        if name == "str" and args:
            return args[0] if isinstance(args[0], str) else UNKNOWN
        if name in ("list", "tuple", "sorted", "set", "reversed") and args:
            return args[0] if isinstance(args[0], (list, tuple, set)) else UNKNOWN
        if name in ("eval", "exec", "getattr", "__import__", "importlib.import_module"):
            if name != "getattr" or any(hands_over(value) for value in args):
                self.emit("unread", text=ast.unparse(node)[:70])
            return UNKNOWN
        if name.endswith((".create_all", ".drop_all")):
            self.schema_item(None, name.rpartition(".")[2])
            return UNKNOWN
        hidden = name.startswith("application.") and any(
            hands_over(value) for value in [*args, *kwargs.values()]
        )
        if hidden or (name.startswith("application.") and node is self.whole):
            self.emit("unread", text=ast.unparse(node)[:70])
        return made

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

    def call_method(self, made: Made, scope: dict[str, Any]) -> Any:
        base, name, args = made.base, made.last(), made.args
        if isinstance(base, str):
            return string_method(base, name, args)
        if isinstance(base, dict) and name in ("items", "keys", "values"):
            return [
                list(i) if isinstance(i, tuple) else i for i in getattr(base, name)()
            ]
        if isinstance(base, list) and name in ("append", "extend"):
            if name == "append" and len(args) == 1:
                base.append(args[0])
            elif args and isinstance(args[0], list) and len(base) < ITEMS:
                base.extend(args[0])
            return None
        if isinstance(base, Made) and base.name == "alembic.op.batch_alter_table":
            return self.op(name, made)
        if name in EXECUTES:
            # `.scalar()` without an argument reads a result that was noted already.
            if args or made.kwargs:
                self.execute(made)
            return made
        if name in ("create", "drop", "create_all", "drop_all"):
            self.schema_item(base, name)
        elif name == "commit":
            root = base.root() if isinstance(base, Made) else Made("")
            plain = root.name == "alembic.op.get_bind" or root.last() in (
                "get_context",
                "Unknown",
            )
            session = (
                "session" in ast.unparse(made.node).lower() if made.node else False
            )
            if not session and (plain or isinstance(base, Unknown)):
                self.emit("commit")
        elif isinstance(base, Made) and any(
            part.last() == "query" for part in base.chain()
        ):
            self.orm_query(made, name)
        elif name in ADDS:
            if is_session(base):
                self.emit("insert", HOLE)
        elif name == "delete" and is_session(base) and args:
            self.emit("delete", HOLE)
        elif name == "bulk_update_mappings" and is_session(base):
            self.emit("update", table_of(args[0]) if args else HOLE, columns=[HOLE])
        elif any(hands_over(value) for value in args) and is_foreign(base):
            self.emit("unread", text=ast.unparse(made.node)[:70] if made.node else name)
        return made

    def orm_query(self, made: Made, name: str) -> None:
        """Note `session.query(X)...delete()` and `.update({...})`."""
        source = next(part for part in made.chain() if part.last() == "query")
        table = table_of(source.args[0]) if source.args else HOLE
        if name == "delete":
            self.emit("delete", table)
        elif name == "update":
            values = (
                made.args[0] if made.args and isinstance(made.args[0], dict) else {}
            )
            columns = [key for key in values if isinstance(key, str)] or [HOLE]
            self.emit("update", table, columns=columns, where=source_text(made))

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

    # --- what reaches the database --------------------------------------------------

    def emit(
        self, kind: str, table: str = "", name: str = "", *, line: int = 0, **facts: Any
    ) -> None:
        op = Operation(kind, table, name, line or self.line, facts)
        self.add(op)

    def add(self, op: Operation) -> None:
        op.databases &= self.databases
        op.autocommit = op.autocommit or self.autocommit
        op.repeated = op.repeated or self.repeated
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
        if isinstance(given, str) and given.strip(HOLE + " \n"):
            self.script(given, bound=bound, raw=raw)
        elif not isinstance(given, str) or given:
            self.emit("unread", text=LATER)

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
            self.emit("delete", table)
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
