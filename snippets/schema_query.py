"""Lists that read only the columns which a response schema names.

notes = await fetch_as(session, select(Note).order_by(Note.id), NoteOut)
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

S = TypeVar("S", bound=BaseModel)


async def fetch_as(
    session: AsyncSession, stmt: Select[Any], schema: type[S]
) -> list[S]:
    """Return the rows of a select of one model as `schema`, without making objects.

    A field is an attribute of the model, hybrids included. A password hash is not
    read, so it cannot leak.

    Raises:
        AttributeError: the model has no attribute of a field's name.
    """
    fields: dict[str, FieldInfo] = schema.__pydantic_fields__
    model = stmt.column_descriptions[0]["entity"]
    columns = [getattr(model, name) for name in fields]
    rows = await session.execute(stmt.with_only_columns(*columns))
    return [schema.model_validate(dict(row)) for row in rows.mappings()]
