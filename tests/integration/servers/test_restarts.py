"""Servers killed, restarted and frozen under load: nothing lost, nothing doubled (G14)."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import OutcomeUnknownError, StoreUnavailableError
from tests.integration.servers.conftest import Service
from tests.integration.servers.load import Load, TaskLoad, ThreadedLoad, wait_for
from tests.integration.servers.sessions import revision, session, stored_revisions


def kill_postgres(stack: LocalSupabase) -> None:
    stack.kill_postgres()
    stack.start_postgres()


def restart_postgres(stack: LocalSupabase) -> None:
    stack.restart_postgres()


def kill_postgrest(stack: LocalSupabase) -> None:
    stack.kill_postgrest()
    stack.start_postgrest()


def restart_postgrest(stack: LocalSupabase) -> None:
    stack.restart_postgrest()


def cut_connections(stack: LocalSupabase) -> None:
    stack.gateway.cut_connections()


Blow = Callable[[LocalSupabase], None]
BLOWS: dict[str, list[Blow]] = {
    "postgres": [kill_postgres, restart_postgres],
    "supabase": [
        kill_postgres,
        restart_postgres,
        kill_postgrest,
        restart_postgrest,
        cut_connections,
    ],
}


@pytest.fixture(params=["threads", "tasks"])
def load(request: pytest.FixtureRequest, service: Service) -> Load:
    if request.param == "threads":
        return ThreadedLoad(service.sync_store())
    store = service.async_store()
    service.closing(store)
    return TaskLoad(store, service.loop)


def test_a_server_that_comes_back_is_not_missed(
    service: Service, stack: LocalSupabase, load: Any
) -> None:
    with load:
        load.wait_for_more()
        for blow in BLOWS[service.kind]:
            blow(stack)
            load.wait_for_more()
    stack.wait_until_ready()
    with psycopg.connect(stack.database_url) as owner:
        load.check(owner)


def test_the_same_store_works_again_by_itself(
    service: Service, stack: LocalSupabase, store: Any
) -> None:
    known = session()
    store.create(known)
    stack.restart_postgres()
    stack.wait_until_ready()
    known.add_revision(revision("after"))
    store.update(known)
    assert store.get(known.session_id) == known


def test_an_idle_connection_that_died_is_no_attempt(
    service: Service, stack: LocalSupabase, store: Any
) -> None:
    if service.kind == "supabase":
        cut: Callable[[], None] = stack.gateway.cut_connections
    else:
        cut = service.wire.cut_connections
    store.get("any")
    cut()
    with service.counted() as count:
        store.create(session())
    assert count() == 1


def test_a_server_that_is_down_for_longer_than_the_budget(
    service: Service, stack: LocalSupabase
) -> None:
    store = service.sync_store(budget=0.5)
    known = session()
    store.create(known)
    known.add_revision(revision("while it is down"))
    stack.kill_postgres()
    try:
        with pytest.raises((StoreUnavailableError, OutcomeUnknownError)):
            store.update(known)
        with pytest.raises(StoreUnavailableError):
            store.get(known.session_id)
    finally:
        stack.start_postgres()
    stack.wait_until_ready()
    store.update(known)
    assert (known.version, store.get(known.session_id)) == (2, known)


@contextmanager
def frozen(owner: psycopg.Connection, application: str) -> Iterator[list[int]]:
    """Freeze the server's processes for an application, as a machine without memory would."""
    rows = owner.execute(
        "select pid from pg_stat_activity where application_name = %s", [application]
    )
    pids = [row[0] for row in rows]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("service", ["postgres"], indirect=True)
def test_a_frozen_server_process_is_given_up_and_may_do_its_work_late(
    service: Service, store: Any, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lift_sys.backends.remote.ATTEMPT", 0.5)
    known = session()
    store.create(known)
    known.add_revision(revision("once"))
    with frozen(owner, "lift-sys") as pids:
        assert pids
        store.update(known)
        assert known.version == 2
    wait_for(lambda: not _alive(owner, pids), "the end of the process that was given up")
    assert stored_revisions(owner, known.session_id) == ["word", "once"]
    assert store.get(known.session_id) == known


@pytest.mark.parametrize("service", ["supabase"], indirect=True)
def test_a_frozen_postgrest_is_waited_for_and_does_what_it_was_asked_once(
    service: Service,
    store: Any,
    stack: LocalSupabase,
    owner: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lift_sys.backends.remote.ATTEMPT", 0.3)
    known = session()
    store.create(known)
    known.add_revision(revision("once"))
    pid = stack.pids()["postgrest"]
    with ThreadPoolExecutor(1) as threads, service.counted() as count:
        os.kill(pid, signal.SIGSTOP)
        try:
            pending = threads.submit(store.update, known)
            wait_for(lambda: count() >= 2, "a second attempt")
        finally:
            os.kill(pid, signal.SIGCONT)
        pending.result(20)
    assert known.version == 2
    assert stored_revisions(owner, known.session_id) == ["word", "once"]


def _alive(owner: psycopg.Connection, pids: list[int]) -> bool:
    query = "select 1 from pg_stat_activity where pid = any(%s)"
    return owner.execute(query, [pids]).fetchone() is not None
