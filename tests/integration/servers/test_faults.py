"""What is tried again, what is not, and what is said in the end (G14)."""

import email.utils
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from lift_sys.local import (
    Answer,
    Fault,
    LocalSupabase,
    cut,
    delay_answer,
    empty_200,
    html_200,
    html_502,
    too_many_requests,
    truncate_answer,
    unavailable,
)
from lift_sys.local.servers import free_port
from lift_sys.spec_sessions import (
    HistoryRewriteError,
    IdempotencyKeyReusedError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PostgresSessionStore,
    PromptSession,
    SchemaOutdatedError,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
    SessionStoreError,
    StoreUnavailableError,
    SupabaseSessionStore,
)
from tests.integration.servers.conftest import Service, fresh
from tests.integration.servers.sessions import revision, session


def answered(status: int, body: object = None, **headers: str) -> Fault:
    """A server that answers with this and does nothing."""
    content = b"" if body is None else json.dumps(body).encode()
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    kind = [("Content-Type", "application/json")] if body is not None else []
    return Fault(forward=False, answer=Answer(status, (*kind, *named), content))


def in_seconds(seconds: int) -> str:
    return email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


PASSING = {
    "cut": cut(),
    "truncated": truncate_answer(),
    "502 with a page": html_502(),
    "503 with a number": unavailable(0),
    "503 with a date": answered(503, {"message": "later"}, Retry_After=in_seconds(-5)),
    "503 with a date of no zone": answered(503, Retry_After="Sat, 01 Nov 2025 10:00:00 -0000"),
    "503 with nonsense": answered(503, Retry_After="soon"),
    "429": too_many_requests(0),
    "408": answered(408),
    "504": answered(504),
    "521 of a proxy": answered(521),
    "200 with a page": html_200(),
    "200 with nothing": empty_200(),
    "200 with half a JSON text": Fault(
        forward=False, answer=Answer(200, (("Content-Type", "application/json"),), b'["half')
    ),
    "too many connections": answered(503, {"code": "53300", "message": "too many"}),
    "a lock": answered(500, {"code": "55P03", "message": "lock not available"}),
    "a database that died": answered(400, {"code": "", "details": None, "message": ""}),
    "no connection yet": answered(503, {"code": "PGRST000", "message": "no connection"}),
    "no schema yet": answered(503, {"code": "PGRST002", "message": "no schema"}),
    "no free connection": answered(504, {"code": "PGRST003", "message": "timed out"}),
}


@pytest.fixture
def supabase(stack: LocalSupabase) -> Any:
    stack.gateway.reset()
    with SupabaseSessionStore(stack.url, stack.service_key, fresh()) as store:
        yield store


@pytest.fixture
def impatient(stack: LocalSupabase) -> Any:
    stack.gateway.reset()
    with SupabaseSessionStore(stack.url, stack.service_key, fresh(), budget=0.3) as store:
        yield store


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_is_not_seen(stack: LocalSupabase, supabase: Any, fault: Fault) -> None:
    new = session()
    with stack.gateway.fault(fault, times=2):
        supabase.create(new)
    assert len(stack.gateway.requests) == 3
    with stack.gateway.fault(fault):
        assert supabase.get(new.session_id) == new


CERTAIN = ["503 with a number", "429", "too many connections", "no connection yet", "no schema yet"]
DOUBTFUL = ["cut", "truncated", "502 with a page", "200 with a page", "504", "a database that died"]


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_stays_ends_with_the_budget(
    stack: LocalSupabase, impatient: Any, name: str
) -> None:
    started = time.monotonic()
    with stack.gateway.fault(PASSING[name], times=None) as struck:
        with pytest.raises((StoreUnavailableError, OutcomeUnknownError)) as raised:
            impatient.create(session())
        with pytest.raises(StoreUnavailableError):
            impatient.list_all()
    assert struck.hits > 2
    assert time.monotonic() - started < 5
    if name in CERTAIN:
        assert type(raised.value) is StoreUnavailableError
    if name in DOUBTFUL:
        assert type(raised.value) is OutcomeUnknownError
    if name in ("cut", "truncated"):
        assert isinstance(raised.value.__cause__, httpx.HTTPError)


