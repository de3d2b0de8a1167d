"""Read values of a revision's source: types, columns, directives of `op`.

What only a run could tell is UNKNOWN, or HOLE within a text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .sql import HOLE, Column, Operation, Type


@dataclass(frozen=True)
class Ref:
    """A dotted name, as imported: `sa.Column` is Ref("sqlalchemy.Column")."""

    name: str


@dataclass
class Made:
    """What a call or an attribute of something not known returned."""

    name: str  # dotted name of the callee, or ".method" of `base`
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    base: Any = None
    node: ast.AST | None = None

    def root(self) -> Made:
        return self.base.root() if isinstance(self.base, Made) else self

    def chain(self) -> list[Made]:
        return [*(self.base.chain() if isinstance(self.base, Made) else []), self]

    def last(self) -> str:
        return self.name.rpartition(".")[2]


def chain_of(value: Any) -> list[Made]:
    return value.chain() if isinstance(value, Made) else []


@dataclass
class Function:
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: dict[str, Any]


class Unknown:
    """The one value that stands for everything that only a run could tell."""


class Final(str):
    """A name that op.f() marked as complete."""


UNKNOWN = Unknown()
LITERAL = (str, int, float, bool, bytes, type(None), list, tuple, dict, set)


@dataclass(frozen=True)
class DialectTest:
    """A question about the dialect: the databases where it may hold, and may not."""

    yes: frozenset[str]
    no: frozenset[str]


def shape(function: Any) -> str:
    """Return what a function's body amounts to: nothing, an error, or something."""
    if not isinstance(function, Function) or isinstance(function.node, ast.Lambda):
        return ""
    body = [node for node in function.node.body if not is_blank(node)]
    if not body:
        return "pass"
    return "raise" if isinstance(body[0], ast.Raise) else "body"


def is_blank(node: ast.stmt) -> bool:
    blank = (
        isinstance(node, (ast.Pass, ast.Return))
        and getattr(node, "value", None) is None
    )
    return blank or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def is_dialect(value: Any) -> bool:
    """Whether this is `.dialect.name` of something."""
    if not isinstance(value, Made) or not isinstance(value.base, Made):
        return False
    return value.last() == "name" and value.base.last() == "dialect"


def is_session(value: Any) -> bool:
    text = value.root().name.lower() if isinstance(value, Made) else ""
    return "session" in text or isinstance(value, Unknown)


def hands_over(value: Any) -> bool:
    """Whether a helper that is given this can change the database with it."""
    if isinstance(value, Ref):
        return value.name in ("alembic.op", "alembic.context")
    if isinstance(value, Made):
        root = value.root()
        named = root.name in ("alembic.op.get_bind", "alembic.op.batch_alter_table")
        return (named and len(value.chain()) < 2) or root.last() in (
            "Session",
            "get_context",
        )
    return False


def is_foreign(value: Any) -> bool:
    """Whether this is not known, or comes from the application."""
    if isinstance(value, Made):
        return value.root().name.startswith("application.")
    return isinstance(value, Unknown)


def subscript(value: Any, key: Any) -> Any:
    if isinstance(value, dict) and isinstance(key, (str, int)):
        return value.get(key, UNKNOWN)
    if (
        isinstance(value, (list, tuple))
        and isinstance(key, int)
        and -len(value) <= key < len(value)
    ):
        return value[key]
    if isinstance(value, Made) and isinstance(key, str):
        return Made(f".{key}", base=value)
    return UNKNOWN


def string_method(text: str, name: str, args: list[Any]) -> Any:
    if name == "join" and args and type(args[0]) in (list, tuple):
        return short(text.join(text_of(item) for item in args[0]))
    if name == "join":
        return HOLE
    if name == "replace" and len(args) == 2 and isinstance(args[0], str):
        return short(text.replace(args[0], text_of(args[1])))
    if name in ("lower", "upper", "strip", "lstrip", "rstrip") and not args:
        return str(getattr(text, name)())
    if (
        name == "split"
        and len(args) < 2
        and all(isinstance(arg, str) and arg for arg in args)
    ):
        return text.split(*args)
    return UNKNOWN if name != "replace" else HOLE


FIELD = re.compile(r"\{\{|\}\}|\{(\w*)[^{}]*\}")
PERCENT = re.compile(r"%%|%(?:\((\w+)\))?[-#0 +]*\d*(?:\.\d+)?([a-zA-Z])")


