"""Copying sessions from one store to another, again and again without duplicates."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from lift_sys.backends.errors import (
    InvalidSessionError,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
)
from lift_sys.spec_sessions.models import PromptSession, SessionSummary
from lift_sys.spec_sessions.store import SessionStore

BATCH: Final = 100
"""How many new sessions are written at once."""
READERS: Final = 8
"""How many sessions are read at once, and so how many there are in memory beside a batch."""
_BATCH_ITEMS: Final = 5_000
_WRITE_BYTES: Final = 16 * 2**20
_PAGE: Final = 1_000


@dataclass(slots=True)
class CopyReport:
    """What a copy came to.

    Attributes:
        copied: ids of sessions that were not in the target.
        extended: ids of sessions that were, with less history.
        unchanged: how many were there already, just as they are.
        differing: ids that the target has with another history; those were left alone.
    """

    copied: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    unchanged: int = 0
    differing: list[str] = field(default_factory=list)


def summaries(store: SessionStore) -> Iterator[SessionSummary]:
    """Yield a summary of each session of the store's user, latest first."""
    cursor = None
    while True:
        page = store.list_page(limit=_PAGE, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def copy_sessions(
    source: SessionStore,
    target: SessionStore,
    *,
    advance: Callable[[int], object] = lambda _: None,
) -> CopyReport:
    """Copy every session of the source's user, with its history, to the target's user.

    May be interrupted and repeated: what is there already is recognised, and what has grown in
    the source since is appended. A session counts as version 1 where it is new, more where it
    takes several writes. Each write is atomic, the copy as a whole is not.

    Args:
        source: is only read.
        target: what a session has there must be the beginning of what it has in the source.
        advance: is called with the number of sessions that are done since the last call.

    Raises:
        SessionStoreError: one of the stores failed; what was copied stays.
    """
    report = CopyReport()
    present = {summary.session_id: summary for summary in summaries(target)}
    batch: list[PromptSession] = []
    for session in _read_ahead(source, _wanted(source, present, report, advance)):
        if session is None:  # deleted meanwhile
            advance(1)
        elif session.session_id in present:
            _bring(target, session, report)
            advance(1)
        else:
            batch.append(session)
            if len(batch) >= BATCH or sum(map(_items, batch)) >= _BATCH_ITEMS:
                _create(target, batch, report)
                advance(len(batch))
                batch = []
    _create(target, batch, report)
    advance(len(batch))
    return report


def _wanted(
    source: SessionStore,
    present: Mapping[str, SessionSummary],
    report: CopyReport,
    advance: Callable[[int], object],
) -> Iterator[str]:
    """Yield the ids of the source's sessions that the target does not have just as they are."""
    for summary in summaries(source):
        there = present.get(summary.session_id)
        if there is None or not _same(summary, there):
            yield summary.session_id
        else:
            report.unchanged += 1
            advance(1)


def _read_ahead(source: SessionStore, ids: Iterable[str]) -> Iterator[PromptSession | None]:
    """Yield the sessions of these ids, in order. A few are under way: most of a read is waiting."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="lift-sys-copy") as threads:
        ahead: deque[Future[PromptSession | None]] = deque()
        try:
            for session_id in ids:
                ahead.append(threads.submit(source.get, session_id))
                if len(ahead) == READERS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for read in ahead:
                read.cancel()


def _create(target: SessionStore, batch: list[PromptSession], report: CopyReport) -> None:
    try:
        report.copied += target.create_many(batch)
    except (InvalidSessionError, SessionExistsError):
        # Too large for one write, or another copy is under way: find out which.
        for session in batch:
            _bring(target, session, report)


def _bring(target: SessionStore, session: PromptSession, report: CopyReport) -> None:
    """Bring one session to the target, in as many writes as its size takes."""
    held = target.get(session.session_id)
    outcome = report.copied if held is None else report.extended
    if held is not None and not _begins(held, session):
        report.differing.append(session.session_id)
        return
    write = target.create if held is None else target.update
    if held is None:
        held = PromptSession(session_id=session.session_id, created_at=session.created_at)
    elif held == session.model_copy(update={"version": held.version}):
        report.unchanged += 1
        return
    for name, value in _header(session).items():
        setattr(held, name, value)
    try:
        for _ in _grown(held, session):
            write(held)
            write = target.update
    except (SessionConflictError, SessionExistsError, SessionNotFoundError):
        report.differing.append(session.session_id)  # someone else is at work on it there
    else:
        outcome.append(session.session_id)


def _begins(held: PromptSession, session: PromptSession) -> bool:
    """Return whether what is held is the beginning of `session`."""
    revisions, drafts, resolutions = held.counts().each()
    answers = zip(held.pending_resolutions, session.pending_resolutions, strict=False)
    return (
        held.created_at == session.created_at
        and held.revisions == session.revisions[:revisions]
        and held.ir_drafts == session.ir_drafts[:drafts]
        and resolutions <= len(session.pending_resolutions)
        and all(new in (old, old.as_applied()) for old, new in answers)
    )


def _grown(held: PromptSession, session: PromptSession) -> Iterator[None]:
    """Take over the items of `session` that `held` lacks; pause wherever a write is full."""
    held.pending_resolutions[:] = session.pending_resolutions[: len(held.pending_resolutions)]
    size = 0
    kinds: tuple[tuple[list[Any], list[Any]], ...] = (
        (held.revisions, session.revisions),
        (held.ir_drafts, session.ir_drafts),
        (held.pending_resolutions, session.pending_resolutions),
    )
    for known, whole in kinds:
        for item in whole[len(known) :]:
            added = len(item.model_dump_json().encode())
            if size + added > _WRITE_BYTES:
                yield
                size = 0
            size += added
            known.append(item)
    yield


def _header(session: PromptSession) -> dict[str, Any]:
    names = ("status", "source", "metadata", "updated_at", "finalized_at")
    return {name: getattr(session, name) for name in names}


def _items(session: PromptSession) -> int:
    return sum(session.counts().each())


def _same(one: SessionSummary, other: SessionSummary) -> bool:
    return _shape(one) == _shape(other)


def _shape(summary: SessionSummary) -> tuple[object, ...]:
    return (
        summary.status,
        summary.updated_at,
        summary.revision_count,
        summary.draft_count,
        summary.hole_count,
        summary.metadata,
    )
