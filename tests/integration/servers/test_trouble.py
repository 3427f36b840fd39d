"""Servers that are there and cannot do it: full pools, locks, wrong logins, wrong databases."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from lift_sys.backends.migrations import migrate_up, packaged_migrations
from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import (
    PermissionDeniedError,
    PostgresSessionStore,
    SchemaOutdatedError,
    StoreUnavailableError,
    SupabaseSessionStore,
)
from tests.integration.servers.conftest import Service, fresh
from tests.integration.servers.load import wait_for
from tests.integration.servers.sessions import revision, session


@contextmanager
def locked(owner: psycopg.Connection, session_id: str) -> Iterator[None]:
    """Hold a session's row, as another program's open transaction would."""
    with owner.transaction():
        owner.execute("select 1 from public.sessions where id = %s for update", [session_id])
        yield


@pytest.fixture
def database(owner: psycopg.Connection) -> Iterator[str]:
    """The name of an empty database beside the stack's own."""
    name = f"other_{uuid.uuid4().hex}"
    owner.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield name
    owner.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def test_more_threads_than_connections_wait_for_their_turn(stack: LocalSupabase) -> None:
    with (
        PostgresSessionStore(stack.authenticator_url, fresh(), pool_size=2) as store,
        ThreadPoolExecutor(20) as threads,
    ):
        new = [session() for _ in range(100)]
        assert list(threads.map(store.create, new)) == [one.session_id for one in new]
        assert len(store.list_all()) == 100


def test_more_requests_than_connections_of_postgrest(stack: LocalSupabase) -> None:
    with (
        SupabaseSessionStore(stack.url, stack.service_key, fresh()) as store,
        ThreadPoolExecutor(40) as threads,
    ):
        new = [session() for _ in range(120)]
        assert list(threads.map(store.create, new)) == [one.session_id for one in new]


