"""What an operation costs: one round trip (G17), and the same at any length of history (G18)."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

import pytest

from lift_sys.backends.call import Call, Encoded, User
from lift_sys.spec_sessions import PromptSession, SessionConflictError, SessionStore
from lift_sys.testing import samples
from lift_sys.testing.blocking import BlockingStore
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import holds, stored

SLACK = 2**20
"""How many bytes more an update may need beside 10 MB of history: far less than reading it."""

OPERATIONS: dict[str, Callable[[SessionStore, PromptSession], object]] = {
    "create": lambda store, _: store.create(samples.session()),
    "create_many": lambda store, _: store.create_many([samples.session() for _ in range(100)]),
    "get": lambda store, session: store.get(session.session_id),
    "update": lambda store, session: store.update(samples.grow(session)),
    "refresh": lambda store, session: store.refresh(session),
    "delete": lambda store, session: store.delete(session.session_id),
    "list_active": lambda store, _: store.list_active(),
    "list_all": lambda store, _: store.list_all(),
    "list_page": lambda store, _: store.list_page(),
}


@dataclass(frozen=True)
class Sent:
    """One call: its name, the size of its arguments, and that of its answer."""

    name: str
    size: int
    answer: int


class FlatCost:
    """G18: an update neither sends nor reads history."""

    @guarantee("G18")
    def test_an_update_sends_the_same_after_ten_items_and_after_ten_thousand(
        self, harness: StoreHarness
    ) -> None:
        store = harness.store()
        sizes = []
        for count in (10, 10_000):
            session = _long_session(store, count)
            with _calls(store) as calls:
                store.update(samples.grow(session))
            assert [call.name for call in calls] == ["update_session"]
            sizes.append(calls[0].size)
        assert sizes[1] - sizes[0] < 100

    @guarantee("G18")
    def test_an_update_needs_no_room_for_the_history(self, harness: StoreHarness) -> None:
        store = harness.store()
        room = []
        for count in (10, 10_000):
            session = _long_session(store, count)
            samples.grow(session)
            room.append(_room(partial(store.update, session)))
            assert stored(store, session.session_id).version == 2
        assert room[1] - room[0] < SLACK

    @guarantee("G18")
    def test_a_refused_update_needs_no_room_for_the_history(self, harness: StoreHarness) -> None:
        store = harness.store()
        session = _long_session(store, 10_000)
        stale = stored(store, session.session_id)
        store.update(session)
        samples.grow(stale)

        def refused() -> None:
            with pytest.raises(SessionConflictError):
                store.update(stale)

        assert _room(refused) < SLACK

    @guarantee("G18")
    def test_a_page_needs_no_room_for_the_histories(self, harness: StoreHarness) -> None:
        store = harness.store()
        _long_session(store, 10_000)
        assert _room(store.list_page) < SLACK

    @guarantee("G18")
    def test_refresh_moves_only_what_is_new(self, harness: StoreHarness) -> None:
        store = harness.store()
        session = _long_session(store, 10_000)
        behind = stored(store, session.session_id)
        store.update(samples.grow(session))
        with _calls(store) as calls:
            fresh = store.refresh(behind)
        assert holds(store, fresh)
        assert [call.name for call in calls] == ["refresh_session"]
        assert calls[0].size < 1_000
        assert calls[0].answer < 10_000

    @guarantee("G18")
    def test_what_a_handle_was_told_is_enough_for_update_after_update(
        self, harness: StoreHarness
    ) -> None:
        store = harness.store()
        session = _long_session(store, 1_000)
        with _calls(store) as calls:
            for _ in range(3):
                store.update(samples.grow(session))
                session = store.refresh(session)
        assert [call.name for call in calls] == ["update_session", "refresh_session"] * 3
        assert max(call.size for call in calls) < 10_000


class OneRoundTrip:
    """G17: each operation is one request and one answer."""

    @guarantee("G17")
    @pytest.mark.parametrize("name", OPERATIONS)
    def test_an_operation_is_one_round_trip(self, harness: StoreHarness, name: str) -> None:
        store, session = harness.store(), samples.session()
        store.create_many([session, *(samples.session() for _ in range(20))])
        for _ in range(50):
            samples.grow(session)
        store.update(session)
        before = harness.requests()
        OPERATIONS[name](store, session)
        assert harness.requests() - before == 1


def _long_session(store: SessionStore, count: int) -> PromptSession:
    """Store a session with `count` items of 1 KB and return a handle that knows it."""
    session = PromptSession()
    text = "x" * 1_000
    session.revisions.extend(samples.revision(f"{n} {text}") for n in range(count))
    store.create(session)
    return session


def _room(action: Callable[[], object]) -> int:
    """Return how many bytes `action` had allocated at its height."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@contextmanager
def _calls(store: SessionStore) -> Iterator[list[Sent]]:
    """Record the calls that reach the store's backend; skip where it is built otherwise."""
    owner: Any = store.asynchronous if isinstance(store, BlockingStore) else store
    backend = getattr(owner, "_backend", None)
    if backend is None:
        pytest.skip("the store is not built on calls, which could be counted")
    sent: list[Sent] = []
    recorder = _AsyncRecorder if isinstance(store, BlockingStore) else _Recorder
    owner._backend = recorder(backend, sent)
    try:
        yield sent
    finally:
        owner._backend = backend


class _Recorder:
    """Carries calls to a backend and notes them."""

    def __init__(self, backend: Any, sent: list[Sent]) -> None:
        self.origin = backend.origin
        self._backend = backend
        self._sent = sent

    def execute(self, call: Call[Any], user: User) -> Any:
        answer = self._backend.execute(call, user)
        self._note(call, answer)
        return answer

    def _note(self, call: Call[Any], answer: object) -> None:
        self._sent.append(Sent(call.name, _size(call.arguments), _size(answer)))


class _AsyncRecorder(_Recorder):
    async def execute(self, call: Call[Any], user: User) -> Any:
        answer = await self._backend.execute(call, user)
        self._note(call, answer)
        return answer


def _size(value: object) -> int:
    """Return about how many bytes `value` takes as JSON."""
    if isinstance(value, Encoded):
        return len(value.json)
    if is_dataclass(value):
        return sum(_size(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return len(str(value))
