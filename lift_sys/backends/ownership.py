"""What belongs to one process, or to one event loop in it: connections, above all.

A forked child that used its parent's connections would mix up both conversations, and an event
loop cannot wait for another one's sockets. So each gets its own at its first use.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Generic, TypeVar

from lift_sys.backends.errors import StoreUnavailableError

R = TypeVar("R")


class PerProcess(Generic[R]):
    """One of something for each process.

    A parent's is kept in its children too, because letting go of it might end its connections.

    Args:
        make: makes it; does no I/O. Of two that are made at once one is forgotten.
    """

    def __init__(self, make: Callable[[], R]) -> None:
        self._make = make
        self._made: dict[int, R] = {}

    def get(self) -> R:
        """Return this process's, made now if need be. Takes no lock, which a fork might hold."""
        made = self.known()
        return self._made.setdefault(os.getpid(), self._make()) if made is None else made

    def known(self) -> R | None:
        """Return this process's, or None where it has none yet."""
        return self._made.get(os.getpid())


class PerLoop(Generic[R]):
    """One of something for the event loop that runs, and after its end for the next one.

    Args:
        make: makes it; does no I/O.
        abandon: lets go of one whose loop is closed, so that nothing can be awaited any more.
    """

    def __init__(self, make: Callable[[], R], abandon: Callable[[R], None]) -> None:
        self._make = make
        self._abandon = abandon
        self._per_process: PerProcess[dict[asyncio.AbstractEventLoop, R]] = PerProcess(dict)

    def get(self) -> R:
        """Return the running loop's, made now if need be.

        Raises:
            StoreUnavailableError: another loop has it and is not closed.
        """
        made = self.known()
        if made is None:
            made = self._make()
            self._per_process.get()[asyncio.get_running_loop()] = made
        return made

    def known(self) -> R | None:
        """Return the running loop's, or None where it has none yet; raises as ``get``."""
        made = self._per_process.get()
        here = made.get(asyncio.get_running_loop())
        if here is None:
            for loop in list(made):
                if not loop.is_closed():
                    raise StoreUnavailableError(
                        "another event loop uses this store; make a store for each loop, or "
                        "close that loop first"
                    )
                self._abandon(made.pop(loop))
        return here
