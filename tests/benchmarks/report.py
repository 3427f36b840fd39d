"""The rows for programs (JSON) and for people (a table, a plot)."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.benchmarks.targets import outcomes
from tests.benchmarks.work import Row

_PACKAGES = (
    "lift-sys",
    "google-adk",
    "httpx",
    "langgraph-checkpoint-postgres",
    "langgraph-checkpoint-sqlite",
    "openai-agents",
    "psycopg",
    "pydantic",
    "supabase",
)
_COLORS = {"ours": "tab:blue", "theirs": "tab:orange", "floor": "tab:gray"}


def write_json(rows: Sequence[Row], conditions: dict[str, Any], path: Path) -> None:
    """Write the rows, and under which conditions they were taken."""
    content = {"conditions": conditions, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def conditions(*, durable: bool, seconds: float) -> dict[str, Any]:
    """Return what figures depend on: the machine in general terms, versions and settings."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "postgres_waits_for_the_disk": durable,
        "sqlite_synchronous": "full, for everybody",
        "pools": "10 connections, no pre-ping, for everybody",
        "seconds": round(seconds),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


_COLUMNS: Final[dict[str, Callable[[Row], str]]] = {
    "of": lambda row: _shown(row.history, ",d"),
    "writers": lambda row: _shown(row.concurrency, "d") if row.concurrency > 1 else "",
    "delay": lambda row: _shown(row.delay_ms or None, "g"),
    "p50": lambda row: _shown(row.p50_ms, ".3f"),
    "p95": lambda row: _shown(row.p95_ms, ".3f"),
    "each": lambda row: _shown(row.ms_each, ".3f"),
    "trips": lambda row: _shown(row.round_trips, "d"),
    "sent": lambda row: _shown(row.bytes_sent, ",d"),
    "/floor": lambda row: _shown(row.ratio_to_floor, ".2f"),
    "/first": lambda row: _shown(row.ratio_to_first, ".2f"),
    "size": lambda row: _shown(row.bytes_per_byte, ".2f"),
    "as fast as": lambda row: row.failed or _compared(row),
}


def show(rows: Sequence[Row], console: Console) -> None:
    """Print a table for each family and operation, of the columns that have something to say."""
    for title in dict.fromkeys(_title(row) for row in rows):
        some = [row for row in rows if _title(row) == title]
        table = Table(title=title, title_justify="left")
        table.add_column("contender")
        columns = {name: cell for name, cell in _COLUMNS.items() if any(map(cell, some))}
        for name in columns:
            table.add_column(name, justify="left" if name == "as fast as" else "right")
        for row in some:
            cells = [cell(row) for cell in columns.values()]
            table.add_row(row.store, *cells, style="bold" if row.kind == "ours" else None)
        console.print(table)


def show_targets(rows: Sequence[Row], console: Console) -> None:
    """Print what was reached of each target, as far as there are rows for it."""
    table = Table(title="targets", title_justify="left")
    for column in ("family", "operation", "", "store"):
        table.add_column(column)
    for column in ("wanted", "reached"):
        table.add_column(column, justify="right")
    for outcome in outcomes(rows):
        target = outcome.target
        wanted = f"{'>=' if target.at_least else '<='} {target.wanted:.2f}"
        cells = [target.family, target.operation, target.what, outcome.store, wanted]
        style = None if outcome.met else "bold"
        mark = "" if outcome.met else " missed"
        table.add_row(*cells, f"{outcome.reached:.2f}{mark}", style=style)
    console.print(table)


def _compared(row: Row) -> str:
    if row.kind != "ours":
        return ""
    return "\n".join(f"{times:.1f} {name}" for name, times in row.times_as_fast_as.items())


def _title(row: Row) -> str:
    return f"{row.family}: {row.operation}"


def _shown(number: float | None, form: str) -> str:
    return "" if number is None else format(number, form)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw the medians as bars, one picture part for each family and operation."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    drawn = [row for row in rows if row.p50_ms is not None]
    titles = list(dict.fromkeys(_title(row) for row in drawn))
    figure, parts = plt.subplots(len(titles), 1, figsize=(9, 3 * len(titles)), squeeze=False)
    for part, title in zip(parts[:, 0], titles, strict=True):
        some = [row for row in drawn if _title(row) == title]
        part.barh(
            [_label(row) for row in some],
            [row.p50_ms or 0 for row in some],
            color=[_COLORS[row.kind] for row in some],
        )
        part.invert_yaxis()
        part.set_title(title)
        part.set_xscale("log")
        part.set_xlabel("ms, median")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _label(row: Row) -> str:
    parts = [row.store, _shown(row.history, ",d")]
    if row.concurrency > 1:
        parts.append(f"{row.concurrency} writers")
    if row.delay_ms:
        parts.append(f"{row.delay_ms:g} ms")
    return " ".join(filter(None, parts))
