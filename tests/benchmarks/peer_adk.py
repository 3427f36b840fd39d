"""The session services of Google's ADK as contenders: events that are validated models."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import psycopg
from google.adk.errors._stale_session_error import StaleSessionError
from google.adk.events import Event
from google.adk.sessions import DatabaseSessionService
from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types
from sqlalchemy.ext.asyncio import create_async_engine

from tests.benchmarks.measure import Act, settled
from tests.benchmarks.sizes import schema_bytes, sqlite_bytes
from tests.benchmarks.stack import Site
from tests.benchmarks.subjects import Subject

_APP = "bench"
_USER = "user"
_DATABASE = "bench_adk"


def _event(text: str) -> Event:
    content = types.Content(role="user", parts=[types.Part(text=text)])
    return Event(invocation_id="invocation", author="user", content=content)


class ADKSessions(Subject):
    """A session service.

    Args:
        name: what the rows call it.
        family: where it keeps sessions.
        service: the service.
        multiply: makes of a user's one session so many.
        size: returns how many bytes the database takes.
        end: releases what the service was given.
    """

    kind = "theirs"
    answers = "validated models"
    blocking = False
    one_by_one = True
    most_listed = 10_000
    most_contending = 10

    def __init__(
        self,
        name: str,
        family: str,
        service: Any,
        multiply: Callable[[str, int], None],
        size: Callable[[], int],
        end: Callable[[], Any] = lambda: None,
    ) -> None:
        self.name = name
        self.family = family
        self._service = service
        self._multiply = multiply
        self._size = size
        self._end = end
        self._sessions: dict[str, Any] = {}

    async def open(self) -> None:
        await self._service.list_sessions(app_name=_APP, user_id=_USER)  # makes the tables

    async def close(self) -> None:
        await settled(self._end())

    async def create(self) -> Act:
        event = _event("created")

        async def act() -> None:
            session = await self._service.create_session(app_name=_APP, user_id=_USER)
            await self._service.append_event(session, event)

        return act

    async def grow(self, session: str, texts: Sequence[str]) -> None:
        held = await self._service.create_session(app_name=_APP, user_id=_USER)
        self._sessions[session] = held
        for text in texts:
            await self._service.append_event(held, _event(text))

    async def adopt(self, other: Self, session: str) -> None:
        self._sessions[session] = other._sessions[session]

    async def append(self, session: str, text: str) -> Act:
        held, event = self._sessions[session], _event(text)
        return lambda: self._service.append_event(held, event)

    async def load(self, session: str) -> Act:
        wanted = self._named(session)
        return lambda: self._service.get_session(**wanted)

    async def refresh(self, session: str, text: str) -> Act:
        held = self._sessions[session]
        since = GetSessionConfig(after_timestamp=held.last_update_time)
        await (await self.append(session, text))()
        wanted = self._named(session)
        return lambda: self._service.get_session(**wanted, config=since)

    async def fill(self, count: int) -> None:
        # One by one it would take minutes: the others are copies of the first one's row.
        await self._service.create_session(app_name=_APP, user_id=str(count))
        self._multiply(str(count), count)

    async def latest(self, count: int) -> Act:
        # There is no limit: the service gives all of them.
        return lambda: self._service.list_sessions(app_name=_APP, user_id=str(count))

    async def contend(self, session: str, text: str) -> Act:
        wanted, event = self._named(session), _event(text)

        async def act() -> None:
            while True:
                held = await self._service.get_session(**wanted)
                try:
                    await self._service.append_event(held, event)
                except StaleSessionError:
                    continue
                return

        return act

    def _named(self, session: str) -> dict[str, str]:
        return {"app_name": _APP, "user_id": _USER, "session_id": self._sessions[session].id}

    async def stored_bytes(self) -> int:
        return self._size()


def sqlite(folder: Path) -> list[Subject]:
    """Return the service on SQLite."""
    path = folder / "adk.db"

    def multiply(user: str, count: int) -> None:
        with closing(sqlite3.connect(path)) as connection:
            columns = [name for _, name, *_ in connection.execute("pragma table_info(sessions)")]
            chosen = ["'copy-' || n" if name == "id" else name for name in columns]
            connection.execute(
                "with recursive numbers (n) as"  # its own column names
                " (select 1 union all select n + 1 from numbers where n < ?)"
                f" insert into sessions ({', '.join(columns)})"
                f" select {', '.join(chosen)} from sessions, numbers where user_id = ?",
                (count - 1, user),
            )
            connection.commit()

    service = SqliteSessionService(str(path))
    name = "ADK SqliteSessionService"
    return [ADKSessions(name, "sqlite", service, multiply, lambda: sqlite_bytes(path))]


_COPIES = """
    insert into sessions
    select (jsonb_populate_record(s, jsonb_build_object('id', 'copy-' || n))).*
    from sessions as s, generate_series(1, %s) as n
    where s.user_id = %s
"""


def postgres(site: Site, *, proxied: bool) -> list[Subject]:
    """Return the service on Postgres."""
    address = site.database(_DATABASE, proxied=proxied)
    engine = create_async_engine(
        address.replace("postgresql://", "postgresql+asyncpg://"), pool_size=10, max_overflow=0
    )

    def multiply(user: str, count: int) -> None:
        with psycopg.connect(site.database(_DATABASE)) as connection:
            connection.execute(_COPIES, (count - 1, user))

    return [
        ADKSessions(
            "ADK DatabaseSessionService",
            "postgres",
            DatabaseSessionService(db_engine=engine),
            multiply,
            lambda: schema_bytes(site.database(_DATABASE)),
            engine.dispose,
        )
    ]
