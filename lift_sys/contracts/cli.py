"""The command line of the contract tools, mounted as ``lift-sys contracts``.

Each command prints tables for people, or with ``--json`` one JSON value for programs. It ends with
0 if all is well, 1 if it found something wrong, 2 if it could not do its work.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from lift_sys.contracts.check import check as find_problems
from lift_sys.contracts.contract import SUFFIX, Contract, Workspace
from lift_sys.contracts.diff import Comparison, compare
from lift_sys.contracts.errors import ContractError
from lift_sys.contracts.export import export as export_model
from lift_sys.contracts.export import find_model, is_current, renew, write_contract
from lift_sys.contracts.findings import Finding, Severity
from lift_sys.contracts.generate import PlannedMigration, plan, write
from lift_sys.contracts.tables import Decision, Table, decide, tables_for

DATABASE_VARIABLE: Final = "LIFT_SYS_DATABASE_URL"
FOUND: Final = 1
FAILED: Final = 2

app = typer.Typer(
    name="contracts",
    help="JSON Schema contracts: the migrations that follow from them, and whether they hold.",
    no_args_is_help=True,
)

Root = Annotated[Path, typer.Option("--root", help="The folder of the contracts.")]
MigrationsFolder = Annotated[Path, typer.Option("--migrations", help="The folder of migrations.")]
OneContract = Annotated[
    Path | None, typer.Option("--contract", help="One contract file instead of all.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_ROOT: Final = Path("supabase/contracts")
_MIGRATIONS: Final = Path("supabase/migrations")
_STYLES: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


@app.command()
def export(
    model: Annotated[
        str | None, typer.Argument(help="The model, as package.module:Model; all that are known.")
    ] = None,
    place: Annotated[
        str | None, typer.Argument(help="Where a new contract goes: theme/domain/aspect.")
    ] = None,
    version: Annotated[str, typer.Option(help="Its semantic version.")] = "1.0.0",
    strategy: Annotated[str, typer.Option(help="jsonb, relational or none.")] = "jsonb",
    direction: Annotated[str, typer.Option(help="produced or consumed.")] = "produced",
    table: Annotated[
        str | None, typer.Option(help="The table of a hand-written migration.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 1 if a file is out of date.")
    ] = False,
    root: Root = _ROOT,
) -> None:
    """Write the contract file of a model, or bring every exported file up to date.

    A file keeps what it says itself: $id, version, metadata and extension keys.
    """
    with _one_line_errors():
        # A console script does not look for modules in the current folder by itself.
        sys.path.insert(0, str(Path.cwd()))
        if model is None:
            exported = _renewed(root)
        elif place is None:
            raise ValueError("say where the contract goes: theme/domain/aspect")
        else:
            persistence: dict[str, Any] = {"strategy": strategy}
            if table is not None:
                persistence |= {"managed": "by-hand", "table": table}
            metadata = {"direction": direction, "model": model, "persistence": persistence}
            identity = place.replace("/", ":")
            contract = export_model(
                find_model(model), identity=identity, version=version, metadata=metadata
            )
            exported = {root / f"{place}{SUFFIX}": contract}
        if check:
            _compare_exported(exported)
            return
        for path, contract in exported.items():
            changed = write_contract(contract, path)
            Workspace(root).load(path)
            typer.echo(f"{'wrote' if changed else 'unchanged:'} {path}")


def _renewed(root: Path) -> dict[Path, dict[str, Any]]:
    """Return the contracts below ``root`` that name their model, as that is now."""
    contracts, _ = _chosen(root, None)
    return {c.path: renew(c.root.schema) for c in contracts if c.metadata.model is not None}


def _compare_exported(exported: Mapping[Path, Mapping[str, Any]]) -> None:
    stale = [path for path, contract in exported.items() if not is_current(contract, path)]
    for path in exported:
        differs = path in stale
        typer.echo(f"{path} {'differs' if differs else 'is up to date'}", err=differs)
    if stale:
        raise typer.Exit(FOUND)


@app.command()
def generate(
    contract: OneContract = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the SQL, write nothing.")
    ] = False,
    root: Root = _ROOT,
    migrations: MigrationsFolder = _MIGRATIONS,
    as_json: AsJson = False,
) -> None:
    """Write the migrations that contracts lack; what has one already is left alone."""
    with _one_line_errors():
        chosen, others = _chosen(root, contract)
        planned = plan(chosen, migrations, others=others)
        if not dry_run:
            write(planned)
        if as_json:
            _print_json([_planned_json(migration, dry_run=dry_run) for migration in planned])
        else:
            _print_planned(planned, dry_run=dry_run)


@app.command()
def explain(contract: OneContract = None, root: Root = _ROOT, as_json: AsJson = False) -> None:
    """Say for each contract whether it needs a table, of what columns, and by which rules."""
    with _one_line_errors():
        chosen, _ = _chosen(root, contract)
        explained = [(decide(one), tables_for(one)) for one in chosen]
        if as_json:
            _print_json([_decision_json(decision, tables) for decision, tables in explained])
            return
        for decision, tables in explained:
            _print_decision(decision, tables)


@app.command()
def check(
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar=DATABASE_VARIABLE, help="Compare with this database too.", show_envvar=True
        ),
    ] = None,
    allow_table: Annotated[
        list[str] | None, typer.Option(help="A table that needs no contract; may be repeated.")
    ] = None,
    root: Root = _ROOT,
    migrations: MigrationsFolder = _MIGRATIONS,
    as_json: AsJson = False,
) -> None:
    """Find where contracts, migrations and the database disagree."""
    with _one_line_errors(), _database(database_url) as connection:
        _require_folder(root)
        findings = find_problems(
            Workspace(root), migrations, connection=connection, uncontracted=allow_table or ()
        )
    if as_json:
        _print_json([finding.to_dict() for finding in findings])
    else:
        _print_findings(findings)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(FOUND)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The contract as it was.")],
    new: Annotated[Path, typer.Argument(help="The contract as it is to be.")],
    root: Root = _ROOT,
    as_json: AsJson = False,
) -> None:
    """Compare two versions of a contract; end with 1 if the version says less than the changes."""
    with _one_line_errors():
        comparison = compare(*(_load_anywhere(root, path) for path in (old, new)))
    if as_json:
        _print_json(_comparison_json(comparison))
    else:
        _print_comparison(comparison)
    if not comparison.is_enough:
        raise typer.Exit(FOUND)


def _chosen(root: Path, only: Path | None) -> tuple[list[Contract], list[Contract]]:
    """Return the contracts to work on, and the others."""
    _require_folder(root)
    workspace = Workspace(root)
    contracts, refused = workspace.load_all()
    if only is None:
        if refused:
            raise refused[0] if len(refused) == 1 else ValueError("\n".join(map(str, refused)))
        return contracts, []
    chosen = workspace.load(only)
    return [chosen], [c for c in contracts if c.path.resolve() != only.resolve()]


def _load_anywhere(root: Path, path: Path) -> Contract:
    """Return the contract at ``path``, whose references may reach its root or else its folder."""
    inside = path.resolve().is_relative_to(root.resolve())
    return Workspace(root if inside else path.parent).load(path)


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        raise ValueError(f"there is no folder {root}; say --root")


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn what people can mend into one line and the exit code 2."""
    try:
        yield
    except (ContractError, ValueError, OSError) as error:
        _fail(str(error))


@contextmanager
def _database(url: str | None) -> Iterator[Any]:
    if url is None:
        with nullcontext() as nothing:
            yield nothing
        return
    try:
        import psycopg

        from lift_sys.contracts.drift import connected
    except ImportError:
        _fail("a live check needs psycopg: install lift-sys[contracts]")
    try:
        with connected(url) as connection:
            yield connection
    except psycopg.Error as error:
        # Only the first line: the rest may repeat the address, and with it a password.
        reason = str(error).strip().split("\n")[0].replace(url, "...")
        _fail(f"the database cannot be compared: {reason}")


def _fail(message: str) -> NoReturn:
    for line in message.split("\n"):
        typer.echo(f"error: {line}", err=True)
    raise typer.Exit(FAILED)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _console() -> Console:
    # A pipe has no width; columns cut at 80 would lose what a log is read for.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(width=width)


def _print_grid(columns: Sequence[str], rows: Sequence[Sequence[str | Text]], title: str) -> None:
    grid = Grid(title=Text(title), title_justify="left")
    for column in columns:
        # Whatever is cut off is what one needed: a line number, the end of a remedy.
        grid.add_column(column, overflow="fold")
    for row in rows:
        # A bare string would be read as markup; contracts may hold anything.
        grid.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    _console().print(grid)


