"""So many callers at a time; the others wait for their turn, but not forever."""

import asyncio
import time
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

    def take(self, deadline: float) -> None:
        """Wait for a turn until `deadline`, a ``time.monotonic`` instant.

        Raises:
            Unanswered: none came in time.
        """
        try:
            self._free.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty as error:
            raise _none_came(self._count) from error

    def give_back(self) -> None:
        """End a turn that was taken."""
        self._free.put(None)


class AsyncTurns:
    """Turns taken by the tasks of one event loop."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)

    async def take(self, deadline: float) -> None:
        """Wait for a turn. See ``Turns.take``."""
        if not self._free.locked():
            await self._free.acquire()  # at once, and without a timer
        else:
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._free.acquire()
            except TimeoutError as error:
                raise _none_came(self._count) from error

    def give_back(self) -> None:
        """End a turn that was taken."""
        self._free.release()


def _none_came(count: int) -> Unanswered:
    return Unanswered(
        f"no connection was to be had in time; {count} are allowed", may_have_happened=False
    )
