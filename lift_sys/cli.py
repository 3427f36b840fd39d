"""The command line: ``lift-sys``.

Exit codes: 0 done, 1 failed, 2 a wrong command line, 3 not found, 4 a conflict with what is
stored, 5 bad input, 6 the store is unavailable, 7 permission denied, 8 the schema is outdated,
130 interrupted.
"""

from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from lift_sys.commands import session
from lift_sys.commands.common import console, run_app
from lift_sys.commands.copying import copy
from lift_sys.commands.demo import demo
from lift_sys.commands.extras import WithExtras
from lift_sys.commands.lifting import lift
from lift_sys.commands.serving import serve

app = typer.Typer(
    name="lift-sys",
    cls=WithExtras,
    help="Refine a prompt or existing code into a typed specification, step by step.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong command line, 3 not found, 4 conflict, "
    "5 bad input, 6 store unavailable, 7 permission denied, 8 schema outdated, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(lift)
app.command()(copy)
app.command()(serve)
app.add_typer(session.app, name="session")


def main() -> NoReturn:
    """Run the command line and exit."""
    run_app(app)


def _show_version(wanted: bool) -> None:  # Typer passes the option's value
    if wanted:
        console.print(f"lift-sys {version('lift-sys')}", highlight=False)
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Refine a prompt or existing code into a typed specification, step by step."""
