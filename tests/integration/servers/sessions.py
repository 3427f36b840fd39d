"""Sessions to store, and what a table holds of one."""

from collections.abc import Iterable

import psycopg

from lift_sys.ir import lift
from lift_sys.spec_sessions import HoleResolution, IRDraft, PromptRevision, PromptSession

[IR] = lift('def area(side: int) -> int:\n    """The area of a square."""\n    return side\n')


def session(items: int = 1, text: str = "word") -> PromptSession:
    """A session with that many items of each kind."""
    made = PromptSession.create_new(original_input=text)
    add(made, range(1, items), text)
    made.add_draft(IRDraft(version=1, ir=IR))
    made.add_resolution(resolution("hole"))
    return made


def add(made: PromptSession, numbers: Iterable[int], text: str = "word") -> None:
    """Add revisions."""
    for number in numbers:
        made.add_revision(revision(f"{text} {number}"))


def revision(text: str) -> PromptRevision:
    return PromptRevision(
        timestamp="2026-11-01T10:00:00Z", content=text, revision_type="manual_edit"
    )


def resolution(hole_id: str) -> HoleResolution:
    return HoleResolution(
        hole_id=hole_id, resolution_text="positive", resolution_type="add_constraint"
    )


def stored_revisions(owner: psycopg.Connection, session_id: str) -> list[str]:
    """The contents of what the table holds, in order, past all of our code."""
    rows = owner.execute(
        "select content from public.session_revisions where session_id = %s"
        " order by revision_number",
        [session_id],
    )
    return [row[0] for row in rows]


def stored_version(owner: psycopg.Connection, session_id: str) -> int | None:
    row = owner.execute(
        "select version from public.sessions where id = %s", [session_id]
    ).fetchone()
    return None if row is None else int(row[0])
