"""What the calls carry: arguments and answers, in the shape that every backend agrees on."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from lift_sys.backends.call import Encoded
from lift_sys.backends.instants import Instant
from lift_sys.spec_sessions.models import (
    Counts,
    HoleResolution,
    IRDraft,
    PromptRevision,
    SessionSummary,
    Snapshot,
    Source,
    Status,
)


@dataclass(frozen=True, slots=True)
class Header:
    """A session without its items and its version."""

    session_id: str
    status: Status
    source: Source
    metadata: Encoded[dict[str, Any]]
    created_at: Instant
    updated_at: Instant
    finalized_at: Instant | None


@dataclass(frozen=True, slots=True)
class Items:
    """Items to be added, of each kind in their order."""

    revisions: list[Encoded[PromptRevision]]
    drafts: list[Encoded[IRDraft]]
    resolutions: list[Encoded[HoleResolution]]


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be stored as version 1."""

    header: Header
    items: Items


@dataclass(frozen=True, slots=True)
class CreateSessions:
    """Arguments of ``create_sessions``; the answer is the ids, in the order given."""

    sessions: list[NewSession]


@dataclass(frozen=True, slots=True)
class Base:
    """What the caller knows to be stored.

    Attributes:
        created_at: the stored session's; a later session that reuses the id has another.
        counts: how many items are stored.
    """

    created_at: Instant
    counts: Counts


@dataclass(frozen=True, slots=True)
class UpdateSession:
    """Arguments of ``update_session``; the answer is the new version.

    Attributes:
        header: what replaces the stored header.
        expected_version: the version the write is based on.
        base: what is known to be stored, then `items` are the new ones; None where nothing is
            known, then `items` are all, and the stored ones must be the first of them.
        items: see `base`.
        applied: numbers, from 1, of stored resolutions that are applied now.
    """

    header: Header
    expected_version: int
    base: Base | None
    items: Items
    applied: list[int]


@dataclass(frozen=True, slots=True)
class GetSession:
    """Arguments of ``get_session``; the answer is a ``Snapshot`` or None."""

    session_id: str


@dataclass(frozen=True, slots=True)
class RefreshSession:
    """Arguments of ``refresh_session``; the answer is a ``Tail``.

    Attributes:
        session_id: which session.
        base: what is known already; None for nothing.
        unapplied: numbers, from 1, of the known resolutions that are not applied.
    """

    session_id: str
    base: Base | None
    unapplied: list[int]


@dataclass(frozen=True, slots=True)
class DeleteSession:
    """Arguments of ``delete_session``; the answer is None."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of a list begins: after this session."""

    updated_at: Instant
    session_id: str


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Arguments of ``list_sessions``; the answer is at most `limit` summaries, latest first."""

    status: Status | None
    source: Source | None
    limit: int
    after: Position | None


@dataclass(frozen=True, slots=True)
class LoadSessions:
    """Arguments of ``load_sessions``; the answer is a ``LoadedPage``, in the order of the ids.

    The order by id is one that no write changes, so a session that is touched between two pages
    is neither missed nor given twice (G10).
    """

    status: Status | None
    after_id: str | None


@dataclass(frozen=True, slots=True)
class Tail:
    """What of a stored session was not known.

    Attributes:
        session: the session with the items past the known ones only.
        whole: whether all items are in it, because what was known is not what is stored.
        applied: numbers, from 1, of the asked resolutions that are applied now.
    """

    session: Snapshot
    whole: bool
    applied: list[int]


@dataclass(frozen=True, slots=True)
class LoadedPage:
    """Some whole sessions, and where the next page begins.

    Attributes:
        sessions: ascending by id.
        next_after_id: the ``after_id`` of the next page; None on the last.
    """

    sessions: list[Snapshot]
    next_after_id: str | None


IDS: TypeAdapter[list[str]] = TypeAdapter(list[str])
VERSION: TypeAdapter[int] = TypeAdapter(int)
NOTHING: TypeAdapter[None] = TypeAdapter(None)
SNAPSHOT: TypeAdapter[Snapshot | None] = TypeAdapter(Snapshot | None)
TAIL: TypeAdapter[Tail] = TypeAdapter(Tail)
SUMMARIES: TypeAdapter[list[SessionSummary]] = TypeAdapter(list[SessionSummary])
LOADED: TypeAdapter[LoadedPage] = TypeAdapter(LoadedPage)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WriteRecord(Generic[T]):
    """A keyed write that was committed: what it was and what came of it."""

    call: str
    fingerprint: str
    result: T
