"""What is stored can only grow (G5), and only from the version it has (G7)."""

import copy
import pickle
from collections.abc import Callable
from datetime import timedelta
from operator import methodcaller
from typing import Any

import pytest

from lift_sys.spec_sessions import (
    HistoryRewriteError,
    InMemorySessionStore,
    PromptSession,
    SessionConflictError,
)
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import content, exact, holds, stored

HISTORIES = ("revisions", "ir_drafts", "pending_resolutions")


def _front_replaced(items: list[Any]) -> None:
    items[0] = items[1]


def _last_replaced(items: list[Any]) -> None:
    items[-1] = items[0]


def _text_changed(items: list[Any]) -> None:
    items[1] = items[1].model_copy(update={"metadata": {"changed": True}})


REWRITES: dict[str, Callable[[list[Any]], object]] = {
    "first_replaced": _front_replaced,
    "last_replaced": _last_replaced,
    "content_changed": _text_changed,
    "pop": methodcaller("pop"),
    "pop_first": lambda items: items.pop(0),
    "clear": methodcaller("clear"),
    "delete": lambda items: items.__delitem__(1),
    "delete_slice": lambda items: items.__delitem__(slice(1, None)),
    "remove": lambda items: items.remove(items[0]),
    "insert": lambda items: items.insert(0, items[0]),
    "reverse": methodcaller("reverse"),
    "slice": lambda items: items.__setitem__(slice(0, 2), [items[1], items[0]]),
    "shorter_slice": lambda items: items.__setitem__(slice(0, 2), []),
    "pop_and_append": lambda items: items.append(items.pop(0)),
}
"""Changes of a list of three different items that touch what is stored."""


def three_of_each() -> PromptSession:
    """Return a session with three different items of each kind."""
    session = samples.session(metadata={"n": 1})
    return samples.grow(samples.grow(session, 2), 3)


