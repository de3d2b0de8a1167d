"""Read SQL statements into the operations that review_migration.py judges.

Nothing is executed. What is not understood becomes an operation of kind "unread":
the reviewer says that it cannot judge it, and never passes it in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import blocks


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DATABASES = frozenset({"postgresql", "sqlite", "mysql", "mssql", "oracle"})
# Stands in a text for what only the running revision knows. It reads as a word.
HOLE = "\ue000"


@dataclass(frozen=True)
class Type:
    """A column's type, the same whether Python or SQL spelled it; "" is not known."""

    name: str
    size: tuple[int, ...] = ()
    enum: str = ""  # the type's name in the database, when the column makes it


@dataclass
class Column:
    name: str
    type: Type = field(default_factory=lambda: Type(""))
    nullable: bool = True
    default: str | None = None  # as SQL; HOLE in it: not known
    foreign: str = ""  # the table that it refers to
    indexed: bool = False
    unique: bool = False
    primary: bool = False
    makes: str = ""  # identity, serial, stored, virtual, computed


@dataclass
class Operation:
    """One thing that a revision does, with what is known of it."""

    kind: str
    table: str = ""
    name: str = ""
    line: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    databases: frozenset[str] = DATABASES
    autocommit: bool = False
    repeated: bool = False  # in a loop whose length is not known
    # The ways to it that may not be taken; the same on another way is no second one.
    ways: tuple[int, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        subject = ".".join(part for part in (self.table, self.name) if part)
        return f"{self.kind} {subject or self.facts.get('text', '')}".strip().replace(
            HOLE, "?"
        )


TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<string>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|[eEbBxXnN]?'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
    |(?P<word>[^\W\d][\w$]*(?:\ue000[\w$]*)*|\ue000[\w$\ue000]*)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<sign>::|:=|<=|>=|<>|!=|.)""",
    re.X | re.S,
)
TYPES = {
    "character varying": "varchar",
    "nvarchar": "varchar",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "serial4": "serial",
    "serial8": "bigserial",
    "decimal": "numeric",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "bool": "boolean",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "datetime": "timestamp",
    "character": "char",
}
TYPE_WORDS = re.compile(
    r"(character varying|double precision|timestamp with(?:out)? time zone"
    r"|[\w.\ue000]+)"
    r"(?: ?\( ?([\d, ]+) ?\))?( with(?:out)? time zone)?"
)
CLAUSE = r"(not null|null|primary|unique|check|references|constraint|generated)\b"
SERIALS = {"serial": "integer", "bigserial": "bigint", "smallserial": "smallint"}


def statements(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each statement of a script: its first line, and its tokens."""
    line, start = 1, 1
    found: list[str] = []
    for match in TOKEN.finditer(text):
        if match.lastgroup != "skip" and match["skip"] is None:
            if match[0] == ";" and not in_body(found):
                if found:
                    yield start, found
                found = []
            else:
                start = start if found else line
                found.append(match[0])
        line += match[0].count("\n")
    if found:
        yield start, found


def tokens_of(text: str) -> list[str]:
    return [match[0] for match in TOKEN.finditer(text) if match["skip"] is None]


def in_body(tokens: list[str]) -> bool:
    """Whether a semicolon here ends a line of a trigger's or a function's body."""
    words = [token.lower() for token in tokens]
    if words[:1] != ["create"] or not {"trigger", "function", "procedure"} & {
        *words[:6]
    }:
        return False
    return "begin" in words and words[-1] != "end"


