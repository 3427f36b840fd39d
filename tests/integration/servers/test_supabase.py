"""What only Supabase has: keys of two kinds, tokens, headers, and a project named elsewhere."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import (
    AsyncSupabaseSessionStore,
    PermissionDeniedError,
    PostgresSessionStore,
    SchemaOutdatedError,
    SupabaseSessionStore,
    open_async_store,
    open_store,
)
from tests.integration.servers.conftest import Loop, Service, fresh
from tests.integration.servers.sessions import session

NAMES = (
    "SUPABASE_SERVICE_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_KEY",
)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no project."""
    for name in ("SUPABASE_URL", *NAMES):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("service", ["supabase"], indirect=True)
def test_views_of_two_users_never_mix_their_headers(
    service: Service, stack: LocalSupabase, store: Any
) -> None:
    users = [fresh() for _ in range(4)]
    tokens = {user: stack.jwt(user) for user in users}
    views = {user: store.for_user(user, access_token=tokens[user]) for user in users}
    stack.gateway.reset()

    def work(number: int) -> None:
        user = users[number % len(users)]
        views[user].create(session(text=user))
        assert {one.original_input for one in views[user].list_all()} == {user}

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(80)))
    assert len(stack.gateway.requests) == 160
    for request in stack.gateway.requests:
        [user] = [user for user in users if user.encode() in request.body]
        assert request.headers["authorization"] == f"Bearer {tokens[user]}"
        assert request.headers["apikey"] == stack.anon_key
    own = store.list_all()
    assert own == []
    assert stack.gateway.requests[-1].headers["authorization"] not in map(
        "Bearer {}".format, tokens.values()
    )


def test_keys_of_the_newer_kind(stack: LocalSupabase) -> None:
    user = fresh()
    with SupabaseSessionStore(stack.url, stack.secret_key, user) as store:
        known = session()
        store.create(known)
    token = stack.jwt(user)
    with SupabaseSessionStore(stack.url, stack.publishable_key, access_token=token) as store:
        assert store.user_id == user
        assert store.get(known.session_id) == known
        other = store.for_user("another", access_token=stack.jwt("another"))
        assert other.get(known.session_id) is None
    with (
        SupabaseSessionStore(stack.url, stack.publishable_key, user) as store,
        pytest.raises(PermissionDeniedError),
    ):
        store.list_all()


@pytest.mark.parametrize(
    "token",
    ["expired", "forged", "of no role", "none.at.all", "", "with a\nline", "märchen", " "],
)
def test_a_token_that_is_not_accepted(stack: LocalSupabase, loop: Loop, token: str) -> None:
    user = fresh()
    made = {
        "expired": stack.jwt(user, expires_in=-60),
        "forged": stack.jwt(user)[:-6] + "AAAAAA",
        "of no role": stack.jwt(user, role="nobody"),
    }.get(token, token)
    stack.gateway.reset()
    with SupabaseSessionStore(stack.url, stack.anon_key, user, access_token=made) as store:
        with pytest.raises(PermissionDeniedError):
            store.create(session())
        with pytest.raises(PermissionDeniedError):
            store.list_all()
    again = AsyncSupabaseSessionStore(stack.url, stack.anon_key, user, access_token=made)
    with pytest.raises(PermissionDeniedError):
        loop.run(again.list_all())
    loop.run(again.close())
    assert len(stack.gateway.requests) in (0, 3)


def test_a_key_that_is_not_accepted(stack: LocalSupabase) -> None:
    with (
        SupabaseSessionStore(stack.url, "sb_secret_guessed", "ann") as store,
        pytest.raises(PermissionDeniedError, match="API key"),
    ):
        store.list_all()


def test_a_schema_that_is_not_exposed_names_the_remedy(stack: LocalSupabase) -> None:
    with (
        SupabaseSessionStore(stack.url, stack.service_key, "ann", schema="nowhere") as store,
        pytest.raises(SchemaOutdatedError, match="lift-sys migrate"),
    ):
        store.list_all()


def test_the_schema_is_named_in_each_request(stack: LocalSupabase) -> None:
    stack.gateway.reset()
    with SupabaseSessionStore(stack.url, stack.service_key, "ann", schema="public") as store:
        store.list_all()
    assert stack.gateway.requests[0].headers["content-profile"] == "public"


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_names_the_project(
    stack: LocalSupabase, environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv("SUPABASE_URL", f"{stack.url}/")
    environment.setenv(name, stack.service_key)
    with open_store("supabase://", user_id=fresh()) as store:
        assert isinstance(store, SupabaseSessionStore)
        assert store.list_all() == []


def test_the_first_key_in_the_environment_is_taken(
    stack: LocalSupabase, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SUPABASE_URL", stack.url)
    for number, name in enumerate(reversed(NAMES)):
        environment.setenv(name, f"key-{number}")
        with SupabaseSessionStore(user_id="ann") as store:
            assert store._backend._settings.key == f"key-{number}"  # type: ignore[attr-defined]  # what it came to


def test_what_is_missing_is_named(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"SUPABASE_URL.* and .*SUPABASE_SERVICE_KEY"):
        SupabaseSessionStore()
    with pytest.raises(ValueError, match=r"SUPABASE_URL\) is missing"):
        AsyncSupabaseSessionStore(key="key")
    environment.setenv("SUPABASE_URL", "https://project.supabase.co")
    with pytest.raises(ValueError, match=r"SUPABASE_SERVICE_KEY\) is missing"):
        open_store("supabase://")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("project.supabase.co", "key"),
        ("ftp://project.supabase.co", "key"),
        ("https://", "key"),
        ("http://[::1", "key"),
        ("https://project.supabase.co", "two words"),
        ("https://project.supabase.co", "line\n"),
    ],
)
def test_what_cannot_be_a_project_is_said_at_construction(url: str, key: str) -> None:
    for kind in (SupabaseSessionStore, AsyncSupabaseSessionStore):
        with pytest.raises(ValueError, match=r"^(url|key): "):
            kind(url, key, "ann")


@pytest.mark.parametrize("url", ["postgresql://%zz", "postgresql://host:port/x?nonsense=1"])
def test_what_cannot_be_a_database_is_said_at_construction(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        PostgresSessionStore(url, "ann")


@pytest.mark.parametrize("slash", ["", "/"])
def test_stores_are_opened_by_url(
    stack: LocalSupabase, environment: pytest.MonkeyPatch, loop: Loop, slash: str
) -> None:
    environment.setenv("SUPABASE_SERVICE_KEY", stack.service_key)
    user, known = fresh(), session()
    urls = [f"supabase+{stack.url}{slash}", stack.authenticator_url]
    with open_store(urls[0], user_id=user) as store:
        store.create(known)
    for url in urls:
        with open_store(url, user_id=user) as store:
            assert store.get(known.session_id) == known
        other = open_async_store(url, user_id=user)
        assert loop.run(other.get(known.session_id)) == known
        loop.run(other.close())


def test_a_user_token_opens_by_url(stack: LocalSupabase, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SUPABASE_KEY", stack.publishable_key)
    user = fresh()
    url = f"supabase+{stack.url}"
    with open_store(url, access_token=stack.jwt(user)) as store:
        assert store.user_id == user
        assert store.list_all() == []
