"""The sessions of the OpenAI Agents SDK as contenders: rows of JSON text, no version, no checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from agents.extensions.memory import SQLAlchemySession
from agents.memory import SQLiteSession
from sqlalchemy.ext.asyncio import create_async_engine

from tests.benchmarks.measure import Act, settled
from tests.benchmarks.sizes import schema_bytes, sqlite_bytes
from tests.benchmarks.stack import Site
from tests.benchmarks.subjects import Subject, tag

_DATABASE = "bench_openai"


def _item(text: str) -> Any:
    return {"role": "user", "content": text}


class OpenAISessions(Subject):
    """Sessions that one backend of the SDK makes.

    Args:
        name: what the rows call it.
        family: where it keeps sessions.
        make: returns the session of an id.
        size: returns how many bytes the database takes.
        end: releases what the sessions share.
    """

    kind = "theirs"
    answers = "dicts"
    blocking = False

    def __init__(
        self,
        name: str,
        family: str,
        make: Callable[[str], Any],
        size: Callable[[], int],
        end: Callable[[], Any],
    ) -> None:
        self.name = name
        self.tag = tag(name)
        self.family = family
        self._make = make
        self._size = size
        self._end = end
        self._sessions: dict[str, Any] = {}
        self._created = 0

    async def open(self) -> None:
        await self._make("first").get_items()  # makes the tables

    async def close(self) -> None:
        await settled(self._end())

    async def create(self) -> Act:
        # A session comes to be with its first item; the object is made anew as for any user.
        self._created += 1
        session_id, items = f"{self.tag}-{self._created}", [_item("created")]

        async def act() -> None:
            await self._make(session_id).add_items(items)

        return act

    async def grow(self, session: str, texts: Sequence[str]) -> None:
        self._sessions[session] = self._make(f"{self.tag}-{session}")
        await self._sessions[session].add_items([_item(text) for text in texts])

    async def adopt(self, other: Self, session: str) -> None:
        self._sessions[session] = self._make(other._sessions[session].session_id)

    async def append(self, session: str, text: str) -> Act:
        held, items = self._sessions[session], [_item(text)]
        return lambda: held.add_items(items)

    async def load(self, session: str) -> Act:
        get_items: Act = self._sessions[session].get_items
        return get_items

    async def refresh(self, session: str, text: str) -> Act:
        await (await self.append(session, text))()
        return await self.load(session)  # nothing tells how much is new

    async def contend(self, session: str, text: str) -> Act:
        return await self.append(session, text)

    async def stored_bytes(self) -> int:
        return self._size()


def sqlite(folder: Path) -> list[Subject]:
    """Return the sessions on SQLite."""
    path = folder / "openai.db"
    made: list[SQLiteSession] = []

    def make(session_id: str) -> SQLiteSession:
        made.append(SQLiteSession(session_id, path))
        return made[-1]

    def end() -> None:
        for session in made:
            session.close()

    name = "OpenAI SQLiteSession"
    return [OpenAISessions(name, "sqlite", make, lambda: sqlite_bytes(path), end)]


def postgres(site: Site, *, proxied: bool) -> list[Subject]:
    """Return the sessions on Postgres."""
    address = site.database(_DATABASE, proxied=proxied)
    engine = create_async_engine(
        address.replace("postgresql://", "postgresql+asyncpg://"), pool_size=10, max_overflow=0
    )

    def make(session_id: str) -> SQLAlchemySession:
        return SQLAlchemySession(session_id, engine=engine, create_tables=True)

    def size() -> int:
        return schema_bytes(site.database(_DATABASE))

    name = "OpenAI SQLAlchemySession"
    return [OpenAISessions(name, "postgres", make, size, engine.dispose)]
