"""The stores of this library as contenders; the sync and the async ones by the same lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from lift_sys.backends.instants import now
from lift_sys.ir import lift
from lift_sys.spec_sessions import (
    AsyncInMemorySessionStore,
    AsyncPostgresSessionStore,
    AsyncSQLiteSessionStore,
    AsyncSupabaseSessionStore,
    InMemorySessionStore,
    IRDraft,
    PostgresSessionStore,
    PromptRevision,
    PromptSession,
    SQLiteSessionStore,
    SupabaseSessionStore,
    change,
    change_async,
)
from tests.benchmarks.measure import Act, settled
from tests.benchmarks.sizes import schema_bytes, sqlite_bytes
from tests.benchmarks.stack import Site
from tests.benchmarks.subjects import Subject, Unoffered, tag

USER = "bench"
LISTED = 20
_BATCH = 500
"""How many sessions are stored at once where there are to be many."""


def turn(content: str) -> PromptRevision:
    """Return a turn as this library has it."""
    return PromptRevision(timestamp=now(), content=content, revision_type="manual_edit")


DRAFT = IRDraft(
    version=1, ir=lift("def add(one: int, other: int) -> int:\n    return one + other\n")[0]
)
"""A draft of a small function."""


def session_of(session: str, texts: Sequence[str]) -> PromptSession:
    """Return a new session that has these turns."""
    return PromptSession(session_id=session, revisions=[turn(text) for text in texts])


def reader(count: int) -> str:
    """Return the user who has so many sessions, the same for all that share a database."""
    return f"lists {count}"


async def fill(store: Any, count: int) -> None:
    """Store so many short sessions, unless another contender did."""
    if (await settled(store.list_page(limit=1))).items:
        return
    for first in range(0, count, _BATCH):
        ids = range(first, min(first + _BATCH, count))
        await settled(store.create_many([session_of(f"{n:06}", ["listed"]) for n in ids]))


class Ours(Subject):
    """A store of this library.

    Args:
        store: the store, sync or async.
        family: where it keeps sessions.
        size: returns how many bytes the database takes.
    """

    kind = "ours"
    answers = "validated models"
    refines = True

    def __init__(self, store: Any, family: str, size: Callable[[], int] | None = None) -> None:
        self._store = store
        self.name = type(self._store).__name__
        self.family = family
        self.blocking = not self.name.startswith("Async")
        self.tag = tag(self.name)
        self._size = size
        self._sessions: dict[str, PromptSession] = {}
        self._created = 0

    async def close(self) -> None:
        await settled(self._store.close())

    async def create(self) -> Act:
        self._created += 1
        session = session_of(f"{self.tag}-{self._created}", ["created"])
        return lambda: self._store.create(session)

    async def grow(self, session: str, texts: Sequence[str]) -> None:
        new = session_of(f"{self.tag}-{session}", texts)
        await settled(self._store.create(new))
        self._sessions[session] = new

    async def adopt(self, other: Self, session: str) -> None:
        # Read and not taken: what a store knows of a session, it knows for itself only.
        session_id = other._sessions[session].session_id
        self._sessions[session] = await settled(self._store.get(session_id))

    async def append(self, session: str, text: str) -> Act:
        held, revision = self._sessions[session], turn(text)

        def act() -> Any:
            held.add_revision(revision)
            return self._store.update(held)

        return act

    async def refine(self, session: str, text: str) -> Act:
        held, revision = self._sessions[session], turn(text)

        def act() -> Any:
            held.add_revision(revision)
            held.add_draft(DRAFT)
            return self._store.update(held)

        return act

    async def load(self, session: str) -> Act:
        session_id = self._sessions[session].session_id
        return lambda: self._store.get(session_id)

    async def refresh(self, session: str, text: str) -> Act:
        held = self._sessions[session]
        theirs = await settled(self._store.refresh(held))
        known = await settled(self._store.refresh(held))
        theirs.add_revision(turn(text))
        await settled(self._store.update(theirs))
        self._sessions[session] = theirs
        return lambda: self._store.refresh(known)

    async def fill(self, count: int) -> None:
        await fill(self._store.for_user(reader(count)), count)

    async def latest(self, count: int) -> Act:
        view = self._store.for_user(reader(count))
        return lambda: view.list_page(limit=LISTED)

    async def contend(self, session: str, text: str) -> Act:
        session_id, revision = self._sessions[session].session_id, turn(text)
        changing: Any = change if self.blocking else change_async
        return lambda: changing(self._store, session_id, lambda held: held.add_revision(revision))

    async def stored_bytes(self) -> int:
        if self._size is None:
            raise Unoffered
        return await asyncio.to_thread(self._size)


def memory() -> list[Subject]:
    """Return the stores in memory."""
    return [Ours(InMemorySessionStore(), "memory"), Ours(AsyncInMemorySessionStore(), "memory")]


def sqlite(folder: Path) -> list[Subject]:
    """Return the stores on SQLite."""
    one, other = folder / "ours.db", folder / "ours-async.db"
    return [
        Ours(SQLiteSessionStore(one), "sqlite", partial(sqlite_bytes, one)),
        Ours(AsyncSQLiteSessionStore(other), "sqlite", partial(sqlite_bytes, other)),
    ]


def postgres(site: Site, *, proxied: bool) -> list[Subject]:
    """Return the stores on Postgres."""
    url = site.proxied_url if proxied else site.database_url
    size = partial(schema_bytes, site.database_url)
    return [
        Ours(PostgresSessionStore(url, USER), "postgres", size),
        Ours(AsyncPostgresSessionStore(url, USER), "postgres", size),
    ]


def supabase(site: Site) -> list[Subject]:
    """Return the stores on Supabase."""
    return [
        Ours(SupabaseSessionStore(site.url, site.key, USER), "supabase"),
        Ours(AsyncSupabaseSessionStore(site.url, site.key, USER), "supabase"),
    ]
