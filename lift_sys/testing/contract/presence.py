"""Which sessions there are: unknown ids, ids that are taken, and sessions that were deleted."""

from typing import Any

import pytest

from lift_sys.spec_sessions import (
    HistoryRewriteError,
    PromptSession,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
)
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import content, exact, holds, stored

NO_IDS: dict[str, Any] = {
    "empty": "",
    "too_long": "x" * 256,
    "far_too_long": "x" * 100_000,
    "nul": "a\0b",
    "surrogate": "\ud800",
    "none": None,
    "number": 7,
    "bytes": b"id",
    "list": ["id"],
}
"""What no session can have as its id."""
UNKNOWN_IDS = {
    **NO_IDS,
    "unknown": "no-such-session",
    "pattern": "%",
    "filter": "eq.x,or(id.neq.x)",
    "path": "../sessions?id=neq.x",
    "quote": "' or '1'='1",
}


UNKNOWN_TEXTS = [name for name, value in UNKNOWN_IDS.items() if isinstance(value, str)]


class Absence:
    """G3: what is not there."""

    @guarantee("G3")
    @pytest.mark.parametrize("name", UNKNOWN_IDS)
    def test_get_of_an_id_that_no_session_has_is_none(
        self, harness: StoreHarness, name: str
    ) -> None:
        store = harness.store()
        store.create(samples.session())
        assert store.get(UNKNOWN_IDS[name]) is None

    @guarantee("G3")
    @pytest.mark.parametrize("name", UNKNOWN_IDS)
    def test_delete_of_an_id_that_no_session_has_is_silent(
        self, harness: StoreHarness, name: str
    ) -> None:
        store = harness.store()
        store.create(samples.session())
        before = content(store)
        store.delete(UNKNOWN_IDS[name])
        assert content(store) == before

    @guarantee("G3")
    @pytest.mark.parametrize("name", UNKNOWN_TEXTS)
    def test_update_of_an_id_that_no_session_has_finds_nothing(
        self, harness: StoreHarness, name: str
    ) -> None:
        store = harness.store()
        session = samples.session(session_id="s")
        store.create(session)
        before = content(store)
        # Not through the constructor, which refuses some of these.
        session.__dict__["session_id"] = UNKNOWN_IDS[name]
        with pytest.raises(SessionNotFoundError):
            store.update(samples.grow(session))
        with pytest.raises(SessionNotFoundError):
            store.refresh(session)
        assert content(store) == before

    @guarantee("G3")
    def test_update_of_a_session_that_was_never_stored_finds_nothing(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session()
        with pytest.raises(SessionNotFoundError) as caught:
            store.update(session)
        assert isinstance(caught.value, KeyError)
        assert session.version == 0
        assert store.get(session.session_id) is None

    @guarantee("G3")
    def test_refresh_of_a_session_that_was_never_stored_finds_nothing(
        self, harness: StoreHarness
    ) -> None:
        with pytest.raises(SessionNotFoundError):
            harness.store().refresh(samples.session())

    @guarantee("G3")
    def test_a_user_without_sessions_has_empty_lists(self, harness: StoreHarness) -> None:
        store = harness.store()
        page = store.list_page()
        assert (store.list_all(), store.list_active()) == ([], [])
        assert (page.items, page.next_cursor) == ([], None)


class ExistingId:
    """G4: an id is given once."""

    @guarantee("G4")
    def test_create_returns_the_id_and_gives_version_1(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session(version=7)
        assert store.create(session) == session.session_id
        assert session.version == 1
        assert stored(store, session.session_id).version == 1

    @guarantee("G4")
    def test_create_of_an_id_that_is_taken_is_refused(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        other = samples.session("other", session_id=session.session_id, version=5)
        with pytest.raises(SessionExistsError):
            store.create(other)
        assert other.version == 5
        assert holds(store, session)

    @guarantee("G4")
    def test_create_of_the_same_session_again_is_refused(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        with pytest.raises(SessionExistsError):
            store.create(session)
        with pytest.raises(SessionExistsError):
            store.create(samples.unknown_copy(session))
        assert holds(store, session)

    @guarantee("G4")
    def test_create_many_with_one_id_that_is_taken_stores_none(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        taken = samples.session("other", session_id=session.session_id)
        new = [samples.session(), taken, samples.session()]
        with pytest.raises(SessionExistsError):
            store.create_many(new)
        assert [s.version for s in new] == [0, 0, 0]
        assert [exact(s) for s in store.list_all()] == [exact(session)]

    @guarantee("G4")
    def test_create_many_with_one_id_given_twice_stores_none(self, harness: StoreHarness) -> None:
        store, first = harness.store(), samples.session()
        second = samples.session("other", session_id=first.session_id)
        with pytest.raises(SessionExistsError):
            store.create_many([first, samples.session(), second])
        assert store.list_all() == []

    @guarantee("G4")
    def test_create_many_returns_the_ids_in_their_order(self, harness: StoreHarness) -> None:
        store = harness.store()
        given = [samples.session(session_id=name) for name in ("m", "z", "a", "Z")]
        assert store.create_many(iter(given)) == ["m", "z", "a", "Z"]
        assert [s.version for s in given] == [1, 1, 1, 1]

    @guarantee("G4")
    def test_create_many_of_none_is_fine(self, harness: StoreHarness) -> None:
        store = harness.store()
        assert store.create_many([]) == []
        assert store.list_all() == []


class Gone:
    """G19: a deleted session is gone and stays gone."""

    @guarantee("G19")
    def test_delete_removes_the_session_from_every_view(self, harness: StoreHarness) -> None:
        store, session, other = harness.store(), samples.session(), samples.session("other")
        store.create_many([session, other])
        store.update(samples.grow(session))
        store.delete(session.session_id)
        assert store.get(session.session_id) is None
        assert [s.session_id for s in store.list_all()] == [other.session_id]
        assert [s.session_id for s in store.list_active()] == [other.session_id]
        assert [s.session_id for s in store.list_page().items] == [other.session_id]
        assert holds(store, other)

    @guarantee("G19")
    def test_deleting_twice_is_silent(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        store.delete(session.session_id)
        store.delete(session.session_id)
        assert store.get(session.session_id) is None

    @guarantee("G19")
    @pytest.mark.parametrize("known", [True, False], ids=["its_own_handle", "a_copy"])
    def test_a_late_update_finds_nothing_and_revives_nothing(
        self, harness: StoreHarness, known: bool
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        late = session if known else samples.unknown_copy(session)
        store.delete(session.session_id)
        for _ in range(2):
            with pytest.raises(SessionNotFoundError):
                store.update(samples.grow(late))
        assert late.version == 1
        with pytest.raises(SessionNotFoundError):
            store.refresh(late)
        assert store.get(session.session_id) is None
        assert store.list_all() == []

    @guarantee("G19")
    def test_an_id_can_be_used_anew_and_starts_from_nothing(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        store.update(samples.grow(session))
        store.delete(session.session_id)
        anew = PromptSession(session_id=session.session_id)
        store.create(anew)
        assert anew.version == 1
        assert holds(store, anew)

    @guarantee("G19")
    @guarantee("G5")
    @pytest.mark.parametrize("grown", [0, 1, 3], ids=["as_short", "as_long", "longer"])
    def test_a_handle_of_the_deleted_session_does_not_fit_the_one_that_took_its_id(
        self, harness: StoreHarness, grown: int
    ) -> None:
        store, old = harness.store(), samples.session()
        store.create(old)
        store.delete(old.session_id)
        later = samples.START.replace(year=2027)
        anew = samples.session("anew", session_id=old.session_id, created_at=later)
        for number in range(2, grown + 2):
            samples.grow(anew, number)
        store.create(anew)
        with pytest.raises((HistoryRewriteError, SessionConflictError)):
            store.update(samples.grow(old))
        assert holds(store, anew)
        assert exact(store.refresh(old)) == exact(anew)

    @guarantee("G19")
    @guarantee("G8")
    def test_a_repeated_create_does_not_revive_what_was_deleted(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session()
        again = samples.unknown_copy(session)
        store.create(session, idempotency_key="k")
        store.delete(session.session_id)
        assert store.create(again, idempotency_key="k") == session.session_id
        assert store.get(session.session_id) is None

    @guarantee("G19")
    def test_what_was_deleted_stays_deleted_when_opened_again(self, harness: StoreHarness) -> None:
        user = harness.user()
        store, session = harness.store(user), samples.session()
        store.create(session)
        other = harness.reopen(user)
        late = stored(other, session.session_id)
        store.delete(session.session_id)
        assert other.get(session.session_id) is None
        with pytest.raises(SessionNotFoundError):
            other.update(samples.grow(late))
        assert harness.reopen(user).list_all() == []
