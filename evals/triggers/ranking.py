"""Rank texts for a query by BM25: which skill, and which page, its words point to."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
K1, B = 1.2, 0.75  # the usual weights of a repeated word and of a long text
COMMON = set(
    re.findall(
        r"\w+",
        """
        a about after all also an and another any are as at be before by can do does for
        from has have how i if in into is it its me my new no not of on one only or our
        so some that the them then there they this to up us use used was we what when
        which who why with you your
        """,
    )
)


SHORT = COMMON | {re.sub(r"(?<=\w{3})(ing|ed|es|s|e)$", "", word) for word in COMMON}


@dataclass(frozen=True)
class Query:
    """What a developer typed, and where it should lead."""

    query: str
    should_load: bool
    kind: str
    pages: tuple[str, ...]


def queries() -> list[Query]:
    raw = json.loads((ROOT / "evals/triggers/queries.json").read_text("utf-8"))
    return [Query(**(entry | {"pages": tuple(entry["pages"])})) for entry in raw]


def others() -> dict[str, str]:
    """Return the descriptions of other skills by their names."""
    text = (ROOT / "evals/triggers/others.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def routes() -> dict[str, str]:
    """Return what SKILL.md's table says of each page, by the page's name."""
    rows = re.findall(
        r"^\| (.+?) \| \[.+?\]\(references/(.+?)\.md\) \|$",
        (ROOT / "SKILL.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return {page: f"{page} {told}" for told, page in rows}


def words(text: str) -> list[str]:
    """Split into words, and cut what English puts behind them."""
    found = re.findall(r"[^\W_]+", text.casefold())
    return [re.sub(r"(?<=\w{3})(ing|ed|es|s|e)$", "", word) for word in found]


def telling(text: str) -> set[str]:
    """Return the words of a text that say what it is about."""
    return {word for word in words(text) if word not in SHORT and len(word) > 1}


class Ranking:
    """Texts by name, ranked for a query."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.counts = {
            name: Counter(w for w in words(text) if w not in SHORT)
            for name, text in texts.items()
        }
        lengths = [sum(c.values()) for c in self.counts.values()]
        self.mean = sum(lengths) / len(lengths)
        self.found_in = Counter(w for c in self.counts.values() for w in c)

    def score(self, name: str, asked: set[str]) -> float:
        counts = self.counts[name]
        long = sum(counts.values()) / self.mean
        total = 0.0
        for word in asked & counts.keys():
            holders = self.found_in[word]
            rare = math.log(1 + (len(self.counts) - holders + 0.5) / (holders + 0.5))
            often = counts[word]
            total += rare * often * (K1 + 1) / (often + K1 * (1 - B + B * long))
        return total

    def rank(self, query: str) -> list[str]:
        """Return the names whose text shares a word with the query, best first."""
        asked = telling(query)
        scored = {name: self.score(name, asked) for name in self.counts}
        return sorted(
            (name for name, score in scored.items() if score > 0),
            key=lambda name: (-scored[name], name),
        )
