"""Stands between a Postgres client and its server: counts round trips and cuts at the worst moment.

It reads the framing of the Postgres wire protocol (version 3, without TLS) and nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from lift_sys.local.background import HOST, BackgroundServer, close
from lift_sys.local.faults import NO_FAULT, Fault, FaultPlan, Injection

_CHUNK = 65536
_ENCRYPTION_REQUESTS = {80877103, 80877104}  # SSLRequest and GSSENCRequest
_ASKS_FOR_ANSWER = b"QSF"  # Query, Sync, FunctionCall: the server ends each with ReadyForQuery
_READY_FOR_QUERY = ord("Z")


class WireProxy:
    """A TCP proxy in front of a Postgres server on the loopback address.

    Use it as a context manager, or call ``start`` and ``stop``. A round trip is one turn of the
    conversation: what the client sends until it waits for the server, and the server's answer.
    A pipeline of many statements is one; logging in is none.

    Args:
        database_url: ``postgresql://user:password@127.0.0.1:port/database`` of the server.

    Attributes:
        round_trips: how many turns the clients took.
        connections: how many connections were opened, cancel requests included.
        sent: bytes from clients to the server.
        received: bytes from the server to clients.
    """

    def __init__(self, database_url: str) -> None:
        self._target = urlsplit(database_url)
        if self._target.port is None:
            raise ValueError("the database URL must name a port")
        self._target_port = self._target.port
        self._faults: FaultPlan[bytes] = FaultPlan()
        self._server = BackgroundServer(self._serve)
        self.reset()

    @property
    def database_url(self) -> str:
        """The address that leads through this proxy."""
        login, _, _ = self._target.netloc.rpartition("@")
        netloc = f"{login}@{HOST}:{self._server.port}" if login else f"{HOST}:{self._server.port}"
        return urlunsplit(self._target._replace(netloc=netloc))

    def start(self) -> None:
        """Begin to listen, on the same port each time."""
        self._server.start()

    def stop(self) -> None:
        """End every connection and refuse new ones, until ``start``."""
        self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def reset(self) -> None:
        """Set every count to zero."""
        self.round_trips = 0
        self.connections = 0
        self.sent = 0
        self.received = 0

    def cut_connections(self) -> None:
        """End every open connection at once, and go on listening."""
        self._server.cut_connections()

    def fault(
        self,
        fault: Fault,
        *,
        times: int | None = 1,
        when: Callable[[bytes], bool] | None = None,
    ) -> AbstractContextManager[Injection[bytes]]:
        """Make round trips go wrong inside a ``with`` block.

        Args:
            fault: ``delay``, ``delay_answer``, ``cut`` or ``drop_answer``; with the last, the
                connection ends once the server has finished the whole answer.
            times: how many round trips it strikes; None for every one inside the block.
            when: picks the round trips by the bytes that the client sent; all of them by default.

        Returns:
            A context manager that yields the injection, whose ``hits`` counts the stricken.

        Raises:
            ValueError: the fault speaks HTTP.
        """
        if fault.answer is not None or fault.keep < 1:
            raise ValueError("this fault is about HTTP answers")
        return self._faults.inject(fault, times=times, when=when)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        server_reader, server_writer = await asyncio.open_connection(HOST, self._target_port)
        conversation = _Conversation(self._faults)
        pumps = [
            asyncio.create_task(self._from_client(reader, server_writer, conversation)),
            asyncio.create_task(self._from_server(server_reader, writer, conversation)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await close(server_writer)

    async def _from_client(
        self,
        reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        conversation: _Conversation,
    ) -> None:
        while data := await reader.read(_CHUNK):
            self.sent += len(data)
            if conversation.client_says(data):
                self.round_trips += 1
                await asyncio.sleep(conversation.fault.wait)
                if not conversation.fault.forward:
                    return
            server.write(data)
            await server.drain()

    async def _from_server(
        self,
        reader: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        conversation: _Conversation,
    ) -> None:
        while data := await reader.read(_CHUNK):
            self.received += len(data)
            fault = conversation.fault
            answer_is_whole = conversation.server_says(data)
            if fault.cut:
                if answer_is_whole:
                    return
                continue
            if answer_is_whole:
                await asyncio.sleep(fault.wait_after)
            client.write(data)
            await client.drain()


class _Conversation:
    """Whose turn it is on one connection, and what goes wrong with the present turn."""

    def __init__(self, faults: FaultPlan[bytes]) -> None:
        self.fault: Fault = NO_FAULT
        self._faults = faults
        self._client = _Framing(starts_untyped=True)
        self._server = _Framing(starts_untyped=False)
        self._said = bytearray()
        self._unanswered = 0
        self._logged_in = False

    def client_says(self, data: bytes) -> bool:
        """Take in what the client sent; say whether a round trip begins with it."""
        begins = False
        self._said += data
        for kind in self._client.read(data):
            if kind in _ASKS_FOR_ANSWER:
                begins = begins or self._unanswered == 0
                self._unanswered += 1
        if begins:
            self.fault = self._faults.draw(bytes(self._said))
        if self._unanswered:
            self._said.clear()
        return begins

    def server_says(self, data: bytes) -> bool:
        """Take in what the server sent; say whether its answer is now whole."""
        if not self._logged_in and data == b"N":
            return False  # "no" to a request for encryption is one byte without a frame
        for kind in self._server.read(data):
            if kind != _READY_FOR_QUERY:
                continue
            if self._logged_in:
                self._unanswered -= 1
            else:
                self._logged_in = True
                self._said.clear()
        whole = self._logged_in and self._unanswered == 0
        if whole:
            self.fault = NO_FAULT
        return whole


class _Framing:
    """Finds the messages in one direction of the stream; their content is none of its business."""

    def __init__(self, *, starts_untyped: bool) -> None:
        # A client's first messages have no type byte: requests for encryption, then the startup.
        self._untyped = starts_untyped
        self._header = bytearray()
        self._rest = 0

    def read(self, data: bytes) -> Iterator[int]:
        """Yield the type of each message that ends in ``data``; untyped messages are 0."""
        position = 0
        while position < len(data):
            wanted = 8 if self._untyped else 5
            if missing := wanted - len(self._header):
                self._header += data[position : position + missing]
                position += missing
                if len(self._header) < wanted:
                    return
                self._rest = self._body_length()
            step = min(self._rest, len(data) - position)
            self._rest -= step
            position += step
            if self._rest == 0:
                yield self._end_message()

    def _body_length(self) -> int:
        if self._untyped:
            return int.from_bytes(self._header[:4]) - 8
        return int.from_bytes(self._header[1:5]) - 4

    def _end_message(self) -> int:
        kind = 0 if self._untyped else self._header[0]
        if self._untyped:
            self._untyped = int.from_bytes(self._header[4:8]) in _ENCRYPTION_REQUESTS
        self._header.clear()
        return kind
