"""FastAPI answers for database errors: 404, 409, 422 and 503 instead of 500.

    app = FastAPI(lifespan=lifespan)
    add_error_handlers(app, Base.metadata)

A duplicate e-mail is `409 {"detail": "this is taken: email", "error":
"AlreadyExists", "fields": ["email"]}` on both databases, also in a race.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy import MetaData
from sqlalchemy.exc import StatementError
from sqlalchemy.orm.exc import StaleDataError

from . import domain_error as domain
from .database_error import as_domain_error

STATUS: dict[type[domain.DomainError], int] = {
    domain.NotFound: status.HTTP_404_NOT_FOUND,
    domain.AlreadyExists: status.HTTP_409_CONFLICT,
    domain.StillReferenced: status.HTTP_409_CONFLICT,
    domain.ChangedMeanwhile: status.HTTP_409_CONFLICT,
    domain.TryAgain: status.HTTP_503_SERVICE_UNAVAILABLE,
}


def add_error_handlers(app: FastAPI, metadata: MetaData) -> None:
    """Answer what the routes raise, and what the commit after them raises."""

    async def answer(request: Request, exc: Exception) -> JSONResponse:
        error: domain.DomainError | None
        if isinstance(exc, domain.DomainError):
            error = exc
        elif isinstance(exc.__context__, RequestValidationError):
            # FastAPI's answer repeats the lone surrogate that it refuses, and fails.
            error = domain.InvalidValue()
        else:
            error = as_domain_error(exc, metadata)
        if error is None:
            raise exc  # a fault of ours: 500, and the traceback in the log
        content = {
            "detail": str(error),
            "error": type(error).__name__,
            "fields": error.fields,
        }
        again = {"Retry-After": "1"} if isinstance(error, domain.TryAgain) else None
        return JSONResponse(content, STATUS.get(type(error), 422), again)

    # sqlite3 raises the last two bare, for integers above 64 bits and lone surrogates.
    for kind in (
        domain.DomainError,
        StatementError,
        StaleDataError,
        OverflowError,
        UnicodeEncodeError,
    ):
        app.add_exception_handler(kind, answer)