@pytest.mark.parametrize("wait", ["60", "9e9", in_seconds(86_400)], ids=["60", "9e9", "a date"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_beyond_the_budget_ends_it_at_once(
    stack: LocalSupabase, supabase: Any, status: int, wait: str
) -> None:
    with (
        stack.gateway.fault(answered(status, Retry_After=wait), times=None) as struck,
        pytest.raises(StoreUnavailableError, match=str(status)),
    ):
        supabase.create(session())
    assert struck.hits == 1


def test_a_server_that_asks_to_wait_is_left_alone_so_long(
    stack: LocalSupabase, supabase: Any
) -> None:
    started = time.monotonic()
    with stack.gateway.fault(unavailable(1)):
        supabase.create(session())
    assert time.monotonic() - started >= 1


REFUSED = {
    "400": (answered(400, {"code": None, "message": "no"}), StoreUnavailableError),
    "401": (answered(401, {"message": "Invalid API key"}), PermissionDeniedError),
    "401 bare": (answered(401), PermissionDeniedError),
    "403 with a page": (Fault(forward=False, answer=Answer(403)), PermissionDeniedError),
    "404 of a gateway": (answered(404, {"message": "no Route matched"}), StoreUnavailableError),
    "413": (answered(413), StoreUnavailableError),
    "301": (answered(301, Location="https://elsewhere.example"), StoreUnavailableError),
    "a function that is not there": (
        answered(404, {"code": "PGRST202", "message": "no function"}),
        SchemaOutdatedError,
    ),
    "a word of another release": (
        answered(409, {"code": "PT409", "message": "session_gone_fishing", "details": "{}"}),
        SchemaOutdatedError,
    ),
    "a word with another detail": (
        answered(409, {"code": "PT409", "message": "session_conflict", "details": "[1]"}),
        SchemaOutdatedError,
    ),
    "a statement that took too long": (
        answered(500, {"code": "57014", "message": "canceling statement"}),
        StoreUnavailableError,
    ),
    "a database that takes no writes": (
        answered(405, {"code": "25006", "message": "read-only"}),
        StoreUnavailableError,
    ),
    "an error that is no object": (answered(400, ["no"]), StoreUnavailableError),
    "JSON of another shape": (answered(200, {"hello": "world"}), SchemaOutdatedError),
}


@pytest.mark.parametrize(("fault", "error"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_succeed_is_not_tried_again(
    stack: LocalSupabase, supabase: Any, fault: Fault, error: type[SessionStoreError]
) -> None:
    with stack.gateway.fault(fault, times=None) as struck, pytest.raises(error) as raised:
        supabase.create(session())
    assert (struck.hits, type(raised.value)) == (1, error)


def _conflict(store: Any, known: PromptSession) -> None:
    stale = store.get(known.session_id)
    store.update(known)
    store.update(stale)


def _rewrite(store: Any, known: PromptSession) -> None:
    known.revisions[0] = revision("another")
    store.update(PromptSession.from_dict(known.to_dict()))


def _reuse(store: Any, known: PromptSession) -> None:
    store.create(session(), idempotency_key="once")
    store.create(session(), idempotency_key="once")


REFUSALS: dict[type[SessionStoreError], tuple[int, Callable[[Any, PromptSession], object]]] = {
    SessionExistsError: (1, lambda store, known: store.create(known)),
    SessionNotFoundError: (1, lambda store, known: store.update(session())),
    SessionConflictError: (3, _conflict),
    HistoryRewriteError: (1, _rewrite),
    IdempotencyKeyReusedError: (2, _reuse),
}


@pytest.mark.parametrize("error", REFUSALS)
def test_a_refusal_is_one_request(
    service: Service, store: Any, error: type[SessionStoreError]
) -> None:
    requests, act = REFUSALS[error]
    known = session()
    store.create(known)
    with service.counted() as count, pytest.raises(error) as raised:
        act(store, known)
    assert count() == requests
    assert isinstance(raised.value.__cause__, psycopg.Error | None)


def test_an_answer_that_takes_longer_than_an_attempt_is_asked_for_again(
    service: Service, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lift_sys.backends.remote.ATTEMPT", 0.3)
    new = session()
    with service.fault(delay_answer(3), "create_sessions") as struck, service.counted() as count:
        store.create(new)
    assert (struck.hits, count()) == (1, 2)
    assert store.get(new.session_id) == new


@pytest.mark.parametrize("kind", ["postgres", "supabase"])
@pytest.mark.parametrize("key", [None, "a key"])
def test_a_server_that_is_not_there(kind: str, key: str | None) -> None:
    port = free_port()
    store: Any
    if kind == "postgres":
        store = PostgresSessionStore(f"postgresql://x@127.0.0.1:{port}/x", "ann", budget=0.3)
    else:
        store = SupabaseSessionStore(f"http://127.0.0.1:{port}", "key", "ann", budget=0.3)
    with store:
        with pytest.raises(StoreUnavailableError, match=r"nothing was written") as raised:
            store.create(session(), idempotency_key=key)
        assert isinstance(raised.value.__cause__, psycopg.Error | httpx.HTTPError)
        with pytest.raises(StoreUnavailableError):
            store.get("any")


def test_a_lost_connection_that_stays_lost(service: Service) -> None:
    store = service.sync_store(budget=0.3)
    with service.fault(cut(), "_v1", times=None) as struck:
        with pytest.raises(OutcomeUnknownError, match="idempotency key"):
            store.create(session())
        with pytest.raises(StoreUnavailableError):
            store.list_page()
    assert struck.hits > 2
    assert store.list_all() == []
