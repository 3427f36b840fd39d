"""Stands where Supabase's API gateway stands: checks the key, passes requests on to PostgREST.

It is also where tests look and interfere: it counts requests and does wrong what it is told to.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import h11
import httpcore

from lift_sys.local.background import HOST, BackgroundServer
from lift_sys.local.faults import Answer, Fault, FaultPlan, Injection

_PREFIX = "/rest/v1"
_MAX_TARGET_BYTES = 8192
_MAX_HEAD_BYTES = 1024 * 1024
_CHUNK = 65536
_UPSTREAM_SECONDS = 60.0
# Headers that belong to one connection and not to the message (RFC 9110, section 7.6.1), and what
# both HTTP libraries work out for themselves.
_NOT_PASSED_ON = {
    b"connection",
    b"content-length",
    b"host",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}


@dataclass
class Request:
    """One request that reached the gateway.

    Attributes:
        method: ``GET``, ``POST`` and so on.
        path: without the query.
        query: what follows the question mark.
        headers: by lower-case name.
        body: the whole body.
        status: the HTTP status sent back; None while there is none, or when none was sent.
        received: bytes of body sent back.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int | None = None
    received: int = 0

    @property
    def sent(self) -> int:
        """Bytes of body the client sent."""
        return len(self.body)


class Gateway:
    """A reverse proxy from ``/rest/v1`` to PostgREST.

    Args:
        upstream_port: where PostgREST listens on the loopback address.
        keys: every accepted ``apikey``, with the JWT that speaks for it where the request has no
            token of its own.
        port: 0 for a free one, chosen at the first start and kept for later ones.
        record: whether to keep the requests.

    Attributes:
        requests: what arrived since the start or the last ``reset``, in order of arrival.
    """

    def __init__(
        self, upstream_port: int, keys: Mapping[str, str], *, port: int = 0, record: bool = True
    ) -> None:
        self.requests: list[Request] = []
        self._upstream = f"http://{HOST}:{upstream_port}"
        self._keys = keys
        self._record = record
        self._faults: FaultPlan[Request] = FaultPlan()
        self._server = BackgroundServer(self._serve, port=port)

    @property
    def url(self) -> str:
        """The address that a Supabase client takes."""
        return f"http://{HOST}:{self._server.port}"

    def start(self) -> None:
        """Begin to listen, on the same port each time."""
        self._server.start()

    def stop(self) -> None:
        """End every connection and refuse new ones, until ``start``."""
        self._server.stop()

    def cut_connections(self) -> None:
        """End every open connection at once, and go on listening."""
        self._server.cut_connections()

    def reset(self) -> None:
        """Forget the requests so far."""
        self.requests.clear()

    def fault(
        self,
        fault: Fault,
        *,
        times: int | None = 1,
        when: Callable[[Request], bool] | None = None,
    ) -> AbstractContextManager[Injection[Request]]:
        """Make requests go wrong inside a ``with`` block.

        Args:
            fault: what goes wrong, such as ``drop_answer()``.
            times: how many requests it strikes; None for every one inside the block.
            when: picks the requests it strikes; all of them by default.

        Returns:
            A context manager that yields the injection, whose ``hits`` counts the stricken.
        """
        return self._faults.inject(fault, times=times, when=when)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # One upstream pool a connection: it cannot leak anything from one client to the next.
        async with httpcore.AsyncConnectionPool(max_connections=1, retries=0) as upstream:
            connection = _ServerConnection(reader, writer)
            while (request := await connection.receive()) is not None:
                if self._record:
                    self.requests.append(request)
                fault = self._faults.draw(request)
                answer = await self._answer(request, fault, upstream)
                if fault.cut:
                    return
                request.status, request.received = answer.status, len(answer.body)
                if not await connection.send(answer, keep=fault.keep):
                    return

    async def _answer(
        self, request: Request, fault: Fault, upstream: httpcore.AsyncConnectionPool
    ) -> Answer:
        await asyncio.sleep(fault.wait)
        answer = _message(502, "the fault said not to ask the server")
        if fault.forward:
            answer = self._refusal(request) or await self._forward(request, upstream)
        await asyncio.sleep(fault.wait_after)
        return fault.answer or answer

    def _refusal(self, request: Request) -> Answer | None:
        """Return what the gateway itself has to say against a request, if anything."""
        if len(request.path) + len(request.query) > _MAX_TARGET_BYTES:
            return _message(414, "URI too long")
        if request.path != _PREFIX and not request.path.startswith(f"{_PREFIX}/"):
            return _message(404, "no Route matched with those values")
        key = request.headers.get("apikey")
        if key is None:
            return _message(401, "No API key found in request")
        if key not in self._keys:
            return _message(401, "Invalid API key")
        return None

    async def _forward(self, request: Request, upstream: httpcore.AsyncConnectionPool) -> Answer:
        path = request.path.removeprefix(_PREFIX) or "/"
        target = f"{path}?{request.query}" if request.query else path
        try:
            response = await upstream.request(
                request.method,
                self._upstream + target,
                headers=[*self._upstream_headers(request).items()],
                content=request.body or (None if request.method in {"GET", "HEAD"} else b""),
                extensions={"timeout": {"connect": _UPSTREAM_SECONDS, "read": _UPSTREAM_SECONDS}},
            )
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            return _message(502, "An invalid response was received from the upstream server")
        headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in response.headers
            if name.lower() not in _NOT_PASSED_ON
        )
        return Answer(response.status, headers, response.content)

    def _upstream_headers(self, request: Request) -> dict[str, str]:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.encode() not in _NOT_PASSED_ON
        }
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token in self._keys or not token:
            # A key of the new kind is no JWT: the gateway speaks for whoever presents one.
            headers["authorization"] = f"Bearer {self._keys[token or headers['apikey']]}"
        return headers


