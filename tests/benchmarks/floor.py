"""The least that could be done with the same bytes, by the same drivers.

On Postgres and Supabase: the same function with the same arguments, encoded beforehand, over one
connection that has the user's role already, and the same answer parsed as JSON. On SQLite: a row
for the item and one for its session's version, in one synced transaction. Nothing is checked, no
model made, nothing retried, no pool asked.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
from pydantic_core import from_json, to_json

from lift_sys.backends.call import Call, Flow
from lift_sys.backends.remote import arguments_json, key_json
from lift_sys.spec_sessions import PromptRevision, PromptSession, operations
from lift_sys.spec_sessions.functions import FUNCTIONS
from tests.benchmarks.measure import Act, settled
from tests.benchmarks.ours import DRAFT, LISTED, reader, session_of, turn
from tests.benchmarks.sizes import sqlite_bytes
from tests.benchmarks.stack import Site
from tests.benchmarks.subjects import Subject, tag

CONNECTIONS = 10
"""As many as the stores' pool has."""
_ORIGIN = "floor"


class _Remote(Subject):
    """A floor that sends the calls of this library: made here, sent by the driver alone."""

    kind = "floor"
    answers = "parsed JSON"
    refines = True

    def __init__(self, name: str, family: str, *, blocking: bool, user: str) -> None:
        self.name = name
        self.family = family
        self.blocking = blocking
        self.tag = tag(name)
        self._user = user
        self._sessions: dict[str, PromptSession] = {}
        self._created = 0

    @abstractmethod
    async def act(self, call: Call[Any], user: str) -> Act:
        """Return what sends `call` and parses the answer."""

    async def create(self) -> Act:
        self._created += 1
        session = session_of(f"{self.tag}-{self._created}", ["created"])
        return await self.act(next(operations.create(_ORIGIN, session, None)), self._user)

    async def grow(self, session: str, texts: Sequence[str]) -> None:
        new = session_of(f"{self.tag}-{session}", texts)
        flow = operations.create(_ORIGIN, new, None)
        await settled((await self.act(next(flow), self._user))())
        _finish(flow, [new.session_id])
        self._sessions[session] = new

    async def adopt(self, other: Self, session: str) -> None:
        self._sessions[session] = other._sessions[session]

    async def append(self, session: str, text: str) -> Act:
        return await self._update(session, turn(text))

    async def refine(self, session: str, text: str) -> Act:
        self._sessions[session].add_draft(DRAFT)
        return await self._update(session, turn(text))

    async def _update(self, session: str, revision: PromptRevision) -> Act:
        held = self._sessions[session]
        held.add_revision(revision)
        flow = operations.update(_ORIGIN, held, None)
        call = next(flow)
        _finish(flow, held.version + 1)  # it is going to succeed: the session is nobody else's
        return await self.act(call, self._user)

    async def load(self, session: str) -> Act:
        flow = operations.get(_ORIGIN, self._sessions[session].session_id)
        return await self.act(next(flow), self._user)

    async def refresh(self, session: str, text: str) -> Act:
        call = next(operations.refresh(_ORIGIN, self._sessions[session]))
        await settled((await self.append(session, text))())
        return await self.act(call, self._user)

    async def fill(self, count: int) -> None:
        """Store nothing: the stores' sessions are read, which they stored before."""

    async def latest(self, count: int) -> Act:
        call = next(operations.list_page(None, None, LISTED, None))
        return await self.act(call, reader(count))

    async def contend(self, session: str, text: str) -> Act:
        return await self.append(session, text)  # one after the other: nobody loses


