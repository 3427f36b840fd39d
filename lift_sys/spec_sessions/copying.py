"""Copying sessions from one store to another, again and again without duplicates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lift_sys.backends.errors import (
    HistoryRewriteError,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
)
from lift_sys.spec_sessions.models import PromptSession, SessionSummary
from lift_sys.spec_sessions.store import SessionStore

BATCH: Final = 100
"""How many new sessions are written at once."""
_BATCH_ITEMS: Final = 5_000
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
    the source since is appended. A session counts as version 1 where it is new. Each batch is
    atomic, the copy as a whole is not.

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
    for summary in summaries(source):
        there = present.get(summary.session_id)
        if there is not None and _same(summary, there):
            report.unchanged += 1
            advance(1)
            continue
        session = source.get(summary.session_id)
        if session is None:  # deleted meanwhile
            advance(1)
        elif there is not None:
            _extend(target, session, there.version, report)
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


def _create(target: SessionStore, batch: list[PromptSession], report: CopyReport) -> None:
    if not batch:
        return
    try:
        report.copied += target.create_many(batch)
    except SessionExistsError:  # another copy is under way: find out which
        for session in batch:
            try:
                report.copied.append(target.create(session))
            except SessionExistsError:
                there = target.get(session.session_id)
                _extend(target, session, there.version if there else 0, report)


def _extend(target: SessionStore, session: PromptSession, version: int, report: CopyReport) -> None:
    session.version = version
    try:
        target.update(session)
    except (HistoryRewriteError, SessionConflictError, SessionNotFoundError):
        report.differing.append(session.session_id)
    else:
        report.extended.append(session.session_id)


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
