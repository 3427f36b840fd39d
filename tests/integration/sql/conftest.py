"""The schema on real servers: the local stack, and Debian's Postgres 15 with its checkers."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from lift_sys.backends.migrations import migrate_up, packaged_migrations
from lift_sys.local import LocalSupabase
from tests.databases import ask, scratch_database
from tests.debian import postgres_15

OTHER_SCHEMA = "dev_nexus"
Query = Callable[..., list[tuple[Any, ...]]]
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalSupabase]:
    with LocalSupabase(schemas=("public", OTHER_SCHEMA)) as stack:
        yield stack


@pytest.fixture(scope="session")
def old_server() -> Iterator[str]:
    with postgres_15() as url:
        yield url


@pytest.fixture
def user() -> str:
    """A user that no other test acts for."""
    return f"user-{next(_NUMBERS)}"


@pytest.fixture
def query(stack: LocalSupabase) -> Query:
    """Asks the stack's database as its owner."""
    return lambda sql, *values: ask(stack.database_url, sql, *values)


@pytest.fixture
def scratch(stack: LocalSupabase) -> Iterator[str]:
    """A database of its own on the stack's server, with the migrations."""
    with scratch_database(stack.database_url) as url:
        migrate_up(url, packaged_migrations())
        yield url


@pytest.fixture
def empty(stack: LocalSupabase) -> Iterator[str]:
    """A database of its own on the stack's server, with nothing in it."""
    with scratch_database(stack.database_url) as url:
        yield url


@pytest.fixture
def old_database(old_server: str) -> Iterator[str]:
    """A database of its own on Postgres 15, with the migrations."""
    with scratch_database(old_server) as url:
        migrate_up(url, packaged_migrations())
        yield url
