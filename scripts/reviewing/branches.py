"""What a name is worth after the ways that may have been taken to it.

Where the databases differ, a value is that of PostgreSQL; a text may be several, each
with the databases that get it; a truth becomes a question about the database. What
differs for a reason that only a run could tell is UNKNOWN.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from .sql import HOLE
from .values import UNKNOWN, DialectTest, chain_of

Databases = frozenset[str]
Way = tuple[Databases, dict[str, Any]]  # where it goes on, and with which names
CHOICES = 8  # texts that one name may stand for
PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Either:
    """Texts that a run chooses from, each with the databases that it is for."""

    texts: tuple[tuple[Databases, str], ...]


class Sample(list[Any]):
    """One item of a list whose items only a run could tell."""


def texts(databases: Databases, value: Any) -> list[tuple[Databases, str]]:
    """Return the texts that a value may be, or nothing if it may be something else."""
    if isinstance(value, Either):
        found = [(where & databases, text) for where, text in value.texts]
        return [(where, text) for where, text in found if where]
    return [(databases, value)] if isinstance(value, str) else []


def merge(one: Any, here: Databases, two: Any, there: Databases, depth: int = 0) -> Any:
    """Return what a name is worth after one way or the other."""
    if one is two:
        return one
    if isinstance(one, PLAIN) and type(one) is type(two) and one == two:
        return one
    if isinstance(one, bool) and isinstance(two, bool) and not here & there:
        return DialectTest(here, there) if one else DialectTest(there, here)
    first, second = texts(here, one), texts(there, two)
    if first and second:
        both = [*first, *second]
        return Either(tuple(dict.fromkeys(both))) if len(both) <= CHOICES else UNKNOWN
    if ("postgresql" in here) != ("postgresql" in there):
        return one if "postgresql" in here else two
    # `statement = statement.where(...)`: what may be left out is not counted on.
    for less, more in ((one, two), (two, one)):
        if any(part is less for part in chain_of(more)):
            return less
    pair = (one, two)
    rows = all(type(value) in (list, tuple) for value in pair) and depth < 3
    if rows and len(one) == len(two):
        items = zip(one, two, strict=True)
        return [merge(a, here, b, there, depth + 1) for a, b in items]
    return UNKNOWN


def merge_all(values: list[tuple[Databases, Any]]) -> Any:
    """Return what is left of the values that several ways give."""
    if not values:
        return UNKNOWN
    here, found = values[0]
    for there, value in values[1:]:
        found = merge(found, here, value, there)
        here |= there
    return found


def merge_scopes(ways: list[Way]) -> dict[str, Any]:
    """Return the names as they are after one of several ways."""
    (here, found), *others = ways
    found = dict(found)
    for there, scope in others:
        for name in {*found, *scope}:
            # A name that one way does not set is an error there, or is not used.
            if name not in found or name not in scope:
                found[name] = found[name] if name in found else scope[name]
            elif found[name] is not scope[name]:
                found[name] = merge(found[name], here, scope[name], there)
        here |= there
    return found


def assigned(body: list[ast.stmt]) -> set[str]:
    """Return the names that statements give a value."""
    return {
        node.id
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def is_known(value: Any) -> bool:
    """Whether every part of a value is told by the file."""
    if type(value) in (list, tuple, set):
        return all(is_known(item) for item in value)
    return isinstance(value, PLAIN) and not (isinstance(value, str) and HOLE in value)


def compare(left: Any, operator: ast.cmpop, right: Any) -> bool | None:
    """Return what a comparison of constants gives."""
    if not is_known(left) or not is_known(right):
        return None
    if isinstance(operator, (ast.Eq, ast.Is)):
        return bool(left == right)
    if isinstance(operator, (ast.NotEq, ast.IsNot)):
        return bool(left != right)
    if isinstance(operator, (ast.In, ast.NotIn)) and isinstance(
        right, (list, tuple, set)
    ):
        return (left in right) is isinstance(operator, ast.In)
    return None
