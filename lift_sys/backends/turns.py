"""So many callers at a time; the others wait for their turn, but not forever."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from queue import Empty, SimpleQueue

from lift_sys.backends.remote import Unanswered


class Turns:
    """Turns taken by threads.

    Args:
        count: how many callers there are at a time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        # A queue of so many tokens does what a semaphore does, without taking a lock twice.
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    @contextmanager
    def taken(self, deadline: float) -> Iterator[None]:
        """Wait for a turn until `deadline`, a ``time.monotonic`` instant, and hold it.

        Raises:
            Unanswered: none came in time.
        """
        try:
            self._free.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty as error:
            raise _none_came(self._count) from error
        try:
            yield
        finally:
            self._free.put(None)


class AsyncTurns:
    """Turns taken by the tasks of one event loop."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def taken(self, deadline: float) -> AsyncIterator[None]:
        """Wait for a turn and hold it. See ``Turns.taken``."""
        if not self._free.locked():
            await self._free.acquire()  # at once, and without a timer
        else:
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._free.acquire()
            except TimeoutError as error:
                raise _none_came(self._count) from error
        try:
            yield
        finally:
            self._free.release()


def _none_came(count: int) -> Unanswered:
    return Unanswered(
        f"no connection was to be had in time; {count} are allowed", may_have_happened=False
    )
