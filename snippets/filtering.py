"""The filters that a client may use: `?stars__ge=3&tag__in=red&tag__in=blue`.

    FILTERS = FilterFields({
        "title": Note.title,
        "stars": FilterField(Note.stars, operators="eq ge le isnull"),
        "tag": FilterField(Tag.name, exists=Note.tags.any),
    })
    stmt = select(Note).where(*FILTERS.parse(request.query_params.multi_items()))

All of them must hold. An `any` is a query string in itself, of which one condition
must hold: `any=stars__ge%3D3%26tag%3Dred`. There may be several; they do not nest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import SQLColumnExpression, or_

from .filter_field import Condition, FilterField

ANY = "any"
MAX_CONDITIONS = 20  # in one request
MAX_GROUP = 2_000  # characters of one `any`


class InvalidFilter(ValueError):
    """The client asked for a filter that is not offered: answer 422."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name[:50]
        super().__init__(f"{self.name!r}: {problem}")


class FilterFields:
    """An allow-list of parameters. Any other is an error: a filter that is ignored
    answers with every row."""

    def __init__(
        self, fields: Mapping[str, FilterField | SQLColumnExpression[Any]]
    ) -> None:
        """Raises: TypeError, ValueError: a field cannot be filtered by like this."""
        if ANY in fields:
            raise ValueError(f"a field cannot be called {ANY!r}: name it otherwise")
        self.filters = {
            name if operator == "eq" else f"{name}__{operator}": found
            for name, field in fields.items()
            for operator, found in _field(field).filters().items()
        }

    def parse(self, params: Iterable[tuple[str, str]]) -> list[Condition]:
        """Return the conditions for `Select.where`; none if nothing is asked for.

        Raises:
            InvalidFilter: a name is unknown, a value is of another type, comes twice,
                or there are more than `MAX_CONDITIONS`.
        """
        alone: list[tuple[str, str]] = []
        groups: list[list[tuple[str, str]]] = []
        for name, text in params:
            if name == ANY:
                groups.append(_group(text))
            else:
                alone.append((name, text))
        found = [self._conditions(pairs) for pairs in (alone, *groups)]
        if sum(map(len, found)) > MAX_CONDITIONS:
            raise InvalidFilter(
                ANY, f"expected {MAX_CONDITIONS} filters at most in all"
            )
        return found[0] + [or_(*group) for group in found[1:]]

    def _conditions(self, pairs: list[tuple[str, str]]) -> list[Condition]:
        texts: dict[str, list[str]] = {}
        for name, text in pairs:
            if name not in self.filters:
                names = ", ".join([*self.filters, ANY])
                raise InvalidFilter(name, f"there is no such filter: expected {names}")
            texts.setdefault(name, []).append(text)
        found: list[Condition] = []
        for name, values in texts.items():
            try:
                found.append(self.filters[name].condition(values))
            except ValueError as error:
                raise InvalidFilter(name, str(error)) from None
        return found


def _field(field: FilterField | SQLColumnExpression[Any]) -> FilterField:
    return field if isinstance(field, FilterField) else FilterField(field)


def _group(text: str) -> list[tuple[str, str]]:
    try:
        if text and len(text) <= MAX_GROUP:
            return parse_qsl(
                text, keep_blank_values=True, strict_parsing=True, errors="strict"
            )
    except ValueError:
        pass
    raise InvalidFilter(
        ANY, f"expected a query string of {MAX_GROUP} characters at most"
    )
