"""Calls as functions of a Supabase project, over its REST interface: one request a call.

supabase-py makes the client, its headers and a child for each user view; what a call says is
posted as the JSON text it is, and the answer is handed on undecoded.
"""

import email.utils
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeVar

import httpx
from postgrest import AsyncPostgrestClient, SyncPostgrestClient
from pydantic_core import from_json, to_json
from supabase import AsyncClient, AsyncClientOptions, Client, ClientOptions

from lift_sys.backends.call import Call, User
from lift_sys.backends.errors import PermissionDeniedError, StoreClosedError
from lift_sys.backends.remote import (
    PASSING,
    Functions,
    Unanswered,
    arguments_json,
    decoded,
    key_json,
    persist,
    persist_async,
    refused,
)

T = TypeVar("T")

CONNECTIONS: Final = 50
"""How many connections are open at the most."""
CHILDREN: Final = 256
"""For how many tokens the client is kept ready."""
_TRY_AGAIN: Final = frozenset({408, 425, 429, 502, 503, 504})
_NOT_DONE: Final = frozenset({429, 503})
"""Statuses of a request that was turned away before anything was done."""


class _Settings:
    """What the sync and the async backend have in common: the request and its answer."""

    def __init__(
        self, url: str, key: str, functions: Functions, schema: str, budget: float
    ) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.functions = functions
        self.schema = schema
        self.budget = budget
        self.origin = f"supabase:{self.url}:{schema}"
        self.limits = httpx.Limits(max_connections=CONNECTIONS)

    def body(self, call: Call[Any], user: User) -> bytes:
        """Return the JSON text that is posted: the function's arguments by name."""
        user_id, arguments = to_json(user.user_id), arguments_json(call)
        if call.writes:
            write = key_json(call)
            return b'{"p_user_id":%s,"p_arguments":%s,"p_write":%s}' % (user_id, arguments, write)
        return b'{"p_user_id":%s,"p_arguments":%s}' % (user_id, arguments)

    def path(self, call: Call[Any]) -> str:
        """Return where it is posted to, below the REST interface."""
        return f"{self.url}/rest/v1/rpc/{call.name}{self.functions.suffix}"

    def headers(self, client: SyncPostgrestClient | AsyncPostgrestClient) -> dict[str, str]:
        """Return the headers that a child client sends, for JSON text as the body."""
        return {**client.headers, "Content-Type": "application/json"}

    def answer(self, response: httpx.Response) -> bytes:
        """Return the JSON text of the answer.

        Raises:
            Unanswered: another attempt may be answered otherwise.
            SessionStoreError: what the project refused.
        """
        status, content = response.status_code, response.content
        if status == httpx.codes.OK:
            if _is_json(response):
                return content
            raise Unanswered(
                f"{self.url} answered with {_kind(response)} instead of JSON; "
                "something in between answered in its place",
                may_have_happened=True,
            )
        error = _error(response)
        code = str(error.get("code") or "")
        word = str(error.get("message") or f"{self.url} answered {status} {response.reason_phrase}")
        if not code.startswith("PT") and (status in _TRY_AGAIN or code in PASSING):
            raise Unanswered(
                word,
                may_have_happened=not (status in _NOT_DONE or code in PASSING),
                pause=_pause(response),
            )
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise PermissionDeniedError(f"{word} ({code or status})")
        if not code and status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Unanswered(word, may_have_happened=True)
        details = error.get("details")
        raise refused(self.functions, code or str(status), word, details and str(details))

    def unanswered(self, error: httpx.HTTPError) -> Unanswered:
        """Return what a failed request means: one that never left was not carried out."""
        never_left = isinstance(
            error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
        )
        reason = f"{self.url}: {type(error).__name__}: {error}".rstrip(": ")
        return Unanswered(reason, may_have_happened=not never_left)


