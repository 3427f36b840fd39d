"""``lift-sys lift``: Python source in, one session a function out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Final

import typer

from lift_sys.backends.errors import InvalidSessionError, SessionExistsError
from lift_sys.commands.common import (
    Target,
    console,
    err_console,
    on_store,
    print_json,
    progress_bar,
    shown,
)
from lift_sys.ir.files import lift_file, python_files
from lift_sys.ir.source import LiftError
from lift_sys.spec_sessions.copying import summaries
from lift_sys.spec_sessions.lifting import sessions_from
from lift_sys.spec_sessions.models import PromptSession
from lift_sys.spec_sessions.store import SessionStore

BATCH: Final = 200
"""How many sessions are stored at once."""


@dataclass(slots=True)
class LiftReport:
    """What came of lifting files.

    Attributes:
        files: how many were lifted.
        stored: how many sessions are new.
        present: how many functions had theirs already.
        failures: the files that could not be lifted, and why.
        refused: the functions that the store cannot keep, and why.
    """

    files: int = 0
    stored: int = 0
    present: int = 0
    failures: list[LiftError] = field(default_factory=list)
    refused: list[LiftError] = field(default_factory=list)


@on_store
def lift(
    target: Target,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders.")],
) -> None:
    """Lift Python files into sessions, one for each function."""
    started = perf_counter()
    files = list(dict.fromkeys(python_files(paths)))  # a file may be named twice
    with (
        target.open() as store,
        progress_bar("Lifting files", len(files), hidden=target.json) as advance,
    ):
        report = lift_files(store, files, advance)
    seconds = perf_counter() - started
    if target.json:
        print_json(_as_json(report, seconds))
        return
    for failure in report.failures + report.refused:
        err_console.print(shown(f"passed over: {failure}"), soft_wrap=True)
    functions = report.stored + report.present
    console.print(
        f"{functions} functions in {report.files} files: {report.stored} new sessions, "
        f"{report.present} there already; {len(report.failures)} files and "
        f"{len(report.refused)} functions passed over"
    )
    console.print(f"{seconds:.1f} s, {functions / seconds:.0f} functions/s")


def lift_files(
    store: SessionStore, files: list[Path], advance: Callable[[int], Any] = lambda _: None
) -> LiftReport:
    """Store a session for each function of `files` that has none yet.

    Args:
        store: where to.
        files: Python files; one that cannot be lifted is reported and passed over.
        advance: is called with 1 after each file.
    """
    report = LiftReport()
    sessions = _sessions(files, report, advance)
    present: set[str] | None = None
    while batch := list(islice(sessions, BATCH)):
        done = report.stored + len(report.refused)
        new = batch if present is None else [s for s in batch if s.session_id not in present]
        try:
            _store(store, new, report)
        except SessionExistsError:
            # Code that was lifted before; only now is it worth asking what is there.
            present = {summary.session_id for summary in summaries(store)}
            _store(store, [s for s in batch if s.session_id not in present], report)
        report.present += len(batch) - (report.stored + len(report.refused) - done)
    return report


def _store(store: SessionStore, sessions: list[PromptSession], report: LiftReport) -> None:
    try:
        store.create_many(sessions)
    except InvalidSessionError as error:
        # Too large for one write, or one of them cannot be stored at all.
        if len(sessions) == 1:
            report.refused.append(LiftError(str(error), _place(sessions[0])))
            return
        middle = len(sessions) // 2
        _store(store, sessions[:middle], report)
        _store(store, sessions[middle:], report)
    else:
        report.stored += len(sessions)


def _place(session: PromptSession) -> str:
    return f"{session.metadata['path']}, {session.metadata['function']}"


def _sessions(
    files: list[Path], report: LiftReport, advance: Callable[[int], Any]
) -> Iterator[PromptSession]:
    for path in files:
        try:
            functions = lift_file(path)
        except LiftError as error:
            report.failures.append(error)
        else:
            report.files += 1
            yield from sessions_from(functions)
        advance(1)


def _as_json(report: LiftReport, seconds: float) -> dict[str, Any]:
    return {
        "files": report.files,
        "functions": report.stored + report.present,
        "stored": report.stored,
        "present": report.present,
        "passed_over": [
            {"path": failure.path, "line": failure.line, "reason": failure.reason}
            for failure in report.failures + report.refused
        ],
        "seconds": round(seconds, 3),
    }