def fill(text: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    """Return what `text.format(*args, **kwargs)` gives, as far as it is known."""
    given = iter(args)

    def one(match: re.Match[str]) -> str:
        name, whole = match[1], match[0]
        if name is None:
            return whole[0]
        if whole != f"{{{name}}}":  # an attribute, a width
            return HOLE
        if name.isdigit():
            return text_of(args[int(name)]) if int(name) < len(args) else HOLE
        return text_of(kwargs.get(name, UNKNOWN) if name else next(given, UNKNOWN))

    return short(FIELD.sub(one, text))


def fill_percent(text: str, value: Any) -> str:
    """Return what `text % value` gives, as far as it is known."""
    given = iter(value if isinstance(value, (list, tuple)) else [value])
    names = value if isinstance(value, dict) else {}

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if match[1] is not None:
            return text_of(names.get(match[1], UNKNOWN))
        return text_of(next(given, UNKNOWN))

    return short(PERCENT.sub(one, text))


def short(text: str) -> str:
    """Give up on a text that doubles itself without end."""
    return text if len(text) < 1_000_000 else HOLE


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    if (
        isinstance(value, Made)
        and value.last() in ("text", "quoted_name", "Identifier")
        and value.args
    ):
        return text_of(value.args[0])
    if isinstance(value, Ref):  # unknown, and yet the same wherever it is named
        return HOLE + re.sub(r"\W", "_", value.name.removeprefix("application."))
    return HOLE


def table_name(made: Made) -> str:
    """Return the table that a directive names, with its schema unless it is public."""
    given = made.args[0] if made.args else made.kwargs.get("table_name")
    schema = made.kwargs.get("schema")
    name = text_of(given)
    return (
        f"{schema}.{name}" if isinstance(schema, str) and schema != "public" else name
    )


def table_of(value: Any) -> str:
    """Return the name of a `sa.table(...)`, a `sa.Table(...)` or a frozen model."""
    if isinstance(value, Made):
        root = value.root()
        if root.last() in ("table", "Table", "create_table") and root.args:
            return text_of(root.args[0])
        if isinstance(value.base, Made) and value.base.last() == "tables":
            return value.name[1:]  # reflected: metadata.tables["name"]
    return HOLE


def row_of(value: Any, *, one: bool) -> Made | None:
    """Return a row that a query of one model gives: `one`, or each of several."""
    if not isinstance(value, Made):
        return None
    single = value.last() in ("first", "one", "one_or_none", "get", "scalar_one")
    names = [part.last() for part in value.chain()]
    if single is not one:
        return None
    for part in value.chain():
        model = part.args[0] if len(part.args) == 1 else None
        if part.last() == "scalars" or (
            part.last() == "execute" and "scalars" in names
        ):
            chosen = model.root() if isinstance(model, Made) else Made("")
            whole = chosen.last() == "select" and len(chosen.args) == 1
            model = chosen.args[0] if whole else None
        elif part.last() != "query":
            continue
        if isinstance(model, Made) and model.name == "sqlalchemy.table":
            return Made("a row", [model, source_text(value)])
    return None


def source_text(made: Made) -> str:
    return " ".join(ast.unparse(part.node) for part in made.chain() if part.node)


def update_facts(chain: list[Made]) -> dict[str, Any]:
    """Say what an update() sets, and whether it only fills or renames values."""
    columns: list[str] = []
    constants = True
    for part in chain:
        if part.last() == "values":
            given = dict(part.kwargs)
            for arg in part.args:
                if isinstance(arg, dict):
                    given |= {
                        key: value for key, value in arg.items() if isinstance(key, str)
                    }
                if not isinstance(arg, dict) or not arg:
                    columns.append(HOLE)
            columns.extend(given)
            constants = constants and all(
                isinstance(v, LITERAL) for v in given.values()
            )
    where = " ".join(
        ast.unparse(part.node) for part in chain if part.last() == "where" and part.node
    ).rpartition(".where(")[2]
    fills = bool(columns) and all(
        re.search(rf"\b{re.escape(c)}(\.is_\((None|sa\.null\(\))\)| == None)", where)
        for c in columns
    )
    maps = constants and bool(
        re.search(r"\bc\.\w+ == (['\"-]|\d)|\.in_\(\[['\"\d]", where)
    )
    return {
        "columns": columns or [HOLE],
        "fills": fills,
        "maps": maps,
        "where": where,
        "limited": bool(re.search(r"\.in_\(|\bid [<>]|between|limit", where)),
        "skips": False,
    }


def has_ids(values: list[Any]) -> bool:
    """Whether rows bring integer ids of their own, past the sequence."""
    for value in values:
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("id"), int):
                return True
    return False


