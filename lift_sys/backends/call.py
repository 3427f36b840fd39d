"""One operation as a value: a name, JSON arguments, one JSON answer, atomic at the backend.

What an operation does is written once, as a flow: a generator that yields calls and is given
their answers. A sync and an async driver carry the same flows, and a backend only has to execute
calls.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class User:
    """For whom a call is made.

    Attributes:
        user_id: the tenant; every call sees this tenant's data only (G11).
        access_token: the user's own token, where the backend is to enforce the same by itself.
    """

    user_id: str
    access_token: str | None = None


@dataclass(frozen=True, slots=True)
class Encoded(Generic[T]):
    """A value and its JSON text: a backend takes the one it keeps.

    The value is what the text decodes to, so that every backend gives back the same.
    """

    value: T
    json: bytes


@dataclass(frozen=True, slots=True)
class WriteKey:
    """What tells a repeated write from another one (G8).

    Attributes:
        key: the caller's, unique for its user.
        fingerprint: a digest of what is written.
    """

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One named operation, atomic at the backend.

    Attributes:
        name: what is to be done, such as ``update_session``.
        arguments: a dataclass of JSON values and of ``Encoded`` ones.
        decode: makes the answer of the JSON text that a remote backend returns.
        writes: whether it changes anything.
        key: for a write, the caller's key that tells a repetition; None where none was given.
    """

    name: str
    arguments: Any
    decode: Callable[[str | bytes], T]
    writes: bool
    key: WriteKey | None = None


class Backend(Protocol):
    """What carries calls to the data, blocking the calling thread. Safe for use by many threads."""

    @property
    def origin(self) -> str:
        """Names the data: equal for two backends just where they surely reach the same data."""

    def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` whole or not at all and return its answer.

        Raises:
            SessionStoreError: any of its kinds; never a driver's own exception.
        """

    def close(self) -> None:
        """Release what the backend opened. Further calls raise ``StoreClosedError``."""


class Lasting(asyncio.Future[T]):
    """What is going to come of something that nobody can call back.

    A task that is cancelled while it awaits one is cancelled once the outcome is there.
    """

    def cancel(self, msg: Any = None) -> bool:  # noqa: ARG002  # as the base has it
        """Refuse."""
        return False


class AsyncBackend(Protocol):
    """What carries calls to the data, for asyncio. Safe for use by many tasks of one loop."""

    @property
    def origin(self) -> str:
        """Names the data: equal for two backends just where they surely reach the same data."""

    def execute(self, call: Call[T], user: User) -> Awaitable[T]:
        """Carry out `call` whole or not at all and return its answer."""

    async def close(self) -> None:
        """Release what the backend opened. Further calls raise ``StoreClosedError``."""


Flow: TypeAlias = Generator[Call[Any], Any, T]
"""An operation: yields calls, is sent their answers, returns its result. Does no I/O itself."""


def run(flow: Flow[T], backend: Backend, user: User) -> T:
    """Carry `flow` with a blocking backend and return its result."""
    answer: Any = None  # what starts a generator
    while True:
        try:
            call = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        answer = backend.execute(call, user)


async def run_async(flow: Flow[T], backend: AsyncBackend, user: User) -> T:
    """Carry `flow` with an async backend and return its result.

    A cancelled task waits for the outcome of a write that is under way, so that the caller's
    object agrees with what is stored, and is cancelled then (G15).
    """
    answer: Any = None  # what starts a generator
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            call = flow.send(answer)
        except StopIteration as stop:
            if cancelled is not None:
                raise cancelled from None
            result: T = stop.value
            return result
        if cancelled is not None:
            flow.close()
            raise cancelled
        if call.writes:
            answer, cancelled = await _outcome(backend.execute(call, user))
        else:
            answer = await backend.execute(call, user)


async def _outcome(execution: Awaitable[T]) -> tuple[T, asyncio.CancelledError | None]:
    """Await `execution` to its end, whatever happens; return also how the task was cancelled."""
    cancelled: asyncio.CancelledError | None = None
    if isinstance(execution, Lasting):
        try:
            return await execution, None  # which takes the loop a turn less than to wait for it
        except asyncio.CancelledError as error:
            cancelled = error
    future = asyncio.ensure_future(execution)
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and (failure := future.exception()) is not None:
        raise cancelled from failure
    return future.result(), cancelled
