"""Random programs on a store and on the in-memory store, compared after each step.

Some users with several handles on the same sessions, stale ones and copies among them, do
everything a caller can do, with awkward values. The in-memory store, small enough to be read in
one go, says what must come of it: the same answer, or the same error with the same attributes.
"""

import copy
import functools
import pickle
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from typing import Any, ClassVar, Final, Generic, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    run_state_machine_as_test,
)
from hypothesis.stateful import rule as hypothesis_rule

from lift_sys.spec_sessions import InMemorySessionStore, PromptSession, SessionStore
from lift_sys.testing import samples
from lift_sys.testing.harness import Capability, StoreHarness
from lift_sys.testing.observe import exact, walk

T = TypeVar("T")

_HISTORIES: Final = ("revisions", "ir_drafts", "pending_resolutions")
_REWRITES: Final[dict[str, Callable[[list[Any]], object]]] = {
    "pop": methodcaller("pop"),
    "pop_first": lambda items: items.pop(0),
    "clear": methodcaller("clear"),
    "reverse": methodcaller("reverse"),
    "repeat": lambda items: items.__imul__(2),
    "insert_first": lambda items: items.insert(0, items[-1]),
    "delete_first": lambda items: items.__delitem__(0),
    "delete_even": lambda items: items.__delitem__(slice(None, None, 2)),
    "last_over_first": lambda items: items.__setitem__(0, items[-1]),
    "itself": lambda items: items.__setitem__(0, items[0]),
    "slice": lambda items: items.__setitem__(slice(0, 2), items[:1]),
    "remove": lambda items: items.remove(items[-1]),
}
_COPIES: Final[dict[str, Callable[[PromptSession], PromptSession]]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda session: pickle.loads(pickle.dumps(session)),  # noqa: S301  # our own
    "dict": samples.unknown_copy,
}
_POISONS: Final[dict[str, Any]] = {
    "nan": float("nan"),
    "infinity": float("-inf"),
    "nul": "a\0b",
    "surrogate": "\ud800",
    "tuple": (1, 2),
    "set": {1},
    "bytes": b"x",
    "number_as_key": {1: 2},
    "nul_as_key": {"\0": 1},
    "too_deep": samples.nested(101),
}

_texts = st.sampled_from(sorted(samples.TEXTS)).map(samples.TEXTS.__getitem__) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)
_json = st.recursive(
    st.sampled_from(sorted(samples.JSON)).map(samples.JSON.__getitem__)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc\u00e9"), inner)
    ),
    max_leaves=4,
)
# Few, so that sessions tie, and some far apart.
_instants = st.integers(0, 3).map(lambda n: samples.START + timedelta(microseconds=n)) | (
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
)
_ids = st.sampled_from(
    ["a"] * 4 + ["A", "a ", "\u00e9", "e\u0301", "\uffff", "\U0001f600", "z" * 255]
)
_bad_ids = st.sampled_from(["", "z" * 256, "nul\0", "unknown"])
_keys = st.sampled_from([None] * 6 + ["k"] * 3 + ["K", "\u00e9", "", "k" * 255, "k" * 256])
_users = st.sampled_from([0, 0, 0, 1, 2])
_holes = st.sampled_from(["why", "h", ""])


@dataclass(frozen=True, eq=False)
class Pair(Generic[T]):
    """The same thing on both sides."""

    subject: T
    reference: T

    def both(self, action: Callable[[T], object]) -> None:
        """Do something to both, which must come to the same."""
        assert _outcome(lambda: action(self.subject)).told == (
            _outcome(lambda: action(self.reference)).told
        )


@dataclass(frozen=True)
class _Outcome:
    """What an action returned, None where it raised, and all that can be told of it."""

    value: Any
    told: str


def _outcome(action: Callable[[], Any]) -> _Outcome:
    try:
        value = action()
    except Exception as error:  # noqa: BLE001  # whatever it is, the other side must raise it too
        seen = {name: value for name, value in vars(error).items() if name[0] != "_"}
        return _Outcome(None, f"raised {type(error).__name__} {seen}")
    return _Outcome(value, f"returned {exact(value)}")


@dataclass(frozen=True)
class _Conditions:
    """What is under test, and what is told of each step."""

    harness: StoreHarness
    on_step: Callable[[], None]


