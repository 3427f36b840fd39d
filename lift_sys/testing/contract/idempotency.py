"""G8: a write that is repeated because its answer was lost happens once."""

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from lift_sys.spec_sessions import (
    IdempotencyKeyReusedError,
    InvalidSessionError,
    PromptSession,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
)
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import at_once, content, exact, holds, stored

KEYS = {
    "short": "k",
    "longest": "k" * 255,
    "longest_in_characters": "\U0001f600" * 255,
    "blank": " ",
    "quotes": "'\"\\%;--",
    "accented": "cl\u00e9",
    "line_end": "a\nb",
}
CHANGES: dict[str, Callable[[PromptSession], object]] = {
    "metadata": lambda s: s.metadata.update(changed=True),
    "type_of_a_number": lambda s: s.metadata.update(n=1.0),
    "status": lambda s: setattr(s, "status", "abandoned"),
    "updated_at": lambda s: setattr(s, "updated_at", samples.START.replace(microsecond=1)),
    "one_more": lambda s: s.revisions.append(samples.revision("one more")),
    "item": lambda s: s.revisions.append(
        s.revisions.pop().model_copy(update={"target_hole": "another"})
    ),
}
"""Changes of a write that is not stored yet, which make it another write."""


def _pickled(session: PromptSession) -> PromptSession:
    copied: PromptSession = pickle.loads(pickle.dumps(session))  # noqa: S301  # our own
    return copied


COPIES: dict[str, Callable[[PromptSession], PromptSession]] = {
    "deepcopy": copy.deepcopy,
    "pickle": _pickled,
    "dictionary": samples.unknown_copy,
}
"""How a session gets to where its update is repeated."""


