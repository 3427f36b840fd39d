"""An asyncio loop on a thread of its own, and a TCP server on it: what both proxies stand on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")

HOST = "127.0.0.1"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class BackgroundServer:
    """Serves TCP connections on the loopback address from a background thread.

    Args:
        handler: serves one connection; it is cancelled when the server stops, and its connection
            is closed for it.
        port: 0 for a free one, chosen at the first start and kept for later ones.
    """

    def __init__(self, handler: Handler, *, port: int = 0) -> None:
        self.port = port
        self._handler = handler
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen; a server that listens already is left alone.

        Raises:
            OSError: the port is taken.
        """
        if self._loop is not None:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True
        )
        self._thread.start()
        try:
            self.run(self._listen())
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop listening and end every connection; a server that is stopped is left alone."""
        if self._loop is None or self._thread is None:
            return
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def cut_connections(self) -> None:
        """End every open connection at once, and go on listening."""
        if self._loop is not None:
            self.run(self._cut())

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the background loop and return its result."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the proxy is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - asyncio serves each connection in a task
            return
        self._connections.add(task)
        try:
            await self._handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side left, or this server stops: either way there is no one to tell
        finally:
            self._connections.discard(task)
            await close(writer)

    async def _cut(self) -> None:
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()
        self._server = None


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever state it is in."""
    writer.close()
    with suppress(ConnectionError, asyncio.CancelledError):  # it was gone already, or we stop
        await writer.wait_closed()
