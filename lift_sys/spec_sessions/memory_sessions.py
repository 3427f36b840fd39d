"""The session calls, answered from memory.

What is kept are immutable values: a reader is given the items themselves, in a list of its own.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from lift_sys.backends.call import Encoded, WriteKey
from lift_sys.backends.instants import now
from lift_sys.backends.memory import Handler
from lift_sys.spec_sessions import rules
from lift_sys.spec_sessions.models import (
    Counts,
    HoleResolution,
    IRDraft,
    PromptRevision,
    SessionSummary,
    Snapshot,
    preview_of,
)
from lift_sys.spec_sessions.records import (
    Base,
    CreateSessions,
    DeleteSession,
    GetSession,
    Header,
    ListSessions,
    LoadedPage,
    LoadSessions,
    RefreshSession,
    Tail,
    UpdateSession,
    WriteRecord,
)

KEPT: Final = timedelta(hours=24)
"""How long a repeated write is recognised by its key (G8)."""


@dataclass(slots=True)
class _Stored:
    """One session. The lists belong to the store and only grow."""

    header: Header
    version: int
    revisions: list[PromptRevision]
    drafts: list[IRDraft]
    resolutions: list[HoleResolution]

    def counts(self) -> Counts:
        return Counts(len(self.revisions), len(self.drafts), len(self.resolutions))

    def base(self) -> Base:
        return Base(self.header.created_at, self.counts())

    def position(self) -> tuple[datetime, str]:
        return self.header.updated_at, self.header.session_id

    def snapshot(self, start: Counts = Counts(0, 0, 0)) -> Snapshot:  # noqa: B008  # immutable
        header = self.header
        return Snapshot(
            session_id=header.session_id,
            status=header.status,
            source=header.source,
            metadata=header.metadata.value,
            version=self.version,
            created_at=header.created_at,
            updated_at=header.updated_at,
            finalized_at=header.finalized_at,
            revisions=self.revisions[start.revisions :],
            ir_drafts=self.drafts[start.drafts :],
            pending_resolutions=self.resolutions[start.resolutions :],
        )

    def summary(self) -> SessionSummary:
        header, counts = self.header, self.counts()
        return SessionSummary(
            session_id=header.session_id,
            status=header.status,
            source=header.source,
            preview=preview_of(self.revisions),
            revision_count=counts.revisions,
            draft_count=counts.drafts,
            hole_count=counts.resolutions,
            metadata=header.metadata.value,
            version=self.version,
            created_at=header.created_at,
            updated_at=header.updated_at,
            finalized_at=header.finalized_at,
        )


@dataclass(slots=True)
class _Tenant:
    """What one user has.

    Attributes:
        sessions: by id.
        latest: their positions, ascending.
        writes: what was written with a key, and when, by key, oldest first.
    """

    sessions: dict[str, _Stored] = field(default_factory=dict)
    latest: list[tuple[datetime, str]] = field(default_factory=list)
    writes: dict[str, tuple[datetime, WriteRecord[Any]]] = field(default_factory=dict)

    def put(self, stored: _Stored) -> None:
        self.sessions[stored.header.session_id] = stored
        insort(self.latest, stored.position())

    def remove(self, session_id: str) -> None:
        stored = self.sessions.pop(session_id, None)
        if stored is not None:
            self.unlist(stored)

    def unlist(self, stored: _Stored) -> None:
        del self.latest[bisect_left(self.latest, stored.position())]

    def replayed(self, call: str, write: WriteKey | None) -> WriteRecord[Any] | None:
        if write is None:
            return None
        oldest = now() - KEPT
        for key in [k for k, (at, _) in islice(self.writes.items(), 100) if at < oldest]:
            del self.writes[key]
        _, record = self.writes.get(write.key, (None, None))
        return rules.replayed(record, call, write)

    def record(self, call: str, write: WriteKey | None, result: Any) -> None:
        if write is not None:
            self.writes[write.key] = now(), WriteRecord(call, write.fingerprint, result)


class MemorySessions:
    """The sessions of all users, in memory. Not safe for threads: the backend takes turns."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each call, by its name."""
        return {
            "create_sessions": self._create,
            "get_session": self._get,
            "update_session": self._update,
            "refresh_session": self._refresh,
            "delete_session": self._delete,
            "list_sessions": self._list,
            "load_sessions": self._load,
        }

    def _tenant(self, user_id: str) -> _Tenant:
        return self._tenants.get(user_id) or _Tenant()

    def _create(self, user_id: str, wanted: CreateSessions, key: WriteKey | None) -> list[str]:
        tenant = self._tenants.setdefault(user_id, _Tenant())
        if done := tenant.replayed("create_sessions", key):
            ids: list[str] = done.result
            return ids
        ids = [new.header.session_id for new in wanted.sessions]
        for session_id in ids:
            rules.require_new(session_id, exists=session_id in tenant.sessions)
        for new in wanted.sessions:
            items = new.items
            tenant.put(
                _Stored(
                    header=new.header,
                    version=1,
                    revisions=_values(items.revisions),
                    drafts=_values(items.drafts),
                    resolutions=_values(items.resolutions),
                )
            )
        tenant.record("create_sessions", key, ids)
        return ids

    def _get(self, user_id: str, wanted: GetSession, _: WriteKey | None) -> Snapshot | None:
        stored = self._tenant(user_id).sessions.get(wanted.session_id)
        return None if stored is None else stored.snapshot()

    def _update(self, user_id: str, wanted: UpdateSession, key: WriteKey | None) -> int:
        tenant = self._tenant(user_id)
        if done := tenant.replayed("update_session", key):
            version: int = done.result
            return version
        stored = tenant.sessions.get(wanted.header.session_id)
        state = None if stored is None else rules.StoredState(stored.version, stored.base())
        plan = rules.plan_update(state, wanted, lambda: _items(stored))
        assert stored is not None  # noqa: S101  # plan_update raised otherwise
        tenant.unlist(stored)
        stored.header = wanted.header
        stored.version = plan.version
        stored.revisions += _values(plan.items.revisions)
        stored.drafts += _values(plan.items.drafts)
        stored.resolutions += _values(plan.items.resolutions)
        for number in plan.applied:
            stored.resolutions[number - 1] = stored.resolutions[number - 1].as_applied()
        tenant.put(stored)
        tenant.record("update_session", key, plan.version)
        return plan.version

    def _refresh(self, user_id: str, wanted: RefreshSession, _: WriteKey | None) -> Tail:
        stored = self._tenant(user_id).sessions.get(wanted.session_id)
        if stored is None:
            raise rules.not_found(wanted.session_id)
        known = wanted.base
        if known is None or not rules.extends(stored.base(), known):
            return Tail(stored.snapshot(), whole=True, applied=[])
        return Tail(
            stored.snapshot(known.counts),
            whole=False,
            applied=[n for n in wanted.unapplied if stored.resolutions[n - 1].applied],
        )

    def _delete(self, user_id: str, wanted: DeleteSession, _: WriteKey | None) -> None:
        self._tenant(user_id).remove(wanted.session_id)

    def _list(self, user_id: str, wanted: ListSessions, _: WriteKey | None) -> list[SessionSummary]:
        return list(islice(self._matching(self._tenant(user_id), wanted), wanted.limit))

    def _matching(self, tenant: _Tenant, wanted: ListSessions) -> Iterator[SessionSummary]:
        after, latest = wanted.after, tenant.latest
        end = bisect_left(latest, (after.updated_at, after.session_id)) if after else len(latest)
        for index in range(end - 1, -1, -1):
            stored = tenant.sessions[latest[index][1]]
            if wanted.status in (None, stored.header.status) and wanted.source in (
                None,
                stored.header.source,
            ):
                yield stored.summary()

    def _load(self, user_id: str, wanted: LoadSessions, _: WriteKey | None) -> LoadedPage:
        found = [
            stored.snapshot()
            for session_id, stored in self._tenant(user_id).sessions.items()
            if session_id > (wanted.after_id or "")
            and wanted.status in (None, stored.header.status)
        ]
        found.sort(key=attrgetter("session_id"))
        return LoadedPage(found, next_after_id=None)


def _values(items: list[Encoded[Any]]) -> list[Any]:
    return [item.value for item in items]


def _items(stored: _Stored | None) -> rules.StoredItems:
    assert stored is not None  # noqa: S101  # asked for only where something is stored
    return rules.StoredItems(stored.revisions, stored.drafts, stored.resolutions)
