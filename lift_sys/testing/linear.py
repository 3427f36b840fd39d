"""Whether what several writers saw can have happened in some order, one call after the other.

A session is a register: a write takes it from one version to the next, a read or a refused write
tells its version. As each version is written once, an order exists just where every call fits at
the place that its version gives it: no call may be placed before one that had ended when it began.
Sessions are independent, so each is judged by itself.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lift_sys.spec_sessions import (
    PromptSession,
    SessionConflictError,
    SessionNotFoundError,
    SessionStore,
)
from lift_sys.testing import samples

GONE = 2**31
"""The version that stands for a deleted session: later than any other."""


@dataclass(frozen=True)
class Event:
    """One call on one session, as its caller saw it.

    Attributes:
        writer: who called.
        name: ``update``, ``get`` or ``delete``.
        start: when the call began, in nanoseconds of a clock that all processes share.
        end: when it had ended.
        version: the version it wrote or saw; ``GONE`` where there was no session any more.
        wrote: whether it changed the session.
        text: what it added.
    """

    writer: str
    name: str
    start: int
    end: int
    version: int
    wrote: bool = False
    text: str = ""


def check_order(events: Iterable[Event]) -> None:
    """Check that the calls on one session can have happened one after the other.

    Raises:
        AssertionError: they cannot; names two calls that contradict each other.
    """
    by_start = sorted(events, key=lambda event: event.start)
    written: dict[int, Event] = {}
    for event in by_start:
        if event.wrote:
            first = written.setdefault(event.version, event)
            assert first is event, f"both wrote version {event.version}: {first}, {event}"
    versions = sorted(version for version in written if version != GONE)
    assert versions == list(range(2, 2 + len(versions))), f"versions written: {versions}"
    by_end = sorted(by_start, key=lambda event: event.end)
    ended = 0
    latest: Event | None = None
    for event in by_start:
        while ended < len(by_end) and by_end[ended].end < event.start:
            if latest is None or by_end[ended].version > latest.version:
                latest = by_end[ended]
            ended += 1
        if latest is not None:
            fits = (
                event.version > latest.version if event.wrote else event.version >= latest.version
            )
            assert fits, f"{event} began when {latest} had ended, and yet it comes before it"


def check_content(events: Iterable[Event], session: PromptSession) -> None:
    """Check that the session holds what was acknowledged, in the order of its versions, no more.

    Args:
        events: all calls on it.
        session: as it is stored at the end; its first revision was there before.

    Raises:
        AssertionError: something is missing, doubled or in another place.
    """
    wrote = sorted((event.version, event.text) for event in events if event.wrote)
    assert [revision.content for revision in session.revisions[1:]] == [text for _, text in wrote]
    assert session.counts().each() == (len(wrote) + 1,) * 3
    assert session.version == len(wrote) + 1


def append_in_turns(
    store: SessionStore, session_ids: list[str], writer: str, turns: int
) -> dict[str, list[Event]]:
    """Add to each session in turn, starting anew after a conflict, and record each call.

    Args:
        store: where the sessions are; they must not be deleted meanwhile.
        session_ids: which sessions.
        writer: names the caller in what it adds.
        turns: how many writes to each session must succeed.

    Returns:
        The calls on each session, in order.

    Raises:
        AssertionError: a session is missing, or refuses a writer for ever.
    """
    seen: dict[str, list[Event]] = {session_id: [] for session_id in session_ids}
    for turn in range(turns):
        for session_id in session_ids:
            _write(store, session_id, f"{writer} {turn}", writer, seen[session_id])
    return seen


def _write(store: SessionStore, session_id: str, text: str, writer: str, seen: list[Event]) -> None:
    # Each conflict tells that another writer got through, so it cannot go on like this.
    for _ in range(1_000):
        if _append(store, session_id, text, writer, seen):
            return
    raise AssertionError(f"{writer} met a conflict 1,000 times in a row")


def _append(
    store: SessionStore, session_id: str, text: str, writer: str, seen: list[Event]
) -> bool:
    session = _timed(writer, "get", seen, lambda: store.get(session_id))
    assert session is not None
    # One item of each kind, so that half a write would show.
    session.add_revision(samples.revision(text))
    session.add_draft(samples.draft(1, metadata={"by": text}))
    session.add_resolution(samples.resolution(text))

    def write() -> PromptSession:
        store.update(session)
        return session

    return _timed(writer, "update", seen, write) is not None


def _timed(
    writer: str, name: str, seen: list[Event], call: Callable[[], PromptSession | None]
) -> PromptSession | None:
    """Carry out a call and record it; return the session, or None where a write was refused."""
    start = time.monotonic_ns()
    session, version = _answer(call)
    end = time.monotonic_ns()
    wrote = name == "update" and session is not None
    text = session.revisions[-1].content if wrote and session else ""
    seen.append(Event(writer, name, start, end, version, wrote, text))
    return session


def _answer(call: Callable[[], PromptSession | None]) -> tuple[PromptSession | None, int]:
    """Return the session that `call` got or wrote, if any, and the version that is stored."""
    try:
        session = call()
    except SessionConflictError as conflict:
        return None, conflict.current_version
    except SessionNotFoundError:
        return None, GONE
    return session, session.version if session else GONE
