"""Deliberately wrong stores, each a right one with a single defect, and how they are opened."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from lift_sys.backends.json_values import freeze, thaw
from lift_sys.backends.memory import MemoryBackend
from lift_sys.spec_sessions import InMemorySessionStore, PromptSession
from lift_sys.spec_sessions.memory_sessions import MemorySessions
from lift_sys.spec_sessions.models import Snapshot
from lift_sys.spec_sessions.records import LoadedPage, Tail
from lift_sys.testing import Capability, StoreHarness

C = TypeVar("C", bound=type[Any])


@dataclass(frozen=True)
class Wrong:
    """One wrong store.

    Attributes:
        guarantee: the number of the one it breaks.
        defect: what it does.
        kind: the store, or what answers its calls.
        capabilities: what it claims.
    """

    guarantee: str
    defect: str
    kind: type[Any]
    capabilities: tuple[Capability, ...]

    def harness(self) -> StoreHarness:
        """Return a harness that is quick to give up waiting."""
        harness = StoreHarness(opener(self.kind), *self.capabilities)
        harness.patience = 0.3
        return harness


WRONG: list[Wrong] = []


def wrong(guarantee: str, defect: str, *capabilities: Capability) -> Callable[[C], C]:
    """Enter a store, or a ``MemorySessions`` that makes one, among the wrong ones."""

    def enter(kind: C) -> C:
        WRONG.append(Wrong(guarantee, defect, kind, capabilities))
        return kind

    return enter


def opener(kind: type[Any]) -> Callable[[str], Any]:
    """Return what opens a store of that kind, or in memory with its calls answered by it."""
    return partial(_answered_by, kind) if issubclass(kind, MemorySessions) else kind


def _answered_by(sessions: type[MemorySessions], user_id: str) -> InMemorySessionStore:
    store = InMemorySessionStore(user_id)
    store._backend = MemoryBackend(sessions().handlers())
    return store


class Seen(MemorySessions):
    """Shows stored sessions otherwise than they are: ``seen`` says how."""

    def seen(self, session: Snapshot) -> Snapshot:
        return session

    def _get(self, user_id, wanted, key):
        found = super()._get(user_id, wanted, key)
        return found and self.seen(found)

    def _refresh(self, user_id, wanted, key):
        tail = super()._refresh(user_id, wanted, key)
        return Tail(self.seen(tail.session), tail.whole, tail.applied)

    def _load(self, user_id, wanted, key):
        page = super()._load(user_id, wanted, key)
        return LoadedPage([self.seen(s) for s in page.sessions], page.next_after_id)


class Json(Seen):
    """Changes JSON values, wherever they stand in metadata."""

    def leaf(self, value: Any) -> Any:
        return value

    def members(self, value: dict[str, Any]) -> dict[str, Any]:
        return value

    def seen(self, session: Snapshot) -> Snapshot:
        return replace(session, metadata=freeze(self._changed(thaw(session.metadata))))

    def _changed(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self.members({k: self._changed(v) for k, v in value.items()})
        if isinstance(value, list):
            return [self._changed(v) for v in value]
        return self.leaf(value)


class Text(Seen):
    """Changes the text of revisions."""

    def text(self, text: str) -> str:
        return text

    def seen(self, session: Snapshot) -> Snapshot:
        revisions = [
            r.model_copy(update={"content": self.text(r.content)}) for r in session.revisions
        ]
        return replace(session, revisions=revisions)


class Listing(MemorySessions):
    """Lists sessions in another order: ``place`` says where each stands."""

    def place(self, session: Any) -> Any:
        return session.updated_at, session.session_id

    def _list(self, user_id, wanted, key):
        everything = replace(wanted, limit=2**31, after=None)
        found = super()._list(user_id, everything, key)
        found.sort(key=self.place, reverse=True)
        if wanted.after is not None:
            ids = [item.session_id for item in found]
            if wanted.after.session_id in ids:
                found = found[ids.index(wanted.after.session_id) + 1 :]
        return found[: wanted.limit]


class Own(InMemorySessionStore):
    """A store whose views share what ``shared`` makes."""

    def __init__(self, user_id: str = "local") -> None:
        super().__init__(user_id)
        self.shared: dict[Any, Any] = {}


def fresh(session: PromptSession) -> PromptSession:
    return PromptSession.from_dict(session.to_dict())
