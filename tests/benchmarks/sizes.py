"""How many bytes a database takes, indexes and overhead included."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

_TABLES = """
    select coalesce(sum(pg_total_relation_size(c.oid)), 0)
    from pg_class as c
    where c.relkind = 'r' and c.relnamespace = %s::regnamespace
"""


def sqlite_bytes(path: Path) -> int:
    """Return the size of a SQLite file, with its log written back into it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        (pages,) = connection.execute("pragma page_count").fetchone()
        (free,) = connection.execute("pragma freelist_count").fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
    return int(size) * (int(pages) - int(free))


def schema_bytes(url: str, schema: str = "public") -> int:
    """Return the size of every table in a schema, with indexes and what is kept out of line."""
    with psycopg.connect(url) as connection:
        row = connection.execute(_TABLES, (schema,)).fetchone()
    return int(row[0]) if row else 0