class _ServerConnection:
    """One client's connection, as whole requests and whole answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._method = ""

    async def receive(self) -> Request | None:
        """Return the next request; None when the client is done or makes no sense."""
        head: h11.Request | None = None
        body = bytearray()
        try:
            while not isinstance(event := await self._next_event(), h11.EndOfMessage):
                if isinstance(event, h11.ConnectionClosed):
                    return None
                if isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data):
                    body += event.data
        except h11.RemoteProtocolError:
            return None
        if head is None:
            return None
        self._method = head.method.decode()
        path, _, query = head.target.decode("latin-1").partition("?")
        headers: dict[str, str] = {}
        for raw_name, raw_value in head.headers:
            name, value = raw_name.decode(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Request(self._method, path, query, headers, bytes(body))

    async def _next_event(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(_CHUNK))
        if event is h11.PAUSED:
            raise h11.RemoteProtocolError("pipelined requests are not answered")
        return event  # type: ignore[return-value]  # h11 types its sentinels apart from its events

    async def send(self, answer: Answer, *, keep: float) -> bool:
        """Send an answer; say whether the connection can take another request."""
        has_body = self._method != "HEAD" and answer.status not in {204, 304}
        headers = [*answer.headers]
        if has_body:
            headers.append(("Content-Length", str(len(answer.body))))
        self._write(h11.Response(status_code=answer.status, headers=headers))
        if has_body:
            self._write(h11.Data(data=answer.body[: int(len(answer.body) * keep)]))
        if keep < 1:
            await self._writer.drain()
            return False
        self._write(h11.EndOfMessage())
        await self._writer.drain()
        if h11.MUST_CLOSE in (self._http.our_state, self._http.their_state):
            return False
        self._http.start_next_cycle()
        return True

    def _write(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")


def _message(status: int, message: str) -> Answer:
    body = json.dumps({"message": message}).encode()
    return Answer(status, (("Content-Type", "application/json"),), body)
