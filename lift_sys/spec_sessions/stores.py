"""The public stores: each operation is one line, the flows and the backends do the rest."""

import base64
import copy
import importlib
import os
from collections.abc import Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from pydantic_core import from_json

from lift_sys.backends.call import (
    AsyncBackend,
    Backend,
    Flow,
    User,
    WriteKey,
    run,
    run_async,
)
from lift_sys.backends.errors import StoreClosedError, UserRequiredError
from lift_sys.backends.memory import MemoryBackend
from lift_sys.backends.remote import BUDGET as DEFAULT_BUDGET
from lift_sys.backends.sqlite import DEFAULT_TIMEOUT, SQLiteBackend
from lift_sys.backends.threads import Inline, InThreads
from lift_sys.spec_sessions import operations
from lift_sys.spec_sessions.encoding import check_name
from lift_sys.spec_sessions.functions import FUNCTIONS
from lift_sys.spec_sessions.memory_sessions import MemorySessions
from lift_sys.spec_sessions.models import PromptSession, SessionPage, Source, Status
from lift_sys.spec_sessions.sqlite_sessions import LAYOUT

T = TypeVar("T")
B = TypeVar("B", bound=Backend | AsyncBackend)

LOCAL_USER = "local"
"""The user of an embedded store that was not told another."""


class _Store(Generic[B]):
    """What the sync and the async stores have in common: a backend and a user."""

    def __init__(
        self, backend: B, user_id: str | None = None, access_token: str | None = None
    ) -> None:
        self._backend = backend
        self._owner = self
        self._closed = False
        self._user = _user(user_id, access_token)

    @property
    def user_id(self) -> str:
        """The user this store acts for."""
        return self._acting_user().user_id

    def for_user(self, user_id: str, *, access_token: str | None = None) -> Self:
        """Return a store for another user, on the same connections."""
        view = copy.copy(self)
        view._user = _user(user_id, access_token)
        view._acting_user()
        return view

    @property
    def _origin(self) -> str:
        return f"{self._backend.origin} {self._acting_user().user_id}"

    def _acting_user(self) -> User:
        if self._user is None:
            raise UserRequiredError("user_id: this store needs one; pass it or call for_user()")
        return self._user

    def _usable(self) -> User:
        if self._closed or self._owner._closed:
            raise StoreClosedError("the store was closed; open a new one")
        return self._acting_user()


