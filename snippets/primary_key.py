"""Primary keys that both databases generate, and that INSERTs still batch.

id: Mapped[BigKey]      # 64 bits, counted by the database
id: Mapped[UuidKey]     # UUIDv7, made here: known before the INSERT's answer
"""

from __future__ import annotations

import secrets
import time
from typing import Annotated
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Integer
from sqlalchemy.orm import mapped_column

# SQLite counts only in a column that is INTEGER, which has 64 bits there anyway.
BigKey = Annotated[
    int,
    mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True
    ),
]


def uuid7() -> UUID:
    """Return a UUID that sorts by time, to a quarter of a microsecond.

    A random key goes to a random page of the index; this goes to its end. Its time
    can be read from it. https://www.rfc-editor.org/rfc/rfc9562#section-6.2 (method 3)
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    number = milliseconds << 80 | 7 << 76 | fraction << 64
    return UUID(int=number | 2 << 62 | secrets.randbits(62))


UuidKey = Annotated[UUID, mapped_column(primary_key=True, insert_default=uuid7)]
