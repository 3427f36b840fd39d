"""``lift-sys serve``: the application server."""

import socket
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer
from pydantic import ValidationError

from lift_sys.commands.common import DEFAULT_STORE, CommandError

if TYPE_CHECKING:
    from fastapi import FastAPI

_BACKLOG: Final = 2048
_GRACE: Final = 30
"""For how many seconds requests under way may go on after the server was told to stop."""


def serve(
    store: Annotated[
        str | None,
        typer.Option(
            help="The store, as a URL; else LIFT_SYS_STORE, also in a file .env, else "
            f"{DEFAULT_STORE}.",
            metavar="URL",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8000,
    access_log: Annotated[bool, typer.Option(help="Print a line for each request.")] = True,
) -> None:
    """Serve sessions over HTTP; see .env.example for the settings."""
    try:
        import uvicorn

        from lift_sys.api.server import create_app
        from lift_sys.api.settings import Settings
        from lift_sys.auth import is_loopback
    except ModuleNotFoundError as error:
        raise CommandError(f"the server needs {error.name}: install lift-sys[server]") from error
    try:
        settings = Settings() if store is None else Settings(LIFT_SYS_STORE=store)
    except ValidationError as error:
        raise CommandError(_one_line(error), 5) from error
    if settings.auth == "none" and not is_loopback(host):
        raise CommandError(
            f"--host {host}: without sign-in only loopback addresses are served; "
            "set LIFT_SYS_AUTH=supabase",
            2,
        )
    app = create_app(settings)
    with _listening(host, port) as listener:
        _announce(app, listener)
        config = uvicorn.Config(app, access_log=access_log, timeout_graceful_shutdown=_GRACE)
        server = uvicorn.Server(config)
        try:
            server.run([listener])
        except KeyboardInterrupt:
            return  # the server has stopped in good order, as it was asked to


def _one_line(error: ValidationError) -> str:
    found = (
        ": ".join([*map(str, each["loc"]), each["msg"].removeprefix("Value error, ")])
        for each in error.errors()
    )
    return "; ".join(found)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named by its protocol: asyncio switches Nagle's algorithm off only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def _announce(app: "FastAPI", listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"{app.title} is served at http://{host}:{port}\n")
    sys.stdout.flush()
