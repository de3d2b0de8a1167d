"""Pages over HTTP: query parameters with limits, models for OpenAPI, Link headers.

@app.get("/notes")
async def notes(params: CursorQuery, links: LinksDep, ...) -> CursorPage[NoteRead]:
    page = await NEWEST.fetch(session, stmt, size=params.size, cursor=params.cursor)
    links.cursors(page)
    return CursorPage[NoteRead].model_validate(page)
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from .cursor_codec import MAX_CURSOR, InvalidCursor
from .keyset_pagination import LAST, Page
from .offset_pagination import NumberedPage, PageTooDeep
from .sorting import InvalidSort

T = TypeVar("T")
MAX_SIZE = 200


class CursorParams(NamedTuple):
    cursor: str | None
    size: int


class PageParams(NamedTuple):
    page: int
    per_page: int


def cursor_params(
    cursor: Annotated[str | None, Query(max_length=MAX_CURSOR)] = None,
    size: Annotated[int, Query(ge=1, le=MAX_SIZE)] = 50,
) -> CursorParams:
    return CursorParams(cursor, size)


def page_params(
    page: Annotated[int, Query(ge=1)] = 1,
    per_page: Annotated[int, Query(ge=1, le=MAX_SIZE)] = 50,
) -> PageParams:
    return PageParams(page, per_page)


CursorQuery = Annotated[CursorParams, Depends(cursor_params)]
PageQuery = Annotated[PageParams, Depends(page_params)]


class CursorPage(BaseModel, Generic[T]):
    """The answer of a list with cursors; takes a `Page` as it is."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    next_cursor: str | None
    previous_cursor: str | None
    has_next: bool
    has_previous: bool
    total: int | None = None


class OffsetPage(BaseModel, Generic[T]):
    """The answer of a list with numbered pages; takes a `NumberedPage` as it is."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    page: int
    per_page: int
    has_next: bool
    total: int | None
    total_is_exact: bool
    pages: int | None


class Links:
    """Writes the `Link` header (RFC 8288): the same URL with other parameters."""

    def __init__(self, request: Request, response: Response) -> None:
        self.request = request
        self.response = response

    def cursors(self, page: Page[Any]) -> None:
        self._write(
            "cursor",
            first=None,
            previous=page.previous_cursor,
            next=page.next_cursor,
            last=LAST,
        )

    def numbers(self, page: NumberedPage[Any]) -> None:
        before = page.page - 1 if page.page > 1 else None
        behind = page.page + 1 if page.has_next else None
        last = page.pages if page.total_is_exact else None
        self._write("page", first=1, previous=before, next=behind, last=last)

    def _write(self, name: str, **targets: Any) -> None:
        links: list[str] = []
        for relation, value in targets.items():
            if value is not None:
                url = self.request.url.include_query_params(**{name: value})
            elif relation == "first":
                url = self.request.url.remove_query_params(name)
            else:
                continue
            links.append(f'<{url}>; rel="{relation.replace("previous", "prev")}"')
        self.response.headers["Link"] = ", ".join(links)


def get_links(request: Request, response: Response) -> Links:
    return Links(request, response)


LinksDep = Annotated[Links, Depends(get_links)]


def add_pagination_errors(app: FastAPI) -> None:
    """Answer 400, with what to do, where a cursor, a sort or a page cannot be used."""

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=400)

    for error in (InvalidCursor, InvalidSort, PageTooDeep):
        app.add_exception_handler(error, refuse)