def rule(**arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a method a rule of the machine that counts as one step each time it is run."""

    def make(method: Callable[..., Any]) -> Any:
        @functools.wraps(method)
        def counted(self: "SessionMachine", **values: Any) -> Any:
            self.under.on_step()
            return method(self, **values)

        return hypothesis_rule(**arguments)(counted)  # type: ignore[no-untyped-call]  # untyped there

    return make


class SessionMachine(RuleBasedStateMachine):
    """Does the same on both sides; ``under`` says what is under test."""

    under: ClassVar[_Conditions]

    handles: Bundle[Pair[PromptSession]] = Bundle("handles")
    cursors: Bundle[Pair[str | None]] = Bundle("cursors")

    def __init__(self) -> None:
        super().__init__()
        # New users each time, so that runs share a store and need not clear it.
        run = uuid.uuid4()
        self._names = [f"{run}", f"{run} ", f"{run}\u00e9'%"]
        base = InMemorySessionStore(self._names[0])
        self._references = [base.for_user(name) for name in self._names]
        self._subjects = [self.under.harness.store(name) for name in self._names]
        self._differs = False
        self._reopened: SessionStore | None = None

    def _same(self, ours: Callable[[], Any], theirs: Callable[[], Any]) -> Pair[Any]:
        """Do both, compare what is told of them, and return what was returned."""
        subject, reference = _outcome(ours), _outcome(theirs)
        self._differs = self._differs or subject.told != reference.told
        assert subject.told == reference.told, (
            f"the store differs from the in-memory store: {subject.told} and {reference.told}"
        )
        return Pair(subject.value, reference.value)

    def _on_stores(self, user: int, action: Callable[[SessionStore], Any]) -> Pair[Any]:
        subject, reference = self._subjects[user], self._references[user]
        return self._same(lambda: action(subject), lambda: action(reference))

    def _on_handle(
        self,
        user: int,
        handle: Pair[PromptSession],
        action: Callable[[SessionStore, PromptSession], Any],
    ) -> Pair[Any]:
        subject, reference = self._subjects[user], self._references[user]
        done = self._same(
            lambda: action(subject, handle.subject), lambda: action(reference, handle.reference)
        )
        self._same(lambda: handle.subject, lambda: handle.reference)
        return done

    @initialize(target=cursors)
    def no_cursor(self) -> Pair[str | None]:
        return Pair(None, None)

    @initialize(target=handles, text=_texts)
    def first_session(self, text: str) -> Pair[PromptSession]:
        first = self._new(lambda: samples.session(text, session_id="a"))
        self._on_handle(0, first, lambda store, session: store.create(session))
        return first

    @rule(target=handles, session_id=_ids | _bad_ids, text=_texts, at=_instants, json=_json)
    def start(self, session_id: str, text: str, at: datetime, json: Any) -> Pair[PromptSession]:
        """Make a session, not yet stored; some cannot be stored."""
        return self._new(
            lambda: samples.session(
                text, session_id=session_id, metadata={"m": json}, source="code", updated_at=at
            )
        )

    @rule(target=handles, session_id=_ids)
    def start_empty(self, session_id: str) -> Pair[PromptSession]:
        at = samples.START
        return self._new(lambda: PromptSession(session_id=session_id, created_at=at, updated_at=at))

    @staticmethod
    def _new(make: Callable[[], PromptSession]) -> Pair[PromptSession]:
        return Pair(make(), make())

    @rule(handle=handles, text=_texts, json=_json, at=_instants)
    def add_revision(self, handle: Pair[PromptSession], text: str, json: Any, at: datetime) -> None:
        item = samples.revision(text, at, metadata={"m": json}, target_hole=text)
        self._edit(handle, lambda session: session.add_revision(item), at)

    @rule(handle=handles, json=_json, at=_instants)
    def add_draft(self, handle: Pair[PromptSession], json: Any, at: datetime) -> None:
        item = samples.draft(7, at, ir={"later": json}, ambiguities=[json])
        self._edit(handle, lambda session: session.add_draft(item), at)

    @rule(handle=handles, hole=_holes, applied=st.booleans(), at=_instants)
    def add_resolution(
        self, handle: Pair[PromptSession], hole: str, applied: bool, at: datetime
    ) -> None:
        item = samples.resolution(hole, at, applied=applied)
        self._edit(handle, lambda session: session.add_resolution(item), at)

    @rule(handle=handles, count=st.sampled_from([2, 10, 300]))
    def add_many(self, handle: Pair[PromptSession], count: int) -> None:
        items = [samples.revision(f"{n}") for n in range(count)]
        self._edit(handle, lambda session: session.revisions.extend(items), samples.START)

    @rule(handle=handles, hole=_holes, at=_instants)
    def mark_applied(self, handle: Pair[PromptSession], hole: str, at: datetime) -> None:
        self._edit(handle, lambda session: session.mark_resolution_applied(hole), at)

    @rule(handle=handles, at=_instants)
    def finalize(self, handle: Pair[PromptSession], at: datetime) -> None:
        self._edit(handle, PromptSession.finalize, at)

    @rule(handle=handles, at=_instants)
    def abandon(self, handle: Pair[PromptSession], at: datetime) -> None:
        self._edit(handle, PromptSession.abandon, at)

    @rule(handle=handles, json=_json, at=_instants)
    def describe(self, handle: Pair[PromptSession], json: Any, at: datetime) -> None:
        """Replace the metadata, by which a poisoned session recovers too."""
        self._edit(handle, lambda session: setattr(session, "metadata", {"m": json}), at)

    @rule(target=handles, handle=handles, poison=st.sampled_from(sorted(_POISONS)))
    def poison_metadata(self, handle: Pair[PromptSession], poison: str) -> Pair[PromptSession]:
        value = _POISONS[poison]
        return self._spoilt(handle, lambda s: s.metadata.__setitem__("poison", value))

    @rule(target=handles, handle=handles, poison=st.sampled_from(sorted(_POISONS)))
    def poison_item(self, handle: Pair[PromptSession], poison: str) -> Pair[PromptSession]:
        item = samples.revision(metadata={"poison": _POISONS[poison]})
        return self._spoilt(handle, lambda s: s.revisions.append(item))

    @rule(
        target=handles,
        handle=handles,
        field=st.sampled_from(_HISTORIES),
        how=st.sampled_from(sorted(_REWRITES)),
    )
    def rewrite(self, handle: Pair[PromptSession], field: str, how: str) -> Pair[PromptSession]:
        return self._spoilt(handle, lambda s: _REWRITES[how](getattr(s, field)))

    @rule(
        target=handles,
        handle=handles,
        field=st.sampled_from(_HISTORIES),
        kept=st.sampled_from([0, 1, 1000]),
    )
    def replace_list(
        self, handle: Pair[PromptSession], field: str, kept: int
    ) -> Pair[PromptSession]:
        """Put another list in the place of the old one, sometimes of the same items."""
        return self._spoilt(handle, lambda s: setattr(s, field, getattr(s, field)[:kept]))

    @rule(target=handles, handle=handles)
    def unapply(self, handle: Pair[PromptSession]) -> Pair[PromptSession]:
        def undo(session: PromptSession) -> None:
            items = session.pending_resolutions
            items[0] = items[0].model_copy(update={"applied": False})

        return self._spoilt(handle, undo)

    @rule(target=handles, handle=handles, version=st.integers(0, 4))
    def claim_version(self, handle: Pair[PromptSession], version: int) -> Pair[PromptSession]:
        return self._spoilt(handle, lambda s: setattr(s, "version", version))

    @rule(target=handles, handle=handles, session_id=_ids)
    def rename(self, handle: Pair[PromptSession], session_id: str) -> Pair[PromptSession]:
        return self._spoilt(handle, lambda s: setattr(s, "session_id", session_id))

    def _spoilt(
        self, handle: Pair[PromptSession], change: Callable[[PromptSession], object]
    ) -> Pair[PromptSession]:
        """Return a changed copy that still knows what is stored; the handle itself stays useful."""
        spoilt = Pair(copy.deepcopy(handle.subject), copy.deepcopy(handle.reference))
        spoilt.both(change)
        return spoilt

    def _edit(
        self, handle: Pair[PromptSession], edit: Callable[[PromptSession], object], at: datetime
    ) -> None:
        handle.both(edit)
        # An edit takes the time, which would be another one on each side.
        for session in (handle.subject, handle.reference):
            session.updated_at = at
            session.finalized_at = session.finalized_at and at

    @rule(target=handles, handle=handles, how=st.sampled_from(sorted(_COPIES)))
    def copy_handle(self, handle: Pair[PromptSession], how: str) -> Any:
        copied = self._same(
            lambda: _COPIES[how](handle.subject), lambda: _COPIES[how](handle.reference)
        )
        return multiple() if copied.subject is None else copied

    @rule(user=_users, handle=handles, key=_keys)
    def create(self, user: int, handle: Pair[PromptSession], key: str | None) -> None:
        self._on_handle(
            user, handle, lambda store, session: store.create(session, idempotency_key=key)
        )

    @rule(user=_users, several=st.lists(handles, max_size=4), key=_keys)
    def create_many(self, user: int, several: list[Pair[PromptSession]], key: str | None) -> None:
        subject, reference = self._subjects[user], self._references[user]
        self._same(
            lambda: subject.create_many((h.subject for h in several), idempotency_key=key),
            lambda: reference.create_many((h.reference for h in several), idempotency_key=key),
        )
        for handle in several:
            self._same(lambda h=handle: h.subject, lambda h=handle: h.reference)  # type: ignore[misc]  # a lambda's default is not inferred

    @rule(handle=handles, text=_texts, at=_instants)
    def go_on(self, handle: Pair[PromptSession], text: str, at: datetime) -> None:
        """Do what a program does most: add something and store it."""
        item = samples.revision(text, at)
        self._edit(handle, lambda session: session.add_revision(item), at)
        self._on_handle(0, handle, lambda store, session: store.update(session))

    @rule(user=_users, handle=handles, key=_keys)
    def update(self, user: int, handle: Pair[PromptSession], key: str | None) -> None:
        self._on_handle(
            user, handle, lambda store, session: store.update(session, idempotency_key=key)
        )

    @rule(target=handles, user=_users, handle=handles)
    def refresh(self, user: int, handle: Pair[PromptSession]) -> Any:
        fresh = self._on_handle(user, handle, lambda store, session: store.refresh(session))
        return multiple() if fresh.subject is None else fresh

    @rule(target=handles, user=_users, session_id=_ids | _bad_ids)
    def get(self, user: int, session_id: str) -> Any:
        found = self._on_stores(user, lambda store: store.get(session_id))
        return multiple() if found.subject is None else found

    @rule(user=_users, session_id=_ids | _bad_ids)
    def delete(self, user: int, session_id: str) -> None:
        self._on_stores(user, lambda store: store.delete(session_id))

    @rule(target=handles, user=_users)
    def list_all(self, user: int) -> Any:
        return self._listed(self._on_stores(user, lambda store: store.list_all()))

    @rule(target=handles, user=_users)
    def list_active(self, user: int) -> Any:
        return self._listed(self._on_stores(user, lambda store: store.list_active()))

    @staticmethod
    def _listed(found: Pair[list[PromptSession]]) -> Any:
        pairs = zip(found.subject[:2], found.reference[:2], strict=True)
        return multiple(*(Pair(ours, theirs) for ours, theirs in pairs))

    @rule(
        target=cursors,
        user=_users,
        status=st.none() | st.sampled_from(["active", "finalized", "abandoned", "bad"]),
        source=st.none() | st.sampled_from(["prompt", "code", "bad"]),
        limit=st.sampled_from([1, 2, 3, 1000, 0, 1001]),
        cursor=cursors,
    )
    def list_page(
        self, user: int, status: Any, source: Any, limit: int, cursor: Pair[str | None]
    ) -> Any:
        """Take a page, from any cursor of any user's list, with any filter."""

        def take(store: SessionStore, position: str | None) -> Any:
            return store.list_page(status=status, source=source, limit=limit, cursor=position)

        ours, theirs = self._subjects[user], self._references[user]
        subject = _outcome(lambda: take(ours, cursor.subject))
        reference = _outcome(lambda: take(theirs, cursor.reference))
        if subject.value is None or reference.value is None:
            self._same(lambda: _reraise(subject), lambda: _reraise(reference))
            return multiple()
        self._same(lambda: subject.value.items, lambda: reference.value.items)
        following = Pair(subject.value.next_cursor, reference.value.next_cursor)
        self._same(lambda: following.subject is None, lambda: following.reference is None)
        return following

    @rule(
        user=_users,
        cursor=st.sampled_from(["", "x", "null", "W10", "\u00e9", "\0", "\ud800", "=="]),
    )
    def list_page_of_nonsense(self, user: int, cursor: str) -> None:
        self._on_stores(user, lambda store: store.list_page(cursor=cursor))

    @precondition(lambda self: Capability.DURABLE in self.under.harness.capabilities)
    @rule()
    def reopen(self) -> None:
        """Go on as another process would."""
        self._close_reopened()
        first = self._reopened = self.under.harness.reopen(self._names[0])
        self._subjects = [self.under.harness.view(first, name) for name in self._names]

    def teardown(self) -> None:
        """Compare the whole content, and leave none behind."""
        if not self._differs:
            for user, store in enumerate(self._subjects):
                everything = self._on_stores(user, lambda store: store.list_all())
                self._on_stores(user, lambda store: list(walk(store, limit=2)))
                for session in everything.subject:
                    store.delete(session.session_id)
        self._close_reopened()

    def _close_reopened(self) -> None:
        """Let go of the connections: a long run opens more stores than a server has room for."""
        if self._reopened is not None:
            self._reopened.close()


def _reraise(outcome: _Outcome) -> str:
    return outcome.told


def run_machine(
    harness: StoreHarness,
    *,
    examples: int,
    steps: int = 50,
    from_seed: int | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> None:
    """Run random programs on the harness's store and compare it with the in-memory store.

    Args:
        harness: what is under test.
        examples: how many programs.
        steps: how long each may become.
        from_seed: makes the programs the same each time; None for new ones.
        on_step: called after each step.

    Raises:
        AssertionError: a difference; Hypothesis has printed the shortest program that shows it.
    """
    conditions = _Conditions(harness, on_step)
    machine = type("SessionMachine", (SessionMachine,), {"under": conditions})
    if from_seed is not None:
        machine = seed(from_seed)(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
