"""Calls as functions of a Supabase project, over its REST interface: one request a call.

supabase-py makes the headers, those of each user too; what a call says is posted as the JSON text
it is, and the answer is handed on undecoded. Requests go straight to httpx's transport: nothing
that its client adds (redirects, cookies, sign-in flows) is wanted here, and it doubles the price.
"""

import email.utils
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx
from postgrest import AsyncPostgrestClient, SyncPostgrestClient
from pydantic_core import from_json, to_json
from supabase import AsyncClient, AsyncClientOptions, Client, ClientOptions

from lift_sys.backends.call import Call, User
from lift_sys.backends.errors import PermissionDeniedError, StoreClosedError
from lift_sys.backends.ownership import PerLoop, PerProcess
from lift_sys.backends.remote import (
    CLOSED,
    PASSING,
    SHORTEST,
    Functions,
    Unanswered,
    arguments_json,
    connection_lost,
    decoded,
    key_json,
    persist,
    persist_async,
    refused,
)
from lift_sys.backends.turns import AsyncTurns, Turns

T = TypeVar("T")

CONNECTIONS: Final = 20
"""How many requests are under way at the most. PostgREST itself has ten connections by default, and
the HTTP client sorts through all that wait each time one ends."""
TOKENS: Final = 256
"""For how many tokens the headers are kept ready."""
_TRY_AGAIN: Final = frozenset({408, 425, 429, 502, 503, 504})
_NEVER_RAN: Final = frozenset({"PGRST000", "PGRST002", "PGRST003"})
"""PostgREST had no connection to the database, no schema yet, or no free connection in time."""
_LOST: Final = ("PGRST001", "")
"""PostgREST lost its connection to the database, maybe after the commit. Where that happens during
a call, it answers 400 with a code and a message that are empty."""


class _Settings:
    """What the sync and the async backend have in common: the request and its answer."""

    def __init__(
        self, url: str, key: str, functions: Functions, schema: str, budget: float
    ) -> None:
        self.url = _checked_url(url)
        if not _fits_header(key):
            raise ValueError("key: holds characters that no API key has")
        self.key = key
        self.functions = functions
        self.schema = schema
        self.budget = budget
        self.origin = f"supabase:{self.url}:{schema}"
        self.path = cache(self._new_path)

    def body(self, call: Call[Any], user: User) -> bytes:
        """Return the JSON text that is posted: the function's arguments by name."""
        user_id, arguments = to_json(user.user_id), arguments_json(call)
        if call.writes:
            write = key_json(call)
            return b'{"p_user_id":%s,"p_arguments":%s,"p_write":%s}' % (user_id, arguments, write)
        return b'{"p_user_id":%s,"p_arguments":%s}' % (user_id, arguments)

    def request(
        self, call: Call[Any], headers: httpx.Headers, body: bytes, seconds: float
    ) -> httpx.Request:
        """Return the request of a call; each step of it may take so many seconds."""
        timeout = {"connect": seconds, "read": seconds, "write": seconds, "pool": seconds}
        return httpx.Request(
            "POST",
            self.path(call.name),
            headers=headers,
            content=body,
            extensions={"timeout": timeout},
        )

    def _new_path(self, name: str) -> httpx.URL:
        return httpx.URL(f"{self.url}/rest/v1/rpc/{name}{self.functions.suffix}")

    def proxy(self) -> str | None:
        """Return the proxy that the environment names for the project, as for any HTTP client."""
        parts = httpx.URL(self.url)
        if proxy_bypass(parts.host):
            return None
        proxies = getproxies()
        return proxies.get(parts.scheme) or proxies.get("all")

    def headers(
        self,
        http: httpx.Client | httpx.AsyncClient,
        client: SyncPostgrestClient | AsyncPostgrestClient,
        access_token: str | None,
    ) -> httpx.Headers:
        """Return the headers that a child client, this caller's alone, sends for a user."""
        if access_token is not None:
            if not _fits_header(access_token):
                raise PermissionDeniedError("the access token is empty, or no token at all")
            client.auth(access_token)
        return httpx.Headers({**http.headers, **client.headers, "Content-Type": "application/json"})

    def answer(self, response: httpx.Response) -> bytes:
        """Return the JSON text of the answer.

        Raises:
            Unanswered: another attempt may be answered otherwise.
            SessionStoreError: what the project refused.
        """
        if response.status_code == httpx.codes.OK:
            if _is_json(response):
                return response.content
            raise Unanswered(
                f"{self.url} answered with {_kind(response)} instead of JSON; "
                "something in between answered in its place",
                may_have_happened=True,
            )
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> Exception:
        status, error = response.status_code, _error(response)
        code = str(error.get("code") or "")
        said = f"{self.url} answered {status} {response.reason_phrase}".rstrip()
        word = str(error.get("message") or said)
        if code in PASSING or code in _NEVER_RAN:
            return Unanswered(word, may_have_happened=False, pause=_pause(response))
        if error.get("code") in _LOST or connection_lost(code):
            return Unanswered(word, may_have_happened=True, pause=_pause(response))
        if code.startswith("PT"):
            return refused(self.functions, code, word, _text(error.get("details")))
        if status in _TRY_AGAIN or (not code and status >= httpx.codes.INTERNAL_SERVER_ERROR):
            done = status != httpx.codes.TOO_MANY_REQUESTS and not _turned_away(response)
            return Unanswered(word, may_have_happened=done, pause=_pause(response))
        names_no_role = code == "22023" and word.startswith("role ")  # the token does, that is
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN) or names_no_role:
            return PermissionDeniedError(f"{word} ({code or status})")
        return refused(self.functions, code or str(status), word, _text(error.get("details")))

    def unanswered(self, error: httpx.HTTPError) -> Unanswered:
        """Return what a failed request means: one that never left was not carried out."""
        never_left = isinstance(
            error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
        )
        reason = f"{self.url}: {type(error).__name__}: {error}".rstrip(": ")
        return Unanswered(reason, may_have_happened=not never_left)


