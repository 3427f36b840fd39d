"""``lift-sys serve``: the application server."""

from typing import Annotated

import typer

from lift_sys.commands.common import DEFAULT_STORE, CommandError, StoreOption


def serve(
    store: StoreOption = DEFAULT_STORE,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8000,
) -> None:
    """Serve sessions over HTTP; see .env.example for the settings."""
    try:
        import uvicorn

        from lift_sys.api.server import create_app
        from lift_sys.api.settings import Settings
        from lift_sys.auth import is_loopback
    except ModuleNotFoundError as error:
        raise CommandError(f"the server needs {error.name}: install lift-sys[server]") from error
    settings = Settings(LIFT_SYS_STORE=store)
    if settings.auth == "none" and not is_loopback(host):
        raise CommandError(
            f"--host {host}: without sign-in only loopback addresses are served; "
            "set LIFT_SYS_AUTH=supabase",
            2,
        )
    uvicorn.run(create_app(settings), host=host, port=port)
