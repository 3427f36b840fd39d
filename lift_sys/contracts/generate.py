"""Which migrations are missing, and writing them.

A contract whose table some migration already makes is left alone, so generating twice changes
nothing. Tables that others refer to come first; each file gets a second of its own.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from lift_sys.contracts.contract import Contract, refuse_collisions
from lift_sys.contracts.errors import ContractError
from lift_sys.contracts.migrations import TIMESTAMP_FORMAT, read_migrations
from lift_sys.contracts.sql import render
from lift_sys.contracts.tables import Table, tables_for

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class PlannedMigration:
    """A migration that is not there yet: where it goes, its text, and the table it makes."""

    path: Path
    text: str
    table: Table


def utc_now() -> datetime:
    """Return the present moment, aware and in UTC."""
    return datetime.now(UTC)


def plan(
    contracts: Sequence[Contract],
    migrations: Path,
    *,
    others: Sequence[Contract] = (),
    clock: Clock = utc_now,
) -> list[PlannedMigration]:
    """Return the migrations that ``contracts`` lack, in the order in which they apply.

    Args:
        contracts: the contracts to generate from.
        migrations: the folder of the migrations there are; it need not exist.
        others: contracts to generate nothing for, whose tables are taken all the same.
        clock: gives the generation time, to the second; tests inject their own.

    Raises:
        ContractError: a contract has no table as it stands, two want the same table, or their
            foreign keys form a circle.
    """
    existing = read_migrations(migrations)
    tables = [table for contract in contracts for table in tables_for(contract)]
    _refuse_taken(tables, others)
    missing = [t for t in tables if not t.is_by_hand and t.name not in existing.tables]
    moment = existing.next_moment(clock())
    planned: list[PlannedMigration] = []
    for position, table in enumerate(_in_order(missing)):
        at = moment + timedelta(seconds=position)
        path = migrations / f"{at.strftime(TIMESTAMP_FORMAT)}_{file_stem(table.name)}.sql"
        planned.append(PlannedMigration(path, render(table, at), table))
    return planned


def write(planned: Sequence[PlannedMigration]) -> None:
    """Write the ``planned`` files.

    Raises:
        FileExistsError: one is there already; the ones before it have been written.
    """
    for migration in planned:
        migration.path.parent.mkdir(parents=True, exist_ok=True)
        with migration.path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(migration.text)


def file_stem(table: str) -> str:
    """Return the table's name as part of a file's name, without what file systems refuse."""
    return "".join(character if character.isalnum() else "_" for character in table)


def _refuse_taken(tables: Sequence[Table], others: Sequence[Contract]) -> None:
    taken: list[Table] = []
    for contract in others:
        # What is wrong with another contract is not this one's concern.
        with suppress(ContractError):
            taken.extend(tables_for(contract))
    everything = [*taken, *tables]
    refuse_collisions([t.contract for t in everything], [t.name for t in everything])


def _in_order(tables: Sequence[Table]) -> list[Table]:
    """Return ``tables`` with those that others refer to first, otherwise as they come."""
    by_name = {table.name: table for table in tables}
    graph = {t.name: sorted(t.referenced_tables & by_name.keys()) for t in tables}
    try:
        return [by_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        first = by_name[error.args[1][0]]
        first.contract.root.refuse(f"its foreign keys form a circle: {circle}")
