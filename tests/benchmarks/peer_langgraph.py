"""LangGraph's checkpointers as contenders: the state whole each turn, or its delta path.

Whole: each checkpoint stores the list of all messages. Delta: a checkpoint stores none; the
messages are the writes of the checkpoints before it, and a load follows the chain. No snapshots are
taken in between, which appends gain by and long loads lose by.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from tests.benchmarks.measure import Act
from tests.benchmarks.sizes import schema_bytes, sqlite_bytes
from tests.benchmarks.stack import Site
from tests.benchmarks.subjects import Subject, Unoffered, tag

_DATABASE = "bench_langgraph"
_CHANNEL = "messages"
_LISTED = 20


class _Thread:
    """One thread, its latest checkpoint and, where the state is whole, its messages."""

    def __init__(self, thread_id: str) -> None:
        self.config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
        self.messages: list[Any] = []
        self.step = 0


class Checkpoints(Subject):
    """A saver.

    Args:
        name: what the rows call it.
        family: where it keeps checkpoints.
        saver: the saver.
        whole: whether each checkpoint has the whole state.
        size: returns how many bytes the database takes.
        end: releases what the saver was given.
    """

    kind = "theirs"
    answers = "dicts"
    blocking = True
    longest = 1_000
    most_listed = 100
    most_contending = 0  # they would overwrite each other, or fork

    def __init__(
        self,
        name: str,
        family: str,
        saver: Any,
        size: Callable[[], int],
        end: Callable[[], Any],
        *,
        whole: bool,
    ) -> None:
        self.name = f"{name} ({'whole' if whole else 'delta'})"
        self.tag = tag(self.name)
        self.family = family
        self._saver = saver
        self._size = size
        self._end = end
        self._whole = whole
        self.one_by_one = not whole
        self._threads: dict[str, _Thread] = {}
        self._created = 0

    async def open(self) -> None:
        self._saver.setup()

    async def close(self) -> None:
        self._end()

    async def create(self) -> Act:
        self._created += 1
        thread = self._thread(f"created-{self._created}")
        return lambda: self._turn(thread, "created")

    async def grow(self, session: str, texts: Sequence[str]) -> None:
        thread = self._threads[session] = self._thread(session)
        if self._whole:
            thread.messages = [_message(text) for text in texts[:-1]]
            texts = texts[-1:]
        for text in texts:
            self._turn(thread, text)

    async def adopt(self, other: Self, session: str) -> None:
        self._threads[session] = other._threads[session]

    async def append(self, session: str, text: str) -> Act:
        thread = self._threads[session]
        return lambda: self._turn(thread, text)

    async def load(self, session: str) -> Act:
        config = {"configurable": {**self._threads[session].config["configurable"]}}
        config["configurable"].pop("checkpoint_id", None)
        if self._whole:
            return lambda: self._saver.get_tuple(config)
        return lambda: self._history(config)

    async def refresh(self, session: str, text: str) -> Act:
        (await self.append(session, text))()
        return await self.load(session)  # there is no other way

    async def fill(self, count: int) -> None:
        if self._whole or count > self.most_listed:
            raise Unoffered  # both paths list alike
        for number in range(count):
            self._turn(self._thread(f"listed-{count}-{number}"), "listed")

    async def latest(self, count: int) -> Act:
        if self._whole:
            raise Unoffered
        # Checkpoints of any thread: the nearest to a list of sessions, and nobody's in particular.
        return lambda: list(self._saver.list(None, limit=_LISTED))

    def _thread(self, name: str) -> _Thread:
        return _Thread(f"{self.tag}-{name}")

    def _turn(self, thread: _Thread, text: str) -> None:
        message = _message(text)
        if thread.step == 0:  # writes belong to a checkpoint: the thread begins with an empty one
            self._put(thread, {})
        self._saver.put_writes(thread.config, [(_CHANNEL, [message])], f"task-{thread.step}")
        if self._whole:
            thread.messages.append(message)
        self._put(thread, {_CHANNEL: thread.messages} if self._whole else {})

    def _put(self, thread: _Thread, values: dict[str, Any]) -> None:
        checkpoint = empty_checkpoint()
        checkpoint["id"] = str(uuid6(clock_seq=thread.step))
        thread.step += 1
        versions: Any = {_CHANNEL: f"{thread.step:032}.0"}
        checkpoint["channel_versions"] = versions
        checkpoint["channel_values"] = values
        metadata: Any = {"source": "loop", "step": thread.step, "parents": {}}
        thread.config = self._saver.put(thread.config, checkpoint, metadata, versions)

    def _history(self, config: Any) -> Any:
        latest = self._saver.get_tuple(config)
        history = self._saver.get_delta_channel_history(config=latest.config, channels=[_CHANNEL])
        return latest, [message for _, _, some in history[_CHANNEL]["writes"] for message in some]

    async def stored_bytes(self) -> int:
        return self._size()


def _message(text: str) -> Any:
    return {"role": "user", "content": text}


def sqlite(folder: Path) -> list[Subject]:
    """Return the savers on SQLite."""
    return [_sqlite(folder, whole=whole) for whole in (True, False)]


def _sqlite(folder: Path, *, whole: bool) -> Subject:
    path = folder / f"langgraph-{whole}.db"
    connection = sqlite3.connect(path, check_same_thread=False)
    return Checkpoints(
        "LangGraph SqliteSaver",
        "sqlite",
        SqliteSaver(connection),
        lambda: sqlite_bytes(path),
        connection.close,
        whole=whole,
    )


def postgres(site: Site, *, proxied: bool) -> list[Subject]:
    """Return the savers on Postgres."""
    return [_postgres(site, proxied=proxied, whole=whole) for whole in (True, False)]


def _postgres(site: Site, *, proxied: bool, whole: bool) -> Subject:
    name = f"{_DATABASE}_{'whole' if whole else 'delta'}"
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: Any = ConnectionPool(
        site.database(name, proxied=proxied), kwargs=options, min_size=1, max_size=10, open=True
    )
    return Checkpoints(
        "LangGraph PostgresSaver",
        "postgres",
        PostgresSaver(pool),
        lambda: schema_bytes(site.database(name)),
        pool.close,
        whole=whole,
    )
