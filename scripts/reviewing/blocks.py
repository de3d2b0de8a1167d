"""Read the statements in a DO block of PL/pgSQL.

Conditions are left out and both ways of them are read; what a statement puts together
while it runs stays unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# What stands before a statement, up to which word.
OPENING = {"begin": "", "else": "", "exception": "", "loop": ""}
OPENING |= {"if": "then", "elsif": "then", "elseif": "then", "when": "then"}
OPENING |= {"while": "loop", "for": "loop", "foreach": "loop", "case": ""}
NOTHING = {"end", "null", "raise", "return", "exit", "continue", "get", "assert"}
LOOPS = {"loop", "while", "for", "foreach"}


def body_of(tokens: list[str]) -> str | None:
    """Return the text between the quotes of a DO, if it is PL/pgSQL."""
    words = [token.lower() for token in tokens]
    if "language" in words and words[-1:] != ["do"]:
        at = words.index("language") + 1
        if words[at : at + 1] != ["plpgsql"]:
            return None
    for token in tokens:
        if quoted := re.fullmatch(r"(\$\w*\$)(.*)\1|'(.*)'", token, re.S):
            return quoted[2] or (quoted[3] or "").replace("''", "'")
    return None


def split(tokens: list[str]) -> Iterator[list[str]]:
    found: list[str] = []
    for token in tokens:
        if token == ";":
            yield found
            found = []
        else:
            found.append(token)
    if found:
        yield found


def read_block(tokens: list[str]) -> list[tuple[list[str], bool]] | None:
    """Return the statements of a block's body, and whether each is in a loop.

    None: it is no block that ends.
    """
    words = [token.lower() for token in tokens]
    if "begin" not in words or words.count("begin") > words.count("end"):
        return None
    if words[0] == "declare":
        tokens = tokens[words.index("begin") :]
    found: list[tuple[list[str], bool]] = []
    loops = 0
    for whole in split(tokens):
        statement, opened = strip(whole)
        loops += opened
        first = [token.lower() for token in statement[:2]]
        if first[:2] == ["end", "loop"]:
            loops -= 1
        if not statement or first[0] in NOTHING or first[1:] in ([":"], [":="], ["="]):
            continue
        if first[0] == "perform":
            statement = ["select", *statement[1:]]
        found.append((statement, loops > 0))
    return found


def strip(tokens: list[str]) -> tuple[list[str], int]:
    """Leave out what opens a branch or a loop before a statement."""
    loops = 0
    while tokens and (word := tokens[0].lower()) in OPENING:
        if word == "case" and len(tokens) > 1 and tokens[1].lower() != "when":
            tokens = [tokens[0], *tokens[2:]]
        loops += word in LOOPS
        words = [token.lower() for token in tokens]
        end = OPENING[word]
        if end and end not in words:
            return tokens, loops
        tokens = tokens[words.index(end) + 1 if end else 1 :]
    return tokens, loops
