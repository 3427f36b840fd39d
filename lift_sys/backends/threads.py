"""A blocking backend, carried for asyncio: in threads, or inline where it never waits."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from lift_sys.backends.call import Backend, Call, User
from lift_sys.backends.errors import StoreClosedError
from lift_sys.backends.forks import watch_forks

T = TypeVar("T")

THREADS: Final = 8
"""How many calls are under way at once; more wait for their turn."""


class InThreads:
    """Carries calls in a few threads of its own, so that the loop never waits for a disk."""

    def __init__(self, backend: Backend) -> None:
        self.origin = backend.origin
        self._backend = backend
        self.begin_anew()
        watch_forks(self)

    def begin_anew(self) -> None:
        """Take new threads: a forked child has none of its parent's."""
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="lift-sys")

    async def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` in a thread. See ``Backend.execute``."""
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._executor, self._backend.execute, call, user)
        except RuntimeError as error:  # the executor takes no work after it was shut down
            raise StoreClosedError("the store was closed; open a new one") from error
        return await future

    async def close(self) -> None:
        """Close the backend once the calls under way have ended."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._executor.shutdown(wait=True)
        self._backend.close()


class Inline:
    """Carries calls on the loop itself: for a backend that only ever takes microseconds."""

    def __init__(self, backend: Backend) -> None:
        self.origin = backend.origin
        self._backend = backend

    async def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call`. See ``Backend.execute``."""
        return self._backend.execute(call, user)

    async def close(self) -> None:
        """Close the backend."""
        self._backend.close()
