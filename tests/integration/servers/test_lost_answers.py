"""A write whose answer is lost after the commit: one copy, and the same result (G8)."""

from typing import Any

import psycopg
import pytest

from lift_sys.local import (
    Fault,
    LocalSupabase,
    cut,
    drop_answer,
    empty_200,
    html_200,
    html_502,
    truncate_answer,
    unavailable,
)
from lift_sys.spec_sessions import (
    IdempotencyKeyReusedError,
    OutcomeUnknownError,
    PostgresSessionStore,
)
from tests.integration.servers.conftest import Service, fresh
from tests.integration.servers.sessions import (
    revision,
    session,
    stored_revisions,
    stored_version,
)

LOST = [drop_answer(), cut()]
SPOILT = [
    truncate_answer(),
    html_502().after_commit(),
    html_200().after_commit(),
    empty_200().after_commit(),
    unavailable(0).after_commit(),
]


def faults(service: Service) -> list[Fault]:
    """What can happen to an answer; a Postgres connection can only end."""
    return LOST if service.kind == "postgres" else LOST + SPOILT


def test_create(service: Service, store: Any, owner: psycopg.Connection) -> None:
    for fault in faults(service):
        new = session(3)
        with service.fault(fault, "create_sessions") as struck, service.counted() as count:
            assert store.create(new) == new.session_id
        assert (struck.hits, count(), new.version) == (1, 2, 1), fault
        assert stored_revisions(owner, new.session_id) == ["word", "word 1", "word 2"], fault
        assert store.get(new.session_id) == new


def test_create_many(service: Service, store: Any) -> None:
    every = set()
    for fault in faults(service):
        new = [session(2) for _ in range(5)]
        ids = [one.session_id for one in new]
        with service.fault(fault, "create_sessions") as struck:
            assert store.create_many(new) == ids
        assert struck.hits == 1
        every.update(ids)
        assert {one.session_id for one in store.list_all()} == every


def test_update(service: Service, store: Any, owner: psycopg.Connection) -> None:
    known = session()
    store.create(known)
    for number, fault in enumerate(faults(service), 1):
        known.add_revision(revision(f"word {number}"))
        known.metadata["seen"] = number
        with service.fault(fault, "update_session") as struck:
            store.update(known)
        assert (struck.hits, known.version) == (1, number + 1)
        texts = ["word", *(f"word {n}" for n in range(1, number + 1))]
        assert stored_revisions(owner, known.session_id) == texts, fault
    assert store.get(known.session_id) == known


def test_delete(service: Service, store: Any, owner: psycopg.Connection) -> None:
    for fault in faults(service):
        known = session()
        store.create(known)
        with service.fault(fault, "delete_session") as struck:
            store.delete(known.session_id)
        assert struck.hits == 1
        assert stored_version(owner, known.session_id) is None, fault


def test_a_retry_gets_its_own_version_although_others_moved_on(
    service: Service, stack: LocalSupabase, owner: psycopg.Connection
) -> None:
    user = fresh()
    store = service.sync_store(user)
    known = session()
    store.create(known)

    def others_write() -> None:
        with PostgresSessionStore(stack.authenticator_url, user) as other:
            for text in ("theirs 3", "theirs 4"):
                theirs = other.get(known.session_id)
                assert theirs is not None
                theirs.add_revision(revision(text))
                other.update(theirs)

    known.add_revision(revision("ours"))
    with service.fault_then(drop_answer(), "update_session", others_write):
        store.update(known)
    assert known.version == 2
    assert stored_version(owner, known.session_id) == 4
    assert stored_revisions(owner, known.session_id) == ["word", "ours", "theirs 3", "theirs 4"]
    assert store.refresh(known).version == 4


def test_what_the_next_attempt_is_refused_for_is_no_proof_that_nothing_happened(
    service: Service, owner: psycopg.Connection
) -> None:
    store = service.sync_store()
    new = session()
    function = "function public.create_sessions_v1(text, json, json)"

    def revoke() -> None:
        owner.execute(f"revoke execute on {function} from authenticated")

    try:
        with (
            service.fault_then(drop_answer(), "create_sessions", revoke),
            pytest.raises(OutcomeUnknownError, match="permission denied"),
        ):
            store.create(new)
    finally:
        owner.execute(f"grant execute on {function} to authenticated")
    assert stored_version(owner, new.session_id) == 1


def test_a_callers_key_gives_the_first_result_to_another_process(
    service: Service, store: Any
) -> None:
    new = session()
    assert store.create(new, idempotency_key="order 7") == new.session_id
    again = type(new).from_dict(new.to_dict() | {"version": 0})
    other = service.sync_store(store.user_id)
    assert other.create(again, idempotency_key="order 7") == new.session_id
    again.metadata["more"] = True
    with pytest.raises(IdempotencyKeyReusedError):
        other.create(again, idempotency_key="order 7")
