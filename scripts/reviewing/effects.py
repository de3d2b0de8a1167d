"""Say what a default and a change of type cost on PostgreSQL."""

from __future__ import annotations

import re

from .sql import HOLE, Type

VOLATILE = re.compile(
    r"\b(gen_random_uuid|uuid_generate_v[14]\w*|uuidv[47]|random|clock_timestamp|timeofday|nextval"
    r"|uuid_generate\w*|statement_timestamp_now|newid|randomblob|gen_salt|gen_random_bytes)\b"
)
STABLE = re.compile(
    r"\b(now|current_timestamp|current_date|current_time|localtimestamp|localtime|timezone"
    r"|transaction_timestamp|statement_timestamp|current_user|session_user|date_trunc|lower"
    r"|upper|to_char|array|jsonb_build_object|json_build_object|jsonb_build_array|concat|true"
    r"|false|null|interval|current_setting|md5|cast|timestamp|date|datetime|julianday|getdate"
    r"|sysdate|empty_clob|utc_timestamp|b|e|make_interval|to_timestamp|json_object|json_array"
    r"|json|jsonb|at|time|zone|utc|text|varchar|uuid|integer|bigint|boolean|timestamptz|numeric"
    r"|character|varying|float|real|double|precision|smallint|int|as|strftime|bytea|inet)\b"
)


def default_kind(default: str | None) -> str:
    """Return "constant" (or stable), "volatile" or "unknown"."""
    if default is None:
        return "constant"
    text = re.sub(r"'(?:[^']|'')*'", "", default.lower())
    if HOLE in text:
        return "unknown"
    if VOLATILE.search(text):
        return "volatile"
    calls = re.findall(r"([a-z_]\w*) ?\(", STABLE.sub("", text))
    return "unknown" if calls else "constant"


LOSSY = {
    "numeric": {"integer", "bigint", "smallint"},
    "double precision": {"integer", "bigint", "smallint", "real", "numeric"},
    "real": {"integer", "bigint", "smallint"},
    "timestamp": {"date", "time"},
    "timestamptz": {"date", "time"},
}


def type_change(old: Type, new: Type) -> str:
    """Return "safe", "rewrites", "loses" or "timestamptz" (PostgreSQL)."""
    pair = (old.name, new.name)
    if not old.name or not new.name:
        return "rewrites"
    if old.name in ("varchar", "text") and new.name in ("varchar", "text"):
        fits = not new.size or (bool(old.size) and old.size <= new.size)
        return "safe" if fits else "rewrites"
    if pair == ("numeric", "numeric"):
        if not new.size or old.size == new.size:
            return "safe"
        scale = (*old.size, 0)[1] if old.size else 99
        if (*new.size, 0)[1] < scale:
            return "loses"
        return (
            "safe"
            if (*new.size, 0)[1] == scale and new.size >= old.size
            else "rewrites"
        )
    if pair == ("timestamp", "timestamptz"):
        return "timestamptz"
    if new.name in LOSSY.get(old.name, ()) and not (
        pair == ("double precision", "numeric") and len(new.size) < 2
    ):
        return "loses"
    same = old.name == new.name and (not new.size or old.size == new.size)
    return "safe" if same and not new.name.endswith("?[]") else "rewrites"


def spell(kind: Type) -> str:
    size = f"({', '.join(map(str, kind.size))})" if kind.size else ""
    return f"{kind.name or '?'}{size}"
