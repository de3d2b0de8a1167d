"""Enums stored by value, with a CHECK that keeps other values out on both databases.

status: Mapped[Status]                                # with `base` of this pack
before: Mapped[Status] = mapped_column(enum_type(Status, name="before"))
"""

from __future__ import annotations

from enum import Enum

import sqlalchemy


def enum_type(
    kind: type[Enum] = Enum, *, name: str | None = None, length: int = 32
) -> sqlalchemy.Enum:
    """Return VARCHAR(length) with a CHECK. SQLAlchemy's own default stores the names of
    the members and has no CHECK on SQLite; a native enum of PostgreSQL cannot lose a
    value again.

    `name` is the constraint's, and the class's by default: a second column of the same
    enum in a table needs one.
    https://docs.sqlalchemy.org/en/20/core/type_basics.html#sqlalchemy.types.Enum
    """
    return sqlalchemy.Enum(
        kind,
        name=name,
        length=length,
        native_enum=False,
        create_constraint=True,
        values_callable=values,
    )


def values(kind: type[Enum]) -> list[str]:
    return [str(member.value) for member in kind]
