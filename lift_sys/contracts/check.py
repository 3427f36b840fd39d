"""Do contracts, migrations and the database agree? The one function that answers.

Without a database it compares contracts with the migrations' text; with one, also with what is
really there.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lift_sys.contracts.contract import UNCONTRACTED, Contract, Workspace, refuse_collisions
from lift_sys.contracts.errors import ContractError
from lift_sys.contracts.findings import Finding, Severity
from lift_sys.contracts.migrations import Migrations, read_migrations
from lift_sys.contracts.tables import Table, tables_for

if TYPE_CHECKING:
    from psycopg import Connection


def check(
    workspace: Workspace,
    migrations: Path,
    *,
    connection: "Connection[Any] | None" = None,
    uncontracted: Collection[str] = (),
) -> list[Finding]:
    """Return what is wrong between contracts, migrations and, if given, the database.

    Args:
        workspace: the contracts.
        migrations: the folder of the migrations; it need not exist.
        connection: an idle connection to the migrated database, or None; nothing is written.
        uncontracted: tables that need no contract, besides those that the workspace names.

    Returns:
        Refused contracts first, then coverage, review, types and drift; empty if all agree.

    Raises:
        psycopg.Error: the database cannot be reached.
    """
    contracts, refusals = workspace.load_all()
    tables, more_refusals = _tables(contracts)
    existing = read_migrations(migrations)
    live = _live_names(connection)
    found = dict.fromkeys(live or (), "the database") | existing.tables
    excepted, refused_exceptions = _exceptions(workspace)
    return [
        *(_refused(error) for error in [*refusals, *more_refusals, *refused_exceptions]),
        *_coverage(tables, existing, live),
        *_uncontracted(found, tables, [*uncontracted, *excepted]),
        *_needless(found, excepted),
        *_unreviewed(existing),
        *_types(tables),
        *_drift(connection, tables),
    ]


def _live_names(connection: "Connection[Any] | None") -> list[str] | None:
    """Return the names of the tables that are really there, or None without a database."""
    if connection is None:
        return None
    from lift_sys.contracts.drift import live_table_names

    return live_table_names(connection)


def _drift(connection: "Connection[Any] | None", tables: Sequence[Table]) -> list[Finding]:
    if connection is None:
        return []
    from lift_sys.contracts.drift import find_drift

    return find_drift(connection, tables)


def _tables(contracts: Sequence[Contract]) -> tuple[list[Table], list[ContractError]]:
    """Return the tables of all contracts that have a valid one, and the refusals of the others."""
    tables: list[Table] = []
    refused: list[ContractError] = []
    for contract in contracts:
        try:
            wanted = [*tables, *tables_for(contract)]
            refuse_collisions([t.contract for t in wanted], [t.name for t in wanted])
        except ContractError as error:
            refused.append(error)
        else:
            tables = wanted
    return tables, refused


def _refused(error: ContractError) -> Finding:
    where = f"{error.file}#{error.pointer}" if error.pointer else error.file
    remedy = "mend the contract there"
    return Finding("refused-contract", Severity.ERROR, where, error.reason, remedy)


def _coverage(
    tables: Sequence[Table], existing: Migrations, live: Collection[str] | None
) -> Iterator[Finding]:
    for table in tables:
        where = f"{table.contract.file} -> {table.name}"
        if live is not None and table.name in live:
            continue
        if table.name not in existing.tables:
            make = "write one" if table.is_by_hand else "run `lift-sys contracts generate`"
            message = "no migration makes its table, and no database has it"
            yield Finding("missing-migration", Severity.ERROR, where, message, make)
        elif live is not None:
            message = f"{existing.tables[table.name]} makes its table, the database lacks it"
            remedy = "apply the migrations: `supabase db push`"
            yield Finding("missing-table", Severity.ERROR, where, message, remedy)


def _uncontracted(
    found: dict[str, str], tables: Sequence[Table], allowed: Collection[str]
) -> Iterator[Finding]:
    known = {*(table.name for table in tables), *allowed}
    for name, maker in sorted(found.items()):
        if name not in known:
            message = f"{maker} has a table that no contract calls for"
            remedy = "write its contract, drop the table, or name it in uncontracted.json"
            yield Finding("table-without-contract", Severity.ERROR, name, message, remedy)


def _exceptions(workspace: Workspace) -> tuple[dict[str, str], list[ContractError]]:
    try:
        return workspace.uncontracted(), []
    except ContractError as error:
        return {}, [error]


def _needless(found: Collection[str], excepted: Collection[str]) -> Iterator[Finding]:
    for name in excepted:
        if name not in found:
            message = f"{UNCONTRACTED} excepts a table that is not there"
            yield Finding("needless-exception", Severity.ERROR, name, message, "remove it there")


def _unreviewed(existing: Migrations) -> Iterator[Finding]:
    for marker in existing.markers:
        where = f"{marker.file}:{marker.line}"
        message = f"{marker.topic}: {marker.text}"
        remedy = "settle it in the migration and delete the line"
        yield Finding("unreviewed-marker", Severity.ERROR, where, message, remedy)


def _types(tables: Sequence[Table]) -> Iterator[Finding]:
    for table in tables:
        for column in table.columns:
            where = f"{table.contract.file}#{column.pointer}"
            for marker in column.markers:
                if marker.topic == "unmapped-type":
                    remedy = "give the property one type, or say x-postgres-type"
                    message = f"{column.name}: {column.why}"
                    yield Finding("unmapped-type", Severity.ERROR, where, message, remedy)
            if column.note:
                remedy = "narrow the contract, or say x-postgres-type"
                yield Finding("loose-type", Severity.NOTE, where, column.note, remedy)
