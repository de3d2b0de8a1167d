"""Filters and orders as FastAPI parameters: all in OpenAPI, and what is wrong a 422.

NoteFilters = Annotated[Conditions, Depends(FilterQuery(FILTERS, besides="sort page"))]
NoteOrder = Annotated[Order, Depends(sort_query(SORTS))]

@app.get("/notes")
async def notes(where: NoteFilters, order: NoteOrder, ...) -> OffsetPage[NoteRead]:
    stmt = select(Note).where(*where)
    page = await Numbered(Note, *order).fetch(session, stmt, page=params.page)
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import Parameter, Signature
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy import UnaryExpression

from .filter_field import MAX_VALUES, Condition
from .filtering import ANY, MAX_CONDITIONS, MAX_GROUP, FilterFields, InvalidFilter
from .sorting import InvalidSort, SortFields

Conditions = list[Condition]
Order = tuple[UnaryExpression[object], ...]


class FilterQuery:
    """A dependency that reads the filters of a request.

    `besides` names the other parameters of the route, with spaces between them.
    Whatever else a client sends is an error.
    """

    def __init__(self, fields: FilterFields, *, besides: str = "") -> None:
        self.fields = fields
        self.others = besides.split()
        request = Parameter("request", Parameter.KEYWORD_ONLY, annotation=Request)
        # FastAPI reads this, for OpenAPI: what it would make of the values is not used.
        # It takes the last of two, and "1_000" for a number.
        self.__signature__ = Signature([request, *_described(fields)])

    async def __call__(self, request: Request, **described: object) -> Conditions:
        sent = request.query_params.multi_items()
        try:
            return self.fields.parse(
                pair for pair in sent if pair[0] not in self.others
            )
        except InvalidFilter as error:
            raise _refused(error.name, error) from None


def sort_query(fields: SortFields) -> Callable[..., Coroutine[Any, Any, Order]]:
    """Return a dependency that reads the parameter `sort`."""

    async def order(sort: str | None = None) -> Order:
        try:
            return fields.parse(sort)
        except InvalidSort as error:
            raise _refused("sort", error) from None

    text = f"some of {', '.join(fields.fields)}, with commas; - before one: descending"
    query = Query(description=text, examples=[fields.default])
    order.__annotations__ = {"sort": Annotated[str | None, query]}
    return order


def _refused(name: str, error: Exception) -> RequestValidationError:
    where = ("query", name)
    return RequestValidationError([{"type": "value", "loc": where, "msg": str(error)}])


def _described(fields: FilterFields) -> list[Parameter]:
    options = [
        (name, found.meaning, found.read.schema, MAX_VALUES if found.many else 0)
        for name, found in fields.filters.items()
    ]
    text = "a query string, of which one condition must hold; it may come repeatedly"
    group = {"type": "string", "maxLength": MAX_GROUP}
    options.append((ANY, text, group, MAX_CONDITIONS))
    return [_parameter(f"filter_{i}", *option) for i, option in enumerate(options)]


def _parameter(
    word: str, name: str, text: str, schema: dict[str, Any], many: int
) -> Parameter:
    kind: Any = list[Any] if many else Any
    extra: Any = {"items": schema, "maxItems": many} if many else schema
    return Parameter(
        word,
        Parameter.KEYWORD_ONLY,
        default=Query(None, alias=name, description=text, json_schema_extra=extra),
        annotation=kind,
    )
