"""Evals for snippets/cursor_codec.py."""

from __future__ import annotations

import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from ipaddress import IPv4Address
from math import copysign, isnan
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

import snippets.cursor_codec as codec
from snippets.cursor_codec import (
    MAX_CURSOR,
    SIGNATURE,
    Cursor,
    InvalidCursor,
    decode_cursor,
    encode_cursor,
)

ROOT = Path(__file__).resolve().parents[2]
BINDING = b"notes, newest first"
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456)
VALUES: list[Any] = [
    None,
    *(True, False, 0, -1, 2**63 - 1, -(2**63)),
    *(0.1, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf")),
    *("", "é", "e\u0301", "😀", "a\0b", "\n", "x" * 300),
    *(b"", b"\0\xff"),
    *map(Decimal, ("0", "-0.0001", "1E+3", "99999999999999.9999", "Infinity")),
    *(NOON, NOON.replace(tzinfo=UTC), datetime.min, datetime.max.replace(tzinfo=UTC)),
    NOON.replace(tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    *(date.min, date(2026, 1, 1), time(23, 59, 59, 999999), time(1, tzinfo=UTC)),
    *(timedelta(0), timedelta(days=-1, microseconds=1), timedelta.max, timedelta.min),
    UUID(int=0x1357924680ACE),
]
ANY_VALUE = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.binary()),
    *(st.floats(allow_nan=False), st.text(), st.decimals(allow_nan=False), st.uuids()),
    *(st.dates(), st.timedeltas()),
    # A driver gives UTC or no time zone: it has no hour that comes twice.
    st.one_of(st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.times()).map(
        lambda moment: moment.replace(fold=0)
    ),
)
SAFE = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def through(cursor: Cursor, **options: bytes) -> Cursor:
    minted = encode_cursor(cursor, binding=BINDING, **options)
    return decode_cursor(minted, binding=BINDING, **options)


def refused(text: str, binding: bytes = BINDING, secret: bytes = b"") -> None:
    with pytest.raises(InvalidCursor, match="start again without one"):
        decode_cursor(text, binding=binding, secret=secret)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_equal_and_of_its_type(value: Any) -> None:
    (found,) = through(Cursor((value,))).values
    assert (type(found), repr(found)) == (type(value), repr(value))


async def test_what_the_driver_gave_finds_its_row_again(
    session: AsyncSession, database: str
) -> None:
    expressions = {
        "sqlite": ["1", "0.1 + 0.2", "'é'", "x'00ff'", "CURRENT_TIMESTAMP", "9e999"],
        "postgresql": [
            *(
                "true",
                "1",
                "0.1::float8 + 0.2::float8",
                "'é'::text",
                "'\\x00ff'::bytea",
            ),
            *("12.30::numeric(9, 2)", "'infinity'::float8", "'2026-01-01'::date"),
            *("now()", "localtimestamp", "localtime(6)", "interval '3 days 1 us'"),
            *("'NaN'::numeric", "'NaN'::float8"),
            "'6ecd8c99-4036-403d-bf84-cf8400f67836'::uuid",
        ],
    }
    for expression in expressions[database]:
        value = (await session.execute(text(f"SELECT {expression}"))).scalar_one()
        (found,) = through(Cursor((value,))).values
        stored = text(f"SELECT k = :v FROM (SELECT {expression} AS k) AS t")
        assert (await session.execute(stored, {"v": found})).scalar_one(), expression


def test_minus_zero_and_nan_survive() -> None:
    zero, nan, number = through(Cursor((-0.0, float("nan"), Decimal("NaN")))).values
    assert copysign(1, zero) == -1
    assert isnan(nan)
    assert number.is_nan()


@SAFE
@given(
    st.lists(ANY_VALUE, max_size=6),
    st.booleans(),
    st.booleans(),
    st.integers(0, 9),
    st.binary(),
)
def test_any_cursor_comes_back_equal(
    values: list[Any], backward: bool, inclusive: bool, tied: int, secret: bytes
) -> None:
    cursor = Cursor(tuple(values), backward, inclusive, tied)
    found = through(cursor, secret=secret)
    assert found == cursor
    assert list(map(repr, found.values)) == list(map(repr, values))


def test_a_cursor_goes_into_a_url_as_it_is() -> None:
    cursor = Cursor((datetime.now(UTC), "/?&=#+% é", 7))
    text = encode_cursor(cursor, binding=BINDING)
    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()


def test_a_cursor_of_a_timestamp_and_an_id_is_short() -> None:
    cursor = Cursor((NOON.replace(tzinfo=UTC), 123456))
    assert len(encode_cursor(cursor, binding=BINDING)) == 84


@pytest.mark.trap("foreign-cursor")
def test_a_changed_cursor_is_refused_whatever_was_changed() -> None:
    text = encode_cursor(Cursor((NOON, "é", 5)), binding=BINDING)
    data = urlsafe_b64decode(text + "==")
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            refused(urlsafe_b64encode(changed).decode().rstrip("="))
    for end in range(len(text)):
        refused(text[:end])
    for place in range(len(text)):
        for letter in "A9_é\0 =":
            if text[place] != letter:
                refused(text[:place] + letter + text[place + 1 :])


@pytest.mark.parametrize("junk", ["=", "==", "\n", "A", "AAAA", "é", " "])
def test_nothing_may_be_added_to_a_cursor(junk: str) -> None:
    text = encode_cursor(Cursor((5,)), binding=BINDING)
    refused(text + junk)
    refused(junk + text)


