"""Measure the stores, their peers and the floor: ``python -m tests.benchmarks --help``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from rich.console import Console

from tests.benchmarks import floor, ours, report
from tests.benchmarks.stack import Site, running
from tests.benchmarks.subjects import Subject
from tests.benchmarks.work import FULL, QUICK, Bench, Plan, Row

FAMILIES = ("memory", "sqlite", "postgres", "supabase")
OPERATIONS = ("size", "create", "load", "refresh", "append", "refine", "list", "writers", "delay")
WIDTH = 150
"""How many characters a line of the tables has where they go to a file."""
_PEERS = {
    "agents": "peer_openai",
    "google.adk": "peer_adk",
    "langgraph.checkpoint": "peer_langgraph",
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        choices=FAMILIES + OPERATIONS,
        metavar="WORD",
        help=f"some of {', '.join(FAMILIES + OPERATIONS)}",
    )
    parser.add_argument(
        "--volatile", action="store_true", help="let Postgres not wait for the disk at a commit"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there, as a PNG")
    given = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    begun = perf_counter()
    rows = asyncio.run(
        benchmark(QUICK if given.quick else FULL, given.only, console, durable=not given.volatile)
    )
    seconds = perf_counter() - begun
    report.show(rows, console)
    report.show_targets(rows, console)
    console.print(f"{seconds:.0f} s")
    if given.json:
        report.write_json(
            rows, report.conditions(durable=not given.volatile, seconds=seconds), given.json
        )
    if given.plot:
        report.plot(rows, given.plot)


async def benchmark(
    plan: Plan, only: Sequence[str], console: Console, *, durable: bool = True, peers: bool = True
) -> list[Row]:
    """Measure and return the rows.

    Args:
        plan: how much.
        only: names of families and of operations; all of those of which none is named.
        console: where progress is shown.
        durable: whether Postgres waits for the disk at each commit.
        peers: whether others are measured too, where they are installed.
    """
    families = [name for name in FAMILIES if name in only] or FAMILIES
    operations = [name for name in OPERATIONS if name in only] or OPERATIONS
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        needed = not {"postgres", "supabase"}.isdisjoint(families)
        servers = running(folder / "stack" if durable else None) if needed else nullcontext()
        with servers as site:
            for family in families:
                rows += await _family(family, operations, plan, folder, site, console, peers=peers)
    return rows


async def _family(
    family: str,
    operations: Sequence[str],
    plan: Plan,
    folder: Path,
    site: Site | None,
    console: Console,
    *,
    peers: bool,
) -> list[Row]:
    remote = site if family in {"postgres", "supabase"} else None
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        subjects = _subjects(family, folder, site, proxied=False, peers=peers)
        twins = subjects
        if family == "postgres":
            twins = _subjects(family, folder, site, proxied=True, peers=peers)
        for subject in dict.fromkeys([*subjects, *twins]):
            stack.push_async_callback(subject.close)
            await subject.open()
        gc.collect()
        gc.freeze()  # what the imports left is no work of theirs
        for name, work in Bench(family, subjects, twins, remote, plan).works().items():
            if name in operations:
                begun = perf_counter()
                rows += await work()
                console.print(f"{family}: {name} ({perf_counter() - begun:.0f} s)")
    return rows


def _subjects(
    family: str, folder: Path, site: Site | None, *, proxied: bool, peers: bool
) -> list[Subject]:
    modules = [import_module(f"tests.benchmarks.{name}") for name in _peers()] if peers else []
    if family == "memory":
        return ours.memory()
    if family == "sqlite":
        found = [maker for module in modules if (maker := getattr(module, "sqlite", None))]
        makers = [ours.sqlite, *found, floor.sqlite]
        return [subject for make in makers for subject in make(folder)]
    assert site is not None
    if family == "supabase":
        seed = import_module("tests.benchmarks.peer_seed").TableByTable(site)
        return [*ours.supabase(site), seed, *floor.supabase(site)]
    makers = [ours.postgres, *(module.postgres for module in modules), floor.postgres]
    return [subject for make in makers for subject in make(site, proxied=proxied)]


def _peers() -> list[str]:
    return [module for package, module in _PEERS.items() if _is_there(package)]


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    main()