def enum_name(made: Made) -> str:
    """Return an enum's name: that of its class, in lower case, unless it is given."""
    name = made.kwargs.get("name")
    of = made.args[0] if made.args else None
    if name is None and isinstance(of, Made):
        name = str(of.kwargs.get("class", of.last())).lower()
    if name is None and isinstance(of, Ref):
        name = of.name.rpartition(".")[2].lower()
    return name if isinstance(name, str) else ""


PLAIN = {
    word: name
    for words, name in {
        "String VARCHAR Unicode NVARCHAR AutoString": "varchar",
        "Text UnicodeText TEXT CLOB": "text",
        "Integer INTEGER INT": "integer",
        "BigInteger BIGINT": "bigint",
        "SmallInteger SMALLINT": "smallint",
        "Numeric NUMERIC DECIMAL": "numeric",
        "Float FLOAT Double DOUBLE DOUBLE_PRECISION": "double precision",
        "Boolean BOOLEAN": "boolean",
        "Uuid UUID": "uuid",
        "LargeBinary BYTEA BLOB BINARY VARBINARY": "bytea",
        "Date DATE": "date",
        "REAL": "real",
        "JSON": "json",
        "JSONB": "jsonb",
        "CHAR": "char",
        "CITEXT": "citext",
        "INET": "inet",
        "Interval INTERVAL": "interval",
    }.items()
    for word in words.split()
}


def read_type(value: Any) -> Type:
    """Return the type that `sa.String(50)`, `sa.Text`, `postgresql.JSONB()` name."""
    if isinstance(value, Ref):
        value = Made(value.name)
    if isinstance(value, Made):
        value = value.root()
    if not isinstance(value, Made) or value.name.startswith("application."):
        return Type("")
    word, args, kwargs = value.last(), value.args, value.kwargs
    if word in ("Enum", "ENUM"):
        return read_enum(value)
    if word in ("DateTime", "TIMESTAMP", "Time", "TIME", "DATETIME"):
        zone = kwargs.get("timezone", args[0] if args else False)
        name = "time" if word.lower() == "time" else "timestamp"
        return Type(f"{name}tz" if zone is True else name)
    if word == "ARRAY" and args:
        return Type(f"{read_type(args[0]).name or '?'}[]")
    sizes = [kwargs.get(key) for key in ("length", "precision", "scale")]
    given = (
        [*args, *sizes]
        if word not in ("Float", "FLOAT", "JSON", "JSONB", "Uuid")
        else []
    )
    numbers = [size for size in given if size is not None]
    if any(not isinstance(size, int) for size in numbers) and word in PLAIN:
        return Type("" if PLAIN[word] in ("varchar", "numeric") else PLAIN[word])
    return Type(PLAIN.get(word, word.lower()), tuple(numbers) if word in PLAIN else ())


def read_enum(made: Made) -> Type:
    values = [value for value in made.args if isinstance(value, str)]
    if made.kwargs.get("native_enum") is False:
        return Type("varchar", (max((len(value) for value in values), default=0),))
    name = enum_name(made)
    made_here = made.kwargs.get("create_type") is not False
    return Type(name or "enum", enum=name if made_here else "")


def enum_values(value: Any) -> set[str]:
    """Return the values of a native enum, if the file tells all of them."""
    made = value.root() if isinstance(value, Made) else Made("")
    if not read_type(made).enum or not all(isinstance(v, str) for v in made.args):
        return set()
    return {*made.args}