class _Link:
    """One HTTP client, which closes once it is told to and the last request has ended.

    httpx itself would cut the requests under way, and leave their writes in doubt.
    """

    def __init__(self, settings: _Settings) -> None:
        self._transport = httpx.HTTPTransport(proxy=settings.proxy())
        self._http = httpx.Client(transport=self._transport)
        client = Client(
            settings.url,
            settings.key,
            ClientOptions(
                httpx_client=self._http,
                auto_refresh_token=False,
                persist_session=False,
                postgrest_client_retry=False,
            ),
        )
        self.headers = lru_cache(TOKENS)(
            lambda token: settings.headers(self._http, client.schema(settings.schema), token)
        )
        self._turns = Turns(CONNECTIONS)
        self._lock = threading.Lock()
        self._closing = False
        self._under_way = 0

    @contextmanager
    def transport(self, deadline: float) -> Iterator[httpx.HTTPTransport]:
        """Lend the transport for one request, which is to begin before `deadline`.

        Raises:
            StoreClosedError: it was closed.
            Unanswered: others had it until then.
        """
        self._turns.take(deadline)
        try:
            with self._lock:
                if self._closing:
                    raise StoreClosedError(CLOSED)
                self._under_way += 1
            try:
                yield self._transport
            finally:
                self._end(1)
        finally:
            self._turns.give_back()

    def close(self) -> None:
        """Close the client, now or after the last request."""
        self._closing = True
        self._end(0)

    def _end(self, requests: int) -> None:
        with self._lock:
            self._under_way -= requests
            is_last = self._closing and not self._under_way
        if is_last:
            self._http.close()


