"""A database without the schema, or with an older one, says so (G20)."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lift_sys.backends.errors import SchemaOutdatedError
from lift_sys.backends.migrations import migrate_up, packaged_migrations
from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import (
    PostgresSessionStore,
    PromptSession,
    SessionStore,
    SupabaseSessionStore,
)
from lift_sys.spec_sessions.functions import FUNCTIONS
from lift_sys.spec_sessions.memory_sessions import MemorySessions
from tests.databases import ask
from tests.debian import postgres_15
from tests.integration.local.processes import wait_for

REMEDY = "run `lift-sys migrate up`"


def first_file(folder: Path) -> Path:
    """A folder with the first migration only, as an older release's."""
    first = min(packaged_migrations().glob("*.sql"))
    shutil.copy(first, folder)
    return folder


def assert_outdated(store: SessionStore) -> None:
    with pytest.raises(SchemaOutdatedError, match=REMEDY):
        store.get("x")
    with pytest.raises(SchemaOutdatedError, match=REMEDY):
        store.create(PromptSession.create_new("prompt", original_input="x"))
    with pytest.raises(SchemaOutdatedError, match=REMEDY):
        store.list_page()


@pytest.mark.parametrize("row_security", [True, False])
def test_postgres_without_the_migrations(empty: str, row_security: bool) -> None:
    with PostgresSessionStore(empty, "ann", row_security=row_security) as store:
        assert_outdated(store)


def test_postgres_with_an_older_release(empty: str, tmp_path: Path) -> None:
    migrate_up(empty, first_file(tmp_path))
    with PostgresSessionStore(empty, "ann") as store:
        assert_outdated(store)


def test_postgres_that_nobody_ever_migrated() -> None:
    """Such a server has not even the role that a call runs as."""
    with postgres_15() as url, PostgresSessionStore(url, "ann") as store:
        assert_outdated(store)


def test_postgres_with_another_schema(scratch: str) -> None:
    with PostgresSessionStore(scratch, "ann", schema="nowhere") as store:
        assert_outdated(store)


def test_postgres_with_a_dropped_function(scratch: str) -> None:
    ask(scratch, "drop function lift_sys_internal.session_json_v1")
    with (
        PostgresSessionStore(scratch, "ann") as store,
        pytest.raises(SchemaOutdatedError, match=REMEDY),
    ):
        store.get("x")


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSupabase]:
    folder = first_file(tmp_path_factory.mktemp("older"))
    with LocalSupabase(migrations=folder) as stack:
        yield stack


def test_supabase_with_an_older_release(older: LocalSupabase) -> None:
    with SupabaseSessionStore(older.url, older.service_key, "ann") as store:
        assert_outdated(store)


def test_supabase_with_another_schema(older: LocalSupabase) -> None:
    with SupabaseSessionStore(older.url, older.service_key, "ann", schema="nowhere") as store:
        assert_outdated(store)


def test_supabase_works_once_it_is_migrated(older: LocalSupabase) -> None:
    migrate_up(older.database_url, packaged_migrations())
    with SupabaseSessionStore(older.url, older.service_key, "ann") as store:

        def is_seen() -> bool:
            try:
                return store.get("x") is None
            except SchemaOutdatedError:
                return False

        wait_for(is_seen, "PostgREST to look again")


# What each release's client calls. A later release adds its own line and keeps these: the last
# release's client has to work on this release's schema.
RELEASES = {
    "0.1": {
        "create_sessions_v1": "p_user_id text, p_arguments json, p_write json",
        "delete_session_v1": "p_user_id text, p_arguments json, p_write json",
        "get_session_v1": "p_user_id text, p_arguments json",
        "list_sessions_v1": "p_user_id text, p_arguments json",
        "load_sessions_v1": "p_user_id text, p_arguments json",
        "refresh_session_v1": "p_user_id text, p_arguments json",
        "update_session_v1": "p_user_id text, p_arguments json, p_write json",
    }
}


@pytest.mark.parametrize("release", RELEASES)
def test_every_function_of_a_release_is_there(scratch: str, release: str) -> None:
    there = dict(
        ask(
            scratch,
            "select proname, pg_get_function_identity_arguments(oid) from pg_proc"
            " where pronamespace = 'public'::regnamespace",
        )
    )
    assert there.items() >= RELEASES[release].items()


def test_this_release_calls_what_is_listed() -> None:
    calls = {name + FUNCTIONS.suffix for name in MemorySessions().handlers()}
    assert calls == RELEASES["0.1"].keys()


def test_every_refusal_of_the_functions_has_an_error() -> None:
    sql = "".join(file.read_text() for file in packaged_migrations().glob("*.sql"))
    assert set(re.findall(r"raise exception '(\w+)'", sql)) == FUNCTIONS.refusals.keys()
    assert set(re.findall(r"errcode = '(\w+)'", sql)) == {"PT404", "PT409"}
