"""What people type into a search box, for PostgreSQL and for SQLite's FTS5.

    cake recipe          both words          "apple cake"    one behind the other
    cake -apple          without apple       cake or bread   either
    choc*                how a word begins

Nothing that is typed is an error: what cannot be meant is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_QUERY = 200  # characters; what is behind them does not count
TERM = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')
# Quotes of either language, NUL, and halves of characters, which no driver can send.
UNSENDABLE = re.compile("['\"\\\\*\0\ud800-\udfff]")


@dataclass
class Term:
    """A word, or words one behind the other."""

    text: str
    excluded: bool = False
    prefix: bool = False


def parse_query(text: str) -> list[list[Term]]:
    """Return alternatives, each of terms that must all fit.

    An alternative that only excludes is left out: it would be nearly every row.
    """
    groups: list[list[Term]] = [[]]
    for sign, phrase, word in TERM.findall(text[:MAX_QUERY]):
        if word.lower() == "or" and not sign:
            groups.append([])
            continue
        term = Term(
            " ".join(UNSENDABLE.sub(" ", phrase or word).split()),
            excluded=bool(sign),
            prefix=word.endswith("*"),
        )
        if any(map(str.isalnum, term.text)):
            groups[-1].append(term)
    return [group for group in groups if not all(term.excluded for term in group)]


def tsquery(groups: list[list[Term]]) -> str:
    """Return the text for PostgreSQL's `to_tsquery`."""
    return " | ".join(
        " & ".join(
            f"{'!' * term.excluded}'{term.text}'{':*' * term.prefix}" for term in group
        )
        for group in groups
    )


def fts5_query(groups: list[list[Term]]) -> str:
    """Return the text for `MATCH` of SQLite's FTS5."""
    alternatives: list[str] = []
    for group in groups:
        wanted = [_fts5(term) for term in group if not term.excluded]
        excluded = [f" NOT {_fts5(term)}" for term in group if term.excluded]
        alternatives.append(f"({' AND '.join(wanted)}){''.join(excluded)}")
    return " OR ".join(alternatives) or '""'  # which matches nothing


def _fts5(term: Term) -> str:
    return f'"{term.text}"{"*" * term.prefix}'