def read_default(value: Any) -> str | None:
    """Return a server_default as SQL; HOLE where it is not known."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return HOLE if HOLE in value else "'" + value.replace("'", "''") + "'"
    if isinstance(value, Made):
        if value.last() in ("text", "DefaultClause", "literal_column") and value.args:
            inner = value.args[0]
            return inner if isinstance(inner, str) else read_default(inner)
        if ".func." in value.name or value.name.startswith("func."):
            return f"{value.last()}()"
        if value.last() in ("true", "false", "null"):
            return value.last()
        if value.last() in ("literal", "cast", "inline_literal") and value.args:
            return read_default(value.args[0])
    if isinstance(value, Ref) and value.name.rpartition(".")[2] in ("true", "false"):
        return value.name.rpartition(".")[2]
    return HOLE


def read_column(value: Any) -> Column:
    """Read a `sa.Column(...)`; what is not one gives a column that nobody knows."""
    if not isinstance(value, Made) or value.last() not in (
        "Column",
        "column",
        "mapped_column",
    ):
        return Column(HOLE, default=HOLE)
    args = list(value.args)
    kwargs = value.kwargs
    name = (
        text_of(args.pop(0))
        if args and isinstance(args[0], str)
        else kwargs.get("name")
    )
    column = Column(name if isinstance(name, str) else HOLE)
    given = kwargs.get("type_")
    for item in args:
        word = item.last() if isinstance(item, Made) else ""
        if word == "ForeignKey":
            target = text_of(item.args[0]) if item.args else HOLE
            column.foreign = target.rpartition(".")[0] or target
        elif word in ("Identity", "Sequence"):
            column.makes = "identity"
        elif word == "Computed":
            persisted = item.kwargs.get("persisted")
            column.makes = {True: "stored", False: "virtual"}.get(persisted, "computed")
        elif word in ("CheckConstraint", "FetchedValue", "DefaultClause"):
            column.default = (
                read_default(item) if word == "DefaultClause" else column.default
            )
        elif given is None:
            given = item
    column.type = read_type(given)
    column.primary = kwargs.get("primary_key") is True
    column.nullable = kwargs.get("nullable", not column.primary) is not False
    column.unique = kwargs.get("unique") is True
    column.indexed = kwargs.get("index") is True or column.unique or column.primary
    if "server_default" in kwargs:
        made = kwargs["server_default"]
        if isinstance(made, Made) and made.last() in (
            "Identity",
            "Computed",
            "Sequence",
        ):
            column.makes = "identity" if made.last() != "Computed" else "stored"
        else:
            column.default = read_default(made)
    return column


def table_facts(items: list[Any]) -> dict[str, Any]:
    """Read the columns and constraints of a CREATE TABLE."""
    facts: dict[str, Any] = {"columns": [], "constraints": []}
    for item in items:
        word = item.root().last() if isinstance(item, Made) else ""
        if word in ("Column", "column"):
            column = read_column(item)
            facts["columns"].append(column)
        elif word in CONSTRAINTS:
            facts["constraints"].append(read_constraint(item))
        elif word == "Index":
            columns = [text_of(arg) for arg in item.args[1:]]
            facts.setdefault("indexes", []).append(columns)
        elif word not in ("Comment", "") or not isinstance(item, Made):
            facts["unclear"] = True
    return facts


CONSTRAINTS = {
    "ForeignKeyConstraint": "foreign key",
    "PrimaryKeyConstraint": "primary key",
    "UniqueConstraint": "unique",
    "CheckConstraint": "check",
    "ExcludeConstraint": "exclude",
}


def read_constraint(made: Made) -> Operation:
    kind = CONSTRAINTS[made.last()]
    name = made.kwargs.get("name")
    facts: dict[str, Any] = {"type": kind, "named": name is not None, "columns": []}
    if kind == "foreign key":
        facts["columns"] = strings(made.args[0] if made.args else None)
        target = strings(made.args[1] if len(made.args) > 1 else None) or [HOLE]
        facts["foreign"] = target[0].rpartition(".")[0]
    elif kind == "check":
        facts["check"] = text_of(made.args[0]) if made.args else HOLE
    else:
        facts["columns"] = [text_of(arg) for arg in made.args]
    return Operation("add_constraint", name=text_of(name) if name else "", facts=facts)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return (
        [text_of(item) for item in value]
        if isinstance(value, (list, tuple))
        else [HOLE]
    )


def argument(made: Made, at: int, name: str) -> Any:
    """Return an argument given by position, or else by name."""
    return made.args[at] if len(made.args) > at else made.kwargs.get(name)


def option(made: Made, name: str) -> bool:
    return made.kwargs.get(name) is True


# --- one reader for each directive; the table of a batch block is already in `args` ---


def create_table(made: Made) -> Iterator[Operation]:
    yield Operation("create_table", table_name(made), facts=table_facts(made.args[1:]))


def drop_table(made: Made) -> Iterator[Operation]:
    yield Operation(
        "drop_table", table_name(made), facts={"if_exists": option(made, "if_exists")}
    )


def rename_table(made: Made) -> Iterator[Operation]:
    new = text_of(argument(made, 1, "new_table_name"))
    yield Operation("rename_table", table_name(made), facts={"new": new})


def add_column(made: Made) -> Iterator[Operation]:
    column = read_column(argument(made, 1, "column"))
    facts = {"column": column, "inline": option(made, "inline_references")}
    given = argument(made, 1, "column")
    default = given.kwargs.get("server_default") if isinstance(given, Made) else None
    # What SQLite's batch mode copies the table for, however plain it is.
    facts["clause"] = isinstance(default, (Made, Ref))
    yield Operation("add_column", table_name(made), column.name, facts=facts)


def drop_column(made: Made) -> Iterator[Operation]:
    yield Operation(
        "drop_column", table_name(made), text_of(argument(made, 1, "column_name"))
    )


def alter_column(made: Made) -> Iterator[Operation]:
    kwargs = made.kwargs
    facts: dict[str, Any] = {}
    if isinstance(kwargs.get("nullable"), bool):
        facts["nullable"] = kwargs["nullable"]
    if kwargs.get("type_") is not None:
        facts["type"] = read_type(kwargs["type_"])
    if kwargs.get("existing_type") is not None:
        facts["old_type"] = read_type(kwargs["existing_type"])
    before, after = (enum_values(kwargs.get(k)) for k in ("existing_type", "type_"))
    if before and after and before != after:
        facts["values"] = sorted(before ^ after)
    if "server_default" in kwargs and kwargs["server_default"] is not False:
        facts["default"] = read_default(kwargs["server_default"])
    new = kwargs.get("new_column_name", kwargs.get("name"))
    if new is not None:
        facts["new"] = text_of(new)
    facts["using"] = text_of(kwargs.get("postgresql_using", ""))
    facts["was_nullable"] = kwargs.get("existing_nullable")
    if not any(key in facts for key in ("nullable", "type", "default", "new")):
        facts["minor"] = True
    name = text_of(argument(made, 1, "column_name"))
    yield Operation("alter_column", table_name(made), name, facts=facts)


def create_index(made: Made) -> Iterator[Operation]:
    columns = strings(argument(made, 2, "columns"))
    facts = {
        "unique": option(made, "unique"),
        "concurrently": option(made, "postgresql_concurrently"),
        "if_not_exists": option(made, "if_not_exists"),
        "columns": columns,
        "expression": any("(" in column for column in columns),
    }
    table = text_of(argument(made, 1, "table_name"))
    yield Operation(
        "create_index", table, text_of(argument(made, 0, "index_name")), facts=facts
    )


def drop_index(made: Made) -> Iterator[Operation]:
    facts = {
        "concurrently": option(made, "postgresql_concurrently"),
        "if_exists": option(made, "if_exists"),
    }
    table = argument(made, 1, "table_name")
    name = text_of(argument(made, 0, "index_name"))
    yield Operation("drop_index", text_of(table) if table else "", name, facts=facts)


def add_constraint(made: Made) -> Iterator[Operation]:
    word = made.last()
    name = argument(made, 0, "constraint_name")
    facts: dict[str, Any] = {
        "named": name is not None,
        "not_valid": option(made, "postgresql_not_valid"),
        "final": isinstance(name, Final),
    }
    table = argument(made, 1, "table_name") or made.kwargs.get("source_table")
    table = text_of(table)
    if word == "create_foreign_key":
        facts |= {
            "type": "foreign key",
            "foreign": text_of(argument(made, 2, "referent_table")),
        }
        facts["columns"] = strings(argument(made, 3, "local_cols"))
    elif word == "create_check_constraint":
        facts |= {"type": "check", "check": text_of(argument(made, 2, "condition"))}
    else:
        kinds = {
            "create_unique_constraint": "unique",
            "create_primary_key": "primary key",
        }
        facts["type"] = kinds.get(word, "exclude")
        facts["columns"] = strings(argument(made, 2, "columns"))
    yield Operation("add_constraint", table, text_of(name) if name else "", facts=facts)


def drop_constraint(made: Made) -> Iterator[Operation]:
    name = argument(made, 0, "constraint_name")
    kind = argument(made, 2, "type_")
    kind = {"foreignkey": "foreign key", "primary": "primary key"}.get(str(kind), kind)
    facts = {"named": name is not None, "type": kind if isinstance(kind, str) else ""}
    table = text_of(argument(made, 1, "table_name"))
    yield Operation(
        "drop_constraint", table, text_of(name) if name else "", facts=facts
    )


def bulk_insert(made: Made) -> Iterator[Operation]:
    rows = argument(made, 1, "rows")
    yield Operation(
        "insert", table_of(argument(made, 0, "table")), facts={"ids": has_ids([rows])}
    )


DIRECTIVES = {
    "create_table": create_table,
    "drop_table": drop_table,
    "rename_table": rename_table,
    "add_column": add_column,
    "drop_column": drop_column,
    "alter_column": alter_column,
    "create_index": create_index,
    "drop_index": drop_index,
    "bulk_insert": bulk_insert,
    "drop_constraint": drop_constraint,
    "create_foreign_key": add_constraint,
    "create_check_constraint": add_constraint,
    "create_unique_constraint": add_constraint,
    "create_primary_key": add_constraint,
    "create_exclude_constraint": add_constraint,
}