@pytest.mark.parametrize("service", ["postgres"], indirect=True)
def test_connections_that_nobody_needs_any_more_are_ended(
    service: Service, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"test-{uuid.uuid4()}"
    url = f"{service.stack.authenticator_url}?application_name={name}"

    def connections() -> int:
        query = "select pid from pg_stat_activity where application_name = %s"
        return len(owner.execute(query, [name]).fetchall())

    with PostgresSessionStore(url, fresh()) as store:
        with ThreadPoolExecutor(5) as threads:
            while connections() < 3:
                list(threads.map(lambda _: store.list_all(), range(20)))
        monkeypatch.setattr("lift_sys.backends.connections.IDLE_SECONDS", 0.0)
        store.list_all()
        wait_for(lambda: connections() == 1, "the end of the others")


def test_a_pool_that_stays_exhausted_is_said_and_recovers(
    stack: LocalSupabase, owner: psycopg.Connection
) -> None:
    known = session()
    with (
        PostgresSessionStore(stack.authenticator_url, fresh(), pool_size=1) as store,
        psycopg.connect(stack.database_url, autocommit=True) as watcher,
        ThreadPoolExecutor(1) as threads,
    ):
        store.create(known)
        known.add_revision(revision("waits for the lock"))
        with locked(owner, known.session_id):
            waiting = threads.submit(store.update, known)
            wait_for(lambda: _waits_for_a_lock(watcher), "the update to wait")
            store._backend._settings.budget = 0.3  # type: ignore[attr-defined]  # for the next
            with pytest.raises(StoreUnavailableError, match="no connection was to be had"):
                store.create(session())
        waiting.result(20)
        assert store.get(known.session_id) == known


def _waits_for_a_lock(owner: psycopg.Connection) -> bool:
    query = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
    return owner.execute(query).fetchone() is not None


def test_a_statement_that_takes_too_long_is_ended_and_not_tried_again(
    service: Service,
    store: Any,
    stack: LocalSupabase,
    owner: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lift_sys.backends.postgres.STATEMENT_SECONDS", 0.3)
    known = session()
    store.create(known)
    known.add_revision(revision("second"))
    with short_statements(stack, owner), locked(owner, known.session_id):
        with service.counted() as count, pytest.raises(StoreUnavailableError, match="57014"):
            store.update(known)
        assert count() == 1
    store.update(known)
    assert known.version == 2


@contextmanager
def short_statements(stack: LocalSupabase, owner: psycopg.Connection) -> Iterator[None]:
    """Give signed-in users little time, which PostgREST reads when it starts."""
    with psycopg.connect(stack.database_url, autocommit=True) as other:
        other.execute("alter role authenticated set statement_timeout = '300ms'")
        stack.restart_postgrest()
        try:
            yield
        finally:
            other.execute("alter role authenticated set statement_timeout = '8s'")
            stack.restart_postgrest()


def test_a_lock_that_is_released_is_waited_for(
    service: Service, store: Any, stack: LocalSupabase, owner: psycopg.Connection
) -> None:
    known = session()
    store.create(known)
    known.add_revision(revision("second"))
    with (
        ThreadPoolExecutor(1) as threads,
        psycopg.connect(stack.database_url, autocommit=True) as watcher,
    ):
        with locked(owner, known.session_id):
            pending = threads.submit(store.update, known)
            wait_for(lambda: _waits_for_a_lock(watcher), "the update to wait")
        pending.result(20)
    assert known.version == 2


def test_two_that_hold_what_the_other_wants_are_both_served(stack: LocalSupabase) -> None:
    # Each writes the same new ids in the other order: Postgres ends one as a deadlock, and it is
    # tried again, to find that the other one came first.
    user = fresh()
    with (
        PostgresSessionStore(stack.authenticator_url, user) as store,
        ThreadPoolExecutor(2) as threads,
    ):
        for _ in range(5):
            new = [session() for _ in range(40)]
            copies = [type(one).from_dict(one.to_dict()) for one in reversed(new)]
            ends = [threads.submit(store.create_many, some).exception() for some in (new, copies)]
            assert sorted(type(end).__name__ for end in ends) == ["NoneType", "SessionExistsError"]


WRONG = {
    "a wrong password": ({"password": "guessed"}, PermissionDeniedError, "password"),
    "an unknown role": ({"user": "nobody"}, PermissionDeniedError, "nobody"),
    "an unknown database": ({"dbname": "nowhere"}, StoreUnavailableError, "nowhere"),
}


@pytest.mark.parametrize(("changed", "error", "word"), WRONG.values(), ids=WRONG)
def test_a_login_that_cannot_succeed_is_said_at_once(
    stack: LocalSupabase, changed: dict[str, str], error: type[Exception], word: str
) -> None:
    url = make_conninfo(stack.authenticator_url, **changed)
    with PostgresSessionStore(url, "ann") as store:
        with pytest.raises(error, match=word) as raised:
            store.create(session())
        assert isinstance(raised.value.__cause__, psycopg.Error)
        assert stack.authenticator_url.split(":")[2].split("@")[0] not in str(raised.value)


def test_a_login_that_is_no_member_of_the_role(
    stack: LocalSupabase, owner: psycopg.Connection
) -> None:
    name = f"outsider_{uuid.uuid4().hex}"
    role = sql.Identifier(name)
    owner.execute(sql.SQL("create role {} login password 'known'").format(role))
    url = make_conninfo(stack.database_url, user=name, password="known")
    try:
        with PostgresSessionStore(url, "ann") as store, pytest.raises(PermissionDeniedError):
            store.list_all()
    finally:
        owner.execute(sql.SQL("drop role {}").format(role))


def test_a_database_without_the_migrations_names_the_remedy(
    stack: LocalSupabase, database: str
) -> None:
    url = make_conninfo(stack.authenticator_url, dbname=database)
    for row_security in (True, False):
        with PostgresSessionStore(url, "ann", row_security=row_security) as store:
            with pytest.raises(SchemaOutdatedError, match="lift-sys migrate"):
                store.create(session())
            with pytest.raises(SchemaOutdatedError, match="lift-sys migrate"):
                store.get("any")


OLDER = {
    "a missing function": "drop function public.update_session_v1(text, json, json)",
    "a missing column": "alter table public.sessions drop column finalized_at cascade",
    "a missing table": "drop table public.session_revisions cascade",
    "a check of an older release": (
        "alter table public.session_revisions drop constraint session_revisions_type_known;"
        " alter table public.session_revisions add constraint session_revisions_type_known"
        " check (revision_type = 'initial')"
    ),
}


@pytest.mark.parametrize("change", OLDER.values(), ids=OLDER)
def test_a_database_of_another_release_names_the_remedy(
    stack: LocalSupabase, database: str, change: str
) -> None:
    migrate_up(make_conninfo(stack.database_url, dbname=database), packaged_migrations())
    url = make_conninfo(stack.authenticator_url, dbname=database)
    with PostgresSessionStore(url, "ann") as store:
        known = session()
        store.create(known)
        known.add_revision(revision("second"))
        with psycopg.connect(make_conninfo(stack.database_url, dbname=database)) as other:
            other.execute(sql.SQL(change))
        with pytest.raises(SchemaOutdatedError, match="lift-sys migrate"):
            store.update(known)


def test_a_database_that_takes_no_writes_is_said_and_noticed_when_it_does_again(
    stack: LocalSupabase, owner: psycopg.Connection, database: str
) -> None:
    migrate_up(make_conninfo(stack.database_url, dbname=database), packaged_migrations())
    read_only = sql.SQL("alter database {} set default_transaction_read_only = {}")
    name, known = sql.Identifier(database), session()
    url = make_conninfo(stack.authenticator_url, dbname=database)
    with PostgresSessionStore(url, fresh()) as store:
        owner.execute(read_only.format(name, sql.Literal("on")))
        with pytest.raises(StoreUnavailableError, match="read-only"):
            store.create(known)
        assert store.get(known.session_id) is None
        owner.execute(read_only.format(name, sql.Literal("off")))
        with pytest.raises(StoreUnavailableError, match="read-only"):
            store.create(known)  # on the connection of before, which is given up for it
        store.create(known)
        assert store.get(known.session_id) == known
