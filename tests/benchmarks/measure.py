"""How time is taken: short rounds in turn, and ratios of what stood next to each other.

Other work may run on the same machine. So no contender is measured at a stretch: in each round
every one gets a few operations, in an order that rotates, and a ratio is the median over the rounds
of the ratio within a round.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from time import perf_counter
from types import CoroutineType
from typing import Any, TypeAlias

Act: TypeAlias = Callable[[], Any]
"""What is timed: everything it needs was built before. May return a coroutine."""

TEXT_BYTES = 2048
"""How long the text of one turn is."""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MOST_ACTS = 10
_FEWEST_ACTS = 3
"""The first act after the others had their turn finds cold caches and sleeping servers: with three
the median is of one that follows another."""
_FEWEST = 3


def text() -> str:
    """Return a turn of random text: 6 bits a byte, which no database's compression gains on."""
    return "".join(random.choices(_ALPHABET, k=TEXT_BYTES))


async def settled(value: Any) -> Any:
    """Return `value`, awaited where a coroutine."""
    return await value if isinstance(value, CoroutineType) else value


async def timed(act: Act) -> float:
    """Return how many seconds `act` takes."""
    begun = perf_counter()
    value = act()
    if isinstance(value, CoroutineType):
        await value
    return perf_counter() - begun


@dataclass
class Times:
    """What one contender took.

    Attributes:
        rounds: the seconds of each operation, round by round.
        shares: seconds per operation of each round; with several writers the wall time by their
            operations, which counts the throughput.
        failed: the error that ended it, if one did.
    """

    rounds: list[list[float]] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    failed: str = ""

    def add(self, seconds: list[float], share: float | None = None) -> None:
        """Take in a round."""
        self.rounds.append(seconds)
        self.shares.append(statistics.median(seconds) if share is None else share)

    def percentile(self, percent: int) -> float:
        """Return the seconds that so many of a hundred operations stayed below, or took."""
        ordered = sorted(second for seconds in self.rounds for second in seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]

    def ratio_to(self, other: Times) -> float:
        """Return how many times as long as the other this one took, round by round."""
        pairs = zip(self.shares, other.shares, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


@dataclass
class Effort:
    """How much is measured.

    Attributes:
        rounds: how many at the most.
        seconds: what one contender may take in one round, unless three acts take longer.
        limit: after so many seconds no further round is begun, but three there are.
    """

    rounds: int
    seconds: float
    limit: float

    def goes_on(self, number: int, begun: float) -> bool:
        """Return whether there is to be another round, the one of this number from 0."""
        return number < self.rounds and (number < _FEWEST or perf_counter() - begun < self.limit)


Preparation: TypeAlias = Callable[[], Awaitable[Act]]
"""Builds, outside of the timer, what is timed next."""


async def in_turn(contenders: Sequence[Preparation], effort: Effort) -> list[Times]:
    """Measure one operation of several contenders, a few acts at a time, in turn."""
    counts = [await _acts_a_round(prepare, effort) for prepare in contenders]
    times = [Times() for _ in contenders]
    begun, number = perf_counter(), 0
    while effort.goes_on(number, begun):
        for index in _rotated(len(contenders), number):
            gc.collect(0)
            seconds = [await timed(await contenders[index]()) for _ in range(counts[index])]
            times[index].add(seconds)
        number += 1
    return times


@dataclass
class Crowd:
    """Several writers of one contender.

    Attributes:
        blocking: whether its acts block, so that each writer is a thread and not a task.
        writers: builds, outside of the timer, what each of them does one after the other.
    """

    blocking: bool
    writers: Callable[[], Awaitable[list[list[Act]]]]


async def side_by_side(crowds: Sequence[Crowd], effort: Effort) -> list[Times]:
    """Measure writers that work at the same time, of several contenders in turn."""
    times = [Times() for _ in crowds]
    begun, number = perf_counter(), -1  # the first round is to warm up
    while effort.goes_on(number, begun):
        for index in _rotated(len(crowds), number):
            if times[index].failed:
                continue
            writers = await crowds[index].writers()
            gc.collect(0)
            at_once = _threads if crowds[index].blocking else _tasks
            try:
                wall, seconds = await at_once(writers)
            except Exception as error:  # noqa: BLE001  # what it failed with is the figure
                times[index].failed = f"{type(error).__name__}: {error}".partition("\n")[0]
                continue
            if number >= 0:
                times[index].add(seconds, wall / len(seconds))
        number += 1
    return times


def _rotated(count: int, number: int) -> list[int]:
    return [(index + number) % count for index in range(count)]


async def _acts_a_round(prepare: Preparation, effort: Effort) -> int:
    """Warm up, and return how many acts fit into a round."""
    await timed(await prepare())
    once = min([await timed(await prepare()) for _ in range(2)])
    return max(_FEWEST_ACTS, min(_MOST_ACTS, int(effort.seconds / once)))


async def _tasks(writers: list[list[Act]]) -> tuple[float, list[float]]:
    async def write(acts: list[Act]) -> list[float]:
        return [await timed(act) for act in acts]

    begun = perf_counter()
    seconds = await asyncio.gather(*(write(acts) for acts in writers))
    return perf_counter() - begun, list(chain.from_iterable(seconds))


async def _threads(writers: list[list[Act]]) -> tuple[float, list[float]]:
    gate = threading.Event()

    def write(acts: list[Act]) -> list[float]:
        gate.wait()
        return [_seconds(act) for act in acts]

    with ThreadPoolExecutor(len(writers)) as threads:
        futures = [threads.submit(write, acts) for acts in writers]
        begun = perf_counter()
        gate.set()
        seconds = [future.result() for future in futures]
        return perf_counter() - begun, list(chain.from_iterable(seconds))


def _seconds(act: Act) -> float:
    begun = perf_counter()
    act()
    return perf_counter() - begun
