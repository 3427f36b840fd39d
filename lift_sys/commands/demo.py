"""``lift-sys demo``: the main job once, on real code, in a few seconds."""

import importlib.util
from pathlib import Path
from time import perf_counter
from typing import Final

from lift_sys.commands.common import (
    CommandError,
    Target,
    console,
    on_store,
    print_json,
    shown,
)
from lift_sys.commands.lifting import lift_files
from lift_sys.commands.session import print_session
from lift_sys.spec_sessions.changing import change
from lift_sys.spec_sessions.copying import summaries
from lift_sys.spec_sessions.models import HoleResolution, PromptSession
from lift_sys.spec_sessions.opening import without_secrets
from lift_sys.spec_sessions.refine import refine
from lift_sys.spec_sessions.store import SessionStore

MODULES: Final = ("textwrap", "shlex", "statistics", "fractions", "heapq")
"""Standard-library modules that are lifted."""
FUNCTION: Final = "shorten"
ANSWERS: Final = {
    "text.type": "str",
    "width.type": "int",
    "kwargs.type": "bool | int | str | None",
    "return.type": "str",
}
"""What a reader of ``textwrap.shorten`` answers to its holes."""


@on_store
def demo(target: Target) -> None:
    """Lift real code into sessions, answer one session's holes and finalize it."""
    started = perf_counter()
    files = [_source(name) for name in MODULES]
    with target.open() as store:
        report = lift_files(store, files)
        session = _finished(store, _session_of(store, FUNCTION))
        statuses = [summary.status for summary in summaries(store)]
    seconds = perf_counter() - started
    if target.json:
        print_json(
            {
                "store": without_secrets(target.url),
                "lifted": report.stored,
                "present": report.present,
                "finalized": session.session_id,
                "seconds": round(seconds, 3),
            }
        )
        return
    console.rule("One session, finished")
    print_session(session)
    console.rule("Where everything is")
    console.print(
        shown(
            f"{report.stored + report.present} functions of {', '.join(MODULES)} are sessions in "
            f"{without_secrets(target.url)}: {statuses.count('active')} active, "
            f"{statuses.count('finalized')} finalized ({seconds:.1f} s)"
        )
    )
    console.print(
        "Next:  lift-sys session list",
        f"lift-sys session show {session.session_id}",
        "lift-sys lift PATH",
        sep="\n       ",
        markup=False,
    )


def _source(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise CommandError(f"this Python comes without the source of its module {name}")
    return Path(spec.origin)


def _session_of(store: SessionStore, function: str) -> str:
    for summary in summaries(store):
        if summary.metadata.get("function") == function:
            return summary.session_id
    raise CommandError(f"the session of {function} was deleted while the demo ran; run it again")


def _finished(store: SessionStore, session_id: str) -> PromptSession:
    def answer(session: PromptSession) -> None:
        for hole in session.get_unresolved_holes():
            session.add_resolution(
                HoleResolution(
                    hole_id=hole,
                    resolution_text=ANSWERS[hole],
                    resolution_type="refine_signature",
                )
            )

    change(store, session_id, answer)
    change(store, session_id, refine)
    session, _ = change(store, session_id, PromptSession.finalize)
    return session
