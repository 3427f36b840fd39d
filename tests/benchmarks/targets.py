"""What the stores are to reach, as ratios within one run, and what they reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.benchmarks.work import Row

Figure: TypeAlias = Callable[[Row], float | None]


@dataclass(frozen=True)
class Target:
    """One thing to reach.

    Attributes:
        what: in words.
        family: whose rows count: those of our stores there.
        operation: which of them.
        figure: which figure of a row.
        wanted: how much it has to be.
        at_least: whether it has to be as much or more, rather than as much or less.
        history: at which size; None for every one.
        concurrency: with how many writers.
        delay: with how many milliseconds of delay.
    """

    what: str
    family: str
    operation: str
    figure: Figure
    wanted: float
    at_least: bool
    history: int | None = None
    concurrency: int = 1
    delay: int = 0


@dataclass(frozen=True)
class Outcome:
    """What one store reached of a target; `met` says whether it is enough."""

    target: Target
    store: str
    reached: float
    met: bool


def outcomes(rows: Sequence[Row]) -> list[Outcome]:
    """Return what was reached of each target that there are rows for."""
    return [outcome for target in TARGETS for outcome in _reached(target, rows)]


def _reached(target: Target, rows: Sequence[Row]) -> Iterator[Outcome]:
    found: dict[str, list[float]] = {}
    for row in rows:
        figure = target.figure(row)
        if _counts(target, row) and figure is not None:
            found.setdefault(row.store, []).append(figure)
    for store, figures in found.items():
        worst = min(figures) if target.at_least else max(figures)
        met = worst >= target.wanted if target.at_least else worst <= target.wanted
        yield Outcome(target, store, worst, met)


def _counts(target: Target, row: Row) -> bool:
    return (
        row.kind == "ours"
        and (row.family, row.operation) == (target.family, target.operation)
        and (row.concurrency, row.delay_ms) == (target.concurrency, target.delay)
        and target.history in (None, row.history)
    )


def _as_fast_as(name: str) -> Figure:
    return lambda row: row.times_as_fast_as.get(name)


def _floor(row: Row) -> float | None:
    return row.ratio_to_floor


def _throughput(row: Row) -> float | None:
    return None if row.ratio_to_floor is None else 1 / row.ratio_to_floor


def _first(row: Row) -> float | None:
    return row.ratio_to_first


def _size(row: Row) -> float | None:
    return row.bytes_per_byte


def _trips(row: Row) -> float | None:
    return row.round_trips


_OPENAI: Final = _as_fast_as("OpenAI SQLAlchemySession")
_OPENAI_SQLITE: Final = _as_fast_as("OpenAI SQLiteSession")
_ADK: Final = _as_fast_as("ADK DatabaseSessionService")
_DELTA: Final = _as_fast_as("LangGraph PostgresSaver (delta)")
_SEED: Final = _as_fast_as("table by table")
_FAMILIES: Final = ("memory", "sqlite", "postgres", "supabase")

TARGETS: Final = (
    Target("as fast as OpenAI's", "postgres", "append", _OPENAI, 2, True, 100),
    Target("as fast as ADK's", "postgres", "append", _ADK, 3, True, 100),
    Target("as fast as LangGraph's deltas", "postgres", "append", _DELTA, 1, True, 100),
    Target("as fast as OpenAI's dicts", "postgres", "load", _OPENAI, 1, True, 1_000),
    Target("as fast as ADK's", "postgres", "load", _ADK, 4, True, 1_000),
    Target("as fast as ADK's", "postgres", "list", _ADK, 10, True, 10_000),
    Target("as fast as OpenAI's", "sqlite", "append", _OPENAI_SQLITE, 1, True, 100),
    Target("as fast as OpenAI's", "sqlite", "load", _OPENAI_SQLITE, 1 / 1.5, True, 1_000),
    *(
        Target("requests", "supabase", operation, _trips, 1, False)
        for operation in ("create", "append", "refine", "load", "refresh", "list")
    ),
    Target("as fast as table by table", "supabase", "append", _SEED, 5, True, 100),
    Target("as fast as table by table", "supabase", "refine", _SEED, 5, True, 100),
    Target("as fast as table by table", "supabase", "load", _SEED, 3, True, 100),
    Target("the same with 20 ms", "supabase", "append", _SEED, 6, True, delay=20),
    Target("the same with 20 ms", "supabase", "refine", _SEED, 6, True, delay=20),
    Target("the same with 20 ms", "supabase", "load", _SEED, 3.5, True, delay=20),
    Target("times the floor", "postgres", "append", _floor, 1.3, False, 100),
    Target("times the floor", "supabase", "append", _floor, 1.15, False, 100),
    Target("times the floor", "supabase", "load", _floor, 1.15, False, 100),
    *(
        Target(
            "of the floor's throughput",
            family,
            "append, own sessions",
            _throughput,
            0.8,
            True,
            concurrency=50,
        )
        for family in _FAMILIES[1:]
    ),
    *(
        Target("times history 10", family, "append", _first, 1.1, False, 10_000)
        for family in _FAMILIES
    ),
    *(
        Target("times 100 sessions", family, "list", _first, 1.5, False, 100_000)
        for family in _FAMILIES
    ),
    *(Target("times the content", family, "size", _size, 1.6, False) for family in _FAMILIES),
)
