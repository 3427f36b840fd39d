"""``lift-sys copy``: every session from one store to another."""

from typing import Annotated

import typer

from lift_sys.commands.common import (
    CommandError,
    JsonOption,
    UserOption,
    console,
    print_json,
    progress_bar,
)
from lift_sys.spec_sessions.copying import copy_sessions, summaries
from lift_sys.spec_sessions.opening import open_store
from lift_sys.spec_sessions.stores import LOCAL_USER


def copy(
    source: Annotated[str, typer.Argument(metavar="SRC_URL", help="Where from.")],
    target: Annotated[str, typer.Argument(metavar="DST_URL", help="Where to.")],
    user: UserOption = LOCAL_USER,
    json: JsonOption = False,
) -> None:
    """Copy every session of a user with its history; run it again after an interruption."""
    with (
        open_store(source, user_id=user) as from_store,
        open_store(target, user_id=user) as to_store,
    ):
        total = sum(1 for _ in summaries(from_store))
        with progress_bar("Copying sessions", total, hidden=json) as advance:
            report = copy_sessions(from_store, to_store, advance=advance)
    if json:
        print_json(
            {
                "copied": len(report.copied),
                "extended": len(report.extended),
                "unchanged": report.unchanged,
                "differing": report.differing,
            }
        )
    else:
        console.print(
            f"{len(report.copied)} copied, {len(report.extended)} extended, "
            f"{report.unchanged} there already"
        )
    if report.differing:
        raise CommandError(
            f"{len(report.differing)} sessions have another history in the target and were left "
            f"alone: {', '.join(report.differing[:5])}",
            4,
        )
