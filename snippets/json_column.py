"""JSON columns that notice changes: JSONB on PostgreSQL, JSON text on SQLite.

settings: Mapped[JsonDict] = mapped_column(default=dict)
tags: Mapped[JsonList | None]

select(User).where(User.settings["theme"].as_string() == "dark")    # both
select(User).where(User.settings.contains({"theme": "dark"}))       # PostgreSQL
"""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeEngine


def json_type() -> TypeEngine[Any]:
    """Return the type for both. JSONB comes first: a variant takes its operators from
    the first type. None is SQL's NULL, which `is_(None)` finds.
    https://docs.sqlalchemy.org/en/20/core/type_basics.html#sqlalchemy.types.JSON
    """
    return JSONB(none_as_null=True).with_variant(JSON(none_as_null=True), "sqlite")


# Changes of the outer dict or list are seen. For one inside, assign the outer value
# again: `user.settings["menu"] = {**user.settings["menu"], "open": True}`.
JsonDict = Annotated[
    dict[str, Any], mapped_column(MutableDict[str, Any].as_mutable(json_type()))
]
JsonList = Annotated[list[Any], mapped_column(MutableList[Any].as_mutable(json_type()))]
