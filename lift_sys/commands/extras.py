"""Commands that need an extra: loaded when asked for, and explained where it is missing."""

import importlib
from typing import Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from lift_sys.commands.common import CommandError

EXTRAS: Final = {
    "local": ("lift_sys.local.cli", "local"),
    "migrate": ("lift_sys.backends.migrations_cli", "postgres"),
    "contracts": ("lift_sys.contracts.cli", "contracts"),
}
"""By the command: the module whose ``app`` it is, and the extra that the module needs."""


class WithExtras(TyperGroup):
    """A group that also has the commands of ``EXTRAS``, at no cost to the others."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # Typer's own
        """Return the names of all commands, in the order of the help."""
        return [*super().list_commands(ctx), *EXTRAS]

    def get_command(  # type: ignore[override]  # Typer's own context
        self, ctx: typer.Context, cmd_name: str
    ) -> TyperCommand | TyperGroup | None:
        """Return the command of that name, loaded now where it needs an extra."""
        if cmd_name not in EXTRAS:
            return super().get_command(ctx, cmd_name)  # type: ignore[return-value]
        module, extra = EXTRAS[cmd_name]
        try:
            app = importlib.import_module(module).app
        except ModuleNotFoundError as error:
            app = _without(cmd_name, extra, error.name)
        command = get_command(app)
        command.name = cmd_name
        return command  # type: ignore[return-value]


def _without(name: str, extra: str, missing: str | None) -> typer.Typer:
    app = typer.Typer()

    @app.command(
        help=f"Needs the extra {extra}, which is not installed.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        add_help_option=False,
    )
    def explain() -> None:
        raise CommandError(f"{name} needs {missing}: install lift-sys[{extra}]")

    return app
