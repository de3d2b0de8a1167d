"""Where database code stands in a file: Python by its tree, settings by their lines.

What is told of a database URL is its dialect and driver: never a user, a password, a
host or a value.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

ORMS = {"sqlalchemy", "sqlmodel", "flask_sqlalchemy"}
MAKERS = {
    "create_engine": ("engines", "sync"),
    "engine_from_config": ("engines", "sync"),
    "create_async_engine": ("engines", "async"),
    "async_engine_from_config": ("engines", "async"),
    "sessionmaker": ("sessions", "sync"),
    "scoped_session": ("sessions", "sync"),
    "async_sessionmaker": ("sessions", "async"),
    "async_scoped_session": ("sessions", "async"),
}
BASES = {"DeclarativeBase", "DeclarativeBaseNoMeta", "declarative_base", "automap_base"}
APPS = {"FastAPI", "Flask", "Starlette", "Litestar"}
COLUMNS = {"Mapped", "mapped_column", "Column"}

DRIVERS = {
    "asyncpg", "aiosqlite", "psycopg", "psycopg2", "psycopg2cffi", "pg8000", "pysqlite",
    "mysqldb", "pymysql", "aiomysql", "asyncmy", "oracledb", "pyodbc", "aioodbc",
}  # fmt: skip
DIALECTS = "postgresql|postgres|sqlite|mysql|mariadb|oracle|mssql|cockroachdb"
URL = re.compile(rf"\b({DIALECTS})(?:\+(\w+))?://|^({DIALECTS})\+(\w+)$")
POOLER = re.compile(r"pgbouncer|-pooler\.|:6543\b", re.IGNORECASE)
URL_NAME = re.compile(r"(?:[A-Z]+_)*(?:DATABASE|DB|POSTGRES|PG)_(?:URL|URI|DSN)")
NAME = re.compile(r"\s*(?:export\s+|-\s+)?['\"]?([A-Za-z][\w.]*)['\"]?\s*[:=]")
HOST = re.compile(r"(POSTGRES|PG|MYSQL)_?(?:HOST|SERVER)")
IMAGES = "postgres|postgis|pgvector|timescaledb|pgbouncer|mysql|mariadb"
IMAGE = re.compile(rf"\s*image:.*\b({IMAGES})[\w-]*(?::[a-z]*(\d[\d.]*))?")
# Most files of a big project have none of these and are not parsed.
WORDS = re.compile(
    r"sqlalchemy|sqlmodel|alembic|BaseSettings|Depends|__tablename__|revision|create_all"
    rf"|Mapped|Column|_UR[LI]\b|_DSN\b|\.query\(|\b(?:{DIALECTS})\b|{'|'.join(APPS)}"
)


class Found(NamedTuple):
    """One thing in a file; `refs` are the names that it refers to."""

    kind: str
    line: int
    what: str
    note: str = ""
    refs: tuple[str, ...] = ()


class Unreadable(ValueError):
    """A text is not what its name says; the message holds nothing of it."""


def in_settings(text: str) -> Iterator[Found]:
    """Yield databases, settings, Alembic and pytest's mode in a .env, INI or YAML."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith(("#", ";")):
            continue
        yield from databases(number, line)
        name = found[1] if (found := NAME.match(line)) else ""
        if URL_NAME.fullmatch(name):
            yield Found("settings", number, name)
        elif host := HOST.fullmatch(name):
            dialect = "mysql" if host[1] == "MYSQL" else "postgresql"
            yield Found("databases", number, dialect, "in parts")
        elif image := IMAGE.match(line):
            yield Found(
                "databases", number, image[1], f"image {image[2] or ''}".strip()
            )
        elif re.match(r"\[(tool\.)?alembic\]", line):
            yield Found("alembic", number, "configuration")
        elif mode := re.match(r"asyncio_mode\s*=\s*[\"']?(auto|strict)\b", line):
            yield Found("tests", number, "asyncio_mode", mode[1])


def databases(line: int, text: str) -> Iterator[Found]:
    """Yield dialect and driver of each URL, and nothing that a URL may hide."""
    for found in URL.finditer(text):
        dialect, driver = found[1] or found[3], found[2] or found[4]
        dialect = "postgresql" if dialect == "postgres" else dialect
        if driver:
            dialect += f"+{driver}" if driver in DRIVERS else "+other"
        yield Found("databases", line, dialect)
    if URL.search(text) and POOLER.search(text):
        yield Found("habits", line, "pooler")


def in_python(text: str) -> Iterator[Found]:
    """Yield what the code makes and declares, and its habits.

    Raises Unreadable.
    """
    if not WORDS.search(text):
        return
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        # Only so far as this interpreter knows the language.
        python = "{}.{}".format(*sys.version_info)
        raise Unreadable(f"cannot be parsed by Python {python}{where}") from None
    every = list(nodes(tree))
    names = imports(node for node, _ in every)
    yields = any(isinstance(node, ast.Yield) for node, _ in every)
    yield from revision(tree)
    for node, on_import in every:
        match node:
            case ast.ClassDef():
                yield from class_(node, names)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if yields:
                yield from generator(node)
            case ast.Call():
                yield from call(node, names, on_import)
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=func))
            ):
                yield from base(name, origin(func, names), node.lineno)
            case ast.Attribute(attr="create_all"):
                yield Found("habits", node.lineno, "create-all")
            case ast.Constant(value=str(value)):
                yield from databases(node.lineno, value)
                if URL_NAME.fullmatch(value):
                    yield Found("settings", node.lineno, value)


