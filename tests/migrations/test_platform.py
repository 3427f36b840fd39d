"""On a plain Postgres the migrator lays what Supabase has; on a Supabase it touches none of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from lift_sys.backends.migrations import migrate_up
from tests.migrations.conftest import Query, plain_postgres

CLAIMS = '{"sub": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "role": "authenticated", "email": "a@b"}'
READ_ROLES = """
    select rolname, rolcanlogin, rolinherit, rolbypassrls, rolconfig from pg_roles
    where rolname in ('anon', 'authenticated', 'service_role', 'authenticator') order by 1
"""


@pytest.fixture
def no_migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[str]:
    with plain_postgres(tmp_path) as url:
        yield url


def test_the_roles_are_those_of_supabase(
    fresh_server: str, no_migrations: Path, folder: Path, query: Query
) -> None:
    migrate_up(fresh_server, no_migrations)
    migrate_up(fresh_server, folder)
    assert query(fresh_server, READ_ROLES) == [
        ("anon", False, False, False, ["statement_timeout=3s"]),
        ("authenticated", False, False, False, ["statement_timeout=8s"]),
        ("authenticator", True, False, False, ["statement_timeout=8s", "lock_timeout=8s"]),
        ("service_role", False, False, True, None),
    ]
    for role in ("anon", "authenticated", "service_role"):
        assert query(fresh_server, f"select pg_has_role('authenticator', '{role}', 'member')") == [
            (True,)
        ]


def test_roles_made_from_several_databases_at_once_are_made_once(
    fresh_server: str, no_migrations: Path, query: Query
) -> None:
    urls = []
    for number in range(4):
        query(fresh_server, f"create database d{number}")
        urls.append(fresh_server.removesuffix("postgres") + f"d{number}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda url: migrate_up(url, no_migrations), urls))
    assert len(query(fresh_server, READ_ROLES)) == 4


def test_a_supabase_is_recognised_and_left_alone(
    fresh_server: str, folder: Path, query: Query
) -> None:
    query(fresh_server, "create role supabase_admin")
    assert len(migrate_up(fresh_server, folder)) == 2
    assert query(fresh_server, "select to_regnamespace('auth')") == [(None,)]
    assert query(fresh_server, READ_ROLES) == []


def test_policies_can_ask_who_is_calling(database: str, no_migrations: Path) -> None:
    migrate_up(database, no_migrations)
    ask = "select auth.uid()::text, auth.role(), auth.email(), auth.jwt() ->> 'sub'"
    with psycopg.connect(database) as connection:
        connection.execute("set local role authenticated")
        connection.execute("select set_config('request.jwt.claims', %s, true)", [CLAIMS])
        user = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
        assert connection.execute(ask).fetchone() == (user, "authenticated", "a@b", user)
        connection.commit()
        # After a transaction the setting is '' and not null.
        assert connection.execute(ask).fetchone() == (None, None, None, None)