class AppendOnly:
    """G5: an update adds; what is stored stays."""

    @guarantee("G5")
    def test_an_update_adds_what_comes_after_the_stored_items(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        for number in range(2, 5):
            store.update(samples.grow(session, number))
            assert session.version == number
            assert holds(store, session)

    @guarantee("G5")
    @pytest.mark.parametrize("field", HISTORIES)
    def test_an_update_adds_to_one_history_alone(self, harness: StoreHarness, field: str) -> None:
        store, session = harness.store(), PromptSession()
        store.create(session)
        for number in range(1, 4):
            item = getattr(samples.grow(PromptSession(), number), field)[0]
            getattr(session, field).extend([item, item])
            store.update(session)
            assert holds(store, session)

    @guarantee("G5")
    def test_an_update_without_changes_only_counts(self, harness: StoreHarness) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        store.update(session)
        assert session.version == 2
        assert holds(store, session)

    @guarantee("G5")
    def test_equal_items_are_all_kept(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        for _ in range(3):
            session.add_revision(session.revisions[0])
            session.add_draft(session.ir_drafts[0])
            session.add_resolution(session.pending_resolutions[0])
            store.update(session)
        assert session.counts().each() == (4, 4, 4)
        assert holds(store, session)

    @guarantee("G5")
    def test_two_resolutions_of_one_hole_are_both_kept(self, harness: StoreHarness) -> None:
        store, session = harness.store(), PromptSession()
        session.add_resolution(samples.resolution("h", resolution_text="first"))
        store.create(session)
        session.add_resolution(samples.resolution("h", resolution_text="second"))
        session.add_resolution(samples.resolution("h", resolution_text="second"))
        store.update(session)
        texts = [r.resolution_text for r in stored(store, session.session_id).pending_resolutions]
        assert texts == ["first", "second", "second"]

    @guarantee("G5")
    def test_that_a_resolution_was_applied_is_kept(self, harness: StoreHarness) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        for index in (2, 0):
            session.mark_applied_at(index)
            store.update(session)
            assert holds(store, session)
        assert [r.applied for r in session.pending_resolutions] == [True, False, True]

    @guarantee("G5")
    def test_one_resolution_of_a_hole_is_applied_alone(self, harness: StoreHarness) -> None:
        store, session = harness.store(), PromptSession()
        for text in ("first", "second"):
            session.add_resolution(samples.resolution("h", resolution_text=text))
        store.create(session)
        session.mark_applied_at(1)
        store.update(session)
        got = stored(store, session.session_id)
        assert [r.applied for r in got.pending_resolutions] == [False, True]

    @guarantee("G5")
    def test_applying_and_adding_go_together(self, harness: StoreHarness) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        session.mark_applied_at(1)
        samples.grow(session, 4)
        session.mark_applied_at(3)
        store.update(session)
        assert holds(store, session)

    @guarantee("G5")
    def test_a_copy_from_elsewhere_can_apply_and_add(self, harness: StoreHarness) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        session = samples.unknown_copy(session)
        session.mark_applied_at(1)
        store.update(samples.grow(session, 4))
        assert session.version == 2
        assert holds(store, session)

    @guarantee("G5")
    @pytest.mark.parametrize("way", ["its_own_handle", "got", "a_copy"])
    def test_applied_never_becomes_false_again(self, harness: StoreHarness, way: str) -> None:
        store, session = harness.store(), three_of_each()
        session.mark_applied_at(1)
        store.create(session)
        session = _handle(way, store, session)
        before = content(store)
        items = session.pending_resolutions
        items[1] = items[1].model_copy(update={"applied": False})
        with pytest.raises(HistoryRewriteError):
            store.update(session)
        assert content(store) == before

    @guarantee("G5")
    @pytest.mark.parametrize("way", ["its_own_handle", "got", "a_copy"])
    @pytest.mark.parametrize(
        "change",
        [{"resolution_text": "another"}, {"hole_id": "another"}, {"metadata": {"x": 1}}],
        ids=["text", "hole", "metadata"],
    )
    def test_a_resolution_that_is_applied_changes_in_nothing_else(
        self, harness: StoreHarness, way: str, change: dict[str, Any]
    ) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        session = _handle(way, store, session)
        before = content(store)
        items = session.pending_resolutions
        items[1] = items[1].model_copy(update={"applied": True, **change})
        with pytest.raises(HistoryRewriteError):
            store.update(session)
        assert content(store) == before

    @guarantee("G5")
    @pytest.mark.parametrize("field", HISTORIES)
    @pytest.mark.parametrize("name", REWRITES)
    @pytest.mark.parametrize("way", ["its_own_handle", "got", "a_copy", "deepcopy"])
    def test_stored_items_cannot_be_rewritten(
        self, harness: StoreHarness, way: str, name: str, field: str
    ) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        session = _handle(way, store, session)
        before = content(store)
        REWRITES[name](getattr(session, field))
        with pytest.raises(HistoryRewriteError):
            store.update(session)
        with pytest.raises(HistoryRewriteError):
            store.update(samples.grow(session, 4))
        assert session.version == 1
        assert content(store) == before

    @guarantee("G5")
    @pytest.mark.parametrize("field", HISTORIES)
    @pytest.mark.parametrize("kept", [0, 1, 2])
    def test_a_list_in_the_place_of_the_stored_one_must_begin_with_it(
        self, harness: StoreHarness, field: str, kept: int
    ) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        before = content(store)
        whole = list(getattr(session, field))
        setattr(session, field, [*whole[:kept], *whole[kept + 1 :], whole[0], whole[0]])
        with pytest.raises(HistoryRewriteError):
            store.update(session)
        assert content(store) == before
        setattr(session, field, [*whole, whole[0]])
        store.update(session)
        assert holds(store, session)

    @guarantee("G5")
    def test_putting_an_equal_item_in_its_place_is_no_rewrite(self, harness: StoreHarness) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        for field in HISTORIES:
            items = getattr(session, field)
            items[1] = type(items[1]).from_dict(items[1].to_dict())
            setattr(session, field, list(items))
        store.update(samples.grow(session, 4))
        assert holds(store, session)

    @guarantee("G5")
    def test_a_refused_rewrite_can_be_put_right(self, harness: StoreHarness) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        lost = session.revisions.pop()
        with pytest.raises(HistoryRewriteError):
            store.update(session)
        session.revisions.append(lost)
        store.update(samples.grow(session, 4))
        assert holds(store, session)

    @guarantee("G5")
    def test_a_session_of_another_store_must_begin_with_what_is_stored(
        self, harness: StoreHarness
    ) -> None:
        store, elsewhere = harness.store(), InMemorySessionStore()
        session = three_of_each()
        store.create(session)
        foreign = samples.unknown_copy(session)
        foreign.revisions[1] = samples.revision("another")
        elsewhere.create(foreign)
        before = content(store)
        with pytest.raises(HistoryRewriteError):
            store.update(samples.grow(foreign, 4))
        assert content(store) == before

    @guarantee("G5")
    def test_a_session_of_another_store_that_fits_is_added_to(self, harness: StoreHarness) -> None:
        store, elsewhere = harness.store(), InMemorySessionStore()
        session = three_of_each()
        store.create(session)
        foreign = samples.unknown_copy(session)
        elsewhere.create(foreign)
        store.update(samples.grow(foreign, 4))
        assert holds(store, foreign)

    @guarantee("G5")
    @pytest.mark.parametrize("how", ["deepcopy", "pickle"])
    def test_a_copied_handle_adds_only_what_is_new(self, harness: StoreHarness, how: str) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        copied = _handle(how, store, samples.grow(session, 4))
        store.update(samples.grow(copied, 5))
        assert holds(store, copied)
        assert copied.counts().each() == (5, 5, 5)


class Fenced:
    """G7: of the writers on one version, one wins. No clock takes part."""

    @guarantee("G7")
    @pytest.mark.parametrize("way", ["got", "a_copy", "deepcopy", "pickle"])
    def test_a_stale_write_is_refused_with_both_versions(
        self, harness: StoreHarness, way: str
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        stale = _handle(way, store, session)
        store.update(samples.grow(session, 2))
        store.update(samples.grow(session, 3))
        before, mine = content(store), exact(samples.grow(stale, 4))
        with pytest.raises(SessionConflictError) as caught:
            store.update(stale)
        assert (caught.value.expected_version, caught.value.current_version) == (1, 3)
        assert exact(stale) == mine
        assert content(store) == before

    @guarantee("G7")
    def test_a_stale_write_of_the_header_alone_is_refused(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        stale = stored(store, session.session_id)
        session.metadata = {"mine": True}
        store.update(session)
        stale.finalize()
        with pytest.raises(SessionConflictError):
            store.update(stale)
        assert holds(store, session)

    @guarantee("G7")
    def test_a_stale_write_without_changes_is_refused(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        stale = stored(store, session.session_id)
        store.update(session)
        with pytest.raises(SessionConflictError):
            store.update(stale)
        assert holds(store, session)

    @guarantee("G7")
    def test_a_stale_applied_mark_is_refused(self, harness: StoreHarness) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        stale = stored(store, session.session_id)
        store.update(session)
        stale.mark_applied_at(0)
        with pytest.raises(SessionConflictError):
            store.update(stale)
        assert holds(store, session)

    @guarantee("G7")
    @pytest.mark.parametrize("claimed", [0, 1, 3, 4, 2**31 - 1])
    def test_only_the_version_that_is_stored_is_a_base(
        self, harness: StoreHarness, claimed: int
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        store.update(samples.grow(session))
        before = content(store)
        for handle in (samples.unknown_copy(session), stored(store, session.session_id)):
            handle.version = claimed
            with pytest.raises(SessionConflictError) as caught:
                store.update(samples.grow(handle))
            assert (caught.value.expected_version, caught.value.current_version) == (claimed, 2)
        assert content(store) == before

    @guarantee("G7")
    @pytest.mark.parametrize("days", [-36500, 0, 36500], ids=["past", "same", "future"])
    def test_no_clock_decides_who_wins(self, harness: StoreHarness, days: int) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        stale = stored(store, session.session_id)
        session.updated_at = samples.START + timedelta(days=days)
        store.update(session)
        for later in (days - 1, days, days + 1):
            stale.updated_at = samples.START + timedelta(days=later)
            with pytest.raises(SessionConflictError):
                store.update(stale)
        session.updated_at = samples.START + timedelta(days=days - 1)
        store.update(session)
        assert holds(store, session)

    @guarantee("G7")
    def test_a_loser_refreshes_and_wins(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        mine = stored(store, session.session_id)
        store.update(samples.grow(session, 2))
        with pytest.raises(SessionConflictError):
            store.update(samples.grow(mine, 3))
        fresh = store.refresh(mine)
        assert exact(fresh) == exact(session)
        store.update(samples.grow(fresh, 3))
        assert fresh.version == 3
        assert holds(store, fresh)

    @guarantee("G7")
    def test_refresh_of_a_handle_brings_what_others_applied(self, harness: StoreHarness) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        mine = stored(store, session.session_id)
        session.mark_applied_at(1)
        store.update(samples.grow(session, 4))
        for handle in (mine, samples.unknown_copy(mine)):
            assert exact(store.refresh(handle)) == exact(session)

    @guarantee("G7")
    @pytest.mark.parametrize("name", REWRITES)
    def test_refresh_of_a_spoilt_handle_brings_what_is_stored(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, session = harness.store(), three_of_each()
        store.create(session)
        mine = stored(store, session.session_id)
        store.update(samples.grow(session, 4))
        for field in HISTORIES:
            REWRITES[name](getattr(mine, field))
        fresh = store.refresh(mine)
        assert exact(fresh) == exact(session)
        store.update(samples.grow(fresh, 5))
        assert holds(store, fresh)

    @guarantee("G7")
    def test_each_session_counts_its_own_versions(self, harness: StoreHarness) -> None:
        store = harness.store()
        first, second = samples.session(), samples.session()
        store.create_many([first, second])
        for _ in range(3):
            store.update(samples.grow(first))
        store.update(second)
        assert (first.version, second.version) == (4, 2)
        assert holds(store, first)
        assert holds(store, second)


def _handle(way: str, store: Any, session: PromptSession) -> PromptSession:
    """Return a handle on the stored `session`, come by in one of several ways."""
    if way == "got":
        return stored(store, session.session_id)
    if way == "a_copy":
        return samples.unknown_copy(session)
    if way == "deepcopy":
        return copy.deepcopy(session)
    if way == "pickle":
        copied: PromptSession = pickle.loads(pickle.dumps(session))  # noqa: S301  # our own
        return copied
    return session