def nodes(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node but docstrings, in order, and whether it runs on import."""
    stack: list[tuple[ast.AST, bool]] = [(tree, True)]
    while stack:  # not by recursion: generated code nests deeply
        node, on_import = stack.pop()
        yield node, on_import
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                on_import = False
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                on_import = False
        for child in reversed(list(ast.iter_child_nodes(node))):
            if not (
                isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            ):
                stack.append((child, on_import))


def imports(every: Iterable[ast.AST]) -> dict[str, str]:
    """Return what each imported name stands for, dotted."""
    names: dict[str, str] = {}
    for node in every:
        if isinstance(node, ast.Import):
            names |= {a.asname: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {a.asname or a.name: f"{module}.{a.name}" for a in node.names}
    return names


def origin(node: ast.AST | None, names: dict[str, str]) -> str:
    """Return the dotted name that `node` stands for, "" when it is no name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(attributes)])


def root(name: str) -> str:
    return name.partition(".")[0]


def last(name: str) -> str:
    return name.rpartition(".")[2]


def base(name: str, maker: str, line: int) -> Iterator[Found]:
    """Yield `Base = declarative_base()`, and Flask's `db = SQLAlchemy()`."""
    if maker == "flask_sqlalchemy.SQLAlchemy":
        yield Found("bases", line, f"{name}.Model")
        yield Found("sessions", line, f"{name}.session", "sync")
        yield Found("habits", line, "flask-sqlalchemy")
    elif root(maker) in ORMS and last(maker) in BASES:
        yield Found("bases", line, name)


def class_(node: ast.ClassDef, names: dict[str, str]) -> Iterator[Found]:
    """Yield what a class is: `candidates` are models if their parents lead to a base,
    `classes` only hand that on."""
    parents = [origin(parent, names) for parent in node.bases]
    fields = [s for s in node.body if isinstance(s, ast.Assign | ast.AnnAssign)]
    parts = [part for field in fields for part in ast.walk(field)]
    words = {getattr(part, "id", getattr(part, "attr", "")) for part in parts}
    sqlmodel = any(keyword.arg == "table" for keyword in node.keywords)
    if any(root(parent) in ORMS and last(parent) in BASES for parent in parents):
        yield Found("bases", node.lineno, node.name)
    elif "BaseSettings" in map(last, parents):
        yield Found("settings", node.lineno, node.name)
    elif sqlmodel:
        yield Found("bases", node.lineno, "SQLModel")
    kind = "candidates" if words & COLUMNS else "classes"
    if sqlmodel or words & {"__tablename__", "__table__"}:
        kind = "models"
    if "__abstract__" in words:
        kind = "classes"
    yield Found(kind, node.lineno, node.name, refs=tuple(map(last, parents)))


def call(node: ast.Call, names: dict[str, str], on_import: bool) -> Iterator[Found]:
    name, line = origin(node.func, names), node.lineno
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if root(name) in ORMS and last(name) in MAKERS:
        kind, style = MAKERS[last(name)]
        if last(origin(keywords.get("class_"), names)) == "AsyncSession":
            style = "async"
        yield Found(kind, line, last(name), style)
        if kind == "engines" and on_import:
            yield Found("habits", line, "import-engine")
    elif last(name) in APPS and root(name) == last(name).lower():
        yield Found("apps", line, last(name))
    elif root(name) == "fastapi" and last(name) == "Depends":
        # With this scope the dependency is left before the response is sent.
        if getattr(keywords.get("scope"), "value", "") != "function":
            targets = [*node.args, keywords.get("dependency")]
            refs = tuple(last(origin(target, names)) for target in targets)
            yield Found("depends", line, "Depends", "", refs)
    elif isinstance(node.func, ast.Attribute):
        owner = last(origin(node.func.value, names)).lower()
        if node.func.attr == "query" and re.search("session|db$", owner):
            yield Found("habits", line, "query-api")
        elif node.func.attr == "offset" and ORMS & set(map(root, names.values())):
            yield Found("habits", line, "offset")


def generator(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Found]:
    """Yield a function that yields a session, and where it commits after that."""
    opened: set[str] = set()
    yields: list[tuple[str, int]] = []
    commits: list[tuple[str, int]] = []
    blocks: list[ast.With | ast.AsyncWith] = []
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Call(func=func)
            ) | ast.withitem(ast.Call(func=func), optional_vars=ast.Name(id=name)) if (
                "session" in origin(func, {}).lower()
            ):
                opened.add(name)
            case ast.Yield(value=ast.Name(id=name)):
                yields.append((name, node.lineno))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="commit")):
                commits.append((name, node.lineno))
            case ast.With() | ast.AsyncWith():
                calls = (
                    getattr(item.context_expr, "func", None) for item in node.items
                )
                if "begin" in (getattr(called, "attr", "") for called in calls):
                    blocks.append(node)
    lines = [line for name, line in yields if name in opened]
    if lines:
        yield Found("sessions", function.lineno, function.name, "yields a session")
        late = [line for name, line in commits if name in opened and line > lines[0]]
        late += [b.lineno for b in blocks if b.lineno < lines[0] <= (b.end_lineno or 0)]
        for line in sorted(late)[:1]:
            yield Found("commits", line, function.name)


def revision(tree: ast.Module) -> Iterator[Found]:
    """Yield an Alembic revision; `refs` are those that it follows."""
    links: dict[str, tuple[int, tuple[str, ...]]] = {}
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                texts = (getattr(part, "value", None) for part in ast.walk(value))
                strings = tuple(text for text in texts if isinstance(text, str))
                links[name] = node.lineno, strings
    line, ids = links.get("revision", (0, ()))
    if ids and "down_revision" in links:
        yield Found("revisions", line, ids[0], "", links["down_revision"][1])
