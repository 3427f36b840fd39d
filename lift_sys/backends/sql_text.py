"""Takes the text of an SQL file apart into statements, as the Supabase CLI records them.

A lexer, not a parser: it knows strings, quoted names, dollar quotes, comments, parentheses and
``begin atomic`` bodies, which is all that can hide a semicolon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<string>[eE]'(?:[^'\\]|''|\\.)*'?|'(?:[^']|'')*'?)
    | (?P<quoted>"(?:[^"]|"")*"?)
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<mark>[;()])
    | (?P<space>\s+)
    | (?P<other>\d[\w$]*|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Statement:
    """One statement of a file.

    Attributes:
        text: as written, comments before it included; no semicolon at its end, no space around it.
        keyword: its first word in lower case; empty where there are only comments.
    """

    text: str
    keyword: str


def split_statements(sql: str) -> list[Statement]:
    """Return the statements of ``sql`` in order; empty ones are left out, lone comments are not."""
    statements = []
    start, keyword = 0, ""
    nesting = _Nesting()
    for kind, token_start, token_end in _tokens(sql):
        lexeme = sql[token_start:token_end].lower()
        if lexeme == ";" and nesting.is_outermost:
            statements.append(Statement(sql[start:token_start].strip(), keyword))
            start, keyword = token_end, ""
            nesting = _Nesting()
        elif kind in {"word", "mark"}:
            keyword = keyword or lexeme
            nesting.follow(lexeme)
    statements.append(Statement(sql[start:].strip(), keyword))
    return [statement for statement in statements if statement.text]


def moved_to_schema(sql: str, schema: str) -> str:
    """Return an SQL file of ours with another schema in the place of ``public``.

    Names are replaced in function bodies too, where they are qualified as everywhere.

    Args:
        sql: names what is in ``public`` and in ``lift_sys_internal`` with the schema before it.
        schema: a name without quotes in it.
    """
    sql = re.sub(r"\bpublic\.(?=\w)", f'"{schema}".', sql)
    return re.sub(r"\blift_sys_internal\b", f'"{schema}_internal"', sql)


class _Nesting:
    """How deep inside parentheses or a ``begin atomic`` body the lexer is."""

    def __init__(self) -> None:
        self._parentheses = 0
        self._blocks = 0
        self._previous = ""

    @property
    def is_outermost(self) -> bool:
        return self._parentheses <= 0 and self._blocks == 0

    def follow(self, lexeme: str) -> None:
        if lexeme == "(":
            self._parentheses += 1
        elif lexeme == ")":
            self._parentheses -= 1
        elif (lexeme == "atomic" and self._previous == "begin") or (
            self._blocks and lexeme == "case"
        ):
            self._blocks += 1
        elif self._blocks and lexeme == "end":
            self._blocks -= 1
        self._previous = lexeme


def _tokens(sql: str) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) for the whole text; kind is a group of ``_TOKEN``."""
    position = 0
    while match := _TOKEN.match(sql, position):
        kind, end = match.lastgroup or "other", match.end()
        if kind == "block":
            end = _end_of_block_comment(sql, end)
        elif kind == "dollar":
            closing = sql.find(match.group(), end)
            end = len(sql) if closing < 0 else closing + len(match.group())
        yield kind, position, end
        position = end


def _end_of_block_comment(sql: str, position: int) -> int:
    depth = 1
    while depth and (edge := _BLOCK_EDGE.search(sql, position)):
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return len(sql) if depth else position
