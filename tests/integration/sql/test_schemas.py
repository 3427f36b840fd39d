"""The tables in another schema than public, by name, beside those in public."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from lift_sys.backends.migrations import migrate_up, migration_status, packaged_migrations
from lift_sys.backends.sql_text import moved_to_schema
from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import (
    PostgresSessionStore,
    PromptSession,
    SessionStore,
    SupabaseSessionStore,
)
from tests.databases import ask
from tests.integration.sql.conftest import OTHER_SCHEMA

FOLDER = packaged_migrations()
Opener = Callable[[LocalSupabase, str, str], SessionStore]
OPENERS: dict[str, Opener] = {
    "postgres": lambda stack, user, schema: PostgresSessionStore(
        stack.database_url, user, schema=schema
    ),
    "service key": lambda stack, user, schema: SupabaseSessionStore(
        stack.url, stack.service_key, user, schema=schema
    ),
    "token": lambda stack, user, schema: SupabaseSessionStore(
        stack.url, stack.anon_key, user, stack.jwt(user), schema=schema
    ),
}


@pytest.fixture(params=OPENERS)
def both(
    request: pytest.FixtureRequest, stack: LocalSupabase, user: str
) -> Iterator[tuple[SessionStore, SessionStore]]:
    """A store on public, and one on the other schema, of the same user."""
    opener = OPENERS[request.param]
    with opener(stack, user, "public") as one, opener(stack, user, OTHER_SCHEMA) as other:
        yield one, other


def test_two_schemas_do_not_see_each_other(both: tuple[SessionStore, SessionStore]) -> None:
    for here, there in (both, both[::-1]):
        session = PromptSession.create_new("prompt", original_input="here")
        here.create(session, idempotency_key="k")
        session.add_revision(session.revisions[0])
        here.update(session)
        assert here.get(session.session_id) == session
        assert [s.session_id for s in here.list_all()] == [session.session_id]
        assert there.get(session.session_id) is None
        there.delete(session.session_id)
        assert here.get(session.session_id) == session
        assert len(here.list_page().items) == 1


def test_a_session_may_be_in_both(both: tuple[SessionStore, SessionStore]) -> None:
    one, other = both
    session = PromptSession.create_new("prompt", original_input="x")
    one.create(session, idempotency_key="k")
    assert other.create(session, idempotency_key="k") == session.session_id
    one.delete(session.session_id)
    assert other.get(session.session_id) == session


def test_users_are_kept_apart_there_too(stack: LocalSupabase, user: str) -> None:
    with OPENERS["postgres"](stack, user, OTHER_SCHEMA) as store:
        store.create(PromptSession.create_new("prompt", original_input="secret"))
    headers = {
        "apikey": stack.anon_key,
        "authorization": f"Bearer {stack.jwt('eve')}",
        "accept-profile": OTHER_SCHEMA,
    }
    answer = httpx.get(f"{stack.url}/rest/v1/sessions", headers=headers)
    assert (answer.status_code, answer.json()) == (200, [])
    del headers["authorization"]
    assert httpx.get(f"{stack.url}/rest/v1/sessions", headers=headers).status_code == 401


def test_each_schema_has_a_history_of_its_own(empty: str) -> None:
    assert len(migrate_up(empty, FOLDER, schema="team_a")) == 2
    assert {m.state for m in migration_status(empty, FOLDER)} == {"pending"}
    assert {m.state for m in migration_status(empty, FOLDER, schema="team_a")} == {"applied"}
    assert migrate_up(empty, FOLDER, schema="team_a") == []
    assert len(migrate_up(empty, FOLDER)) == 2
    tables = "select tablename from pg_tables where schemaname = 'supabase_migrations' order by 1"
    assert ask(empty, tables) == [("schema_migrations",), ("schema_migrations_team_a",)]


def test_nothing_of_a_copy_leads_to_public(empty: str) -> None:
    migrate_up(empty, FOLDER, schema="team_a")
    here = ask(empty, "select tablename from pg_tables where schemaname = 'team_a' order by 1")
    assert here == [
        ("hole_resolutions",), ("session_drafts",), ("session_revisions",), ("sessions",)
    ]  # fmt: skip
    assert ask(empty, "select 1 from pg_tables where schemaname = 'public'") == []
    with PostgresSessionStore(empty, "ann", schema="team_a") as store:
        session = PromptSession.create_new("prompt", original_input="x")
        store.create(session)
        assert store.list_all() == [session]


@pytest.mark.parametrize("name", ["", "Team", "a-b", "pg_team", 'a"b', "1a", "a" * 41])
def test_a_name_that_would_need_care_is_refused(empty: str, name: str) -> None:
    with pytest.raises(ValueError, match="schema"):
        migrate_up(empty, FOLDER, schema=name)


def test_only_qualified_names_move() -> None:
    assert moved_to_schema("revoke all on public.t from public; lift_sys_internal.f", "x") == (
        'revoke all on "x".t from public; "x_internal".f'
    )
