"""Cursors: a place in a list, as text that is opaque, URL-safe and tamper-evident.

A cursor carries the values of a sort key exactly as the driver gave them, and works
only for the list that it was made for. Whoever holds it can read those values: do not
sort a list by what its reader must not see.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b, sha256
from hmac import compare_digest
from typing import Any
from uuid import UUID

# Raise it when a release reads cursors differently: the old ones are then refused.
VERSION = 1
MAX_CURSOR = 4096  # characters; proxies accept URLs of 8 KiB
SIGNATURE = 16  # bytes

TICK = timedelta(microseconds=1)


def _integer(text: str) -> int:
    if -(2**63) <= (number := int(text)) < 2**63:
        return number
    raise OverflowError


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if number.is_finite() and abs(number.adjusted()) > 131_072:  # PostgreSQL's limit
        raise OverflowError
    return number


# One letter a type, how to write it, how to read it. The first that fits counts:
# bool is an int, datetime a date. SQLite's driver knows the first six rows only.
TYPES: list[tuple[bytes, type[Any], Callable[[Any], str], Callable[[str], Any]]] = [
    (b"0", type(None), lambda value: "", {"": None}.__getitem__),
    (b"b", bool, "{:d}".format, {"0": False, "1": True}.__getitem__),
    (b"i", int, str, _integer),
    (b"f", float, repr, float),
    (b"s", str, str, str),
    (b"y", bytes, bytes.hex, bytes.fromhex),
    (b"n", Decimal, str, _decimal),
    (b"t", datetime, datetime.isoformat, datetime.fromisoformat),
    (b"d", date, date.isoformat, date.fromisoformat),
    (b"h", time, time.isoformat, time.fromisoformat),
    (b"l", timedelta, lambda value: str(value // TICK), lambda text: int(text) * TICK),
    (b"u", UUID, str, UUID),
]
READERS = {letter: read for letter, _, _, read in TYPES}


class InvalidCursor(ValueError):
    """The client sent a cursor that is not one of this list's: answer 4xx."""

    def __init__(self) -> None:
        super().__init__(
            "the cursor does not belong to this list: start again without one"
        )


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: at the row with these values, in this direction.

    `inclusive` if that row was not shown yet. `tied` counts the leading keys that did
    not change over the page before: only a hint at which query is cheapest.
    """

    values: Sequence[Any]
    backward: bool = False
    inclusive: bool = False
    tied: int = 0


def encode_cursor(cursor: Cursor, *, binding: bytes, secret: bytes = b"") -> str:
    """Return the text for `cursor`, of use only with the same binding and secret.

    Raises:
        TypeError: a value has a type that cannot be written.
        ValueError: the text would exceed `MAX_CURSOR`.
    """
    payload = bytes((VERSION, cursor.backward + 2 * cursor.inclusive, cursor.tied))
    for value in cursor.values:
        letter, text = _write(value)
        # A length that does not fit belongs to a cursor that is refused below.
        payload += letter + min(len(text), 0xFFFF).to_bytes(2, "big") + text
    text = urlsafe_b64encode(_sign(payload, binding, secret) + payload)
    if len(text) > MAX_CURSOR:
        raise ValueError(
            f"the sort key of a row is too long for a cursor ({len(payload)} bytes):"
            " sort by the beginning of the text, func.substr(column, 1, 100)"
        )
    return text.decode().rstrip("=")


def decode_cursor(text: str, *, binding: bytes, secret: bytes = b"") -> Cursor:
    """Return the cursor that `text` was made from.

    Raises:
        InvalidCursor: it was made for another list, changed, cut, or not made here.
    """
    try:
        return _decode(text, binding, secret)
    except (ValueError, KeyError, ArithmeticError) as exc:
        raise InvalidCursor from exc


def _decode(text: str, binding: bytes, secret: bytes) -> Cursor:
    if len(text) > MAX_CURSOR:
        raise InvalidCursor
    data = urlsafe_b64decode(text + "==")
    signature, payload = data[:SIGNATURE], data[SIGNATURE:]
    same = urlsafe_b64encode(data).decode().rstrip("=") == text
    if not (same and compare_digest(signature, _sign(payload, binding, secret))):
        raise InvalidCursor
    version, flags, tied = payload[:3]
    if version != VERSION:
        raise InvalidCursor
    values: list[Any] = []
    rest = payload[3:]
    while rest:
        end = 3 + int.from_bytes(rest[1:3], "big")
        if end > len(rest):
            raise InvalidCursor
        values.append(READERS[rest[:1]](rest[3:end].decode()))
        rest = rest[end:]
    return Cursor(tuple(values), bool(flags & 1), bool(flags & 2), tied)


def _write(value: object) -> tuple[bytes, bytes]:
    for letter, kind, write, _ in TYPES:
        if isinstance(value, kind):
            return letter, write(value).encode()
    raise TypeError(
        f"a cursor cannot carry {type(value).__qualname__}: sort by a cast of it to"
        " text, a number or a timestamp"
    )


def _sign(payload: bytes, binding: bytes, secret: bytes) -> bytes:
    """Without a secret a checksum: it stops accidents, not somebody who read this."""
    key = sha256(secret).digest() if secret else b""
    return blake2b(binding + payload, key=key, digest_size=SIGNATURE).digest()
