"""Optimistic locking: of two changes of one version of a row, the second fails.

class Note(Versioned, Base): ...

check_version(note, patch.version)  # the client's version, before the change
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from .domain_error import ChangedMeanwhile


class Versioned:
    """Mix this into a model. A flush that changes or deletes a row which another
    transaction has changed since it was read raises `StaleDataError`.

    An UPDATE of many rows counts the version on, too, so that it is noticed; it does
    not check it. https://docs.sqlalchemy.org/en/20/orm/versioning.html
    """

    version: Mapped[int] = mapped_column(
        server_default=text("1"), onupdate=text("version + 1")
    )

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}


def check_version(row: Versioned, version: int) -> None:
    """Compare with the version that the client has seen; the flush checks the rest.

    Raises:
        ChangedMeanwhile: somebody changed the row since.
    """
    if row.version != version:
        raise ChangedMeanwhile
