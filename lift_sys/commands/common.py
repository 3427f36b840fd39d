"""What every command shares: its options, how it prints, how it fails."""

import functools
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from inspect import Parameter
from io import TextIOWrapper
from typing import Annotated, Any, Final, NoReturn

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from lift_sys.backends import errors
from lift_sys.ir.source import LiftError
from lift_sys.spec_sessions.opening import open_store
from lift_sys.spec_sessions.store import SessionStore
from lift_sys.spec_sessions.stores import LOCAL_USER

DEFAULT_STORE: Final = "sqlite:///lift_sys.db"

StoreOption = Annotated[
    str,
    typer.Option("--store", envvar="LIFT_SYS_STORE", help="The store, as a URL.", metavar="URL"),
]
UserOption = Annotated[
    str,
    typer.Option("--user", envvar="LIFT_SYS_USER", help="Whose sessions.", metavar="ID"),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--access-token",
        envvar="LIFT_SYS_ACCESS_TOKEN",
        help="The user's own token, for a store that checks it.",
        metavar="JWT",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_TARGET_OPTIONS: Final = (
    ("store", StoreOption, DEFAULT_STORE),
    ("user", UserOption, LOCAL_USER),
    ("access_token", TokenOption, None),
    ("json", JsonOption, False),
)

EXIT_CODES: Final[dict[type[BaseException], int]] = {
    errors.SessionNotFoundError: 3,
    errors.SessionConflictError: 4,
    errors.SessionExistsError: 4,
    errors.HistoryRewriteError: 4,
    errors.IdempotencyKeyReusedError: 4,
    errors.StoreUnavailableError: 6,
    errors.OutcomeUnknownError: 6,
    errors.PermissionDeniedError: 7,
    errors.SchemaOutdatedError: 8,
    errors.InvalidSessionError: 5,
    errors.UserRequiredError: 5,
    errors.SessionStoreError: 1,
    LiftError: 5,
    ImportError: 1,  # the store needs an extra that is not installed: the message says which
    ValidationError: 5,
    ValueError: 5,
}
"""Which exit code says what; 0 is success and 2 a wrong command line."""

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""

console: Final = Console()
err_console: Final = Console(stderr=True)


class CommandError(Exception):
    """A command cannot do what was asked, for a reason of its own.

    Args:
        message: one line: what is wrong and the remedy.
        code: the exit code.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def run_app(app: Callable[[], Any]) -> NoReturn:
    """Run a Typer application; an expected error is one line on stderr and an exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever the terminal can show
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            err_console.print("interrupted; what is stored stays", soft_wrap=True)
        raise
    except CommandError as error:
        _fail(str(error), error.code)
    except tuple(EXIT_CODES) as error:
        _fail(_one_line(error), _exit_code(error))
    except OSError as error:
        _drop_output()
        _fail(_one_line(error), 1)
    raise SystemExit(0)


def _drop_output() -> None:
    """Send what is still to be printed nowhere: the interpreter would fail on it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any) -> None:
    """Print `value`, a model or plain JSON values, as JSON that no terminal acts on."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2)
    sys.stdout.write(_C1.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


_C1: Final = re.compile(r"[\x7f-\x9f]")
"""Control characters that JSON leaves as they are."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the options of a command name: a store, a user, and how to print.

    Attributes:
        url: the store.
        user: whose sessions.
        token: the user's own token, or None.
        json: whether to print JSON.
    """

    url: str
    user: str
    token: str | None
    json: bool

    def open(self) -> SessionStore:
        """Return the store; use it as a context manager."""
        return open_store(self.url, user_id=self.user, access_token=self.token)


def on_store(command: Callable[..., None]) -> Callable[..., None]:
    """Make of `command` one with the options that name its ``Target``.

    Args:
        command: takes the target first, then its own arguments and options.
    """
    _, *own = inspect.signature(command).parameters.values()

    @functools.wraps(command)
    def with_options(
        *, store: str, user: str, access_token: str | None, json: bool, **arguments: Any
    ) -> None:
        command(Target(store, user, access_token, json), **arguments)

    # Typer reads what a command takes from its signature and its annotations.
    parameters = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]
    parameters += (
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, annotation, default in _TARGET_OPTIONS
    )
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options


def shown(text: str) -> Text:
    """Return `text` as it may be shown: no markup, and no control character acts on a terminal."""
    return Text(_CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text))


_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@contextmanager
def progress_bar(title: str, total: int | None, *, hidden: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr, where that is a terminal; yield what advances it."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err_console,
        transient=True,
        disable=hidden or not err_console.is_terminal,
    )
    with bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)


def _exit_code(error: BaseException) -> int:
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))


def _one_line(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']}"
    return " ".join(str(error).split())


def _fail(message: str, code: int) -> NoReturn:
    err_console.print(Text("error:", style="red"), shown(message), soft_wrap=True)
    raise SystemExit(code)
