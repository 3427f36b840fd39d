"""Names and literals that Postgres takes as they are meant, whatever text they come from."""

import hashlib
import json
import re
import unicodedata
from typing import Any, Final

MAX_IDENTIFIER_BYTES: Final = 63
"""Postgres cuts a longer identifier silently."""

_DIGEST_LENGTH: Final = 8
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_WORD_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Categories R and T of pg_get_keywords(): what cannot name a table or a column unquoted.
RESERVED: Final = frozenset(
    re.findall(
        r"\w+",
        """
        all analyse analyze and any array as asc asymmetric authorization binary both case cast
        check collate collation column concurrently constraint create cross current_catalog
        current_date current_role current_schema current_time current_timestamp current_user
        default deferrable desc distinct do else end except false fetch for foreign freeze from
        full grant group having ilike in initially inner intersect into is isnull join lateral
        leading left like limit localtime localtimestamp natural not notnull null offset on only
        or order outer overlaps placing primary references returning right select session_user
        similar some symmetric system_user table tablesample then to trailing true union unique
        user using variadic verbose when where window with
        """,
    )
)


def snake_case(text: str) -> str:
    """Return ``text`` in snake_case; letters and digits of any script stay, the rest divides."""
    divided = _WORD_BOUNDARY.sub("_", unicodedata.normalize("NFC", text))
    return re.sub(r"[\W_]+", "_", divided.lower()).strip("_")


def fit(name: str) -> str:
    """Return ``name``, or where Postgres would cut it, its start and a digest of the whole."""
    encoded = name.encode()
    if len(encoded) <= MAX_IDENTIFIER_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST_LENGTH]
    start = encoded[: MAX_IDENTIFIER_BYTES - _DIGEST_LENGTH - 1].decode(errors="ignore")
    return f"{start.rstrip('_')}_{digest}"


def identifier(name: str) -> str:
    """Return ``name`` as an SQL identifier, quoted only where it must be."""
    if _PLAIN.fullmatch(name) and name not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` as an SQL string literal (``standard_conforming_strings`` on)."""
    return "'" + text.replace("'", "''") + "'"


def json_literal(value: Any) -> str:
    """Return a JSON value as an SQL literal of type jsonb, its keys sorted."""
    return literal(json.dumps(value, ensure_ascii=False, sort_keys=True)) + "::jsonb"


def one_line(text: str) -> str:
    """Return ``text`` fit for an SQL line comment: no line or control character is left in it."""
    return "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text
    ).strip()
