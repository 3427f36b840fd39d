"""Stores by URL: what a setting or a command-line option names, without naming a class."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from lift_sys.spec_sessions.store import AsyncSessionStore, SessionStore
from lift_sys.spec_sessions.stores import (
    LOCAL_USER,
    AsyncInMemorySessionStore,
    AsyncPostgresSessionStore,
    AsyncSQLiteSessionStore,
    AsyncSupabaseSessionStore,
    InMemorySessionStore,
    PostgresSessionStore,
    SQLiteSessionStore,
    SupabaseSessionStore,
)

_FORMS: Final = (
    "memory://, sqlite:///file.db, sqlite:////folder/file.db, postgresql://user@host/database, "
    "supabase:// or supabase+https://project.supabase.co"
)


def open_store(
    url: str, *, user_id: str | None = None, access_token: str | None = None, **options: Any
) -> SessionStore:
    """Return the store that `url` names. No I/O (G16).

    Args:
        url: ``memory://``; ``sqlite:///`` and a path, relative, or absolute with one more slash;
            ``postgresql://`` as libpq has it; ``supabase://`` for the project that the
            environment names, or ``supabase+https://`` and its host.
        user_id: the user the store acts for; embedded stores have a default.
        access_token: the user's own token, for a backend that checks it.
        options: what the store's class takes besides, such as ``timeout``.

    Raises:
        ValueError: the URL names no store; it says which forms there are.
    """
    opener, arguments = _resolve(url, _SYNC, user_id, access_token, options)
    store: SessionStore = opener(**arguments)
    return store


def open_async_store(
    url: str, *, user_id: str | None = None, access_token: str | None = None, **options: Any
) -> AsyncSessionStore:
    """Return the store that `url` names, for asyncio. Arguments and errors: ``open_store``."""
    opener, arguments = _resolve(url, _ASYNC, user_id, access_token, options)
    store: AsyncSessionStore = opener(**arguments)
    return store


Opener = Callable[..., Any]
_SYNC: Final[Mapping[str, Opener]] = {
    "memory": InMemorySessionStore,
    "sqlite": SQLiteSessionStore,
    "postgresql": PostgresSessionStore,
    "postgres": PostgresSessionStore,
    "supabase": SupabaseSessionStore,
}
_ASYNC: Final[Mapping[str, Opener]] = {
    "memory": AsyncInMemorySessionStore,
    "sqlite": AsyncSQLiteSessionStore,
    "postgresql": AsyncPostgresSessionStore,
    "postgres": AsyncPostgresSessionStore,
    "supabase": AsyncSupabaseSessionStore,
}


def _resolve(
    url: str,
    openers: Mapping[str, Opener],
    user_id: str | None,
    access_token: str | None,
    options: dict[str, Any],
) -> tuple[Opener, dict[str, Any]]:
    # No message repeats the URL: it may hold a password.
    scheme, separator, _ = url.partition("://")
    kind, over, _ = scheme.lower().partition("+")
    if not separator or kind not in openers or (over and kind != "supabase"):
        raise ValueError(f"the URL names no kind of store there is; use {_FORMS}")
    if any(character in url for character in "\t\r\n"):  # urlsplit would drop them
        raise ValueError("the URL holds a tab or a line break; write it as %09, %0D or %0A")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"{kind}: the URL cannot be read; use {_FORMS}") from None
    return openers[kind], {**_ARGUMENTS[kind](parts, user_id, access_token), **options}


def _memory(parts: SplitResult, user_id: str | None, _token: str | None) -> dict[str, Any]:
    if parts.netloc or parts.path or parts.query or parts.fragment:
        raise ValueError("memory:// takes nothing more: each such store has its own data")
    return {"user_id": _or_local(user_id)}


def _sqlite(parts: SplitResult, user_id: str | None, _token: str | None) -> dict[str, Any]:
    if parts.netloc or len(parts.path) < len("/x"):
        raise ValueError("sqlite: write sqlite:///file.db, or sqlite:////folder/file.db")
    if parts.fragment:
        raise ValueError("sqlite: write # in a path as %23")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.keys() - {"timeout"}:
        raise ValueError("sqlite: there is one option, timeout, in seconds")
    path = unquote(parts.path[1:], errors="surrogateescape")  # a path is bytes, in any encoding
    found: dict[str, Any] = {"path": path, "user_id": _or_local(user_id)}
    if "timeout" in options:
        found["timeout"] = _seconds(options["timeout"])
    return found


def _postgres(parts: SplitResult, user_id: str | None, _token: str | None) -> dict[str, Any]:
    return {"url": parts.geturl(), "user_id": user_id}


def _supabase(parts: SplitResult, user_id: str | None, token: str | None) -> dict[str, Any]:
    named = parts.scheme.partition("+")[2]
    if bool(named) != bool(parts.netloc) or named not in ("", "http", "https"):
        raise ValueError("supabase: write supabase:// or supabase+https://project.supabase.co")
    url = parts._replace(scheme=named).geturl() if named else None
    return {"url": url, "user_id": user_id, "access_token": token}


def _or_local(user_id: str | None) -> str:
    # An empty id is a mistake of the caller's, and no reason to show what is the local user's.
    return LOCAL_USER if user_id is None else user_id


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("sqlite: timeout is a number of seconds") from None


_ARGUMENTS: Final[Mapping[str, Callable[[SplitResult, str | None, str | None], dict[str, Any]]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "postgres": _postgres,
    "supabase": _supabase,
}


def without_secrets(url: str) -> str:
    """Return `url` as it may be shown: without user, password and options."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.partition("?")[0].rpartition("@")[2]
