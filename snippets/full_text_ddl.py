"""DDL of a full-text index: for a revision, on PostgreSQL and SQLite.

    def upgrade() -> None:
        dialect = op.get_bind().dialect.name
        for sql in create_full_text(dialect, "note", ["title", "body"]):
            op.execute(sql)

PostgreSQL keeps a generated column with a GIN index, SQLite an FTS5 table that triggers
keep in step. No model declares them: pass `include_name=keep_full_text` to `run_env`,
or autogenerate drops them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

VECTOR = "search_vector"  # the column on PostgreSQL
SUFFIX = "_fts"  # of the table on SQLite, and of the index on PostgreSQL
WEIGHTS = "ABCD"
# Characters of one column: a vector of more than 1 MB makes the INSERT fail.
MAX_INDEXED = 50_000


def create_full_text(
    dialect: str,
    table: str,
    columns: Sequence[str],
    *,
    key: str = "id",
    language: str = "simple",
) -> list[str]:
    """Return the statements that index `columns`, the most important one first.

    `language` is a configuration of PostgreSQL: "simple" takes words as they are, and
    "english" reduces them to stems, which SQLite does for English only. `key` is an
    integer primary key. PostgreSQL writes the table anew and locks it meanwhile.

    Raises:
        ValueError: there are no columns, or more than four.
    """
    if not 1 <= len(columns) <= len(WEIGHTS):
        raise ValueError(f"{len(columns)} columns: expected 1 to {len(WEIGHTS)}")
    if dialect == "postgresql":
        vectors = [
            f"setweight(to_tsvector('{language}',"
            f" left(coalesce({_q(c)}, ''), {MAX_INDEXED})), '{weight}')"
            for c, weight in zip(columns, WEIGHTS, strict=False)
        ]
        return [
            f"ALTER TABLE {_q(table)} ADD COLUMN {VECTOR} tsvector"
            f" GENERATED ALWAYS AS ({' || '.join(vectors)}) STORED",
            f"CREATE INDEX {_q(table + SUFFIX)} ON {_q(table)} USING gin ({VECTOR})",
        ]
    search, names = _q(table + SUFFIX), ", ".join(map(_q, columns))
    new, old = (
        ", ".join(f"{row}.{_q(c)}" for c in [key, *columns]) for row in ("new", "old")
    )
    insert = f"INSERT INTO {search} (rowid, {names}) VALUES ({new});"
    # FTS5 must be told the text that goes: it keeps none.
    delete = (
        f"INSERT INTO {search} ({search}, rowid, {names}) VALUES ('delete', {old});"
    )
    stems = "" if language == "simple" else "porter "
    return [
        f"CREATE VIRTUAL TABLE {search} USING fts5({names}, content={_q(table)},"
        f" content_rowid={_q(key)}, tokenize='{stems}unicode61 remove_diacritics 0')",
        *(
            f"CREATE TRIGGER {_q(f'{table}{SUFFIX}_{event.lower()}')}"
            f" AFTER {event} ON {_q(table)} BEGIN {body} END"
            for event, body in {
                "INSERT": insert,
                "DELETE": delete,
                "UPDATE": f"{delete} {insert}",
            }.items()
        ),
        f"INSERT INTO {search} ({search}) VALUES ('rebuild')",
    ]


def drop_full_text(dialect: str, table: str) -> list[str]:
    """Return the statements that undo `create_full_text`."""
    if dialect == "postgresql":
        return [f"ALTER TABLE {_q(table)} DROP COLUMN {VECTOR}"]  # with its index
    triggers = (f"{table}{SUFFIX}_{event}" for event in ("insert", "delete", "update"))
    drops = [f"DROP TRIGGER {_q(trigger)}" for trigger in triggers]
    return [*drops, f"DROP TABLE {_q(table + SUFFIX)}"]


def keep_full_text(name: str | None, kind: str, parents: object) -> bool:
    """Tell autogenerate what to look at: all but the column, the index, the tables."""
    made = rf"{VECTOR}|\w+{SUFFIX}(_data|_idx|_docsize|_config)?"
    return not re.fullmatch(made, name or "")


def _q(name: str) -> str:
    return f'"{name}"'