class SupabaseBackend:
    """Carries calls to a Supabase project.

    Args:
        url: the project's, such as ``https://project.supabase.co``.
        key: its secret key, or a publishable one where every user brings a token.
        functions: the domain's.
        schema: where the functions are; has to be exposed by the project.
        budget: for how many seconds a call goes on trying.
    """

    def __init__(
        self, url: str, key: str, functions: Functions, *, schema: str, budget: float
    ) -> None:
        self._settings = _Settings(url, key, functions, schema, budget)
        self.origin = self._settings.origin
        self._lock = threading.Lock()
        self._closed = False
        self._http: httpx.Client | None = None
        self._client: Client | None = None
        self._child = lru_cache(CHILDREN)(self._new_child)

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
            raise StoreClosedError("the store was closed; open a new one")
        child = self._child(user.access_token)
        path, headers = self._settings.path(call), self._settings.headers(child)
        body = self._settings.body(call, user)

        def attempt(seconds: float) -> T:
            try:
                response = child.session.post(path, content=body, headers=headers, timeout=seconds)
            except httpx.HTTPError as error:
                raise self._settings.unanswered(error) from error
            except RuntimeError as error:  # what httpx says of a closed client
                raise StoreClosedError("the store was closed; open a new one") from error
            return decoded(call, self._settings.answer(response))

        return persist(attempt, call, self._settings.budget)

    def close(self) -> None:
        """Close the connections. Further calls raise ``StoreClosedError``."""
        with self._lock:
            self._closed = True
            if self._http is not None:
                self._http.close()

    def _new_child(self, access_token: str | None) -> SyncPostgrestClient:
        """Return a client that shares the connections and has headers of its own."""
        with self._lock:
            if self._closed:
                raise StoreClosedError("the store was closed; open a new one")
            if self._client is None:
                self._http = httpx.Client(http2=False, limits=self._settings.limits)
                self._client = Client(
                    self._settings.url,
                    self._settings.key,
                    ClientOptions(
                        httpx_client=self._http,
                        auto_refresh_token=False,
                        persist_session=False,
                        postgrest_client_retry=False,
                    ),
                )
            child = self._client.schema(self._settings.schema)
        return child if access_token is None else child.auth(access_token)


class AsyncSupabaseBackend:
    """``SupabaseBackend`` for asyncio; belongs to the loop of its first call."""

    def __init__(
        self, url: str, key: str, functions: Functions, *, schema: str, budget: float
    ) -> None:
        self._settings = _Settings(url, key, functions, schema, budget)
        self.origin = self._settings.origin
        self._closed = False
        self._http: httpx.AsyncClient | None = None
        self._client: AsyncClient | None = None
        self._child = lru_cache(CHILDREN)(self._new_child)

    async def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` with one request and return its answer. See ``SupabaseBackend``."""
        if self._closed:
            raise StoreClosedError("the store was closed; open a new one")
        child = self._child(user.access_token)
        path, headers = self._settings.path(call), self._settings.headers(child)
        body = self._settings.body(call, user)

        async def attempt(seconds: float) -> T:
            try:
                response = await child.session.post(
                    path, content=body, headers=headers, timeout=seconds
                )
            except httpx.HTTPError as error:
                raise self._settings.unanswered(error) from error
            except RuntimeError as error:  # what httpx says of a closed client
                raise StoreClosedError("the store was closed; open a new one") from error
            return decoded(call, self._settings.answer(response))

        return await persist_async(attempt, call, self._settings.budget)

    async def close(self) -> None:
        """Close the connections. Further calls raise ``StoreClosedError``."""
        self._closed = True
        if self._http is not None:
            await self._http.aclose()

    def _new_child(self, access_token: str | None) -> AsyncPostgrestClient:
        """Return a client that shares the connections and has headers of its own."""
        if self._client is None:
            self._http = httpx.AsyncClient(http2=False, limits=self._settings.limits)
            self._client = AsyncClient(
                self._settings.url,
                self._settings.key,
                AsyncClientOptions(
                    httpx_client=self._http,
                    auto_refresh_token=False,
                    persist_session=False,
                    postgrest_client_retry=False,
                ),
            )
        child = self._client.schema(self._settings.schema)
        return child if access_token is None else child.auth(access_token)


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
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
