"""One revision file: where it stands in the history, and what it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .sql import HOLE, Operation


@dataclass
class Revision:
    """One file: where it stands in the history, and what it does."""

    path: str
    revision: str = ""
    down: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    upgrade: list[Operation] = field(default_factory=list)
    downgrade: list[Operation] = field(default_factory=list)
    faults: list[Operation] = field(default_factory=list)  # of the file as a whole
    # What "upgrade" and "downgrade" amount to: "" (missing), "pass", "raise" or "body".
    has: dict[str, str] = field(default_factory=dict)
    problem: str = ""  # why it could not be read
    text: str = ""


def names_of(value: Any) -> tuple[str, ...]:
    """Return the revision ids in `down_revision`, `depends_on`, `branch_labels`."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple, set)):
        return tuple(str(item) for item in value)
    return () if value is None else (HOLE,)