class _SyncStore(_Store[Backend]):
    """Implements ``SessionStore`` on a blocking backend."""

    def _run(self, flow: Flow[T]) -> T:
        return run(flow, self._backend, self._usable())

    def create(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> str:
        """See ``SessionStore.create``."""
        return self._run(operations.create(self._origin, session, idempotency_key))

    def create_many(
        self, sessions: Iterable[PromptSession], *, idempotency_key: str | WriteKey | None = None
    ) -> list[str]:
        """See ``SessionStore.create_many``."""
        return self._run(operations.create_many(self._origin, sessions, idempotency_key))

    def get(self, session_id: str) -> PromptSession | None:
        """See ``SessionStore.get``."""
        return self._run(operations.get(self._origin, session_id))

    def update(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> None:
        """See ``SessionStore.update``."""
        self._run(operations.update(self._origin, session, idempotency_key))

    def refresh(self, session: PromptSession) -> PromptSession:
        """See ``SessionStore.refresh``."""
        return self._run(operations.refresh(self._origin, session))

    def delete(self, session_id: str) -> None:
        """See ``SessionStore.delete``."""
        self._run(operations.delete(session_id))

    def list_active(self) -> list[PromptSession]:
        """See ``SessionStore.list_active``."""
        return self._run(operations.list_whole(self._origin, "active"))

    def list_all(self) -> list[PromptSession]:
        """See ``SessionStore.list_all``."""
        return self._run(operations.list_whole(self._origin, None))

    def list_page(
        self,
        *,
        status: Status | None = None,
        source: Source | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SessionPage:
        """See ``SessionStore.list_page``."""
        return self._run(operations.list_page(status, source, limit, cursor))

    def close(self) -> None:
        """See ``SessionStore.close``."""
        self._closed = True
        if self._owner is self:
            self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _AsyncStore(_Store[AsyncBackend]):
    """Implements ``AsyncSessionStore`` on an async backend."""

    def _run(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        return run_async(flow, self._backend, self._usable())

    async def create(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> str:
        """See ``SessionStore.create``."""
        return await self._run(operations.create(self._origin, session, idempotency_key))

    async def create_many(
        self, sessions: Iterable[PromptSession], *, idempotency_key: str | WriteKey | None = None
    ) -> list[str]:
        """See ``SessionStore.create_many``."""
        return await self._run(operations.create_many(self._origin, sessions, idempotency_key))

    async def get(self, session_id: str) -> PromptSession | None:
        """See ``SessionStore.get``."""
        return await self._run(operations.get(self._origin, session_id))

    async def update(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> None:
        """See ``SessionStore.update``."""
        await self._run(operations.update(self._origin, session, idempotency_key))

    async def refresh(self, session: PromptSession) -> PromptSession:
        """See ``SessionStore.refresh``."""
        return await self._run(operations.refresh(self._origin, session))

    async def delete(self, session_id: str) -> None:
        """See ``SessionStore.delete``."""
        await self._run(operations.delete(session_id))

    async def list_active(self) -> list[PromptSession]:
        """See ``SessionStore.list_active``."""
        return await self._run(operations.list_whole(self._origin, "active"))

    async def list_all(self) -> list[PromptSession]:
        """See ``SessionStore.list_all``."""
        return await self._run(operations.list_whole(self._origin, None))

    async def list_page(
        self,
        *,
        status: Status | None = None,
        source: Source | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SessionPage:
        """See ``SessionStore.list_page``."""
        return await self._run(operations.list_page(status, source, limit, cursor))

    async def close(self) -> None:
        """See ``SessionStore.close``."""
        self._closed = True
        if self._owner is self:
            await self._backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class InMemorySessionStore(_SyncStore):
    """Keeps sessions in this process, for as long as the store is open.

    Args:
        user_id: the user it acts for; ``for_user`` gives stores for others on the same data.
    """

    def __init__(self, user_id: str = LOCAL_USER) -> None:
        super().__init__(MemoryBackend(MemorySessions().handlers()), user_id)


class AsyncInMemorySessionStore(_AsyncStore):
    """``InMemorySessionStore`` for asyncio."""

    def __init__(self, user_id: str = LOCAL_USER) -> None:
        super().__init__(Inline(MemoryBackend(MemorySessions().handlers())), user_id)


class SQLiteSessionStore(_SyncStore):
    """Keeps sessions in a SQLite file, which several processes may share.

    What is acknowledged is on disk. The file is made at the first use, and brought to this
    release's layout where an older release made it.

    Args:
        path: the file.
        user_id: the user it acts for.
        timeout: for how many seconds a call waits for other writers before it raises
            ``StoreUnavailableError``; 0 to 86,400.

    Raises:
        ValueError: `path` names no file, or `timeout` is none.
    """

    def __init__(
        self,
        path: str | Path,
        user_id: str = LOCAL_USER,
        *,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        super().__init__(SQLiteBackend(_file(path), LAYOUT, timeout), user_id)


class AsyncSQLiteSessionStore(_AsyncStore):
    """``SQLiteSessionStore`` for asyncio; the file is read and written in threads of its own."""

    def __init__(
        self,
        path: str | Path,
        user_id: str = LOCAL_USER,
        *,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        super().__init__(InThreads(SQLiteBackend(_file(path), LAYOUT, timeout)), user_id)


class PostgresSessionStore(_SyncStore):
    """Keeps sessions in a Postgres database that has the migrations. Needs the extra ``postgres``.

    Args:
        url: ``postgresql://user@host/database``, anything that libpq takes; a transaction pooler
            is fine.
        user_id: the user it acts for; there is no default.
        schema: where the tables and functions are.
        pool_size: how many connections are kept at the most.
        budget: for how many seconds a call goes on trying, each attempt for ten at the most,
            before it raises ``StoreUnavailableError`` or ``OutcomeUnknownError`` (G14).
        row_security: whether the database itself keeps users apart (G11), which needs a login
            that is a member of the role ``authenticated``.
    """

    def __init__(
        self,
        url: str,
        user_id: str | None = None,
        *,
        schema: str = "public",
        pool_size: int = 10,
        budget: float = DEFAULT_BUDGET,
        row_security: bool = True,
    ) -> None:
        backend = _extra("postgres").PostgresBackend(
            url,
            FUNCTIONS,
            schema=schema,
            pool_size=pool_size,
            budget=budget,
            row_security=row_security,
        )
        super().__init__(backend, user_id)


class AsyncPostgresSessionStore(_AsyncStore):
    """``PostgresSessionStore`` for asyncio; belongs to one loop, until that is closed."""

    def __init__(
        self,
        url: str,
        user_id: str | None = None,
        *,
        schema: str = "public",
        pool_size: int = 10,
        budget: float = DEFAULT_BUDGET,
        row_security: bool = True,
    ) -> None:
        backend = _extra("postgres").AsyncPostgresBackend(
            url,
            FUNCTIONS,
            schema=schema,
            pool_size=pool_size,
            budget=budget,
            row_security=row_security,
        )
        super().__init__(backend, user_id)


class SupabaseSessionStore(_SyncStore):
    """Keeps sessions in a Supabase project that has the migrations. Needs the extra ``supabase``.

    Args:
        url: the project's; else ``SUPABASE_URL``.
        key: its secret key, or a publishable one where every user brings a token; else
            ``SUPABASE_SERVICE_KEY``, ``SUPABASE_SERVICE_ROLE_KEY``, ``SUPABASE_SECRET_KEY`` or
            ``SUPABASE_KEY``.
        user_id: the user it acts for; there is no default, but a token says it too.
        access_token: the user's own token: the database then keeps users apart by itself (G11).
        schema: where the tables and functions are; has to be exposed by the project.
        budget: for how many seconds a call goes on trying, each attempt for ten at the most,
            before it raises ``StoreUnavailableError`` or ``OutcomeUnknownError`` (G14).

    Raises:
        ValueError: the URL or the key is neither given nor in the environment; names which.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        user_id: str | None = None,
        access_token: str | None = None,
        schema: str = "public",
        *,
        budget: float = DEFAULT_BUDGET,
    ) -> None:
        url, key = _credentials(url, key)
        backend = _extra("supabase").SupabaseBackend(
            url, key, FUNCTIONS, schema=schema, budget=budget
        )
        super().__init__(backend, user_id or _subject(access_token), access_token)


class AsyncSupabaseSessionStore(_AsyncStore):
    """``SupabaseSessionStore`` for asyncio; belongs to one loop, until that is closed."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        user_id: str | None = None,
        access_token: str | None = None,
        schema: str = "public",
        *,
        budget: float = DEFAULT_BUDGET,
    ) -> None:
        url, key = _credentials(url, key)
        backend = _extra("supabase").AsyncSupabaseBackend(
            url, key, FUNCTIONS, schema=schema, budget=budget
        )
        super().__init__(backend, user_id or _subject(access_token), access_token)


def _extra(name: str) -> Any:
    """Return the backend module of an optional extra."""
    try:
        return importlib.import_module(f"lift_sys.backends.{name}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"this store needs {error.name}: install lift-sys[{name}]", name=error.name
        ) from error


def _credentials(url: str | None, key: str | None) -> tuple[str, str]:
    url = url or os.environ.get("SUPABASE_URL")
    key = key or next(filter(None, map(os.environ.get, _KEYS)), None)
    missing = ([] if url else ["url (or SUPABASE_URL)"]) + ([] if key else [f"key (or {_KEYS[0]})"])
    if not url or not key:
        raise ValueError(
            f"Supabase: {' and '.join(missing)} is missing; see the project's settings"
        )
    return url, key


def _subject(access_token: str | None) -> str | None:
    """Return whose token it is. The database checks it; here it only says whom to ask for."""
    try:
        payload = (access_token or "").split(".")[1]
        claims = from_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sub"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None


_KEYS: Final = (
    "SUPABASE_SERVICE_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_KEY",
)


def _user(user_id: str | None, access_token: str | None) -> User | None:
    if not user_id:
        return None
    check_name(user_id, "user_id")
    return User(user_id, access_token)


def _file(path: str | Path) -> Path:
    if str(path) in ("", ":memory:"):
        raise ValueError("path: name a file, or take InMemorySessionStore to keep nothing on disk")
    if "\0" in str(path):
        raise ValueError("path: holds U+0000; remove it")
    return Path(path)
