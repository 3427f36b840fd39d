"""A translated pattern matches in Postgres exactly what it matched before."""

import re
from typing import Any

import psycopg
import pytest

from lift_sys.contracts.patterns import translate

PATTERNS = [
    r"^\d+$",
    r"^\w[\w.-]*\w$",
    r"\bword\b",
    r"a.c",
    r"^\s*$",
    r"^\S+@\S+$",
    r"[^\d]",
    r"^[-\w]+$",
    r"^[:.=[]+$",
    r"^(?:a|b)(?=c)",
    r"(?<!x)y",
    r"^[a-z]{2,5}?$",
    r"\x41A",
    r"^$|^/",
    r"^[^/\\]+$",
    r"^\.\*\$$",
    r"()|a",
]
TEXTS = [
    "", "1", "42", "٣", "a.c", "a\nc", "a\u2028c", "abc", "word", "a word here", "swords", "wörd",
    " ", "\u00a0", "\ufeff", "a@b", "@", "a-b", "[:]", "=.", "ac", "bc", "xy", "zy", "abcdef",
    "AA", "/x", "a/b", "a\\b", ".*$", "\t\v", "é", "-", "a_b", "a\n",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_translated_pattern_matches_the_same(
    connection: psycopg.Connection[Any], pattern: str
) -> None:
    # Python in ASCII mode differs from ECMA-262 in \s, which is spelled out, in . at line ends,
    # and in $ before a final line end.
    spaces = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
    ecma = pattern.replace(r"\s", f"[{spaces}]").replace(r"\S", f"[^{spaces}]")
    ecma = ecma.replace("a.c", r"a[^\n\r\u2028\u2029]c").replace("$", r"\Z").replace(r"\\Z", r"\$")
    wanted = [bool(re.search(ecma, text, re.ASCII)) for text in TEXTS]
    rows = connection.execute(
        "select t ~ %s from unnest(%s::text[]) with ordinality as u(t, n) order by n",
        (translate(pattern), TEXTS),
    )
    found = [row[0] for row in rows]
    differing = [t for t, want, got in zip(TEXTS, wanted, found, strict=True) if want != got]
    assert differing == []
