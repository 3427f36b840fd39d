"""Databases for one test each, and questions to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg

_NUMBERS = count(1)


@contextmanager
def scratch_database(server_url: str) -> Iterator[str]:
    """Make an empty database on a server, yield its owner's address, and drop it."""
    name = f"scratch{next(_NUMBERS)}"
    ask(server_url, f"create database {name}")
    try:
        yield server_url.removesuffix("postgres") + name
    finally:
        ask(server_url, f"drop database {name} with (force)")


def ask(url: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run statements as the owner of a database and return the rows of the first."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []
