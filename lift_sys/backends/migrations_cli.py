"""The commands ``lift-sys migrate up`` and ``lift-sys migrate status``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lift_sys.backends.errors import SessionStoreError

if TYPE_CHECKING:
    from lift_sys.backends.migrations import Migration

PENDING = 3
"""The exit code of ``status`` when a migration is pending."""

app = typer.Typer(
    name="migrate",
    help="Bring a Postgres or Supabase database to this release's schema.",
    no_args_is_help=True,
)

_DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar=["LIFT_SYS_DATABASE_URL", "SUPABASE_DB_URL"],
        show_default=False,
        help="postgresql://user:password@host:port/database",
    ),
]
_Folder = Annotated[
    Path | None,
    typer.Option(
        "--migrations",
        file_okay=False,
        help="The folder of <14 digits>_name.sql files; this release's own by default.",
    ),
]
_Schema = Annotated[
    str,
    typer.Option(help="Where the tables and functions go; made when missing, its history apart."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def up(
    database_url: _DatabaseUrl,
    migrations: _Folder = None,
    schema: _Schema = "public",
    as_json: _Json = False,
) -> None:
    """Apply every pending migration. Safe to run from many places at once.

    Exit codes: 0 done or nothing to do, 1 failed.
    """
    with _errors_on_stderr():
        from lift_sys.backends.migrations import migrate_up, packaged_migrations

        applied = migrate_up(database_url, migrations or packaged_migrations(), schema=schema)
    _print(applied, as_json=as_json, when_empty="Nothing to apply.")


@app.command()
def status(
    database_url: _DatabaseUrl,
    migrations: _Folder = None,
    schema: _Schema = "public",
    as_json: _Json = False,
) -> None:
    """Show which migrations the database has. Changes nothing.

    Exit codes: 0 none is pending, 3 some are, 1 failed.
    """
    with _errors_on_stderr():
        from lift_sys.backends.migrations import migration_status, packaged_migrations

        folder = migrations or packaged_migrations()
        found = migration_status(database_url, folder, schema=schema)
    _print(found, as_json=as_json, when_empty="No migrations.")
    if any(migration.state == "pending" for migration in found):
        raise typer.Exit(PENDING)


@contextmanager
def _errors_on_stderr() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        typer.echo(f"Error: {error}. Install lift-sys[postgres].", err=True)
        raise typer.Exit(1) from error
    except (SessionStoreError, ValueError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error


def _print(migrations: list[Migration], *, as_json: bool, when_empty: str) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(migration) for migration in migrations], indent=2))
    elif not migrations:
        typer.echo(when_empty)
    else:
        for migration in migrations:
            typer.echo(f"{migration.state:8} {migration.version}_{migration.name}")
