"""What the embedded stores cost, beside SQLite doing the least with the same bytes.

Run it as ``python -m tests.benchmarks.embedded``. Times are the best, the median and the 95th
percentile; only ratios carry over from one machine to another. The cases of a group take turns,
so that whatever else the machine does meets all of them alike.
"""

import gc
import random
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Final

from rich.console import Console
from rich.table import Table

from lift_sys.backends.instants import now
from lift_sys.backends.sqlite import PAGE_BYTES
from lift_sys.spec_sessions import (
    InMemorySessionStore,
    PromptRevision,
    PromptSession,
    SessionStore,
    SQLiteSessionStore,
)

ITEM_BYTES: Final = 2_048
ROUNDS: Final = 200
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
_random: Final = random.Random(7)  # repeatable, not secret

Step = Callable[[], object]


def text(size: int = ITEM_BYTES) -> str:
    """Return text that does not compress."""
    return "".join(_random.choices(_LETTERS, k=size))


def revision() -> PromptRevision:
    """Return one item of the benchmark."""
    return PromptRevision(timestamp=now(), content=text(), revision_type="manual_edit")


def filled(store: SessionStore, items: int) -> PromptSession:
    """Store a session with that many items and return it."""
    session = PromptSession.create_new()
    store.create(session)
    for _ in range(0, items, 1_000):
        added = min(1_000, items - len(session.revisions))
        session.revisions.extend(revision() for _ in range(added))
        store.update(session)
    return session


def appends(store: SessionStore, items: int) -> Step:
    """Return what appends one item to a session of about that many, in turn to several."""
    sessions = cycle([filled(store, items) for _ in range(max(1, min(40, 1_000 // items)))])
    ready = [revision() for _ in range(ROUNDS + 20)]

    def step() -> None:
        session = next(sessions)
        session.add_revision(ready.pop())
        store.update(session)

    return step


def loads(store: SessionStore, items: int) -> Step:
    """Return what loads a session of that many items."""
    session_id = filled(store, items).session_id
    return lambda: store.get(session_id)


def latest(store: SessionStore, sessions: int) -> Step:
    """Return what lists the 20 latest of that many sessions."""
    for _ in range(0, sessions, 1_000):
        store.create_many(
            PromptSession.create_new(original_input=text(200)) for _ in range(min(1_000, sessions))
        )
    return lambda: store.list_page(limit=20)


class Floor:
    """SQLite by itself: one table, the same durability, the same bytes."""

    def __init__(self, path: Path) -> None:
        self.file = sqlite3.connect(path, isolation_level=None)
        self.file.execute(f"pragma page_size = {PAGE_BYTES}")
        self.file.execute("pragma journal_mode = wal")
        self.file.execute("pragma synchronous = full")
        self.file.execute("create table items (session integer, number integer, body text)")
        self.file.execute("create index items_of on items (session, number)")

    def fill(self, session: int, items: int) -> None:
        """Put that many items in."""
        self.file.execute("begin")
        for number in range(items):
            self.file.execute("insert into items values (?, ?, ?)", (session, number, text()))
        self.file.execute("commit")

    def appends(self) -> Step:
        """Return what inserts one item and commits."""
        ready = [text() for _ in range(ROUNDS + 20)]

        def step() -> None:
            self.file.execute("begin immediate")
            self.file.execute("insert into items values (1, 1, ?)", (ready.pop(),))
            self.file.execute("commit")

        return step

    def selects(self, items: int) -> Step:
        """Return what reads that many items."""
        self.fill(items, items)
        query = "select body from items where session = ? order by number"
        return lambda: self.file.execute(query, (items,)).fetchall()


def measured(
    cases: dict[str, Step], rounds: int = ROUNDS
) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, best time, median and 95th percentile of each case, in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for step in cases.values():
        for _ in range(10):  # warm-up
            step()
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name, step in cases.items():
            started = perf_counter()
            step()
            times[name].append((perf_counter() - started) * 1_000)
    gc.enable()
    for name, spent in times.items():
        yield name, min(spent), statistics.median(spent), statistics.quantiles(spent, n=20)[-1]


def show(title: str, base: str, cases: dict[str, Step], rounds: int = ROUNDS) -> None:
    """Print one group of cases, each compared with the case named `base`."""
    table = Table("", "best ms", "p50 ms", "p95 ms", f"p50: times {base}", title=title)
    found = list(measured(cases, rounds))
    [least] = [p50 for name, _, p50, _ in found if name == base]
    for name, best, p50, p95 in found:
        table.add_row(name, f"{best:.3f}", f"{p50:.3f}", f"{p95:.3f}", f"{p50 / least:.2f}")
    Console().print(table)


def main() -> None:
    """Print every group."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name, InMemorySessionStore() as memory:
        folder = Path(name)
        floor = Floor(folder / "floor.db")
        with SQLiteSessionStore(folder / "bench.db") as store, closing(floor.file):
            compare(store, memory, floor, folder)


def compare(store: SessionStore, memory: SessionStore, floor: Floor, folder: Path) -> None:
    """Print every group for these stores."""
    sizes = (10, 100, 1_000, 10_000)
    floor.fill(0, 10_000)
    show(
        f"Append one item of {ITEM_BYTES} bytes, SQLite, by length of the history",
        "history 10",
        {
            **{f"history {n:,}": appends(store, n) for n in sizes},
            "floor: insert, commit": floor.appends(),
        },
    )
    show(
        "The same in memory",
        "history 10",
        {f"history {n:,}": appends(memory, n) for n in sizes},
    )
    few = (10, 100, 1_000)
    show(
        "Load a session, SQLite",
        "10 items",
        {
            **{f"{n:,} items": loads(store, n) for n in few},
            **{f"floor: select {n:,}": floor.selects(n) for n in few},
        },
        rounds=60,
    )
    show(
        "Load and update in memory",
        "load 100 items",
        {"load 100 items": loads(memory, 100), "update at 100 items": appends(memory, 100)},
    )
    with (
        SQLiteSessionStore(folder / "100.db") as hundred,
        SQLiteSessionStore(folder / "10000.db") as many,
        InMemorySessionStore() as in_memory,
    ):
        show(
            "The 20 latest sessions",
            "of 100",
            {
                "of 100": latest(hundred, 100),
                "of 10,000": latest(many, 10_000),
                "of 10,000 in memory": latest(in_memory, 10_000),
            },
        )
    with SQLiteSessionStore(folder / "size.db") as sized:
        filled(sized, 10_000)
    bytes_on_disk = (folder / "size.db").stat().st_size
    Console().print(
        f"Size of 10,000 items: {bytes_on_disk / (10_000 * ITEM_BYTES):.2f} bytes a byte of content"
    )


if __name__ == "__main__":
    main()
