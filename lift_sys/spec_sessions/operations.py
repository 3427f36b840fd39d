"""Each operation once: from its arguments to a call, from the answer to its result. No I/O.

Every operation is a flow (see ``backends.call``), so that the sync and the async stores, on
whatever backend, do exactly the same.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pydantic_core import from_json, to_json

from lift_sys.backends.call import Call, Flow, WriteKey
from lift_sys.backends.errors import (
    InvalidSessionError,
    SessionExistsError,
)
from lift_sys.backends.instants import format_instant, parse_instant
from lift_sys.spec_sessions import encoding, records, rules
from lift_sys.spec_sessions.history import changes
from lift_sys.spec_sessions.models import (
    HoleResolution,
    IRDraft,
    KeyedWrite,
    PromptRevision,
    PromptSession,
    SessionPage,
    Snapshot,
    Source,
    Status,
    StoredMark,
)

MAX_PAGE = 1_000
"""How many sessions one page of ``list_page`` may have."""


def create_many(
    origin: str, sessions: Iterable[PromptSession], idempotency_key: str | WriteKey | None
) -> Flow[list[str]]:
    """Store new sessions, all or none."""
    given = list(sessions)
    new = [
        records.NewSession(encoding.encode_header(session), encoding.encode_items(session))
        for session in given
    ]
    encoding.check_write_size([n.header for n in new], [n.items for n in new])
    _check_distinct([n.header.session_id for n in new])
    parts = ["create_sessions", *(part for n in new for part in (n.header, n.items))]
    write = None if idempotency_key is None else encoding.write_key(idempotency_key, parts)
    if not new:
        return []
    arguments = records.CreateSessions(new)
    ids = yield Call(
        "create_sessions", arguments, records.IDS.validate_json, writes=True, key=write
    )
    for session in given:
        session._settle(origin, version=1)
    return list(ids)


def create(
    origin: str, session: PromptSession, idempotency_key: str | WriteKey | None
) -> Flow[str]:
    """Store a new session."""
    ids = yield from create_many(origin, [session], idempotency_key)
    return ids[0]


def get(origin: str, session_id: object) -> Flow[PromptSession | None]:
    """Return a stored session, or None."""
    if not encoding.is_name(session_id):
        return None
    arguments = records.GetSession(str(session_id))
    snapshot = yield Call("get_session", arguments, records.SNAPSHOT.validate_json, writes=False)
    return None if snapshot is None else _session(origin, snapshot)


def update(
    origin: str, session: PromptSession, idempotency_key: str | WriteKey | None
) -> Flow[None]:
    """Store what is new in a session."""
    if not encoding.is_name(session.session_id):
        raise rules.not_found(session.session_id)
    mark = _valid_mark(origin, session)
    applied = [] if mark is None else _newly_applied(session, mark)
    header = encoding.encode_header(session)
    items = encoding.encode_items(session, mark.counts.each() if mark else (0, 0, 0))
    encoding.check_write_size([header], [items])
    keyed = _update_key(session, mark, header, idempotency_key)
    arguments = records.UpdateSession(
        header=header,
        expected_version=session.version,
        base=None if mark is None else records.Base(mark.created_at, mark.counts),
        items=items,
        applied=applied,
    )
    version = yield Call(
        "update_session",
        arguments,
        records.VERSION.validate_json,
        writes=True,
        key=None if keyed is None else keyed.write,
    )
    session._settle(origin, version, keyed)


def refresh(origin: str, session: PromptSession) -> Flow[PromptSession]:
    """Return the session as it is stored now, fetching only what is not known."""
    if not encoding.is_name(session.session_id):
        raise rules.not_found(session.session_id)
    mark = _valid_mark(origin, session, any_version=True)
    revisions, drafts, resolutions = _known_items(mark)
    arguments = records.RefreshSession(
        session_id=session.session_id,
        base=None if mark is None else records.Base(mark.created_at, mark.counts),
        unapplied=[n for n, resolution in enumerate(resolutions, 1) if not resolution.applied],
    )
    tail = yield Call("refresh_session", arguments, records.TAIL.validate_json, writes=False)
    stored = tail.session
    if not tail.whole:
        for number in tail.applied:
            resolutions[number - 1] = resolutions[number - 1].as_applied()
        stored = replace(
            stored,
            revisions=revisions + stored.revisions,
            ir_drafts=drafts + stored.ir_drafts,
            pending_resolutions=resolutions + stored.pending_resolutions,
        )
    return _session(origin, stored)


def delete(session_id: object) -> Flow[None]:
    """Remove a session and everything of it."""
    if encoding.is_name(session_id):
        arguments = records.DeleteSession(str(session_id))
        yield Call("delete_session", arguments, records.NOTHING.validate_json, writes=True)


def list_whole(origin: str, status: Status | None) -> Flow[list[PromptSession]]:
    """Return every session of that status, or all; updated_at descending, then id descending."""
    found: list[PromptSession] = []
    after_id: str | None = None
    while True:
        arguments = records.LoadSessions(status, after_id)
        page = yield Call("load_sessions", arguments, records.LOADED.validate_json, writes=False)
        found += (_session(origin, snapshot) for snapshot in page.sessions)
        after_id = page.next_after_id
        if after_id is None:
            break
    found.sort(key=lambda session: (session.updated_at, session.session_id), reverse=True)
    return found


def list_page(
    status: Status | None, source: Source | None, limit: int, cursor: str | None
) -> Flow[SessionPage]:
    """Return one page of summaries, latest first."""
    encoding.check_filter(status, source)
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidSessionError(f"limit: must be an integer from 1 to {MAX_PAGE}")
    after = None if cursor is None else _position(cursor)
    # One more than asked tells whether there is a next page.
    arguments = records.ListSessions(status, source, limit + 1, after)
    found = yield Call("list_sessions", arguments, records.SUMMARIES.validate_json, writes=False)
    items = found[:limit]
    more = len(found) > limit
    return SessionPage(
        items=items,
        next_cursor=_cursor(items[-1].updated_at, items[-1].session_id) if more else None,
    )


def _session(origin: str, snapshot: Snapshot) -> PromptSession:
    return PromptSession._from_stored(origin, snapshot)


def _check_distinct(ids: list[str]) -> None:
    seen: set[str] = set()
    for session_id in ids:
        if session_id in seen:
            raise SessionExistsError(f"session {session_id!r} is given twice")
        seen.add(session_id)


def _valid_mark(
    origin: str, session: PromptSession, *, any_version: bool = False
) -> StoredMark | None:
    """Return what is known to be stored of `session` there, or None where nothing surely is."""
    mark = session._stored
    if mark is None or mark.origin != origin or mark.session_id != session.session_id:
        return None
    return mark if any_version or mark.version == session.version else None


def _newly_applied(session: PromptSession, mark: StoredMark) -> list[int]:
    """Return the numbers of the stored resolutions that are applied now.

    Raises:
        HistoryRewriteError: a stored item is gone or changed otherwise (G5).
    """
    count = mark.counts
    rules.require_unchanged(
        "revisions", changes(session.revisions, mark.revisions, count.revisions)
    )
    rules.require_unchanged("ir_drafts", changes(session.ir_drafts, mark.drafts, count.drafts))
    return rules.newly_applied(
        changes(session.pending_resolutions, mark.resolutions, count.resolutions)
    )


def _known_items(
    mark: StoredMark | None,
) -> tuple[list[PromptRevision], list[IRDraft], list[HoleResolution]]:
    if mark is None:
        return [], [], []
    return (
        mark.revisions.front(mark.counts.revisions),
        mark.drafts.front(mark.counts.drafts),
        mark.resolutions.front(mark.counts.resolutions),
    )


def _update_key(
    session: PromptSession,
    mark: StoredMark | None,
    header: records.Header,
    key: str | WriteKey | None,
) -> KeyedWrite | None:
    """Return what tells a repetition of a keyed update.

    The fingerprint is of the session as it shall be, not of what is new in it: so a copy that knows
    nothing of what is stored (``from_dict``, in another process) repeats the same write. An object
    that was written with a key and not changed since is the same write again, although it is at
    the next version: ``KeyedWrite.at_rest`` recognises it.
    """
    if key is None:
        return None
    content = ["update_session", header, *encoding.latest(session)]
    write = encoding.write_key(key, [*content, session.version])
    last = mark.keyed if mark else None
    if last is not None and last.write.key == write.key and last.at_rest == write.fingerprint:
        return last
    rest = encoding.write_key(key, [*content, session.version + 1])
    return KeyedWrite(write, at_rest=rest.fingerprint)


def _cursor(updated_at: datetime, session_id: str) -> str:
    position = to_json([format_instant(updated_at), session_id])
    return base64.urlsafe_b64encode(position).decode().rstrip("=")


def _position(cursor: object) -> records.Position:
    try:
        if not isinstance(cursor, str):
            raise TypeError("not text")  # noqa: TRY301
        padded = cursor + "=" * (-len(cursor) % 4)
        updated_at, session_id = from_json(base64.b64decode(padded, b"-_", validate=True))
        encoding.check_name(session_id, "cursor")
        return records.Position(parse_instant(updated_at), session_id)
    except (binascii.Error, TypeError, ValueError) as error:
        raise InvalidSessionError("cursor: not one that list_page returned") from error
