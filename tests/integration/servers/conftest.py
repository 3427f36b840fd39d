"""One stack for the tests of the networked stores; users and ids of its own for each test.

A test asks for ``kind`` and runs on Postgres and on Supabase, or for ``store`` and runs on the
sync and the async store of both: a ``Blocking`` view makes one test body serve all four.
"""

import asyncio
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from lift_sys.local import Fault, Injection, LocalSupabase, WireProxy
from lift_sys.spec_sessions import (
    AsyncPostgresSessionStore,
    AsyncSupabaseSessionStore,
    PostgresSessionStore,
    SessionStore,
    SupabaseSessionStore,
)

KINDS = ("postgres", "supabase")
STORES = ("postgres", "async-postgres", "supabase", "async-supabase")


class Loop:
    """An event loop in a thread of its own, for async stores in sync tests."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Blocking:
    """An async store with the methods of a sync one."""

    def __init__(self, store: Any, loop: Loop) -> None:
        self._store = store
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name == "for_user":
            return lambda *args, **options: Blocking(found(*args, **options), self._loop)
        if not callable(found):
            return found
        return lambda *args, **options: self._loop.run(found(*args, **options))


@dataclass
class Service:
    """One kind of server: makes its stores, counts their requests, makes them go wrong."""

    kind: str
    stack: LocalSupabase
    wire: WireProxy
    loop: Loop
    _undo: ExitStack = field(default_factory=ExitStack)

    def sync_store(self, user_id: str | None = None, **options: Any) -> SessionStore:
        """A store with row security on, closed after the test."""
        store: Any
        if self.kind == "postgres":
            store = PostgresSessionStore(self.wire.database_url, user_id or fresh(), **options)
        else:
            store = SupabaseSessionStore(
                self.stack.url,
                self.stack.anon_key,
                access_token=self.stack.jwt(user_id or fresh()),
                **options,
            )
        self._undo.callback(store.close)
        return store  # type: ignore[no-any-return]  # one name for two classes

    def async_store(self, user_id: str | None = None, **options: Any) -> Any:
        """The same for asyncio; the test closes it, in its own loop."""
        if self.kind == "postgres":
            return AsyncPostgresSessionStore(self.wire.database_url, user_id or fresh(), **options)
        return AsyncSupabaseSessionStore(
            self.stack.url,
            self.stack.anon_key,
            access_token=self.stack.jwt(user_id or fresh()),
            **options,
        )

    def blocking_store(self, user_id: str | None = None, **options: Any) -> Blocking:
        """The async store, for a sync test; closed after it."""
        store = self.async_store(user_id, **options)
        self.closing(store)
        return Blocking(store, self.loop)

    def closing(self, store: Any) -> None:
        """Close an async store after the test."""
        self._undo.callback(lambda: self.loop.run(store.close()))

    def fault(
        self, fault: Fault, call: str, *, times: int | None = 1
    ) -> AbstractContextManager[Injection[Any]]:
        """Make requests for one function go wrong."""
        if self.kind == "postgres":
            return self.wire.fault(fault, times=times, when=lambda sent: call.encode() in sent)
        return self.stack.gateway.fault(
            fault, times=times, when=lambda request: call in request.path
        )

    def fault_then(
        self, fault: Fault, call: str, action: Callable[[], object]
    ) -> AbstractContextManager[Injection[Any]]:
        """Make the first request for a function go wrong; act before the second one passes on.

        The action must not pass this gateway or wire itself, which waits for it.
        """
        seen = 0

        def is_first(request: Any) -> bool:
            nonlocal seen
            said = request if self.kind == "postgres" else request.path.encode()
            seen += call.encode() in said
            if seen == 2:
                action()
            return seen == 1

        proxy: Any = self.wire if self.kind == "postgres" else self.stack.gateway
        faults: AbstractContextManager[Injection[Any]] = proxy.fault(
            fault, times=None, when=is_first
        )
        return faults

    @contextmanager
    def counted(self) -> Iterator[Callable[[], int]]:
        """Count the requests, or round trips, made inside the block."""
        if self.kind == "postgres":
            before = self.wire.round_trips
            yield lambda: self.wire.round_trips - before
        else:
            first = len(self.stack.gateway.requests)
            yield lambda: len(self.stack.gateway.requests) - first

    def sent(self) -> int:
        """How many bytes of requests were sent so far."""
        if self.kind == "postgres":
            return self.wire.sent
        return sum(request.sent for request in self.stack.gateway.requests)

    def received(self) -> int:
        """How many bytes of answers were received so far."""
        if self.kind == "postgres":
            return self.wire.received
        return sum(request.received for request in self.stack.gateway.requests)


def fresh() -> str:
    """A user that no other test has."""
    return f"user-{uuid.uuid4()}"


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalSupabase]:
    with LocalSupabase() as stack:
        yield stack


@pytest.fixture(scope="session")
def wire(stack: LocalSupabase) -> Iterator[WireProxy]:
    with WireProxy(stack.authenticator_url) as wire:
        yield wire


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture
def owner(stack: LocalSupabase) -> Iterator[psycopg.Connection]:
    """A connection past row security, to look at the tables and to lock them."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(params=KINDS)
def service(
    request: pytest.FixtureRequest, stack: LocalSupabase, wire: WireProxy, loop: Loop
) -> Iterator[Service]:
    service = Service(request.param, stack, wire, loop)
    stack.gateway.reset()
    with service._undo:
        yield service


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def store(request: pytest.FixtureRequest, service: Service) -> Any:
    """The sync and the async store of each service, for a user of its own."""
    return service.blocking_store() if request.param else service.sync_store()
