"""The benchmarks run, on a scale on which no figure means anything: nothing here is about time."""

import asyncio
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks import report
from tests.benchmarks.__main__ import FAMILIES, benchmark
from tests.benchmarks.measure import Effort, Times
from tests.benchmarks.targets import outcomes
from tests.benchmarks.work import Plan, Row

TINY = Plan(
    histories=(2, 5),
    loads=(2, 5),
    lists=(3, 5),
    crowds=(1, 3),
    delays=(1,),
    stored=(2, 3),
    effort=Effort(rounds=1, seconds=0, limit=0),
    crowd_effort=Effort(rounds=1, seconds=0, limit=0),
)
COLUMNS = {
    "store",
    "operation",
    "history",
    "concurrency",
    "delay_ms",
    "p50_ms",
    "p95_ms",
    "round_trips",
    "bytes_sent",
    "ratio_to_floor",
}


def measured(*only: str) -> list[Row]:
    console = Console(file=io.StringIO())
    return asyncio.run(benchmark(TINY, only, console, durable=False, peers=False))


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return measured()


def test_every_store_does_every_piece_of_work(rows: list[Row]) -> None:
    assert {row.failed for row in rows} == {""}
    for family in FAMILIES:
        ours = [row for row in rows if row.family == family and row.kind == "ours"]
        assert len({row.store for row in ours}) == 2
        done = {(row.store, row.operation) for row in ours}
        operations = ("create", "load", "refresh", "append", "list", "append, one session")
        assert all((row.store, name) in done for row in ours for name in operations)


def test_each_operation_takes_one_round_trip(rows: list[Row]) -> None:
    counted = [row for row in rows if row.round_trips is not None and row.kind != "theirs"]
    assert {(row.family, row.round_trips) for row in counted} == {("postgres", 1), ("supabase", 1)}


def test_an_append_sends_as_much_whatever_the_history(rows: list[Row]) -> None:
    appends = [r for r in rows if r.operation == "append" and r.bytes_sent and r.kind == "ours"]
    for store in {row.store for row in appends}:
        sent = [row.bytes_sent or 0 for row in appends if row.store == store]
        assert max(sent) - min(sent) < 50


def test_a_chosen_part_is_all_that_runs() -> None:
    rows = measured("memory", "append", "size")
    assert {(row.family, row.operation) for row in rows} == {("memory", "append")}


def test_rows_are_written_for_programs_and_for_people(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    report.write_json(rows, report.conditions(durable=False, seconds=1.5), path)
    written = json.loads(path.read_text())
    assert len(written["rows"]) == len(rows)
    assert written["rows"][0].keys() >= COLUMNS
    shown = io.StringIO()
    report.show(rows, Console(file=shown, width=200))
    report.show_targets(rows, Console(file=shown, width=200))
    assert "PostgresSessionStore" in shown.getvalue()


def test_a_target_is_missed_by_the_worst_of_its_figures() -> None:
    row = Row("SQLiteSessionStore", "sqlite", "ours", "size", bytes_per_byte=1.5)
    worse = Row("SQLiteSessionStore", "sqlite", "ours", "size", bytes_per_byte=1.7)
    assert [outcome.met for outcome in outcomes([row])] == [True]
    assert [(outcome.reached, outcome.met) for outcome in outcomes([row, worse])] == [(1.7, False)]


def test_every_target_but_those_of_peers_and_sizes_is_found_in_the_rows(rows: list[Row]) -> None:
    reached = {(o.target.family, o.target.operation) for o in outcomes(rows)}
    assert reached >= {("supabase", "append"), ("supabase", "load"), ("postgres", "size")}


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    ours, theirs = Times(), Times()
    for seconds in (1.0, 10.0, 100.0):  # a machine that gets slower and slower
        ours.add([2 * seconds])
        theirs.add([seconds])
    assert ours.ratio_to(theirs) == 2
