"""Nothing happens before the first call, and nothing is left after the last (G16)."""

import subprocess
import sys
from typing import Any

import pytest

from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import (
    AsyncSupabaseSessionStore,
    StoreClosedError,
    SupabaseSessionStore,
    UserRequiredError,
)
from tests.integration.servers.conftest import Service, fresh
from tests.integration.servers.sessions import session

QUIET = """
import os, sys
os.environ["SUPABASE_SERVICE_KEY"] = "key"
seen = []
sys.addaudithook(
    lambda event, arguments: seen.append(event) if event.startswith("socket.") else None
)
from lift_sys.spec_sessions import *
for url in ("postgresql://u:p@127.0.0.1:1/d", "supabase+http://127.0.0.1:1"):
    for opener in (open_store, open_async_store):
        store = opener(url, user_id="ann")
        view = store.for_user("ben", access_token="token")
        assert view.user_id == "ben"
    open_store(url, user_id="ann").close()
assert not seen, seen
try:
    open_store(url, user_id="ann", budget=0.1).get("any")
except StoreUnavailableError:
    assert "socket.connect" in seen
"""

TIDY = """
import asyncio, sys
from lift_sys.spec_sessions import *
database_url, url, key = sys.argv[1:]

def work(store):
    known = PromptSession.create_new(original_input="word")
    with store:
        store.create(known)
        store.for_user("ben").list_all()
        assert store.get(known.session_id) == known

async def work_async(store):
    known = PromptSession.create_new(original_input="word")
    async with store:
        await asyncio.gather(store.create(known), *(store.list_all() for _ in range(30)))
        assert await store.get(known.session_id) == known

work(PostgresSessionStore(database_url, "ann"))
work(SupabaseSessionStore(url, key, "ann"))
asyncio.run(work_async(AsyncPostgresSessionStore(database_url, "ann")))
asyncio.run(work_async(AsyncSupabaseSessionStore(url, key, "ann")))
"""


def run(program: str, *arguments: str) -> str:
    """Run a program that is told of forgotten resources; return what it says.

    A hook for audits cannot be taken away again, which is another reason for a process of its own.
    """
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", program]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_importing_and_constructing_opens_no_socket() -> None:
    assert run(QUIET) == ""


def test_closed_stores_leave_nothing_behind(stack: LocalSupabase) -> None:
    assert run(TIDY, stack.authenticator_url, stack.url, stack.service_key) == ""


def test_closing_twice_is_fine_and_use_after_it_is_not(service: Service, store: Any) -> None:
    known = session()
    store.create(known)
    view = store.for_user("ben")
    store.close()
    store.close()
    for use in (
        lambda: store.create(session()),
        lambda: store.create_many([session()]),
        lambda: store.get(known.session_id),
        lambda: store.update(known),
        lambda: store.refresh(known),
        lambda: store.delete(known.session_id),
        store.list_active,
        store.list_all,
        store.list_page,
        view.list_all,
        lambda: store.for_user("cleo").list_all(),
    ):
        with service.counted() as count, pytest.raises(StoreClosedError):
            use()
        assert count() == 0


def test_a_store_that_was_never_used_can_be_closed(service: Service) -> None:
    for store in (service.sync_store(), service.blocking_store()):
        store.close()
        with pytest.raises(StoreClosedError):
            store.list_all()


def test_a_view_closes_only_itself(service: Service, store: Any) -> None:
    view = store.for_user(store.user_id, access_token=_token(service, store.user_id))
    view.create(session())
    view.close()
    with pytest.raises(StoreClosedError):
        view.list_all()
    assert len(store.list_all()) == 1


def _token(service: Service, user_id: str) -> str | None:
    return service.stack.jwt(user_id) if service.kind == "supabase" else None


@pytest.mark.parametrize("kind", [SupabaseSessionStore, AsyncSupabaseSessionStore])
def test_a_store_without_a_user_asks_for_one(stack: LocalSupabase, kind: type[Any]) -> None:
    store = kind(stack.url, stack.service_key)
    with pytest.raises(UserRequiredError, match="user_id"):
        _ = store.user_id
    with pytest.raises(ValueError, match="for_user"):
        store.for_user("")
    assert store.for_user(fresh()).user_id