@SAFE
@given(
    st.one_of(st.text(), st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
)
def test_random_text_is_refused(text: str) -> None:
    refused(text)


def test_a_cursor_works_only_for_its_list_and_its_secret() -> None:
    text = encode_cursor(Cursor((5,)), binding=BINDING, secret=b"ours")
    assert decode_cursor(text, binding=BINDING, secret=b"ours").values == (5,)
    refused(text, binding=b"notes of somebody else", secret=b"ours")
    refused(text, secret=b"theirs")
    refused(text)
    long = b"x" * 200
    refused(encode_cursor(Cursor((5,)), binding=BINDING, secret=long), secret=long[:-1])


def test_a_cursor_of_another_version_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = encode_cursor(Cursor((5,)), binding=BINDING)
    monkeypatch.setattr(codec, "VERSION", 2)
    refused(text)


def test_an_oversized_cursor_is_refused_before_it_is_read() -> None:
    refused("A" * (MAX_CURSOR + 1))
    refused("A" * 10_000_000)


def test_the_longest_cursor_works_and_a_longer_one_is_not_made() -> None:
    room = MAX_CURSOR * 3 // 4 - 16 - 3 - 3
    longest = encode_cursor(Cursor(("x" * room,)), binding=BINDING)
    assert len(longest) == MAX_CURSOR
    assert decode_cursor(longest, binding=BINDING).values == ("x" * room,)
    with pytest.raises(ValueError, match=r"too long for a cursor .*func.substr"):
        encode_cursor(Cursor(("x" * (room + 1),)), binding=BINDING)
    with pytest.raises(ValueError, match="too long for a cursor"):
        encode_cursor(Cursor(("x" * 70_000,)), binding=BINDING)


def test_a_type_that_cannot_be_written_is_named() -> None:
    with pytest.raises(TypeError) as caught:
        encode_cursor(Cursor((IPv4Address("10.0.0.1"),)), binding=BINDING)
    assert str(caught.value) == (
        "a cursor cannot carry IPv4Address: sort by a cast of it to text, a number or a"
        " timestamp"
    )


def forged(payload: bytes) -> str:
    """Return what somebody can make who read the code, where there is no secret."""
    signed = blake2b(BINDING + payload, digest_size=SIGNATURE).digest() + payload
    return urlsafe_b64encode(signed).decode().rstrip("=")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x01",
        b"\x01\0",
        b"\x02\0\0",
        b"\x01\0\0q\0\x011",
        b"\x01\0\0i\0\x01x",
        b"\x01\0\0i\0\x14" + b"9" * 20,
        b"\x01\0\0i\0\x05\xff",
        b"\x01\0\0i",
        b"\x01\0\0i\0\x091",
        b"\x01\0\0b\0\x012",
        b"\x01\0\x000\0\x01x",
        b"\x01\0\0n\0\x02xx",
        b"\x01\0\0n\0\x0a1E99999999",
        b"\x01\0\0t\0\x04noon",
        b"\x01\0\0y\0\x01x",
        b"\x01\0\0l\0\x1e" + b"9" * 30,
        b"\x01\0\0u\0\x01x",
        b"\x01\0\0s\0\x01\xff",
    ],
)
def test_a_made_up_cursor_is_refused_too(payload: bytes) -> None:
    refused(forged(payload))


def test_the_next_process_reads_it() -> None:
    text = encode_cursor(Cursor((NOON, "é")), binding=BINDING, secret=b"key")
    code = (
        "from snippets.cursor_codec import decode_cursor;"
        f"print(decode_cursor({text!r}, binding={BINDING!r}, secret=b'key').values)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.strip() == repr((NOON, "é"))


def test_a_number_is_as_large_as_the_database_takes_it() -> None:
    for number in (2**63 - 1, -(2**63), Decimal("1E131072"), Decimal("1E-131072")):
        assert through(Cursor((number,))).values == (number,)
    for number in (2**63, -(2**63) - 1, Decimal("1E131073"), Decimal("1E-131073")):
        refused(encode_cursor(Cursor((number,)), binding=BINDING))


def test_a_cursor_that_is_too_long_is_not_even_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(codec, "MAX_CURSOR", 2 * MAX_CURSOR)
        long = encode_cursor(Cursor(("x" * MAX_CURSOR,)), binding=BINDING)
        assert through(Cursor(("x" * MAX_CURSOR,))).values == ("x" * MAX_CURSOR,)
    refused(long)


def test_a_cursor_of_an_older_copy_is_still_read() -> None:
    old = {
        b"": "yv9Z6BZ2GDYyN5hxOQf-2gEBAWkAATdzAALDqQ",
        b"key": "nxE6_ae6TriugEBT-PP-IAEBAWkAATdzAALDqQ",
    }
    place = Cursor((7, "é"), backward=True, tied=1)
    for secret, text_ in old.items():
        assert encode_cursor(place, binding=BINDING, secret=secret) == text_
        assert decode_cursor(text_, binding=BINDING, secret=secret) == place


def test_a_place_cannot_be_changed_and_is_the_beginning_of_a_page() -> None:
    place = Cursor((1,))
    assert place == Cursor((1,), backward=False, inclusive=False, tied=0)
    with pytest.raises(FrozenInstanceError):
        place.tied = 1  # type: ignore[misc]
