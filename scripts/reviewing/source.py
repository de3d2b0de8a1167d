"""Read a revision file into the operations that review_migration.py judges.

The file is parsed, never imported: constants, loops over literals and helpers of
the same file are followed; what is left is an operation of kind "unread".
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import online
from .branches import (
    PLAIN,
    Either,
    Sample,
    Way,
    assigned,
    compare,
    merge_all,
    merge_scopes,
)
from .calls import Recorder
from .modules import find_module, parse_module
from .revision import Revision, names_of
from .sql import DATABASES, HOLE, Operation, words
from .values import (
    UNKNOWN,
    DialectTest,
    Function,
    Made,
    Ref,
    Unknown,
    chain_of,
    fill,
    fill_percent,
    hands_over,
    is_dialect,
    is_foreign,
    is_session,
    row_of,
    shape,
    short,
    string_method,
    subscript,
    text_of,
)

LIMIT = 2_000_000  # bytes: nobody writes a longer revision by hand
STEPS = 100_000  # expressions evaluated in one revision
FILE = " file"  # in a scope: where its module stands
NAMES = {"__tablename__", "__table__"}
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
EXECUTES = words("execute exec_driver_sql scalar scalars stream executescript")
FOREIGN = 50_000  # of the expressions, those of other modules
ADDS = {"add", "add_all", "bulk_save_objects", "bulk_insert_mappings", "merge"}


class Unread(Exception):
    """The file cannot be read; the text says why and what to do."""


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


class Module(Recorder):
    """Interpret one file as far as its text tells what it does."""

    def __init__(self, tree: ast.Module, found: Revision) -> None:
        super().__init__()
        self.tree = tree
        self.found = found
        self.scope: dict[str, Any] = {FILE: Path(found.path)}
        self.depth = 0
        self.inside: list[ast.AST] = []
        self.returned: list[list[tuple[frozenset[str], Any]]] = [[]]
        self.steps = 0
        self.whole: ast.expr | None = None  # the call that is a statement by itself
        self.application: dict[str, int] = {}
        self.abroad = False  # in a function of another module
        self.spent = 0  # of FOREIGN
        self.strange = 0  # calls of the application that were not followed
        self.modules: dict[Path, dict[str, Any]] = {}
        self.members: dict[tuple[Path, str], Any] = {}

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
        """Run statements; return whether they always leave the block."""
        for node in body:
            self.mark(node)
            if isinstance(node, (ast.Continue, ast.Break)):
                return True
            if isinstance(node, (ast.Return, ast.Raise)):
                if isinstance(node, ast.Return):
                    value = self.value_of(node.value, scope) if node.value else None
                    self.returned[-1].append((self.databases, value))
                elif node.exc is not None:
                    self.value_of(node.exc, scope)
                return True
            if self.statement(node, scope):
                return True
        return False

    def mark(self, node: ast.stmt | ast.expr) -> None:
        if not self.abroad:
            self.line = node.lineno

    def branch(self, node: ast.If, scope: dict[str, Any]) -> bool:
        """Run both ways of an `if`; a test of the dialect narrows each of them."""
        sides, doubtful = self.sides(node, scope)
        start, ways = dict(scope), list[Way]()
        for body, databases in sides:
            ways += self.way(body, start, scope, databases, doubtful)
        return self.join(ways, scope) if sides else False

    def sides(
        self, node: ast.If | ast.IfExp, scope: dict[str, Any]
    ) -> tuple[list[tuple[Any, frozenset[str]]], bool]:
        """Return the sides of a test that may be taken, each with its databases, and
        whether only a run could tell which."""
        self.value_of(node.test, scope)
        asked, known = self.asked(node.test, scope)
        yes, no = self.databases & asked.yes, self.databases & asked.no
        sides: list[tuple[Any, frozenset[str]]] = []
        if yes and known is not False:
            sides.append((node.body, yes))
        if no and known is not True:
            sides.append((node.orelse, no))
        return sides, known is None and bool(yes & no)

    def way(
        self,
        body: list[ast.stmt],
        start: dict[str, Any],
        scope: dict[str, Any],
        databases: frozenset[str],
        doubtful: bool,
    ) -> list[Way]:
        """Run one of several ways; return it, or nothing if it always leaves."""
        scope.clear()
        scope.update(start)
        self.databases = databases
        before, self.ways = self.ways, (*self.ways, *([id(body)] if doubtful else []))
        left = self.run(body, scope)
        self.ways = before
        return [] if left else [(self.databases, dict(scope))]

    def join(self, ways: list[Way], scope: dict[str, Any]) -> bool:
        """Go on after the ways that do not leave; return whether there is none."""
        if not ways:
            return True
        merged = merge_scopes(ways)
        scope.clear()
        scope.update(merged)
        self.databases = frozenset[str]().union(*(where for where, _ in ways))
        return False

    def attempt(self, node: ast.Try | ast.TryStar, scope: dict[str, Any]) -> bool:
        """Run a `try`: its handlers may be taken after it, or not."""
        before = self.databases
        left = self.run(node.body, scope)
        after, databases = dict(scope), self.databases
        ways: list[Way] = []
        for handler in node.handlers:
            way = self.way(handler.body, after, scope, before, True)
            missing = handler.type and "ImportError" in ast.unparse(handler.type)
            ways += [] if missing else way
        if not left:
            ways = self.way(node.orelse, after, scope, databases, False) + ways
        left = self.join(ways, scope)
        if left:
            self.databases = before
        return self.run(node.finalbody, scope) or left

    def match(self, node: ast.Match, scope: dict[str, Any]) -> bool:
        self.value_of(node.subject, scope)
        before, start = self.databases, dict(scope)
        ways: list[Way] = []
        for case in node.cases:
            ways += self.way(case.body, start, scope, before, True)
        last = node.cases[-1].pattern
        if not isinstance(last, ast.MatchAs) or last.pattern is not None:
            ways.append((before, start))
        return self.join(ways, scope)

    def asked(
        self, test: ast.expr, scope: dict[str, Any]
    ) -> tuple[DialectTest, bool | None]:
        """Return where a test may hold, and what it gives if that is certain."""
        both = DialectTest(DATABASES, DATABASES)
        found = self.dialects(test, scope) or both
        return found, self.truth(test, scope) if found == both else None

    def truth(self, test: ast.expr, scope: dict[str, Any]) -> bool | None:
        """Return what a test of constants gives."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            found = self.truth(test.operand, scope)
            return None if found is None else not found
        if isinstance(test, ast.BoolOp):
            every = [self.truth(value, scope) for value in test.values]
            decides = isinstance(test.op, ast.Or)
            if decides in every:
                return decides
            return None if None in every else not decides
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            left = self.value_of(test.left, scope)
            return compare(left, test.ops[0], self.value_of(test.comparators[0], scope))
        if isinstance(test, (ast.Name, ast.Constant, ast.Attribute)):
            return self.certain(self.value_of(test, scope))
        return None

    def certain(self, value: Any) -> bool | None:
        """Return whether a value counts as true, if that is certain."""
        if isinstance(value, Ref):
            return False if value.name == "typing.TYPE_CHECKING" else None
        plain = isinstance(value, (bool, int, str, type(None)))
        return bool(value) if plain and HOLE not in str(value) else None

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

    def statement(self, node: ast.stmt, scope: dict[str, Any]) -> bool:
        """Run one statement; return whether it always leaves the block."""
        match node:
            case ast.If():
                return self.branch(node, scope)
            case ast.With() | ast.AsyncWith():
                return self.block(node, scope)
            case ast.Try() | ast.TryStar():
                return self.attempt(node, scope)
            case ast.Match():
                return self.match(node, scope)
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
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                scope[node.name] = self.decorated(node, scope)
            case ast.ClassDef():
                scope[node.name] = self.local_class(node, scope)
            case ast.Import() | ast.ImportFrom():
                self.imports(node, scope)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.value_of(child, scope)
        return False

    def decorated(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: dict[str, Any]
    ) -> Function:
        """Return a function as its decorators of the same file leave it."""
        found = Function(node, scope)
        for decorator in reversed(node.decorator_list):
            value = self.value_of(decorator, scope)
            if isinstance(value, Function):
                around = self.call_function(value, [found], {})
                found = around if isinstance(around, Function) else found
        return found

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
        """Run a body that runs as often as nobody knows."""
        for name in assigned(body) & {*scope}:
            if isinstance(scope[name], (*PLAIN, Either)):
                scope[name] = UNKNOWN  # what it is in a later round
        before, databases, self.repeated = self.repeated, self.databases, True
        self.run(body, scope)
        self.repeated, self.databases = before, databases

    def loop(self, node: ast.For | ast.AsyncFor, scope: dict[str, Any]) -> None:
        items = self.value_of(node.iter, scope)
        self.result(items)
        if isinstance(items, dict):
            items = list(items)
        before = self.databases
        if isinstance(items, (list, tuple, set)) and not isinstance(items, Sample):
            for item in items:
                self.assign(node.target, item, scope)
                self.run(node.body, scope)
                self.databases = before
        else:
            every = items if isinstance(items, Sample) else [row_of(items, one=False)]
            for item in every:
                self.assign(node.target, UNKNOWN if item is None else item, scope)
                self.again(node.body, scope)
        self.run(node.orelse, scope)

    def block(self, node: ast.With | ast.AsyncWith, scope: dict[str, Any]) -> bool:
        before = self.autocommit
        for item in node.items:
            value = self.value_of(item.context_expr, scope)
            if isinstance(value, Made) and value.last() == "autocommit_block":
                self.autocommit = True
            elif isinstance(value, Made) and value.last() == "suppress":
                value = UNKNOWN
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value, scope)
        left = self.run(node.body, scope)
        self.autocommit = before
        return left

    def local_class(self, node: ast.ClassDef, scope: dict[str, Any]) -> Made:
        """Keep a model that the revision froze for itself, by its table's name."""
        inner = dict(scope)
        self.run(node.body, inner)
        name = inner.get("__tablename__")
        keys = [
            attribute
            for attribute, value in inner.items()
            if isinstance(value, Made) and value.kwargs.get("primary_key") is True
        ]
        table = name if isinstance(name, str) else HOLE
        return Made("sqlalchemy.table", [table], {"keys": keys, "class": node.name})

    def imports(self, node: ast.Import | ast.ImportFrom, scope: dict[str, Any]) -> None:
        module = (
            ""
            if isinstance(node, ast.Import)
            else "." * node.level + (node.module or "")
        )
        for alias in node.names:
            dot = "." if module.strip(".") else ""
            full = f"{module}{dot}{alias.name}"
            top = full.partition(".")[0]
            known = True
            if online.is_known(module, alias.name):
                full = f"online.{alias.name}"
            elif top not in LIBRARIES and top not in sys.stdlib_module_names:
                known = False
                if not self.abroad:
                    self.application.setdefault(module or alias.name, node.lineno)
                full = f"application.{full}"
            bound = alias.asname or alias.name.partition(".")[0]
            if alias.asname or module:
                scope[bound] = Ref(full)
                if not known and not self.abroad:
                    value = self.resolve(full, scope)
                    if not isinstance(value, (Unknown, Function, Ref)):
                        scope[bound] = value
            else:
                scope[bound] = Ref(bound if known else f"application.{bound}")

    # --- other modules of the repository ---------------------------------------------

    def resolve(self, name: str, scope: dict[str, Any], hops: int = 0) -> Any:
        """Return what a name of the application stands for, or UNKNOWN."""
        origin = self.name(FILE, scope)
        if (origin, name) not in self.members:
            self.members[origin, name] = UNKNOWN
            spent = self.steps
            self.steps = max(self.steps, STEPS - FOREIGN)
            try:
                found = self.member(origin, name.removeprefix("application."), hops)
            except (Unread, RecursionError):
                found = UNKNOWN
            self.steps = spent
            self.members[origin, name] = found
        return self.members[origin, name]

    def member(self, origin: Path, name: str, hops: int) -> Any:
        module, _, attribute = name.rpartition(".")
        if not module.strip("."):
            module = name[: len(name) - len(attribute)]
        path = find_module(origin, module)
        if path is None:
            return UNKNOWN
        value = self.module_scope(path).get(attribute, UNKNOWN)
        if isinstance(value, ast.ClassDef):
            with self.unheard():
                made = self.local_class(value, self.modules[path])
            return made if made.args != [HOLE] else UNKNOWN
        if isinstance(value, Ref) and value.name.startswith("application."):
            if hops > 4:
                return UNKNOWN
            return self.resolve(value.name, self.modules[path], hops + 1)
        return value

    @contextmanager
    def unheard(self) -> Generator[None, None, None]:
        """Run what another module does at import, which is no operation."""
        before, self.abroad, out = self.abroad, True, len(self.out)
        try:
            yield
        finally:
            self.abroad = before
            del self.out[out:]

    def module_scope(self, path: Path) -> dict[str, Any]:
        """Return the functions, classes, imports and constants of a module."""
        if path in self.modules:
            return self.modules[path]
        scope = self.modules[path] = {FILE: path}
        tree = parse_module(path)
        with self.unheard():
            for node in tree.body if tree is not None else ():
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    scope[node.name] = Function(node, scope)
                elif isinstance(node, ast.ClassDef):
                    scope[node.name] = node
                elif isinstance(node, (ast.Import, ast.ImportFrom)):
                    self.imports(node, scope)
                elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                    self.statement(node, scope)
        return scope

    def call_abroad(
        self,
        function: Function,
        made: Made,
        hidden: bool,
    ) -> Any:
        """Run a function of another module; what it does stands at its call."""
        node = made.node
        text = ast.unparse(node)[:70] if node is not None else made.name
        whole, out = node is self.whole, len(self.out)
        state = (self.abroad, self.databases, self.autocommit, self.repeated)
        depth, inside = self.depth, len(self.inside)
        frames, before = len(self.returned), self.steps
        if not self.abroad:
            self.steps = STEPS - max(FOREIGN - self.spent, 0)
        start, self.abroad = self.steps, True
        strange = self.strange
        try:
            value = self.call_function(function, made.args, made.kwargs)
        except (Unread, RecursionError):
            if state[0]:
                raise
            del self.out[out:], self.inside[inside:], self.returned[frames:]
            self.depth, value = depth, UNKNOWN
            self.emit("unread", text=text)
        if not state[0]:
            self.spent += self.steps - start
            self.steps = before
        self.abroad, self.databases, self.autocommit, self.repeated = state
        new = self.out[out:]
        unread = [op for op in new if op.kind == "unread"]
        self.out[out:] = [op for op in new if op.kind != "unread"]
        silent = not new and not hidden and self.strange > strange
        if (hidden or whole) and (unread or silent):
            self.emit("unread", text=text)
        return value

    def assign(self, target: ast.expr, value: Any, scope: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            scope[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            known = isinstance(value, (list, tuple)) and len(value) == len(target.elts)
            for at, item in enumerate(target.elts):
                self.assign(item, value[at] if known else UNKNOWN, scope)
        elif isinstance(target, ast.Attribute):
            owner = self.value_of(target.value, scope)
            row = owner if isinstance(owner, Made) else None
            if row is not None and row.name != "a row":
                row = row_of(row, one=True)
            if row is not None:
                self.changed_row(row, target.attr)
                return
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
                    if base.name.startswith("application.") and node.attr in NAMES:
                        base = self.resolve(base.name, scope)
                    else:
                        return Ref(f"{base.name}.{node.attr}")
                if isinstance(base, Made) and base.name == "sqlalchemy.table":
                    if node.attr == "__tablename__":
                        return base.args[0]
                    if node.attr == "__table__":
                        return base
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
                return self.choice_of(node, scope)
            case ast.BoolOp():
                return self.first_of(node, scope)
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

    def choice_of(self, node: ast.IfExp, scope: dict[str, Any]) -> Any:
        before, found = self.databases, []
        for value, databases in self.sides(node, scope)[0]:
            self.databases = databases
            found.append((databases, self.value_of(value, scope)))
        self.databases = before
        merged = merge_all(found)
        one_of = merged is UNKNOWN and bool(found) and isinstance(found[0][1], Made)
        return found[0][1] if one_of else merged

    def first_of(self, node: ast.BoolOp, scope: dict[str, Any]) -> Any:
        """Evaluate `a or b` where it is certain whether `a` counts."""
        values = [self.value_of(value, scope) for value in node.values]
        stops = isinstance(node.op, ast.Or)
        for value in values[:-1]:
            counts = self.certain(value)
            if counts is None or counts is stops:
                return UNKNOWN if counts is None else value
        return values[-1]

    def items(self, nodes: list[ast.expr], scope: dict[str, Any]) -> Any:
        found: list[Any] = []
        for node in nodes:
            value = self.value_of(node, scope)
            if isinstance(node, ast.Starred) and isinstance(value, (list, tuple)):
                found.extend([UNKNOWN] if isinstance(value, Sample) else value)
            else:
                found.append(value)
        return found

    def binary(self, node: ast.BinOp, scope: dict[str, Any]) -> Any:
        left, right = self.value_of(node.left, scope), self.value_of(node.right, scope)
        if isinstance(left, str) and isinstance(node.op, ast.Mod):
            return fill_percent(left, right)
        if isinstance(node.op, ast.Add):
            if type(left) is list and type(right) is list:
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
        plain = isinstance(items, (list, tuple)) and not isinstance(items, Sample)
        if len(node.generators) > 1 or not plain or source.ifs:
            for generator in node.generators:
                self.assign(generator.target, UNKNOWN, inner)
            return Sample([self.value_of(node.elt, inner)])
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
        self.mark(node)
        if isinstance(callee, Function):
            return self.call_function(callee, args, kwargs)
        if isinstance(callee, Ref):
            return self.call_name(
                callee.name, Made("", args, kwargs, None, node), scope
            )
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
            inner[name] = self.value_of(default, function.scope)
        for arg, given in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            if given is not None:
                inner[arg.arg] = self.value_of(given, function.scope)
        inner |= dict(zip(names, args, strict=False))
        if node.args.vararg:
            inner[node.args.vararg.arg] = args[len(names) :]
        inner |= {k: v for k, v in kwargs.items() if k in inner}
        self.depth += 1
        self.inside.append(node)
        databases, line = self.databases, self.line
        self.returned.append([])
        if isinstance(node, ast.Lambda):
            self.returned[-1].append((databases, self.value_of(node.body, inner)))
        elif not self.run(node.body, inner) and self.databases:
            self.returned[-1].append((self.databases, None))
        self.databases, self.line = databases, line
        self.depth -= 1
        self.inside.pop()
        return merge_all(self.returned.pop())

    def call_name(self, name: str, made: Made, scope: dict[str, Any]) -> Any:
        made.name = name
        args, kwargs, node = made.args, made.kwargs, made.node
        if name.startswith("alembic.op."):
            return self.op(name.removeprefix("alembic.op."), made)
        if name.startswith("online."):
            return self.online(made)
        if name in ("textwrap.dedent", "inspect.cleandoc") and args:
            return args[0]
        text = ast.unparse(node)[:70] if node is not None else name
        if name == "str" and args:
            return args[0] if isinstance(args[0], str) else UNKNOWN
        if name in ("list", "tuple", "sorted", "set", "reversed") and args:
            return args[0] if isinstance(args[0], (list, tuple, set)) else UNKNOWN
        if name in ("eval", "exec", "getattr", "__import__", "importlib.import_module"):
            if name != "getattr" or any(hands_over(value) for value in args):
                self.emit("unread", text=text)
            return UNKNOWN
        if name.endswith((".create_all", ".drop_all")):
            self.schema_item(None, name.rpartition(".")[2])
            return UNKNOWN
        hidden = name.startswith("application.") and any(
            hands_over(value) for value in [*args, *kwargs.values()]
        )
        if name.startswith("application."):
            function = self.resolve(name, scope)
            if isinstance(function, Function):
                return self.call_abroad(function, made, hidden)
            self.strange += 1
        if hidden or (name.startswith("application.") and node is self.whole):
            self.emit("unread", text=text)
        return made

    def call_method(self, made: Made, scope: dict[str, Any]) -> Any:
        base, name, args = made.base, made.last(), made.args
        if any(part.name.startswith("application.") for part in chain_of(base)):
            self.strange += 1
        if isinstance(base, str):
            if name == "format":
                return fill(base, args, made.kwargs)
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
            nested = "begin_nested" in [part.last() for part in chain_of(base)]
            if not session and not nested and (plain or isinstance(base, Unknown)):
                self.emit("commit")
        elif any(part.last() == "query" for part in chain_of(base)):
            self.orm_query(made, name)
        elif name in ADDS:
            if is_session(base):
                self.emit("insert", HOLE)
        elif name == "delete" and is_session(base) and args:
            self.emit("delete", HOLE)
        elif name == "bulk_update_mappings" and is_session(base):
            self.changed_rows(made)
        elif any(hands_over(value) for value in args) and is_foreign(base):
            self.emit("unread", text=ast.unparse(made.node)[:70] if made.node else name)
        return made
