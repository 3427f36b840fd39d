"""Three hundred sessions from store to store, in one go, interrupted, and again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lift_sys.cli import app
from lift_sys.local import LocalSupabase, drop_answer, html_502
from lift_sys.spec_sessions import (
    InMemorySessionStore,
    PostgresSessionStore,
    PromptSession,
    SessionStore,
    SQLiteSessionStore,
    StoreUnavailableError,
    SupabaseSessionStore,
)
from lift_sys.spec_sessions.copying import copy_sessions
from tests.integration.servers.conftest import fresh
from tests.integration.servers.sessions import add, revision, session

SESSIONS = 300


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, SessionStore]]:
    """The URL and the store of a file with sessions of all sorts."""
    path = tmp_path_factory.mktemp("source") / "source.db"
    user = fresh()
    with SQLiteSessionStore(path, user) as store:
        made = [
            session(1 + number % 7, f"session {number} \u00e9\u4e16") for number in range(SESSIONS)
        ]
        for number, one in enumerate(made):
            one.metadata = {"number": number, "float": 1.0, "large": 10**30, "none": None}
        store.create_many(made)
        for one in made[::10]:
            one.mark_applied_at(0)
            one.finalize()
            store.update(one)
        yield f"sqlite:///{path}", store


def content(store: SessionStore) -> dict[str, dict[str, Any]]:
    """What a store holds, without the versions: those count a store's own writes."""
    return {one.session_id: one.to_dict() | {"version": None} for one in store.list_all()}


def test_through_every_store_and_back(
    stack: LocalSupabase, source: tuple[str, SessionStore], tmp_path: Path
) -> None:
    _, first = source
    user = first.user_id
    with (
        PostgresSessionStore(stack.authenticator_url, user) as postgres,
        SupabaseSessionStore(stack.url, stack.anon_key, access_token=stack.jwt(user)) as supabase,
        InMemorySessionStore(user) as memory,
        SQLiteSessionStore(tmp_path / "back.db", user) as back,
    ):
        assert len(copy_sessions(first, postgres).copied) == SESSIONS
        # The same data by the other way: everything is there already.
        assert copy_sessions(first, supabase).unchanged == SESSIONS
        assert len(copy_sessions(supabase, memory).copied) == SESSIONS
        assert len(copy_sessions(memory, back).copied) == SESSIONS
        expected = content(first)
        for store in (postgres, supabase, memory, back):
            assert content(store) == expected
        for one in postgres.list_all():
            postgres.delete(one.session_id)


class Interrupted(Exception):  # noqa: N818  # no error of the program
    """Somebody pressed the keys."""


def test_an_interrupted_copy_is_repeated_without_duplicates(
    stack: LocalSupabase, source: tuple[str, SessionStore]
) -> None:
    _, first = source
    done = 0

    def interrupt(count: int) -> None:
        nonlocal done
        done += count
        if done >= 150:
            raise Interrupted

    with SupabaseSessionStore(stack.url, stack.service_key, first.user_id) as target:
        with pytest.raises(Interrupted):
            copy_sessions(first, target, advance=interrupt)
        there = len(content(target))
        assert 0 < there < SESSIONS
        grown = first.list_active()[0]
        add(grown, range(3), "grown")
        first.update(grown)
        report = copy_sessions(first, target)
        assert (len(report.copied), report.differing) == (SESSIONS - there, [])
        assert content(target) == content(first)
        again = copy_sessions(first, target)
        assert (again.copied, again.extended, again.unchanged) == ([], [], SESSIONS)
        for one in content(target):
            target.delete(one)


def test_a_copy_survives_lost_answers_and_stops_at_a_server_that_stays_away(
    stack: LocalSupabase, source: tuple[str, SessionStore]
) -> None:
    _, first = source
    options: dict[str, Any] = {"user_id": first.user_id, "budget": 2}
    with SupabaseSessionStore(stack.url, stack.service_key, **options) as target:
        with stack.gateway.fault(drop_answer(), times=3):
            assert len(copy_sessions(first, target).copied) == SESSIONS
        assert content(target) == content(first)
        for one in content(target):
            target.delete(one)
        with (
            stack.gateway.fault(html_502(), times=None),
            pytest.raises(StoreUnavailableError),
        ):
            copy_sessions(first, target)
        assert content(target) == {}


def test_by_the_command_line(
    stack: LocalSupabase,
    source: tuple[str, SessionStore],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    url, first = source
    user = first.user_id
    monkeypatch.setenv("SUPABASE_URL", stack.url)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", stack.service_key)
    back = f"sqlite:///{tmp_path / 'back.db'}"

    def copied(one: str, other: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, ["copy", one, other, "--user", user, "--json"])
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    everything = {"copied": SESSIONS, "extended": 0, "unchanged": 0, "differing": []}
    nothing = everything | {"copied": 0, "unchanged": SESSIONS}
    assert copied(url, stack.authenticator_url) == everything
    assert copied(url, "supabase://") == nothing
    assert copied("supabase://", back) == everything
    assert copied(stack.authenticator_url, back) == nothing
    with SQLiteSessionStore(tmp_path / "back.db", user) as last:
        assert content(last) == content(first)
    with PostgresSessionStore(stack.authenticator_url, user) as target:
        differing = target.list_active()[0]
        target.delete(differing.session_id)
        other = PromptSession(session_id=differing.session_id)
        other.add_revision(revision("another history"))
        target.create(other)
    done = CliRunner().invoke(app, ["copy", url, stack.authenticator_url, "--user", user])
    assert done.exit_code != 0
    assert differing.session_id in str(done.exception)