def _print_planned(planned: Sequence[PlannedMigration], *, dry_run: bool) -> None:
    if not planned:
        typer.echo("every contract that needs a table has its migration")
    for migration in planned:
        left = len(migration.table.markers)
        note = f" ({left} to review)" if left else ""
        typer.echo(f"{'would write' if dry_run else 'wrote'} {migration.path}{note}")
        if dry_run:
            typer.echo(migration.text)


def _planned_json(migration: PlannedMigration, *, dry_run: bool) -> dict[str, Any]:
    return {
        "path": migration.path.as_posix(),
        "contract": migration.table.contract.file,
        "table": migration.table.name,
        "review": [marker.topic for marker in migration.table.markers],
        "written": not dry_run,
    } | ({"sql": migration.text} if dry_run else {})


def _print_decision(decision: Decision, tables: Sequence[Table]) -> None:
    contract = decision.contract
    verdict = f"{decision.pattern} table" if decision.pattern else "no table"
    typer.echo(f"{contract.file} ({contract.identity} {contract.version}): {verdict}")
    for reason in decision.reasons:
        typer.echo(f"  because: {reason}")
    for table in tables:
        rows = [_column_row(table, position) for position, _ in enumerate(table.columns)]
        _print_grid(["column", "type", "null", "default", "checks", "rule"], rows, table.name)
        for marker in table.markers:
            typer.echo(f"  to review: {marker.topic}: {marker.text}")


def _column_row(table: Table, position: int) -> list[str]:
    column = table.columns[position]
    null = "null" if column.nullable else "not null"
    rule = f"{column.why} ({column.note})" if column.note else column.why
    checks = " and ".join(column.checks)
    return [column.name, column.type, null, column.default or "", checks, rule]


def _decision_json(decision: Decision, tables: Sequence[Table]) -> dict[str, Any]:
    return {
        "contract": decision.contract.file,
        "id": decision.contract.identity,
        "version": str(decision.contract.version),
        "pattern": decision.pattern,
        "reasons": list(decision.reasons),
        "tables": [_table_json(table) for table in tables],
    }


def _table_json(table: Table) -> dict[str, Any]:
    columns = [
        {
            "name": column.name,
            "type": column.type,
            "nullable": column.nullable,
            "default": column.default,
            "checks": list(column.checks),
            "rule": column.why,
            "pointer": column.pointer,
            "note": column.note,
        }
        for column in table.columns
    ]
    review = [{"topic": marker.topic, "text": marker.text} for marker in table.markers]
    return {"name": table.name, "columns": columns, "review": review}


def _print_findings(findings: Sequence[Finding]) -> None:
    if not findings:
        typer.echo("contracts, migrations and database agree")
        return
    rows = [
        (Text(f.severity, _STYLES[f.severity]), f.code, f.where, f.message, f.remedy)
        for f in findings
    ]
    _print_grid(["", "finding", "where", "what", "remedy"], rows, f"{len(findings)} findings")


def _print_comparison(comparison: Comparison) -> None:
    rows = [
        (c.bump.name.lower(), c.pointer or "/", c.message, "yes" if c.migration else "no")
        for c in comparison.changes
    ]
    title = f"{comparison.old} -> {comparison.new}"
    _print_grid(["calls for", "where", "change", "migration"], rows, title)
    typer.echo(f"migration needed: {'yes' if comparison.migration else 'no'}")
    if comparison.is_enough:
        typer.echo(f"version {comparison.new} is enough; the least is {comparison.least}")
    else:
        typer.echo(f"version {comparison.new} is too small: it takes {comparison.least}")


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "old": str(comparison.old),
        "new": str(comparison.new),
        "bump": comparison.bump.name.lower(),
        "least": str(comparison.least),
        "enough": comparison.is_enough,
        "migration": comparison.migration,
        "changes": [
            {
                "pointer": change.pointer,
                "message": change.message,
                "bump": change.bump.name.lower(),
                "migration": change.migration,
            }
            for change in comparison.changes
        ],
    }
