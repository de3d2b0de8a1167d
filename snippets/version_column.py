"""Optimistic locking: of two changes of one version of a row, the second fails.

class Note(Versioned, Base): ...

check_version(note, patch.version)  # the client's version, before the change
"""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import text
from sqlalchemy.event import listens_for
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from .domain_error import ChangedMeanwhile

Version = Annotated[
    int, mapped_column(server_default=text("1"), onupdate=text("version + 1"))
]


class HasVersion:
    """What has a column `version`: mix this in where you declare it yourself."""

    version: Any


class Versioned(HasVersion):
    """Mix this into a model. A flush that changes or deletes a row which another
    transaction has changed since it was read raises `StaleDataError`.

    An UPDATE of many rows counts the version on, too, so that it is noticed; it does
    not check it. https://docs.sqlalchemy.org/en/20/orm/versioning.html
    """

    version: Mapped[Version]


# Not in `__mapper_args__`: a model that has one of its own would lose it, unnoticed.
@listens_for(HasVersion, "instrument_class", propagate=True)
def check_versions(mapper: Mapper[Any], model: type[Any]) -> None:
    if mapper.inherits is None:
        mapper.version_id_col = mapper.local_table.c["version"]


def check_version(row: HasVersion, version: int) -> None:
    """Compare with the version that the client has seen; the flush checks the rest.

    Raises:
        ChangedMeanwhile: somebody changed the row since.
    """
    if row.version != version:
        raise ChangedMeanwhile
