"""A plain Postgres, with databases that a test may do anything to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lift_sys.local import postgres
from lift_sys.local.servers import Supervisor, free_port

_NUMBERS = count(1)


@contextmanager
def plain_postgres(folder: Path) -> Iterator[str]:
    """Run a server that has never heard of Supabase, and yield its owner's address."""
    postgres.make_cluster(folder / "data", "owner")
    port = free_port()
    url = f"postgresql://postgres:owner@127.0.0.1:{port}/postgres"
    server = postgres.server(folder / "data", port, folder / "log", is_temporary=True)
    supervisor = Supervisor()
    try:
        supervisor.start(server, lambda: postgres.is_ready(url))
        yield url
    finally:
        supervisor.close()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with plain_postgres(tmp_path_factory.mktemp("plain")) as url:
        yield url


@pytest.fixture
def new_database(server_url: str) -> Callable[[], str]:
    """Makes one more empty database at each call and returns its address."""

    def make() -> str:
        name = f"db{next(_NUMBERS)}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return server_url.removesuffix("postgres") + name

    return make


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Supabase project's folder of migrations, with two of them."""
    folder = tmp_path / "project" / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (folder / "20260101000000_first.sql").write_text(
        "-- the first; table\n"
        "create table public.cards (id int primary key, word text default 'a;b');\n"
        "comment on table public.cards is 'it''s; fine';\n"
        "alter table public.cards enable row level security;\n"
    )
    (folder / "20260102000000_second_one.sql").write_text(
        "create function public.answer() returns int language plpgsql set search_path = ''\n"
        "as $body$ begin return 42; end; $body$;\n"
        "insert into public.cards values (1);\n"
        "-- the end\n"
    )
    return folder


Query = Callable[[str, str], list[tuple[Any, ...]]]


@pytest.fixture
def query() -> Query:
    def run(url: str, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    return run
