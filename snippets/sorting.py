"""The orders that a client may ask for: `?sort=-score,created_at`, an allow-list."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import UnaryExpression

from .total_order import OrderBy, split_order


class InvalidSort(ValueError):
    """The client asked for an order that is not offered: answer 4xx."""


class SortFields:
    """Names for expressions, and the order of a client that asks for none.

        SortFields(
            {"score": Player.score.nulls_first(), "name": func.lower(Player.name)},
            default="-score",
        )

    A name never becomes an attribute of the model: a client could sort by a column
    that it must not read, and find its values by bisection.
    """

    def __init__(self, fields: Mapping[str, OrderBy], *, default: str) -> None:
        self.fields = dict(fields)
        self.default = default
        self.orders: dict[str, UnaryExpression[object]] = {}
        for name, field in fields.items():
            # Where NULLs stand belongs to the list; the direction to the client.
            key, _, nulls_first = split_order(field)
            for sign, order in ("", key.asc()), ("-", key.desc()):
                self.orders[sign + name] = order.nulls_first() if nulls_first else order
        self.parse(default)

    def parse(self, text: str | None) -> tuple[UnaryExpression[object], ...]:
        """Return the order that `text` asks for, for `total_order` to complete.

        Raises:
            InvalidSort: a name is not on the list, or comes twice.
        """
        asked = [part.strip() for part in (text or self.default).split(",")]
        names = [part.removeprefix("-") for part in asked]
        if len(set(names)) < len(names) or not self.fields.keys() >= set(names):
            raise InvalidSort(
                f"cannot sort by {str(text)[:80]!r}: expected names from"
                f" {', '.join(self.fields)}, each once, with commas between them and"
                " - before one for descending"
            )
        return tuple(self.orders[part] for part in asked)