class SupabaseBackend:
    """Carries calls to a Supabase project.

    Args:
        url: the project's, such as ``https://project.supabase.co``.
        key: its secret key, or a publishable one where every user brings a token.
        functions: the domain's.
        schema: where the functions are; has to be exposed by the project.
        budget: for how many seconds a call goes on trying.

    Raises:
        ValueError: the URL or the key cannot be one.
    """

    def __init__(
        self, url: str, key: str, functions: Functions, *, schema: str, budget: float
    ) -> None:
        self._settings = _Settings(url, key, functions, schema, budget)
        self.origin = self._settings.origin
        self._closed = False
        self._links = PerProcess(lambda: _Link(self._settings))

    def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` with one request and return its answer.

        Raises:
            StoreClosedError: the backend was closed.
            PermissionDeniedError: the key or the token is not accepted, or lacks a grant.
            SchemaOutdatedError: a function is missing: the migrations were not applied.
            StoreUnavailableError: not reached within the budget; nothing was written.
            OutcomeUnknownError: a write that may have happened was not answered.
            SessionStoreError: what the function refused.
        """
        if self._closed:
            raise StoreClosedError(CLOSED)
        settings, link = self._settings, self._links.get()
        headers, body = link.headers(user.access_token), settings.body(call, user)

        def attempt(seconds: float) -> T:
            deadline = time.monotonic() + seconds
            with link.transport(deadline) as transport:
                left = max(SHORTEST, deadline - time.monotonic())
                try:
                    response = transport.handle_request(settings.request(call, headers, body, left))
                    response.read()
                except httpx.HTTPError as error:
                    raise settings.unanswered(error) from error
            return decoded(call, settings.answer(response))

        return persist(attempt, call, settings.budget)

    def close(self) -> None:
        """Close the connections, once the calls under way have ended.

        Further calls raise ``StoreClosedError``.
        """
        self._closed = True
        link = self._links.known()
        if link is not None:
            link.close()


class _AsyncLink:
    """``_Link`` for one event loop."""

    def __init__(self, settings: _Settings) -> None:
        self._transport = httpx.AsyncHTTPTransport(proxy=settings.proxy())
        self._http = httpx.AsyncClient(transport=self._transport)
        client = AsyncClient(
            settings.url,
            settings.key,
            AsyncClientOptions(
                httpx_client=self._http,
                auto_refresh_token=False,
                persist_session=False,
                postgrest_client_retry=False,
            ),
        )
        self.headers = lru_cache(TOKENS)(
            lambda token: settings.headers(self._http, client.schema(settings.schema), token)
        )
        self._turns = AsyncTurns(CONNECTIONS)
        self._closing = False
        self._under_way = 0

    @asynccontextmanager
    async def transport(self, deadline: float) -> AsyncIterator[httpx.AsyncHTTPTransport]:
        """Lend the transport for one request. See ``_Link.transport``."""
        await self._turns.take(deadline)
        try:
            if self._closing:
                raise StoreClosedError(CLOSED)
            self._under_way += 1
            try:
                yield self._transport
            finally:
                await self._end(1)
        finally:
            self._turns.give_back()

    async def close(self) -> None:
        """Close the client, now or after the last request."""
        self._closing = True
        await self._end(0)

    def abandon(self) -> None:
        """Lend no more; without its loop nothing can close the sockets in good order."""
        self._closing = True

    async def _end(self, requests: int) -> None:
        self._under_way -= requests
        if self._closing and not self._under_way:
            await self._http.aclose()


class AsyncSupabaseBackend:
    """``SupabaseBackend`` for asyncio; belongs to one loop at a time."""

    def __init__(
        self, url: str, key: str, functions: Functions, *, schema: str, budget: float
    ) -> None:
        self._settings = _Settings(url, key, functions, schema, budget)
        self.origin = self._settings.origin
        self._closed = False
        self._links = PerLoop(lambda: _AsyncLink(self._settings), abandon=_AsyncLink.abandon)

    async def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` with one request and return its answer. See ``SupabaseBackend``."""
        if self._closed:
            raise StoreClosedError(CLOSED)
        settings, link = self._settings, self._links.get()
        headers, body = link.headers(user.access_token), settings.body(call, user)

        async def attempt(seconds: float) -> T:
            deadline = time.monotonic() + seconds
            async with link.transport(deadline) as transport:
                left = max(SHORTEST, deadline - time.monotonic())
                try:
                    response = await transport.handle_async_request(
                        settings.request(call, headers, body, left)
                    )
                    await response.aread()
                except httpx.HTTPError as error:
                    raise settings.unanswered(error) from error
            return decoded(call, settings.answer(response))

        return await persist_async(attempt, call, settings.budget)

    async def close(self) -> None:
        """Close the connections. See ``SupabaseBackend.close``."""
        link = self._links.known()
        self._closed = True
        if link is not None:
            await link.close()


def _checked_url(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"url: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ValueError("url: must be the project's, such as https://project.supabase.co")
    return url.rstrip("/")


def _fits_header(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _is_json(response: httpx.Response) -> bool:
    return bool(response.content) and "json" in response.headers.get("content-type", "")


def _kind(response: httpx.Response) -> str:
    kind: str = response.headers.get("content-type") or "no content type"
    return kind if response.content else "nothing"


def _error(response: httpx.Response) -> Mapping[str, Any]:
    """Return the error that PostgREST describes; nothing where somebody else answered."""
    try:
        error = from_json(response.content)
    except ValueError:
        return {}
    return error if isinstance(error, dict) else {}


def _text(details: object) -> str | None:
    return None if details is None else str(details)


def _turned_away(response: httpx.Response) -> bool:
    """Say whether a server says of itself that it is not up to it now, and until when.

    A proxy that lost the server behind it in mid-request answers 503 too, without a time.
    """
    return (
        response.status_code == httpx.codes.SERVICE_UNAVAILABLE
        and "retry-after" in response.headers
    )


def _pause(response: httpx.Response) -> float:
    """Return how many seconds the answer asks to wait: a number or a date (RFC 9110, 10.2.3)."""
    asked = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:  # "-0000" means UTC of an unknown place
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
