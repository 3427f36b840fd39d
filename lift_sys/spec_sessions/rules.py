"""What may happen to a session: pure decisions, taken alike by every embedded backend.

The Postgres functions in ``supabase/migrations`` take the same decisions in the same order.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from lift_sys.backends.call import Encoded, WriteKey
from lift_sys.backends.errors import (
    HistoryRewriteError,
    IdempotencyKeyReusedError,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
)
from lift_sys.backends.excerpts import excerpt
from lift_sys.backends.json_values import same_json
from lift_sys.spec_sessions.history import Change
from lift_sys.spec_sessions.models import Counts, HoleResolution, IRDraft, PromptRevision
from lift_sys.spec_sessions.records import Base, Items, UpdateSession, WriteRecord

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class StoredState:
    """What an update is decided by: the stored session's version and the base it stands for."""

    version: int
    base: Base


@dataclass(frozen=True, slots=True)
class StoredItems:
    """The stored items of a session, in their order."""

    revisions: Sequence[PromptRevision]
    drafts: Sequence[IRDraft]
    resolutions: Sequence[HoleResolution]


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """What an update does.

    Attributes:
        version: the new one.
        items: to be added after the stored ones.
        applied: numbers, from 1, of stored resolutions that become applied.
        counts: how many items of each kind there are then.
    """

    version: int
    items: Items
    applied: list[int]
    counts: Counts


def replayed(record: WriteRecord[T] | None, call: str, write: WriteKey) -> WriteRecord[T] | None:
    """Return `record`, the result of the same write before, or None where there was none.

    Raises:
        IdempotencyKeyReusedError: the key belongs to another write (G8).
    """
    if record is not None and (record.call, record.fingerprint) != (call, write.fingerprint):
        raise key_reused(write.key)
    return record


def require_new(session_id: str, *, exists: bool) -> None:
    """Raise ``SessionExistsError`` where the id is taken (G4)."""
    if exists:
        raise taken(session_id)


def key_reused(key: str) -> IdempotencyKeyReusedError:
    """Return the error for a key that belongs to another write (G8)."""
    return IdempotencyKeyReusedError(
        f"idempotency_key: {_excerpt(key)} was used for another write; use a new key"
    )


def taken(session_id: str) -> SessionExistsError:
    """Return the error for an id that this user has a session of (G4)."""
    return SessionExistsError(
        f"this user has a session {_excerpt(session_id)} already; update it or choose another id"
    )


def not_found(session_id: object) -> SessionNotFoundError:
    """Return the error for an id that this user has no session of (G3)."""
    return SessionNotFoundError(f"this user has no session {_excerpt(session_id)}")


def conflict(session_id: str, expected: int, current: int) -> SessionConflictError:
    """Return the error for a write that is not based on the stored version (G7)."""
    return SessionConflictError(
        f"session {_excerpt(session_id)} is at version {current}, this write is based on "
        f"{expected}; refresh it and apply the change again",
        expected_version=expected,
        current_version=current,
    )


def another_session(session_id: str) -> HistoryRewriteError:
    """Return the error for a write based on a session that the stored one is not (G5, G19)."""
    return HistoryRewriteError(
        f"session {_excerpt(session_id)} is not the one this write is based on; get it anew"
    )


def rewritten(field: str, index: int, *, missing: bool) -> HistoryRewriteError:
    """Return the error for a stored item that the caller presents otherwise (G5)."""
    what = "is missing" if missing else "is another"
    return HistoryRewriteError(
        f"{field}[{index}] is stored and {what} here; history can only grow: add a new item"
    )


def plan_update(
    stored: StoredState | None, wanted: UpdateSession, load: Callable[[], StoredItems]
) -> UpdatePlan:
    """Decide whether an update may happen, and what it does.

    Args:
        stored: what is stored under the id, or None.
        wanted: the update.
        load: reads the stored items; called only where the caller does not know what is stored.

    Raises:
        SessionNotFoundError: nothing is stored under the id.
        SessionConflictError: another write came first (G7).
        HistoryRewriteError: what is stored differs from what the caller presents (G5).
    """
    session_id = wanted.header.session_id
    if stored is None:
        raise not_found(session_id)
    if stored.version != wanted.expected_version:
        raise conflict(session_id, wanted.expected_version, stored.version)
    items, applied = wanted.items, wanted.applied
    if wanted.base is None:
        items, applied = _unknown_to_stored(load(), wanted.items)
    elif wanted.base != stored.base:
        raise another_session(session_id)
    before = stored.base.counts
    return UpdatePlan(
        version=stored.version + 1,
        items=items,
        applied=applied,
        counts=Counts(
            before.revisions + len(items.revisions),
            before.drafts + len(items.drafts),
            before.resolutions + len(items.resolutions),
        ),
    )


def extends(stored: Base, known: Base) -> bool:
    """Return whether what is stored begins with what is known, so that the tail is enough."""
    return (
        stored.created_at == known.created_at
        and stored.counts.revisions >= known.counts.revisions
        and stored.counts.drafts >= known.counts.drafts
        and stored.counts.resolutions >= known.counts.resolutions
    )


def newly_applied(changed: Iterable[Change[HoleResolution]]) -> list[int]:
    """Return the numbers, from 1, of the stored resolutions that became applied.

    Raises:
        HistoryRewriteError: one changed in another way (G5).
    """
    numbers = []
    for index, old, new in changed:
        if new is None or old.applied or not _same(new, old.as_applied()):
            raise rewritten("pending_resolutions", index, missing=new is None)
        numbers.append(index + 1)
    return numbers


def require_unchanged(field: str, changed: Iterable[Change[Any]]) -> None:
    """Raise ``HistoryRewriteError`` where there is a change (G5)."""
    for index, _, new in changed:
        raise rewritten(field, index, missing=new is None)


def _unknown_to_stored(stored: StoredItems, presented: Items) -> tuple[Items, list[int]]:
    """Return what of all the `presented` items is new, and which resolutions became applied."""
    require_unchanged("revisions", _differences(stored.revisions, presented.revisions))
    require_unchanged("ir_drafts", _differences(stored.drafts, presented.drafts))
    applied = newly_applied(_differences(stored.resolutions, presented.resolutions))
    new = Items(
        presented.revisions[len(stored.revisions) :],
        presented.drafts[len(stored.drafts) :],
        presented.resolutions[len(stored.resolutions) :],
    )
    return new, applied


def _differences(stored: Sequence[M], presented: Sequence[Encoded[M]]) -> Iterable[Change[M]]:
    for index, old in enumerate(stored):
        new = presented[index].value if index < len(presented) else None
        if new is None or not _same(new, old):
            yield index, old, new


def _same(one: BaseModel, other: BaseModel) -> bool:
    # Not ==, which takes true for 1 and 10**23 for another number than 1e23: Postgres does not.
    return same_json(one.model_dump(mode="json"), other.model_dump(mode="json"))


def _excerpt(session_id: object) -> str:
    return excerpt(repr(session_id), 80)