class PostgresFloor(_Remote):
    """A function called by psycopg, as a prepared statement.

    The role and the user's claims, which row security asks for, stay on the connection. A
    transaction pooler would forbid that, so the store does without; the least it is all the same.
    """

    def __init__(self, site: Site, *, blocking: bool, proxied: bool) -> None:
        name = "psycopg" if blocking else "psycopg async"
        super().__init__(name, "postgres", blocking=blocking, user="floor")
        self._url = site.proxied_url if proxied else site.database_url
        self._open: list[Any] = []
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()
        self._free_async: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
        self._claimed = ""

    async def open(self) -> None:
        kind: Any = psycopg.Connection if self.blocking else psycopg.AsyncConnection
        for _ in range(CONNECTIONS):
            connection = await settled(
                kind.connect(self._url, autocommit=True, prepare_threshold=0)
            )
            await settled(connection.execute("set role authenticated"))
            (self._free if self.blocking else self._free_async).put_nowait(connection)
            self._open.append(connection)

    async def close(self) -> None:
        for connection in self._open:
            await settled(connection.close())

    async def act(self, call: Call[Any], user: str) -> Act:
        await self._claim(user)
        arguments = [user, arguments_json(call).decode()]
        if call.writes:
            arguments.append(key_json(call).decode())
        places = ", ".join(["%s"] * len(arguments))
        query = f"select public.{call.name}{FUNCTIONS.suffix}({places})"
        send = self._send if self.blocking else self._send_async
        return lambda: send(query, arguments)

    async def _claim(self, user: str) -> None:
        if user == self._claimed:
            return
        self._claimed = user
        claims = json.dumps({"sub": user, "role": "authenticated"})
        query = "select set_config('request.jwt.claims', %s, false)"
        for connection in self._open:
            await settled(connection.execute(query, [claims]))

    def _send(self, query: str, arguments: list[str]) -> Any:
        connection = self._free.get()
        answer = connection.execute(query, arguments).pgresult.get_value(0, 0)
        self._free.put(connection)
        return from_json(answer)

    async def _send_async(self, query: str, arguments: list[str]) -> Any:
        connection = await self._free_async.get()
        answer = (await connection.execute(query, arguments)).pgresult.get_value(0, 0)
        self._free_async.put_nowait(connection)
        return from_json(answer)


class SupabaseFloor(_Remote):
    """A function called by httpx, its body made beforehand."""

    def __init__(self, site: Site, *, blocking: bool) -> None:
        name = "httpx" if blocking else "httpx async"
        super().__init__(name, "supabase", blocking=blocking, user="floor")
        self._url = f"{site.url}/rest/v1/rpc/"
        limits = httpx.Limits(max_connections=50)
        headers = {
            "apikey": site.key,
            "Authorization": f"Bearer {site.key}",
            "Content-Type": "application/json",
        }
        kind: Any = httpx.Client if blocking else httpx.AsyncClient
        self._client: Any = kind(http2=False, limits=limits, headers=headers)

    async def close(self) -> None:
        await settled(self._client.close() if self.blocking else self._client.aclose())

    async def act(self, call: Call[Any], user: str) -> Act:
        path = f"{self._url}{call.name}{FUNCTIONS.suffix}"
        body = b'{"p_user_id":%s,"p_arguments":%s' % (to_json(user), arguments_json(call))
        body += b',"p_write":%s}' % key_json(call) if call.writes else b"}"
        send = self._send if self.blocking else self._send_async
        return lambda: send(path, body)

    def _send(self, path: str, body: bytes) -> Any:
        return from_json(self._client.post(path, content=body).raise_for_status().content)

    async def _send_async(self, path: str, body: bytes) -> Any:
        answer = await self._client.post(path, content=body)
        return from_json(answer.raise_for_status().content)


