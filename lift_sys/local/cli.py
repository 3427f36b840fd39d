"""The commands ``lift-sys local up``, ``down``, ``status`` and ``env``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lift_sys.backends.errors import SessionStoreError

NOT_RUNNING = 3
"""The exit code of ``status`` and ``env`` when no stack runs."""

app = typer.Typer(
    name="local",
    help="A Supabase-compatible stack on this machine, without containers.",
    no_args_is_help=True,
)

_Data = Annotated[
    Path | None,
    typer.Option("--data", file_okay=False, help="Where data, ports and secrets are kept."),
]
_Migrations = Annotated[
    Path | None,
    typer.Option(
        "--migrations", file_okay=False, exists=True, help="Apply these in place of our own."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def up(data: _Data = None, migrations: _Migrations = None, as_json: _Json = False) -> None:
    """Start the stack in the background, with the data it had; print what to export.

    Starting one that runs changes nothing. Exit codes: 0 it runs, 1 it does not.
    """
    with _errors_on_stderr():
        from lift_sys.local import daemon

        _print_environment(daemon.up(_folder(data), migrations).environment(), as_json=as_json)


@app.command()
def down(data: _Data = None, as_json: _Json = False) -> None:
    """Stop the stack and keep its data. Exit codes: 0 it is stopped, 1 it is not."""
    with _errors_on_stderr():
        from lift_sys.local import daemon

        stopped = daemon.down(_folder(data))
    if as_json:
        typer.echo(json.dumps({"stopped": stopped}))
    else:
        typer.echo("Stopped." if stopped else "Nothing was running.")


@app.command()
def status(data: _Data = None, as_json: _Json = False) -> None:
    """Say whether the stack runs, and where. Exit codes: 0 it runs, 3 it does not."""
    environment = _environment(data)
    if as_json:
        url = environment.get("SUPABASE_URL")
        typer.echo(json.dumps({"running": bool(environment), "url": url, "data": _shown(data)}))
    elif environment:
        typer.echo(f"Running at {environment['SUPABASE_URL']}, data in {_shown(data)}")
    else:
        typer.echo(f"Not running, data in {_shown(data)}")
    if not environment:
        raise typer.Exit(NOT_RUNNING)


@app.command()
def env(data: _Data = None, as_json: _Json = False) -> None:
    """Print what to export: ``eval "$(lift-sys local env)"``.

    Exit codes: 0 printed, 3 no stack runs.
    """
    environment = _environment(data)
    if not environment:
        typer.echo("Error: no stack runs; start one with `lift-sys local up`.", err=True)
        raise typer.Exit(NOT_RUNNING)
    _print_environment(environment, as_json=as_json)


def _folder(data: Path | None) -> Path:
    import platformdirs

    return data or platformdirs.user_data_path("lift-sys") / "local"


def _shown(data: Path | None) -> str:
    return str(_folder(data).resolve())


def _environment(data: Path | None) -> dict[str, str]:
    with _errors_on_stderr():
        from lift_sys.local import daemon

        settings = daemon.running(_folder(data))
    return settings.environment() if settings else {}


def _print_environment(environment: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(environment, indent=2))
        return
    for name, value in environment.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@contextmanager
def _errors_on_stderr() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        typer.echo(f"Error: {error}. Install lift-sys[local].", err=True)
        raise typer.Exit(1) from error
    except (SessionStoreError, RuntimeError, OSError) as error:
        # LocalStackError is a RuntimeError; naming it would need the extra that may be missing.
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
