"""``lift-sys session``: look at sessions and take them forward."""

import sys
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.table import Table

from lift_sys.backends.instants import now
from lift_sys.commands.common import CommandError, Target, console, on_store, print_json, shown
from lift_sys.spec_sessions import rules
from lift_sys.spec_sessions.changing import change, process
from lift_sys.spec_sessions.models import (
    HoleResolution,
    PromptRevision,
    PromptSession,
    ResolutionType,
    RevisionType,
    SessionPage,
    Source,
    Status,
)
from lift_sys.spec_sessions.refine import ANSWER_TO, Refinement
from lift_sys.spec_sessions.store import SessionStore

app = typer.Typer(help="Look at sessions and take them forward.", no_args_is_help=True)

_LINE: Final = 200
"""How many characters of a text the history of a session shows."""

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The session.")]
TextArgument = Annotated[str, typer.Argument(help="The text; - reads it from standard input.")]


@app.command()
@on_store
def create(
    target: Target,
    text: TextArgument,
) -> None:
    """Start a session from a prompt and print its id."""
    session = PromptSession.create_new("prompt", _text(text))
    with target.open() as sessions:
        sessions.create(session)
    if target.json:
        print_json(session)
    else:
        sys.stdout.write(f"{session.session_id}\n")


@app.command("list")
@on_store
def list_(
    target: Target,
    status: Annotated[Status | None, typer.Option(help="Only of this status.")] = None,
    source: Annotated[Source | None, typer.Option(help="Only from this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
) -> None:
    """Show the latest sessions."""
    with target.open() as sessions:
        page = sessions.list_page(status=status, source=source, limit=limit, cursor=cursor)
    if target.json:
        print_json(page)
    else:
        _print_page(page)


@app.command()
@on_store
def show(
    target: Target,
    session_id: IdArgument,
) -> None:
    """Show one session: its input, its holes and its history."""
    with target.open() as sessions:
        session = _required(sessions, session_id)
    if target.json:
        print_json(session.to_dict())
    else:
        print_session(session)


@app.command()
@on_store
def revise(
    target: Target,
    session_id: IdArgument,
    text: TextArgument,
    kind: Annotated[
        RevisionType, typer.Option("--type", help="What the input does.")
    ] = "manual_edit",
    hole: Annotated[str | None, typer.Option(help="The hole it is about.")] = None,
) -> None:
    """Append an input of the user's."""
    revision = PromptRevision(
        timestamp=now(), content=_text(text), revision_type=kind, target_hole=hole
    )
    with target.open() as sessions:
        session, _ = change(sessions, session_id, lambda s: s.add_revision(revision))
    _report(session, target, f"revision {len(session.revisions)} is stored")


@app.command()
@on_store
def resolve(
    target: Target,
    session_id: IdArgument,
    hole: Annotated[str, typer.Argument(help="The identifier of the hole.")],
    text: TextArgument,
    kind: Annotated[
        ResolutionType | None,
        typer.Option(
            "--type", help="What is answered; by the kind of the hole, where it is not given."
        ),
    ] = None,
) -> None:
    """Answer a hole; `process` puts the answers into the next draft."""
    answer = _text(text)

    def edit(session: PromptSession) -> None:
        resolution_type = kind or _fitting(session, hole)
        session.add_resolution(
            HoleResolution(hole_id=hole, resolution_text=answer, resolution_type=resolution_type)
        )

    with target.open() as sessions:
        session, _ = change(sessions, session_id, edit)
    _report(session, target, f"resolution {len(session.pending_resolutions)} is stored")


@app.command("process")
@on_store
def process_(
    target: Target,
    session_id: IdArgument,
) -> None:
    """Apply the pending resolutions to the current draft."""
    with target.open() as sessions:
        session, done = process(sessions, session_id)
    if target.json:
        print_json(_refinement(session, done))
        return
    for resolution in done.unknown:
        console.print(
            shown(f"no hole {resolution.hole_id!r} in the current draft: kept, not applied")
        )
    draft = f"draft {done.draft.version} is {done.draft.validation_status}" if done.draft else ""
    left = f"open: {', '.join(done.unresolved)}" if done.unresolved else "no hole is left"
    console.print(shown(f"{len(done.applied)} applied; {draft + '; ' if draft else ''}{left}"))


@app.command()
@on_store
def finalize(
    target: Target,
    session_id: IdArgument,
    force: Annotated[bool, typer.Option(help="Also where holes are open.")] = False,
) -> None:
    """Make the session final."""

    def edit(session: PromptSession) -> None:
        holes = session.get_unresolved_holes()
        if holes and not force:
            raise CommandError(f"open holes: {', '.join(holes)}; resolve them, or pass --force", 4)
        session.finalize()

    with target.open() as sessions:
        session, _ = change(sessions, session_id, edit)
    _report(session, target, "is finalized")


@app.command()
@on_store
def abandon(
    target: Target,
    session_id: IdArgument,
) -> None:
    """Give the session up; it stays readable."""
    with target.open() as sessions:
        session, _ = change(sessions, session_id, PromptSession.abandon)
    _report(session, target, "is abandoned")


@app.command()
@on_store
def delete(
    target: Target,
    session_id: IdArgument,
) -> None:
    """Remove the session and everything of it."""
    with target.open() as sessions:
        session = _required(sessions, session_id)
        sessions.delete(session_id)
    _report(session, target, "is deleted")


def print_session(session: PromptSession) -> None:
    """Print one session for a person."""
    console.print("session ", shown(session.session_id))
    console.print(f"status   {session.status} (version {session.version})")
    console.print(f"source   {session.source}")
    for key, value in session.metadata.items():
        console.print(shown(f"{key:<8} {value}"))
    console.print(f"updated  {session.updated_at:%Y-%m-%d %H:%M:%S} UTC")
    console.print()
    console.print(shown(session.original_input))
    draft = session.current_draft
    if draft is not None:
        table = Table("hole", "kind", "wanted", "question", title="Open holes", box=box.SIMPLE_HEAD)
        for hole in draft.ir.typed_holes():
            table.add_row(
                *map(shown, (hole.identifier, hole.kind, hole.type_hint, hole.description))
            )
        console.print(table if table.row_count else "No hole is open.")
    history = Table("when (UTC)", "what", "text", title="History", box=box.SIMPLE_HEAD)
    for when, what, text in _events(session):
        history.add_row(f"{when:%Y-%m-%d %H:%M:%S}", shown(what), shown(_first_line(text)))
    console.print(history)


def _first_line(text: str) -> str:
    return text.strip()[:_LINE].partition("\n")[0]


def _events(session: PromptSession) -> list[tuple[Any, str, str]]:
    events = [(r.timestamp, f"revision ({r.revision_type})", r.content) for r in session.revisions]
    events += [(d.created_at, f"draft {d.version}", d.validation_status) for d in session.ir_drafts]
    events += [
        (
            r.timestamp,
            f"answer to {r.hole_id}" + ("" if r.applied else " (pending)"),
            r.resolution_text,
        )
        for r in session.pending_resolutions
    ]
    return sorted(events, key=lambda event: event[0])


def _print_page(page: SessionPage) -> None:
    if not page.items:
        console.print("No sessions.")
        return
    # The input has what the others leave; an id is never cut, since it is what one copies.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("id", min_width=36, overflow="fold")
    table.add_column("status", min_width=9)
    table.add_column("updated (UTC)", min_width=14)
    table.add_column("input", no_wrap=True, overflow="ellipsis", ratio=1)
    for item in page.items:
        table.add_row(
            shown(item.session_id),
            item.status,
            f"{item.updated_at:%m-%d %H:%M:%S}",
            shown(item.preview.partition("\n")[0]),
        )
    console.print(table)
    if page.next_cursor:
        console.print(f"More: --cursor {page.next_cursor}", markup=False, soft_wrap=True)


def _refinement(session: PromptSession, done: Refinement) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "version": session.version,
        "draft": done.draft.to_dict() if done.draft else None,
        "applied": [resolution.hole_id for resolution in done.applied],
        "unknown": [resolution.hole_id for resolution in done.unknown],
        "unresolved": done.unresolved,
    }


def _report(session: PromptSession, target: Target, message: str) -> None:
    if target.json:
        print_json(
            {
                "session_id": session.session_id,
                "version": session.version,
                "status": session.status,
                "unresolved": session.get_unresolved_holes(),
            }
        )
    else:
        console.print(shown(f"{session.session_id}: {message}"))


def _required(store: SessionStore, session_id: str) -> PromptSession:
    session = store.get(session_id)
    if session is None:
        raise rules.not_found(session_id)
    return session


def _fitting(session: PromptSession, hole_id: str) -> ResolutionType:
    draft = session.current_draft
    for hole in draft.ir.typed_holes() if draft else []:
        if hole.identifier == hole_id:
            return ANSWER_TO[hole.kind]
    holes = ", ".join(session.get_unresolved_holes()) or "none"
    raise CommandError(f"no open hole {hole_id!r}; open are: {holes}; or name the --type", 3)


def _text(argument: str) -> str:
    return sys.stdin.read() if argument == "-" else argument
