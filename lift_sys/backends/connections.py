"""A few Postgres connections for many callers, made when they are needed.

Connecting happens in the caller's own attempt, so the caller learns at once, and from the server
itself, why it is not let in. An idle connection that the server has ended is noticed before
anything is sent on it, so a restarted server puts no write in doubt. Nothing runs in the
background, so a fork or an event loop can simply have a pool of its own.
"""

import select
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Generic, TypeVar

from psycopg import AsyncConnection, Connection
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from lift_sys.backends.errors import StoreClosedError
from lift_sys.backends.remote import CLOSED, Unanswered
from lift_sys.backends.turns import AsyncTurns, Turns

T = TypeVar("T")

IDLE_SECONDS: Final = 300.0
"""For how many seconds an unused connection is kept: firewalls forget such without a word."""
BUSY_SECONDS: Final = 0.01
"""For how many seconds a connection that was just used is taken for alive: looking lets other
threads in, which is what a busy pool has least time for."""
LOOK_UP_SECONDS: Final = 0.1
"""How often a waiting thread looks up to see an interruption."""


class TimedConnection(Connection[Any]):
    """A connection that waits for an answer until its deadline, a ``time.monotonic`` instant."""

    deadline = 0.0

    def __init__(self, pgconn: PGconn, *arguments: Any) -> None:
        super().__init__(pgconn, *arguments)
        self.prepared: set[bytes] = set()

    def wait(
        self, gen: "PQGen[T]", interval: float = LOOK_UP_SECONDS, timeout: float | None = None
    ) -> T:
        """Wait as psycopg does, but not past the deadline."""
        return super().wait(gen, interval, timeout or max(0.0, self.deadline - time.monotonic()))


class AsyncTimedConnection(AsyncConnection[Any]):
    """``TimedConnection`` for asyncio."""

    deadline = 0.0

    def __init__(self, pgconn: PGconn, *arguments: Any) -> None:
        super().__init__(pgconn, *arguments)
        self.prepared: set[bytes] = set()

    async def wait(
        self,
        gen: "PQGen[T]",
        interval: float = LOOK_UP_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109  # psycopg's signature
    ) -> T:
        """Wait as psycopg does, but not past the deadline."""
        left = max(0.0, self.deadline - time.monotonic())
        return await super().wait(gen, interval, timeout or left)


C = TypeVar("C", bound=TimedConnection | AsyncTimedConnection)


class _Pool(Generic[C]):
    """What the sync and the async pool have in common: the connections that are not in use."""

    def __init__(self) -> None:
        self._closed = False
        self._idle: deque[tuple[C, float]] = deque()

    def discard_idle(self) -> None:
        """End every connection that is not in use."""
        while self._idle:
            try:
                connection, _ = self._idle.pop()
            except IndexError:  # another thread was faster
                return
            connection.pgconn.finish()

    def close(self) -> None:
        """End the idle connections now, and those in use as soon as they are given back."""
        self._closed = True
        self.discard_idle()

    def _idle_one(self) -> C | None:
        """Return the connection that was used last, if one is alive."""
        self._discard_forgotten()
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() < since + BUSY_SECONDS or _is_quiet(connection):
                return connection
            connection.pgconn.finish()
        return None

    def _give_back(self, connection: C) -> None:
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:
            connection.pgconn.finish()  # dead, or an answer is still to come on it
            return
        self._discard_forgotten()
        self._idle.append((connection, time.monotonic()))
        if self._closed:
            self.discard_idle()

    def _discard_forgotten(self) -> None:
        """End the connections that nobody has used for long: those on the left."""
        while self._idle and self._idle[0][1] < time.monotonic() - IDLE_SECONDS:
            try:
                connection, _ = self._idle.popleft()
            except IndexError:
                return
            connection.pgconn.finish()

    def _require_open(self) -> None:
        if self._closed:
            raise StoreClosedError(CLOSED)


class Pool(_Pool[TimedConnection]):
    """Connections shared by threads.

    Args:
        size: how many there are at the most.
        connect: makes one.
    """

    def __init__(self, size: int, connect: Callable[[], TimedConnection]) -> None:
        super().__init__()
        self._connect = connect
        self._turns = Turns(size)

    @contextmanager
    def connection(self, deadline: float) -> Iterator[TimedConnection]:
        """Lend a connection that waits until `deadline`, a ``time.monotonic`` instant.

        Raises:
            StoreClosedError: the pool was closed.
            Unanswered: all were in use until then.
        """
        self._turns.take(deadline)
        try:
            self._require_open()
            connection = self._idle_one() or self._connect()
            try:
                yield _set_to(connection, deadline)
            finally:
                self._give_back(connection)
        finally:
            self._turns.give_back()


class AsyncPool(_Pool[AsyncTimedConnection]):
    """Connections shared by the tasks of one event loop. Arguments as ``Pool``."""

    def __init__(self, size: int, connect: Callable[[], Awaitable[AsyncTimedConnection]]) -> None:
        super().__init__()
        self._connect = connect
        self._turns = AsyncTurns(size)

    @asynccontextmanager
    async def connection(self, deadline: float) -> AsyncIterator[AsyncTimedConnection]:
        """Lend a connection that waits until `deadline`. Raises as ``Pool.connection``."""
        await self._turns.take(deadline)
        try:
            self._require_open()
            connection = self._idle_one() or await self._connect()
            try:
                yield _set_to(connection, deadline)
            finally:
                self._give_back(connection)
        finally:
            self._turns.give_back()


def _set_to(connection: C, deadline: float) -> C:
    if time.monotonic() >= deadline:
        raise Unanswered("connecting took too long", may_have_happened=False)
    connection.deadline = deadline
    return connection


def _is_quiet(connection: TimedConnection | AsyncTimedConnection) -> bool:
    """Say whether nothing came in since the last answer: what comes then is the server's farewell.

    The same look that HTTP clients take at their idle connections.
    """
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
