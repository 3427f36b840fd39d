"""A blocking backend, carried for asyncio: in threads, or inline where it never waits."""

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from lift_sys.backends.call import Backend, Call, Lasting, User
from lift_sys.backends.errors import StoreClosedError
from lift_sys.backends.forks import watch_forks
from lift_sys.backends.groups import CarryOut, GroupBackend, Job

T = TypeVar("T")

THREADS: Final = 8
"""How many reads are under way at once; more wait for their turn."""


class InThreads:
    """Carries calls in a few threads of its own, so that the loop never waits for a disk.

    One of them writes: all that waits for it by the time it is free, together.
    """

    def __init__(self, backend: GroupBackend) -> None:
        self.origin = backend.origin
        self._backend = backend
        self.begin_anew()
        watch_forks(self)

    def begin_anew(self) -> None:
        """Take new threads: a forked child has none of its parent's."""
        self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="lift-sys")
        self._writer = _Writer(self._backend.carry_out)

    def execute(self, call: Call[T], user: User) -> Awaitable[T]:
        """Carry out `call` in a thread. See ``Backend.execute``."""
        if call.writes:
            return self._writer.settled(Job(call, user))
        loop = asyncio.get_running_loop()
        try:
            return loop.run_in_executor(self._readers, self._backend.execute, call, user)
        except RuntimeError as error:  # the executor takes no work after it was shut down
            raise StoreClosedError("the store was closed; open a new one") from error

    async def close(self) -> None:
        """Close the backend once the calls under way have ended."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._readers.shutdown(wait=True)
        self._writer.close()
        self._backend.close()


class _Awaited(NamedTuple):
    """A job, and who is told of its outcome."""

    job: Job
    loop: asyncio.AbstractEventLoop
    future: Lasting[Any]


_Queue: TypeAlias = "SimpleQueue[_Awaited | None]"


class _Writer:
    """A thread that carries out jobs, begun with the first of them.

    It ends when it is closed, with its owner, or with the interpreter, in each case after the jobs
    it was given by then.
    """

    def __init__(self, carry_out: CarryOut) -> None:
        self._carry_out = carry_out
        self._queue: _Queue = SimpleQueue()
        self._guard = threading.Lock()
        self._ended: weakref.finalize[..., Any] | None = None
        self._closed = False

    def settled(self, job: Job) -> Lasting[Any]:
        """Return a future of what comes of `job`."""
        loop = asyncio.get_running_loop()
        future: Lasting[Any] = Lasting(loop=loop)
        with self._guard:
            if self._closed:
                raise StoreClosedError("the store was closed; open a new one")
            if self._ended is None:
                self._begin()
            self._queue.put(_Awaited(job, loop, future))
        return future

    def close(self) -> None:
        """End the thread once it has carried out what it was given."""
        with self._guard:
            self._closed = True
        if self._ended is not None:
            self._ended()

    def _begin(self) -> None:
        # A daemon, so that at its exit the interpreter gets as far as to ending it.
        thread = threading.Thread(
            target=_write, args=(self._queue, self._carry_out), name="lift-sys writer", daemon=True
        )
        thread.start()
        self._ended = weakref.finalize(self, _end, self._queue, thread)


def _end(queue: _Queue, thread: threading.Thread) -> None:
    queue.put(None)
    if thread is not threading.current_thread():  # the last to hold its owner may be the thread
        thread.join()


def _write(queue: _Queue, carry_out: CarryOut) -> None:
    while _wrote(queue, carry_out):
        pass


def _wrote(queue: _Queue, carry_out: CarryOut) -> bool:
    """Carry out what waits, or the next to come; return whether there may be more to do."""
    taken = [queue.get()]
    while not queue.empty():  # nobody else takes from it
        taken.append(queue.get())
    waiting = [awaited for awaited in taken if awaited is not None]
    while waiting:
        try:
            carry_out([awaited.job for awaited in waiting])
        except Exception as error:  # noqa: BLE001  # nobody is left waiting
            for awaited in waiting:
                awaited.job.settle(None, error)
        _tell([awaited for awaited in waiting if awaited.job.done])
        waiting = [awaited for awaited in waiting if not awaited.job.done]
    return taken[-1] is not None


def _tell(settled: Sequence[_Awaited]) -> None:
    """Pass the outcomes on, waking each loop once."""
    for loop in {awaited.loop for awaited in settled}:
        told = [awaited for awaited in settled if awaited.loop is loop]
        with suppress(RuntimeError):  # the loop was closed, and with it whoever waited
            loop.call_soon_threadsafe(_resolve, told)


def _resolve(settled: Sequence[_Awaited]) -> None:
    for job, _, future in settled:
        if job.error is None:
            future.set_result(job.answer)
        else:
            future.set_exception(job.error)


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