class Reader:
    """Walk along the tokens of one statement."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def take(self, *words: str) -> bool:
        """Step over `words` if they come next."""
        here = [token.lower() for token in self.tokens[self.at : self.at + len(words)]]
        if here != list(words):
            return False
        self.at += len(words)
        return True

    def one(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def name(self) -> str:
        """Read a name: unquoted, lower case where SQL folds it, without public."""
        parts = [plain(self.one())]
        while self.take("."):
            parts.append(plain(self.one()))
        return ".".join(part for part in parts if part != "public")

    def group(self) -> list[str]:
        """Read a parenthesis, and return what is in it."""
        depth, found = 0, []
        while self.at < len(self.tokens):
            token = self.one()
            depth += (token == "(") - (token == ")")
            found.append(token)
            if depth == 0:
                break
        return found[1:-1]

    def rest(self) -> str:
        """Return what is left, one blank between two tokens, in lower case."""
        return spelled(self.tokens[self.at :])


def plain(token: str) -> str:
    quoted = token[:1] in ('"', "`")
    return token[1:-1] if quoted else token.lower()


def spelled(tokens: list[str]) -> str:
    return " ".join(
        token if token.startswith(("'", "$", '"')) else token.lower()
        for token in tokens
    )


def parts(tokens: list[str]) -> Iterator[list[str]]:
    """Split at the commas that are in no parenthesis."""
    depth = 0
    found: list[str] = []
    for token in tokens:
        depth += (token in "([") - (token in ")]")
        if token == "," and depth == 0:
            yield found
            found = []
        else:
            found.append(token)
    yield found


def read_type(text: str) -> Type:
    """Read the type at the start of `text`."""
    match = TYPE_WORDS.match(text.replace('"', "").lower())
    if match is None:
        return Type("")
    name = match[1] + (match[3] or "")
    size = tuple(int(n) for n in re.findall(r"\d+", match[2] or ""))
    name = TYPES.get(name, name)
    return Type("" if HOLE in name else name, () if "time" in name else size)


def read_column(tokens: list[str]) -> Column:
    reader = Reader(tokens)
    column = Column(reader.name())
    text = reader.rest()
    column.type = read_type(text)
    if column.type.name in SERIALS:
        column.makes = "serial"
        column.type = Type(SERIALS[column.type.name])
    column.primary = "primary key" in text
    column.nullable = "not null" not in text and not column.primary
    column.unique = bool(re.search(r"\bunique\b", text))
    column.indexed = column.unique or column.primary
    if match := re.search(r"\breferences ([\w.\"\ue000]+)", text):
        column.foreign = match[1].replace('"', "")
    if "as identity" in text:
        column.makes = "identity"
    elif match := re.search(rf"\bdefault (.+?)(?= {CLAUSE}|$)", text):
        column.default = match[1]
    elif match := re.search(r"\bas \(.*\)( stored| virtual)?", text):
        column.makes = (match[1] or " computed").strip()
    return column


def read_constraint(tokens: list[str], table: str) -> Operation:
    """Read what follows ADD in ALTER TABLE, or an item of CREATE TABLE."""
    reader = Reader(tokens)
    name = reader.name() if reader.take("constraint") else ""
    text = reader.rest()
    facts: dict[str, Any] = {
        "not_valid": text.endswith("not valid"),
        "using_index": "using index" in text,
        "named": bool(name),
    }
    for words, kind in (
        (("foreign", "key"), "foreign key"),
        (("primary", "key"), "primary key"),
        (("unique",), "unique"),
        (("check",), "check"),
        (("exclude",), "exclude"),
        (("not", "null"), "not null"),
    ):
        if reader.take(*words):
            facts["type"] = kind
            break
    if facts.get("type") == "not null":
        facts["columns"] = [reader.name()]
    elif reader.tokens[reader.at : reader.at + 1] == ["("]:
        inside = reader.group()
        facts["check"] = spelled(inside)
        facts["columns"] = [plain(part[0]) for part in parts(inside) if part]
    if reader.take("references"):
        facts["foreign"] = reader.name()
    return Operation("add_constraint", table, name, facts=facts)


CONSTRAINT = {"constraint", "foreign", "primary", "unique", "check", "exclude"}


def create_table(reader: Reader) -> Operation:
    reader.take("if", "not", "exists")
    table = reader.name()
    facts: dict[str, Any] = {"columns": [], "constraints": []}
    if reader.tokens[reader.at : reader.at + 1] == ["("]:
        for item in parts(reader.group()):
            if item and item[0].lower() in CONSTRAINT:
                facts["constraints"].append(read_constraint(item, table))
            elif item:
                facts["columns"].append(read_column(item))
    facts["filled"] = bool(
        re.search(r"\bas (\( )?(select|with|table)\b", reader.rest())
    )
    return Operation("create_table", table, facts=facts)


def alter_table(reader: Reader) -> Iterator[Operation]:
    reader.take("if", "exists")
    reader.take("only")
    table = reader.name()
    for item in parts(reader.tokens[reader.at :]):
        yield alter_action(Reader(item), table)


# ALTER TABLE forms that take a short lock and change nothing that code reads.
QUIET = re.compile(
    r"(enable|disable|force|no force|replica|owner|set \(|reset|set without|cluster"
    r"|inherit|no inherit|attach|set statistics|rename constraint)"
)


def alter_action(reader: Reader, table: str) -> Operation:
    text = reader.rest()
    if reader.take("add"):
        token = (reader.tokens[reader.at : reader.at + 1] or [""])[0].lower()
        if token in CONSTRAINT or reader.rest().startswith("not null"):
            return read_constraint(reader.tokens[reader.at :], table)
        reader.take("column")
        reader.take("if", "not", "exists")
        column = read_column(reader.tokens[reader.at :])
        facts: dict[str, Any] = {"column": column, "inline": True}
        return Operation("add_column", table, column.name, facts=facts)
    if reader.take("drop"):
        constraint = reader.take("constraint")
        for words in (("primary", "key"), ("foreign", "key"), ("index",), ("key",)):
            constraint = constraint or reader.take(*words)  # MySQL
        reader.take("column")
        reader.take("if", "exists")
        kind = "drop_constraint" if constraint else "drop_column"
        facts = {"cascade": text.endswith("cascade"), "type": ""}
        return Operation(kind, table, reader.name(), facts=facts)
    if reader.take("validate", "constraint"):
        return Operation("validate", table, reader.name())
    if reader.take("rename", "to"):
        return Operation("rename_table", table, facts={"new": reader.name()})
    if text.startswith("rename") and not text.startswith("rename constraint"):
        reader.take("rename")
        reader.take("column")
        old = reader.name()
        reader.take("to")
        return Operation("alter_column", table, old, facts={"new": reader.name()})
    if reader.take("alter"):
        reader.take("column")
        return alter_column(reader, table)
    if re.match(r"set (logged|unlogged|tablespace|access method)", text):
        return Operation("rewrite", table, facts={"text": text})
    if text.startswith("set schema"):
        return Operation("rename_table", table, facts={"new": HOLE})
    if text.startswith("detach partition"):
        return Operation("drop_other", table, facts={"text": "partition"})
    if re.match(r"(enable|force) row level security", text):
        return Operation("secure", table, facts={"text": text})
    if QUIET.match(text):
        return Operation("quiet", table, facts={"text": text})
    return Operation("unread", table, facts={"text": f"alter table {table} {text}"})


def alter_column(reader: Reader, table: str) -> Operation:
    name = reader.name()
    text = reader.rest()
    facts: dict[str, Any] = {}
    if reader.take("set", "not", "null"):
        facts["nullable"] = False
        facts["not_valid"] = reader.rest().startswith("not valid")
    elif reader.take("drop", "not", "null"):
        facts["nullable"] = True
    elif reader.take("set", "default"):
        facts["default"] = reader.rest()
    elif reader.take("drop", "default"):
        facts["default"] = None
    elif reader.take("type") or reader.take("set", "data", "type"):
        kind, _, using = reader.rest().partition(" using ")
        facts["type"] = read_type(kind)
        facts["using"] = using
    elif not re.match(
        r"(set (statistics|storage|compression|\(|generated)|reset|restart|drop)", text
    ):
        return Operation("unread", table, name, facts={"text": text})
    return Operation("alter_column", table, name, facts=facts)


def create_index(reader: Reader, unique: bool) -> Operation:
    facts: dict[str, Any] = {"unique": unique}
    facts["concurrently"] = reader.take("concurrently")
    facts["if_not_exists"] = reader.take("if", "not", "exists")
    on = bool(reader.tokens[reader.at : reader.at + 1]) and reader.take("on")
    name = "" if on else reader.name()
    reader.take("on")
    reader.take("only")
    table = reader.name()
    if reader.take("using"):
        reader.one()
    inside = list(parts(reader.group()))
    facts["columns"] = [plain(part[0]) for part in inside if len(part) == 1]
    facts["expression"] = any("(" in part for part in inside)
    return Operation("create_index", table, name, facts=facts)


def update(reader: Reader) -> Operation:
    """Read UPDATE. `fills`: only rows without a value; `maps`: one constant to one."""
    reader.take("only")
    table = reader.name()
    text = reader.rest()
    head, _, where = text.partition(" where ")
    sets = re.findall(r"(?:^|\bset |, )\"?([\w\ue000]+)\"? = ", head)
    fills = bool(sets) and all(
        re.search(rf"\b{re.escape(name)}\"? is null", where) for name in sets
    )
    constant = r"(?:'[^']*'|-?\d+|true|false|null)"
    maps = bool(re.fullmatch(rf".*\bset \S+ = {constant}", head)) and bool(
        re.match(rf"\S+ (=|in \() ?{constant}", where)
    )
    facts = {
        "columns": sets,
        "fills": fills,
        "maps": maps,
        "where": where,
        "limited": bool(re.search(r"\b(limit|between|id [<>])", text)),
        "skips": "skip locked" in text,
    }
    return Operation("update", table, facts=facts)


DROPS = {"table": "drop_table", "index": "drop_index", "type": "drop_type"}
MADE = (
    r"(or replace |materialized |unlogged |temp |temporary |recursive |constraint )*"
    r"(view|function|procedure|trigger|rule|sequence|extension|schema|domain|type|role"
    r"|policy|aggregate|cast|collation|operator|publication|statistics|server)\b"
)
QUIET_WORDS = re.compile(
    r"(set|reset|show|pragma|begin|start|commit|end|savepoint|release|rollback|comment"
    r"|grant|analyze|explain|alter (sequence|index|function|view|role|default)"
    r"|go|use|alter database)\b"
)
HARMLESS = re.compile(
    r"(json|jsonb|to|date|string|array|regexp|version|random|gen_random)_?"
)
QUIET_CALLS = words(
    """
    and any as case cast coalesce count current_setting currval else exists from
    group_concat in length lower max min nextval not now on or over pg_advisory_lock
    pg_advisory_xact_lock pg_get_serial_sequence pg_try_advisory_lock row_number
    select set_config setval string_agg substr sum then to_regclass upper values
    when where
    """
)


def operation(tokens: list[str]) -> Iterator[Operation]:
    """Read one statement, which may hold several operations."""
    reader = Reader(tokens)
    text = reader.rest()
    short = text if len(text) < 70 else f"{text[:67]}..."
    facts: dict[str, Any] = {"text": short, "full": text}
    if match := re.match(
        r"create (?:(unlogged|temporary|temp|global|local) )*table\b", text
    ):
        reader.at = match[0].count(" ") + 1
        yield create_table(reader)
    elif reader.take("alter", "table") or reader.take("alter", "foreign", "table"):
        yield from alter_table(reader)
    elif re.match(r"create (unique )?index", text):
        reader.one()
        unique = reader.take("unique")
        reader.one()
        yield create_index(reader, unique)
    elif text.startswith("alter type"):
        reader.at = 2
        yield alter_type(reader, facts)
    elif match := re.match(r"drop (table|index|type)\b", text):
        reader.at = 2
        facts["concurrently"] = reader.take("concurrently")
        facts["if_exists"] = reader.take("if", "exists")
        facts["cascade"] = text.endswith("cascade")
        name, kind = reader.name(), DROPS[match[1]]
        table = name if kind == "drop_table" else ""
        yield Operation(kind, table, "" if table else name, facts=facts)
    elif re.match(r"drop (schema|database)\b", text):
        yield Operation("drop_all", facts=facts)
    elif reader.take("create", "type"):
        name = reader.name()
        kind = "create_enum" if reader.take("as", "enum") else "create_other"
        yield Operation(kind, name=name, facts=facts)
    elif match := re.match(rf"create {MADE}", text):
        if match[2] == "trigger":
            facts["on"] = (re.findall(r"\bon ([\w.]+)", text) or [""])[0]
        yield Operation("create_other", facts=facts)
    elif re.match(rf"drop {MADE}", text):
        facts["cascade"] = text.endswith("cascade")
        yield Operation("drop_other", facts=facts)
    elif reader.take("update"):
        found = update(reader)
        found.facts |= facts
        yield found
    elif reader.take("delete", "from"):
        facts["whole"] = not re.search(r" (where|using) ", text)
        yield Operation("delete", reader.name(), facts=facts)
    elif reader.take("truncate"):
        facts["whole"] = True
        reader.take("table")
        reader.take("only")
        yield Operation("truncate", reader.name(), facts=facts)
    elif match := re.match(r"(insert( or \w+)? into|replace into)\b", text):
        reader.at = match[0].count(" ") + 1
        yield Operation("insert", reader.name(), facts=facts)
    elif reader.take("do"):
        yield from block(tokens[1:], facts)
    elif text.startswith(("lock", "reindex", "refresh", "vacuum", "cluster", "revoke")):
        yield Operation(text.split()[0], facts=facts)
    elif text.startswith(("select", "with", "values")):
        yield from query(text, facts)
    elif QUIET_WORDS.match(text) and not text.startswith("set schema"):
        yield Operation("quiet", facts=facts)
    else:
        yield Operation("unread", facts=facts)


def block(tokens: list[str], facts: dict[str, Any]) -> Iterator[Operation]:
    """Read a DO block: what each of its statements does, if it is reached."""
    body = blocks.body_of(tokens)
    inner = blocks.read_block(tokens_of(body)) if body is not None else None
    if body is None or inner is None:
        yield Operation("unread", facts=facts)
        return
    guarded = bool(re.search(r"\b(exception|if)\b", body.lower()))
    found: list[Operation] = []
    for statement, repeated in inner:
        text = statement[1] if len(statement) == 2 else ""
        if statement[0].lower() == "execute" and text.startswith("'"):
            made = read_sql(text[1:-1].replace("''", "'"))
        else:
            made = [*operation(statement)]
        for op in made:
            op.repeated = op.repeated or repeated
            op.facts["guarded"] = guarded
            op.ways = (id(inner),) if guarded else ()
        found += made
    yield from found or [Operation("quiet", facts=facts)]


def alter_type(reader: Reader, facts: dict[str, Any]) -> Operation:
    name = reader.name()
    if reader.take("add", "value"):
        facts["if_not_exists"] = reader.take("if", "not", "exists")
        facts["value"] = reader.one().strip("'")
        return Operation("add_value", name=name, facts=facts)
    if reader.take("rename", "value"):
        return Operation("rename_value", name=name, facts=facts)
    if reader.take("rename", "to"):
        facts["new"] = reader.name()
        return Operation("rename_type", name=name, facts=facts)
    return Operation("quiet" if reader.take("owner") else "unread", facts=facts)


def query(text: str, facts: dict[str, Any]) -> Iterator[Operation]:
    """Read SELECT or WITH: harmless, unless it changes rows or calls what may."""
    bare = re.sub(r"'(?:[^']|'')*'", "''", text)
    changes = False
    for match in re.finditer(
        r"\b(update|delete from|insert into) ([\w.\ue000]+)", bare
    ):
        if match[1] == "update" and match[2] not in ("skip", "of", "nowait", "set"):
            found = update(Reader(bare[match.start(2) :].split()))
            more = {"limited": "limit" in text, "skips": "skip locked" in text}
            found.facts |= facts | more
            found.facts["fills"] = found.facts["fills"] or all(
                f"{name} is null" in text for name in found.facts["columns"]
            )
            yield found
        elif match[1] != "update":
            yield Operation(match[1].split()[0], match[2], facts=facts)
        changes = changes or match[1] != "update" or match[2] not in ("skip", "of")
    calls = {*re.findall(r"([\w.]+) \(", bare)} - QUIET_CALLS
    calls = {name for name in calls if not HARMLESS.match(name)}
    hidden = text.startswith("select") and " from " not in text and bool(calls)
    if hidden or HOLE in text[:20]:
        yield Operation("unread", facts=facts)
    elif not changes:
        yield Operation("select", facts=facts)


def read_sql(text: str) -> list[Operation]:
    """Read a script: the operations of each statement, with the line of each."""
    found = []
    for line, tokens in statements(text):
        for op in operation(tokens):
            op.line = line
            found.append(op)
    return found