class ExactlyOnce:
    """G8: a repeated write, by its idempotency key."""

    @guarantee("G8")
    @pytest.mark.parametrize("name", KEYS)
    def test_a_repeated_create_returns_the_same_and_leaves_one_copy(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, session, key = harness.store(), samples.session(), KEYS[name]
        again = samples.unknown_copy(session)
        assert store.create(session, idempotency_key=key) == session.session_id
        for repeated in (session, again, samples.unknown_copy(again)):
            assert store.create(repeated, idempotency_key=key) == session.session_id
            assert repeated.version == 1
        assert [exact(s) for s in store.list_all()] == [exact(session)]

    @guarantee("G8")
    def test_a_repeated_create_many_returns_the_same_and_leaves_one_copy(
        self, harness: StoreHarness
    ) -> None:
        store, sessions = harness.store(), [samples.session(f"{n}") for n in range(3)]
        again = [samples.unknown_copy(session) for session in sessions]
        ids = store.create_many(sessions, idempotency_key="k")
        assert store.create_many(again, idempotency_key="k") == ids
        assert [s.version for s in again] == [1, 1, 1]
        assert len(store.list_all()) == 3

    @guarantee("G8")
    @pytest.mark.parametrize("name", KEYS)
    @pytest.mark.parametrize("how", COPIES)
    def test_a_repeated_update_returns_the_same_and_leaves_one_copy(
        self, harness: StoreHarness, name: str, how: str
    ) -> None:
        store, session, key = harness.store(), samples.session(), KEYS[name]
        store.create(session)
        samples.grow(session).mark_applied_at(0)
        # What another process, or this one before the answer came, would send again.
        again = COPIES[how](session)
        store.update(session, idempotency_key=key)
        store.update(again, idempotency_key=key)
        assert (session.version, again.version) == (2, 2)
        assert holds(store, session)
        assert exact(again) == exact(session)

    @guarantee("G8")
    def test_a_repeated_update_of_a_copy_from_elsewhere_leaves_one_copy(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        samples.grow(session).mark_applied_at(0)
        first, second = samples.unknown_copy(session), samples.unknown_copy(session)
        store.update(first, idempotency_key="k")
        store.update(second, idempotency_key="k")
        assert (first.version, second.version) == (2, 2)
        assert holds(store, first)

    @guarantee("G8")
    def test_the_same_object_updated_again_with_its_key_is_a_repetition(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        samples.grow(session)
        for _ in range(3):
            store.update(session, idempotency_key="k")
            assert session.version == 2
        assert holds(store, session)

    @guarantee("G8")
    def test_a_repeated_update_answers_as_before_although_others_wrote_since(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        again = copy.deepcopy(samples.grow(session))
        store.update(session, idempotency_key="k")
        store.update(samples.grow(session, 3))
        store.update(again, idempotency_key="k")
        assert again.version == 2
        assert holds(store, session)
        with pytest.raises(SessionConflictError):
            store.update(samples.grow(again, 4))

    @guarantee("G8")
    def test_a_repeated_create_answers_as_before_although_it_was_updated_since(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session()
        again = samples.unknown_copy(session)
        store.create(session, idempotency_key="k")
        store.update(samples.grow(session))
        assert store.create(again, idempotency_key="k") == session.session_id
        assert holds(store, session)

    @guarantee("G8")
    def test_a_repeated_update_of_a_deleted_session_revives_nothing(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        again = copy.deepcopy(samples.grow(session))
        store.update(session, idempotency_key="k")
        store.delete(session.session_id)
        store.update(again, idempotency_key="k")
        assert again.version == 2
        assert store.get(session.session_id) is None

    @guarantee("G8")
    @pytest.mark.parametrize("name", CHANGES)
    def test_a_key_of_a_create_belongs_to_its_payload(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, session = harness.store(), samples.session(metadata={"n": 1})
        other = samples.unknown_copy(session)
        store.create(session, idempotency_key="k")
        CHANGES[name](other)
        before = content(store)
        with pytest.raises(IdempotencyKeyReusedError):
            store.create(other, idempotency_key="k")
        assert content(store) == before

    @guarantee("G8")
    @pytest.mark.parametrize("name", CHANGES)
    @pytest.mark.parametrize("known", [True, False], ids=["its_own_handle", "a_copy"])
    def test_a_key_of_an_update_belongs_to_its_payload(
        self, harness: StoreHarness, name: str, known: bool
    ) -> None:
        store, session = harness.store(), samples.session(metadata={"n": 1})
        store.create(session)
        samples.grow(session)
        if not known:
            session = samples.unknown_copy(session)
        other = copy.deepcopy(session)
        store.update(session, idempotency_key="k")
        CHANGES[name](other)
        before = content(store)
        with pytest.raises(IdempotencyKeyReusedError):
            store.update(other, idempotency_key="k")
        assert other.version == 1
        assert content(store) == before

    @guarantee("G8")
    def test_a_key_of_an_update_belongs_to_what_it_applied(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.grow(samples.session(), 2)
        store.create(session)
        other = copy.deepcopy(session)
        session.mark_applied_at(0)
        other.mark_applied_at(1)
        other.updated_at = session.updated_at
        store.update(session, idempotency_key="k")
        with pytest.raises(IdempotencyKeyReusedError):
            store.update(other, idempotency_key="k")
        assert holds(store, session)

    @guarantee("G8")
    def test_a_key_belongs_to_one_session(self, harness: StoreHarness) -> None:
        store = harness.store()
        first, second = samples.session(), samples.session()
        store.create_many([first, second])
        store.update(first, idempotency_key="k")
        before = content(store)
        with pytest.raises(IdempotencyKeyReusedError):
            store.update(second, idempotency_key="k")
        with pytest.raises(IdempotencyKeyReusedError):
            store.create(samples.session(), idempotency_key="k")
        assert content(store) == before

    @guarantee("G8")
    def test_a_key_of_several_belongs_to_all_of_them_in_their_order(
        self, harness: StoreHarness
    ) -> None:
        store, sessions = harness.store(), [samples.session(f"{n}") for n in range(3)]
        again = [samples.unknown_copy(session) for session in sessions]
        store.create_many(sessions, idempotency_key="k")
        before = content(store)
        for others in (again[:2], again[::-1], [*again, samples.session()]):
            with pytest.raises(IdempotencyKeyReusedError):
                store.create_many(others, idempotency_key="k")
        assert content(store) == before

    @guarantee("G8")
    def test_the_next_write_with_an_old_key_is_another_write(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        store.update(samples.grow(session), idempotency_key="k")
        with pytest.raises(IdempotencyKeyReusedError):
            store.update(samples.grow(session, 2), idempotency_key="k")
        assert (
            exact(store.refresh(session).counts()) == "Counts(revisions=2, drafts=2, resolutions=2)"
        )

    @guarantee("G8")
    def test_keys_that_look_alike_are_different(self, harness: StoreHarness) -> None:
        store = harness.store()
        for key in ("k", "K", "k ", " k", "\u00e9", "e\u0301", "1", "01"):
            store.create(samples.session(), idempotency_key=key)
        assert len(store.list_all()) == 8

    @guarantee("G8")
    @guarantee("G11")
    def test_each_user_has_keys_of_its_own(self, harness: StoreHarness) -> None:
        mine, theirs = harness.store(), harness.store()
        session = samples.session()
        twin = samples.unknown_copy(session)
        mine.create(session, idempotency_key="k")
        theirs.create(samples.session("other"), idempotency_key="k")
        theirs.create(twin, idempotency_key="other key")
        assert len(theirs.list_all()) == 2
        theirs.update(samples.grow(twin), idempotency_key="their update")
        mine.update(samples.grow(session, 5), idempotency_key="their update")
        assert holds(mine, session)
        assert holds(theirs, twin)

    @guarantee("G8")
    def test_a_write_that_failed_does_not_use_its_key_up(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        taken = samples.session("other", session_id=session.session_id)
        with pytest.raises(SessionExistsError):
            store.create(taken, idempotency_key="create")
        stale = stored(store, session.session_id)
        store.update(session)
        with pytest.raises(SessionConflictError):
            store.update(stale, idempotency_key="update")
        fresh = samples.grow(store.refresh(stale))
        store.update(fresh, idempotency_key="update")
        store.delete(session.session_id)
        with pytest.raises(SessionNotFoundError):
            store.update(fresh, idempotency_key="another update")
        store.create(taken, idempotency_key="create")
        assert [exact(s) for s in store.list_all()] == [exact(taken)]

    @guarantee("G8")
    def test_without_a_key_every_write_is_a_new_one(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        again = copy.deepcopy(session)
        store.update(session)
        store.update(session)
        assert session.version == 3
        with pytest.raises(SessionConflictError):
            store.update(again)

    @guarantee("G8")
    def test_a_key_is_known_to_a_store_that_is_opened_later(self, harness: StoreHarness) -> None:
        user = harness.user()
        store, session = harness.store(user), samples.session()
        created = samples.unknown_copy(session)
        store.create(session, idempotency_key="create")
        updated = _pickled(samples.grow(session))
        store.update(session, idempotency_key="update")
        later = harness.reopen(user)
        assert later.create(created, idempotency_key="create") == session.session_id
        later.update(updated, idempotency_key="update")
        assert updated.version == 2
        with pytest.raises(IdempotencyKeyReusedError):
            later.create(samples.session(), idempotency_key="create")
        assert holds(later, session)

    @guarantee("G8")
    @guarantee("G15")
    def test_repetitions_at_the_same_time_leave_one_copy(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        created = [samples.unknown_copy(session) for _ in range(8)]
        ids = at_once(
            60, [partial(store.create, each, idempotency_key="create") for each in created]
        )
        assert set(ids) == {session.session_id}
        samples.grow(created[0])
        updated = [copy.deepcopy(created[0]) for _ in range(8)]
        at_once(60, [partial(store.update, each, idempotency_key="update") for each in updated])
        assert {s.version for s in updated} == {2}
        assert [exact(s) for s in store.list_all()] == [exact(updated[0])]

    @guarantee("G8")
    @guarantee("G14")
    def test_a_write_whose_answer_was_lost_happens_once(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        with harness.lost_answers():
            store.create(session)
        with harness.lost_answers():
            store.update(samples.grow(session))
        assert session.version == 2
        assert [exact(s) for s in store.list_all()] == [exact(session)]

    @guarantee("G8")
    @guarantee("G13")
    @pytest.mark.parametrize(
        "key",
        ["", "k" * 256, "a\0b", "\ud800", 7, b"k"],
        ids=["empty", "too_long", "nul", "surrogate", "number", "bytes"],
    )
    def test_what_is_no_key_is_refused(self, harness: StoreHarness, key: Any) -> None:
        store, session, other = harness.store(), samples.session(), samples.session()
        store.create(session)
        before = content(store)
        for write in (
            lambda: store.create(other, idempotency_key=key),
            lambda: store.create_many([other], idempotency_key=key),
            lambda: store.update(session, idempotency_key=key),
        ):
            with pytest.raises(InvalidSessionError, match="idempotency_key"):
                write()
        assert content(store) == before
