"""Find foreign keys without an index: neither database makes one.

def test_every_foreign_key_has_an_index() -> None:
    assert unindexed_foreign_keys(Base.metadata) == []

Without it, to delete a row or change its key reads the whole of each table that refers
to it, once for each row; so does every join from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import MetaData, Table, UniqueConstraint


def unindexed_foreign_keys(metadata: MetaData) -> list[str]:
    """Return the foreign keys, as `table(column, ...)`, that no index begins with.

    The index of a primary key or a unique constraint serves as well. A partial index
    does not: the database looks for all rows.
    https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK
    """
    return sorted(
        f"{table.name}({', '.join(key.column_keys)})"
        for table in metadata.tables.values()
        for key in table.foreign_key_constraints
        if not any(
            set(columns[: len(key.columns)]) == set(key.columns)
            for columns in _indexed(table)
        )
    )


def _indexed(table: Table) -> Iterator[Sequence[object]]:
    """Yield what each index of a table is on, in its order."""
    yield list(table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield list(constraint.columns)
    for index in table.indexes:
        if not any(option.endswith("_where") for option in index.dialect_kwargs):
            # An expression is no column, whatever columns it is made of.
            yield list(index.expressions)
