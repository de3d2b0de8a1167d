"""The errors that a caller of the database layer can understand and answer."""

from __future__ import annotations

from collections.abc import Iterable


class DomainError(Exception):
    """What went wrong, in which fields. It never quotes values or SQL."""

    message = "the database refused this"

    def __init__(
        self, fields: Iterable[str] = (), constraint: str | None = None
    ) -> None:
        self.fields = tuple(fields)
        self.constraint = constraint
        named = ": " + ", ".join(self.fields) if self.fields else ""
        super().__init__(f"{self.message}{named}")


class NotFound(DomainError):
    message = "there is no such row"


class AlreadyExists(DomainError):
    message = "this is taken"


class ReferenceMissing(DomainError):
    message = "what this refers to does not exist"


class StillReferenced(DomainError):
    message = "other rows still refer to this"


class FieldRequired(DomainError):
    message = "a value is required"


class CheckFailed(DomainError):
    message = "a rule does not allow this value"


class InvalidValue(DomainError):
    message = "a value is too long, out of range or not valid text"


class UnknownField(DomainError):
    message = "there is no such field"


class ChangedMeanwhile(DomainError):
    message = "somebody else changed this, read it again"


class TryAgain(DomainError):
    message = "others are writing the same rows, try again"