class SQLiteFloor(Subject):
    """Plain sqlite3: the item's row and the session's version in one synced transaction.

    Args:
        path: the file.
        blocking: whether the acts block; otherwise each goes to a thread.
    """

    kind = "floor"
    family = "sqlite"
    answers = "parsed JSON"

    def __init__(self, path: Path, *, blocking: bool) -> None:
        self.name = "sqlite3" if blocking else "sqlite3 in a thread"
        self.blocking = blocking
        self._path = path
        self._threads = ThreadPoolExecutor(8)
        self._local = threading.local()
        self._turn = threading.Lock()
        self._keys: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    async def open(self) -> None:
        self._execute("pragma journal_mode = wal")
        self._execute(
            "create table if not exists sessions (key integer primary key, user text,"
            " version integer, updated_at text)"
        )
        self._execute("create index if not exists latest on sessions (user, updated_at)")
        self._execute(
            "create table if not exists items (session integer, number integer, body text,"
            " primary key (session, number))"
        )

    async def close(self) -> None:
        self._threads.shutdown()

    async def create(self) -> Act:
        self._counts["created"] = self._counts.get("created", 0) + 1
        body: bytes = _body("created")
        return self._maybe_threaded(lambda: self._insert("floor", [body]))

    async def grow(self, session: str, texts: Sequence[str]) -> None:
        self._keys[session] = self._insert("floor", [_body(text) for text in texts])
        self._counts[session] = len(texts)

    async def adopt(self, other: Self, session: str) -> None:
        self._keys[session] = other._keys[session]
        self._counts[session] = other._counts[session]

    async def append(self, session: str, text: str) -> Act:
        self._counts[session] += 1
        key, number, body = self._keys[session], self._counts[session], _body(text)
        return self._maybe_threaded(lambda: self._add(key, number, body))

    async def load(self, session: str) -> Act:
        key = self._keys[session]
        return self._maybe_threaded(lambda: self._items(key, 0))

    async def refresh(self, session: str, text: str) -> Act:
        key, known = self._keys[session], self._counts[session]
        await settled((await self.append(session, text))())
        return self._maybe_threaded(lambda: self._items(key, known))

    async def fill(self, count: int) -> None:
        with self._turn:
            self._execute("begin immediate")
            self._connection().executemany(
                "insert into sessions (user, version, updated_at) values (?, 1, ?)",
                ((str(count), f"{number:09}") for number in range(count)),
            )
            self._execute("commit")

    async def latest(self, count: int) -> Act:
        query = "select * from sessions where user = ? order by updated_at desc limit ?"
        return self._maybe_threaded(lambda: self._execute(query, (str(count), LISTED)).fetchall())

    async def contend(self, session: str, text: str) -> Act:
        return await self.append(session, text)

    async def stored_bytes(self) -> int:
        return sqlite_bytes(self._path)

    def _maybe_threaded(self, act: Act) -> Act:
        if self.blocking:
            return act

        async def threaded() -> Any:
            return await asyncio.get_running_loop().run_in_executor(self._threads, act)

        return threaded

    def _insert(self, user: str, bodies: list[bytes]) -> int:
        with self._turn:
            self._execute("begin immediate")
            key = self._execute(
                "insert into sessions (user, version, updated_at) values (?, 1, 'now')", (user,)
            ).lastrowid
            self._connection().executemany(
                "insert into items values (?, ?, ?)",
                ((key, number, body.decode()) for number, body in enumerate(bodies, 1)),
            )
            self._execute("commit")
        return int(key or 0)

    def _add(self, key: int, number: int, body: bytes) -> None:
        with self._turn:
            self._execute("begin immediate")
            self._execute("insert into items values (?, ?, ?)", (key, number, body.decode()))
            self._execute("update sessions set version = version + 1 where key = ?", (key,))
            self._execute("commit")

    def _items(self, key: int, known: int) -> Any:
        (version,) = self._execute("select version from sessions where key = ?", (key,)).fetchone()
        rows = self._execute(
            "select body from items where session = ? and number > ? order by number", (key, known)
        ).fetchall()
        return version, from_json("[" + ",".join(body for (body,) in rows) + "]")

    def _execute(self, query: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        return self._connection().execute(query, values)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            connection.execute("pragma synchronous = full")
            self._local.connection = connection
        return connection


def _body(text: str) -> bytes:
    return to_json(turn(text))


def _finish(flow: Flow[Any], answer: object) -> None:
    with suppress(StopIteration):
        flow.send(answer)


def sqlite(folder: Path) -> list[Subject]:
    """Return the floors on SQLite."""
    return [
        SQLiteFloor(folder / "floor.db", blocking=True),
        SQLiteFloor(folder / "floor-async.db", blocking=False),
    ]


def postgres(site: Site, *, proxied: bool) -> list[Subject]:
    """Return the floors on Postgres."""
    return [PostgresFloor(site, blocking=blocking, proxied=proxied) for blocking in (True, False)]


def supabase(site: Site) -> list[Subject]:
    """Return the floors on Supabase."""
    return [SupabaseFloor(site, blocking=blocking) for blocking in (True, False)]
