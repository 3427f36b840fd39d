"""What is asked of every contender, and the rows that come of it."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from tests.benchmarks.measure import (
    Act,
    Crowd,
    Effort,
    Preparation,
    Times,
    in_turn,
    settled,
    side_by_side,
    text,
    timed,
)
from tests.benchmarks.stack import Site, Traffic
from tests.benchmarks.subjects import Subject, Unoffered

DELAYED = 100
"""How long the sessions are that are refined, and measured on a slower network."""
_TWIN_APPENDS = 1_000
"""How often a session is appended to, at the most, from behind the proxy."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        histories: the lengths that a session is appended to.
        loads: the lengths that it is loaded at.
        lists: of how many sessions the 20 latest are listed.
        crowds: how many writers there are at once.
        delays: milliseconds of network delay.
        one_by_one: the longest history of those who can only be given one turn after the other.
        stored: sessions and turns of each, by which the size of a database is taken.
        effort: rounds, and seconds a round.
        crowd_effort: the same with several writers.
    """

    histories: tuple[int, ...] = (10, 100, 1_000, 10_000)
    loads: tuple[int, ...] = (10, 100, 1_000)
    lists: tuple[int, ...] = (100, 10_000, 100_000)
    crowds: tuple[int, ...] = (1, 10, 50)
    delays: tuple[int, ...] = (1, 5, 20)
    one_by_one: int = 1_000
    stored: tuple[int, int] = (20, 50)
    effort: Effort = field(default_factory=lambda: Effort(rounds=25, seconds=0.02, limit=30))
    crowd_effort: Effort = field(default_factory=lambda: Effort(rounds=9, seconds=0, limit=10))


FULL = Plan()
QUICK = Plan(
    histories=(10, 1_000),
    loads=(10, 1_000),
    lists=(50, 500),
    crowds=(1, 10),
    delays=(20,),
    one_by_one=100,
    stored=(5, 20),
    effort=Effort(rounds=7, seconds=0.01, limit=3),
    crowd_effort=Effort(rounds=3, seconds=0, limit=1),
)


@dataclass
class Row:
    """One figure: one contender at one piece of work.

    Attributes:
        store: the contender.
        family: memory, sqlite, postgres or supabase.
        kind: ours, theirs or floor.
        operation: what was done.
        history: how many turns the session had, or how many sessions the user.
        concurrency: how many writers there were at once.
        delay_ms: milliseconds of delay that a proxy added to each answer.
        p50_ms: the median of an operation.
        p95_ms: what 95 of 100 stayed below.
        ms_each: wall time by operations: with several writers it tells the throughput.
        round_trips: turns on the wire, or requests.
        bytes_sent: what the client sent for it.
        ratio_to_floor: how many times as long as the floor of the same kind, sync or async, took.
        ratio_to_first: how many times as long as the same at the smallest history.
        times_as_fast_as: by contender of the others, how many times as long that one took.
        bytes_per_byte: of a database: its size by the size of the text in it.
        answers: what a read gives.
        failed: the error that the contender ended with, if it did.
    """

    store: str
    family: str
    kind: str
    operation: str
    history: int | None = None
    concurrency: int = 1
    delay_ms: float = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    ms_each: float | None = None
    round_trips: int | None = None
    bytes_sent: int | None = None
    ratio_to_floor: float | None = None
    ratio_to_first: float | None = None
    times_as_fast_as: dict[str, float] = field(default_factory=dict)
    bytes_per_byte: float | None = None
    answers: str = ""
    failed: str = ""


class Session:
    """A session that is kept at about one length: after some appends another takes its place."""

    def __init__(self, subject: Subject, history: int) -> None:
        self.subject = subject
        self.history = history
        self._number = 0
        self._left = 0

    async def twin(self, subject: Subject) -> Session:
        """Return the same session as another connection of the same contender sees it."""
        await self.ready()
        twin = Session(subject, self.history)
        twin._number, twin._left = self._number, _TWIN_APPENDS
        await subject.adopt(self.subject, self._name)
        return twin

    async def take_back(self, twin: Session) -> None:
        """Take note of what was written from over there."""
        await self.subject.adopt(twin.subject, self._name)

    async def append(self) -> Act:
        """Return what adds a turn."""
        await self.ready()
        self._left -= 1
        return await self.subject.append(self._name, text())

    async def refine(self) -> Act:
        """Return what adds a turn and a draft."""
        await self.ready()
        self._left -= 1
        return await self.subject.refine(self._name, text())

    async def load(self) -> Act:
        """Return what reads it whole."""
        await self.ready()
        return await self.subject.load(self._name)

    async def refresh(self) -> Act:
        """Return what brings a turn that somebody else added."""
        await self.ready()
        self._left -= 1
        return await self.subject.refresh(self._name, text())

    @property
    def _name(self) -> str:
        return f"{self.history}-{self._number}"

    async def ready(self) -> None:
        """Store a session where there is none to be used."""
        if self._left <= 0:
            self._number += 1
            self._left = max(5, self.history // 5)
            await self.subject.grow(self._name, [text() for _ in range(self.history)])


@dataclass
class _Entry:
    """A contender at one size of the work, and what it took."""

    subject: Subject
    history: int | None
    prepare: Preparation
    session: Session | None = None
    times: Times = field(default_factory=Times)


class Bench:
    """The work, done by the contenders of one family.

    Args:
        family: memory, sqlite, postgres or supabase.
        subjects: the contenders, opened.
        proxied: the same behind the proxy that counts and delays, in the same order.
        site: the servers; None where the family needs none.
        plan: how much is measured.
    """

    def __init__(
        self,
        family: str,
        subjects: Sequence[Subject],
        proxied: Sequence[Subject],
        site: Site | None,
        plan: Plan,
    ) -> None:
        self._family = family
        self._subjects = subjects
        self._proxied = proxied
        self._site = site
        self._plan = plan
        self._sessions: dict[tuple[Subject, int], Session] = {}

    def works(self) -> dict[str, Callable[[], Awaitable[list[Row]]]]:
        """Return each piece of work by its name: what wants fresh tables or exact lengths first."""
        works: dict[str, Callable[[], Awaitable[list[Row]]]] = {
            "size": self.size,
            "create": self.create,
            "load": self.load,
            "refresh": self.refresh,
            "append": self.append,
            "refine": self.refine,
            "list": self.latest,
            "writers": self.writers,
        }
        if self._family == "memory":
            del works["size"]
        if self._site is not None:
            works["delay"] = self.delay
        return works

    async def size(self) -> list[Row]:
        """Store turns one by one, and see by how much the database grows."""
        sessions, turns = self._plan.stored
        content = len(text()) * sessions * turns
        rows = []
        for subject in self._subjects:
            try:
                before = await subject.stored_bytes()
            except Unoffered:
                continue
            for number in range(sessions):
                name = f"size-{number}"
                await subject.grow(name, [text()])
                for _ in range(turns - 1):
                    await settled((await subject.append(name, text()))())
            grown = await subject.stored_bytes() - before
            row = Row(subject.name, subject.family, subject.kind, "size", sessions * turns)
            row.bytes_per_byte = grown / content
            rows.append(row)
        return rows

    async def create(self) -> list[Row]:
        """Store new sessions of one turn."""
        entries = [_Entry(s, None, s.create) for s in self._subjects]
        return await self._measured("create", entries)

    async def load(self) -> list[Row]:
        """Read sessions of several lengths whole."""
        return await self._measured("load", self._entries("load", self._plan.loads))

    async def refresh(self) -> list[Row]:
        """Bring a turn that somebody else added to a long session."""
        return await self._measured("refresh", self._entries("refresh", self._plan.loads[-1:]))

    async def append(self) -> list[Row]:
        """Add a turn to sessions of several lengths."""
        return await self._measured("append", self._entries("append", self._plan.histories))

    async def refine(self) -> list[Row]:
        """Add a turn and a draft to sessions of one length."""
        entries = [e for e in self._entries("refine", [DELAYED]) if e.subject.refines]
        return await self._measured("refine", entries)

    async def latest(self) -> list[Row]:
        """List the 20 latest of many sessions."""
        entries = []
        for count in self._plan.lists:
            for subject in self._subjects:
                if count <= subject.most_listed and await _filled(subject, count):
                    entry = _Entry(subject, count, partial(subject.latest, count))
                    entries.append(entry)
        return await self._measured("list", entries)

    async def writers(self) -> list[Row]:
        """Add turns by several writers, on their own sessions and on one."""
        rows = []
        for count in self._plan.crowds:
            rows += await self._crowds("append, own sessions", self._subjects, count, _own)
            if count > 1:
                able = [s for s in self._subjects if count <= s.most_contending]
                rows += await self._crowds("append, one session", able, count, _shared)
        return rows

    async def delay(self) -> list[Row]:
        """Append and load at one length on a slower network."""
        sessions = [
            await self._session(subject, DELAYED).twin(twin)
            for subject, twin in zip(self._subjects, self._proxied, strict=True)
        ]
        rows = []
        limit = self._plan.effort.limit / 2 / len(self._plan.delays)
        effort = replace(self._plan.effort, seconds=0, limit=limit)
        for milliseconds in self._plan.delays:
            with self._delayed(milliseconds):
                for name in ("load", "append", "refine"):
                    able = [s for s in sessions if name != "refine" or s.subject.refines]
                    entries = [_Entry(s.subject, DELAYED, getattr(s, name)) for s in able]
                    done = await _timed_rows(name, entries, effort)
                    rows += [replace(row, delay_ms=milliseconds) for row in done]
        return rows

    @contextmanager
    def _delayed(self, milliseconds: float) -> Iterator[None]:
        assert self._site is not None
        self._site.delay(milliseconds / 1000)
        try:
            yield
        finally:
            self._site.delay(0)

    def _session(self, subject: Subject, history: int) -> Session:
        """Return the session that everything at that length is done with."""
        return self._sessions.setdefault((subject, history), Session(subject, history))

    def _entries(self, name: str, histories: Iterable[int]) -> list[_Entry]:
        sessions = [
            self._session(subject, history)
            for history in histories
            for subject in self._subjects
            if history <= (self._plan.one_by_one if subject.one_by_one else subject.longest)
        ]
        return [_Entry(s.subject, s.history, getattr(s, name), s) for s in sessions]

    async def _measured(self, operation: str, entries: list[_Entry]) -> list[Row]:
        """Return the rows of one operation, with what the twins behind the proxy sent for it."""
        rows = await _timed_rows(operation, entries, self._plan.effort)
        if self._site is not None:
            for row, entry in zip(rows, entries, strict=True):
                traffic = await self._traffic(operation, entry, self._site)
                row.round_trips, row.bytes_sent = traffic.round_trips, traffic.sent
        return rows

    async def _traffic(self, operation: str, entry: _Entry, site: Site) -> Traffic:
        twin = self._proxied[self._subjects.index(entry.subject)]
        prepare: Preparation
        session = None
        if entry.session is not None:
            session = await entry.session.twin(twin)
            prepare = getattr(session, operation)
        elif operation == "create":
            prepare = twin.create
        else:
            prepare = partial(twin.latest, entry.history or 0)
        await timed(await prepare())  # connections are opened, statements prepared
        act = await prepare()
        site.count()
        await timed(act)
        traffic = site.traffic(self._family)
        if entry.session is not None and session is not None:
            await entry.session.take_back(session)
        return traffic

    async def _crowds(
        self, operation: str, subjects: Sequence[Subject], count: int, crowd: _CrowdOf
    ) -> list[Row]:
        turns = max(2, 40 // count)
        crowds = [Crowd(s.blocking, await crowd(s, count, turns)) for s in subjects]
        entries = [_Entry(s, None, s.create) for s in subjects]  # only the times count
        for entry, times in zip(
            entries, await side_by_side(crowds, self._plan.crowd_effort), strict=True
        ):
            entry.times = times
        return [replace(row, concurrency=count) for row in _rows(operation, entries)]


_Writers: TypeAlias = Callable[[], Awaitable[list[list[Act]]]]
_CrowdOf: TypeAlias = Callable[[Subject, int, int], Awaitable[_Writers]]


async def _own(subject: Subject, count: int, turns: int) -> _Writers:
    names = [f"writer-{count}-{number}" for number in range(count)]
    for name in names:
        await subject.grow(name, [text()] * 10)

    async def writers() -> list[list[Act]]:
        return [[await subject.append(name, text()) for _ in range(turns)] for name in names]

    return writers


async def _shared(subject: Subject, count: int, _: int) -> _Writers:
    turns = max(1, 20 // count)  # they get in each other's way: more of them take long
    name = f"shared-{count}"
    await subject.grow(name, [text()] * 10)

    async def writers() -> list[list[Act]]:
        acts = [await subject.contend(name, text()) for _ in range(count * turns)]
        if subject.kind == "floor":
            return [acts]  # the least is one after the other
        return [acts[number::count] for number in range(count)]

    return writers


async def _filled(subject: Subject, count: int) -> bool:
    try:
        await subject.fill(count)
        await subject.latest(count)
    except Unoffered:
        return False
    return True


async def _timed_rows(operation: str, entries: list[_Entry], effort: Effort) -> list[Row]:
    for entry, times in zip(
        entries, await in_turn([e.prepare for e in entries], effort), strict=True
    ):
        entry.times = times
    return _rows(operation, entries)


def _rows(operation: str, entries: list[_Entry]) -> list[Row]:
    return [_row(operation, entry, entries) for entry in entries]


def _row(operation: str, entry: _Entry, entries: list[_Entry]) -> Row:
    subject, times = entry.subject, entry.times
    row = Row(
        store=subject.name,
        family=subject.family,
        kind=subject.kind,
        operation=operation,
        history=entry.history,
        answers=subject.answers,
        failed=times.failed,
    )
    if times.failed:
        return row
    row.p50_ms = 1000 * times.percentile(50)
    row.p95_ms = 1000 * times.percentile(95)
    row.ms_each = 1000 * statistics.median(times.shares)
    same = [
        e for e in entries if e.history == entry.history and e is not entry and not e.times.failed
    ]
    for other in same:
        if other.subject.kind == "theirs":
            row.times_as_fast_as[other.subject.name] = other.times.ratio_to(times)
        elif other.subject.kind == "floor" and other.subject.blocking == subject.blocking:
            row.ratio_to_floor = times.ratio_to(other.times)
    first = next(e for e in entries if e.subject is subject)
    if first is not entry:
        row.ratio_to_first = times.ratio_to(first.times)
    return row
