"""Writers that keep appending while a server is killed under them, and what they were promised."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import psycopg

from lift_sys.spec_sessions import PromptSession
from tests.integration.servers.conftest import Loop
from tests.integration.servers.sessions import revision, session, stored_revisions, stored_version

WRITERS = 8
_SECONDS = 60.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {_SECONDS} s for {what}"
        time.sleep(0.005)


class Load:
    """Eight writers, each on a session of its own, from the start of the block to its end."""

    def __init__(self) -> None:
        self.sessions = [session() for _ in range(WRITERS)]
        self.failures: list[BaseException] = []
        self._done = [0] * WRITERS
        self._stop = False

    def wait_for_more(self, writes: int = 3) -> None:
        """Return once every writer had so many more writes acknowledged."""
        goals = [done + writes for done in self._done]
        wait_for(
            lambda: bool(self.failures) or all(map(int.__ge__, self._done, goals)),
            f"{writes} more writes by each writer",
        )

    def check(self, owner: psycopg.Connection) -> None:
        """Find each acknowledged write once, nothing else, and no writer that ever failed."""
        assert not self.failures, self.failures
        for written in self.sessions:
            texts = [one.content for one in written.revisions]
            stored = stored_revisions(owner, written.session_id)
            assert stored == texts, (stored, texts)
            assert stored_version(owner, written.session_id) == written.version == len(texts)

    def _next(self, number: int) -> PromptSession:
        written = self.sessions[number]
        written.add_revision(revision(f"write {len(written.revisions)}"))
        return written


class ThreadedLoad(Load):
    """Writers in threads."""

    def __init__(self, store: Any) -> None:
        super().__init__()
        self._store = store
        self._threads = [
            threading.Thread(target=self._write, args=[number]) for number in range(WRITERS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        try:
            self._store.create(self.sessions[number])
            while not self._stop:
                self._store.update(self._next(number))
                self._done[number] += 1
        except BaseException as error:  # noqa: BLE001  # the test's own thread looks at it
            self.failures.append(error)


class TaskLoad(Load):
    """Writers as tasks of one event loop."""

    def __init__(self, store: Any, loop: Loop) -> None:
        super().__init__()
        self._store = store
        self._loop = loop

    def __enter__(self) -> Self:
        self._running = asyncio.run_coroutine_threadsafe(self._write_all(), self._loop.loop)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._running.result(_SECONDS)

    async def _write_all(self) -> None:
        await asyncio.gather(*map(self._write, range(WRITERS)))

    async def _write(self, number: int) -> None:
        try:
            await self._store.create(self.sessions[number])
            while not self._stop:
                await self._store.update(self._next(number))
                self._done[number] += 1
        except BaseException as error:  # noqa: BLE001  # the test's own thread looks at it
            self.failures.append(error)
