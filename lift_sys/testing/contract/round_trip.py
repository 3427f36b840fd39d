"""What was stored comes back: equal, of the same types, and as values of the caller's own."""

from typing import Any

import pytest

from lift_sys.spec_sessions import PromptSession
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import exact, holds, stored, walk


class RoundTrip:
    """G1: what ``get`` returns equals what was stored."""

    @guarantee("G1")
    def test_every_field_comes_back(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.full_session()
        store.create(session)
        assert holds(store, session)

    @guarantee("G1")
    def test_a_session_without_anything_comes_back(self, harness: StoreHarness) -> None:
        store, session = harness.store(), PromptSession()
        store.create(session)
        assert holds(store, session)

    @guarantee("G1")
    @pytest.mark.parametrize("name", samples.TEXTS)
    def test_text_comes_back_unchanged_wherever_it_stands(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, text = harness.store(), samples.TEXTS[name]
        session = samples.session(
            text,
            pending_resolutions=[samples.resolution(text, resolution_text=text)],
            ir_drafts=[samples.draft(ir={"intent": {"summary": text}, text or "-": text})],
            metadata={text: text},
        )
        session.add_revision(samples.revision(text, target_hole=text))
        store.create(session)
        assert holds(store, session)

    @guarantee("G1")
    @pytest.mark.parametrize("name", samples.JSON)
    def test_json_comes_back_equal_and_of_the_same_type(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, value = harness.store(), samples.JSON[name]
        session = samples.session(metadata={"is": value, "within": [{"it": [value]}]})
        session.add_revision(samples.revision(metadata={"is": value}))
        session.add_draft(
            samples.draft(
                2,
                ir={"unknown": value, "holes": [{"identifier": "h", "constraints": [value]}]},
                smt_results=[value],
                ambiguities=[value],
                metadata={"is": value},
            )
        )
        session.add_resolution(samples.resolution(metadata={"is": value}))
        store.create(session)
        assert holds(store, session)

    @guarantee("G1")
    def test_the_deepest_json_allowed_comes_back(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session(metadata={"deep": samples.nested(99)})
        session.add_revision(samples.revision(metadata={"deep": samples.nested(99)}))
        store.create(session)
        assert holds(store, session)

    @guarantee("G1")
    def test_the_members_of_an_object_keep_their_order(self, harness: StoreHarness) -> None:
        store = harness.store()
        session = samples.session(metadata={"b": 1, "a": {"z": 1, "aa": 2, "m": 3}, "ab": 3})
        session.add_draft(samples.draft(2, ir={"zz": 1, "later": {"b": 1, "a": 2}}))
        store.create(session)
        got = stored(store, session.session_id)
        assert list(got.metadata) == ["b", "a", "ab"]
        assert list(got.metadata["a"]) == ["z", "aa", "m"]
        assert exact(got.ir_drafts) == exact(session.ir_drafts)

    @guarantee("G1")
    def test_members_of_an_ir_that_this_release_does_not_know_come_back(
        self, harness: StoreHarness
    ) -> None:
        store = harness.store()
        ir = {
            "intent": {"summary": "s", "mood": {"is": [1.0]}},
            "signature": {"parameters": [{"name": "p", "unit": None}]},
            "effects": [{"description": "d", "later": 1e308}],
            "holes": [{"identifier": "h", "owner": "x"}],
            "schema": 7,
        }
        session = samples.session(ir_drafts=[samples.draft(ir=ir)])
        store.create(session)
        assert holds(store, session)

    @guarantee("G1")
    def test_every_field_that_an_update_brings_comes_back(self, harness: StoreHarness) -> None:
        store, session, whole = harness.store(), PromptSession(), samples.full_session()
        store.create(session)
        for field in PromptSession.model_fields:
            if field not in ("session_id", "version"):
                setattr(session, field, getattr(whole, field))
        store.update(session)
        assert holds(store, session)

    @guarantee("G1")
    def test_what_an_update_takes_back_is_gone(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.full_session()
        store.create(session)
        session.status, session.finalized_at, session.metadata = "active", None, {}
        store.update(session)
        assert holds(store, session)

    @guarantee("G1")
    @pytest.mark.parametrize("status", ["active", "finalized", "abandoned"])
    @pytest.mark.parametrize("source", ["prompt", "code"])
    def test_every_kind_of_session_comes_back(
        self, harness: StoreHarness, status: Any, source: Any
    ) -> None:
        store, session = harness.store(), samples.session(status=status, source=source)
        store.create(session)
        assert holds(store, session)

    @guarantee("G1")
    def test_every_kind_of_item_comes_back(self, harness: StoreHarness) -> None:
        store, session = harness.store(), PromptSession()
        for kind in ("initial", "hole_fill", "constraint_add", "manual_edit"):
            session.add_revision(samples.revision(revision_type=kind))
        for status in ("pending", "valid", "contradictory", "incomplete"):
            session.add_draft(samples.draft(2**31 - 1, validation_status=status))
        for kind in ("clarify_intent", "add_constraint", "refine_signature", "specify_effect"):
            session.add_resolution(samples.resolution(resolution_type=kind))
        store.create(session)
        assert holds(store, session)

    @guarantee("G1")
    def test_lists_and_refresh_give_what_get_gives(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.full_session()
        session.status = "active"
        store.create(session)
        for found in (*store.list_all(), *store.list_active(), store.refresh(session)):
            assert exact(found) == exact(session)

    @guarantee("G1")
    def test_create_many_stores_what_create_stores(self, harness: StoreHarness) -> None:
        store, sessions = harness.store(), [samples.full_session() for _ in range(3)]
        store.create_many(sessions)
        for session in sessions:
            assert holds(store, session)

    @guarantee("G1")
    def test_ids_are_compared_code_point_by_code_point(self, harness: StoreHarness) -> None:
        store = harness.store()
        ids = ["a", "A", "a ", " a", "\u00e9", "e\u0301", "\u00df", "ss", "\u0131", "i", "1", "01"]
        sessions = {name: samples.session(name, session_id=name) for name in ids}
        store.create_many(sessions.values())
        for session in sessions.values():
            assert holds(store, session)

    @guarantee("G1")
    def test_what_is_acknowledged_outlives_the_store(self, harness: StoreHarness) -> None:
        user = harness.user()
        store, session = harness.store(user), samples.full_session()
        store.create(session)
        store.update(samples.grow(session))
        assert holds(harness.reopen(user), session)

    @guarantee("G1")
    def test_a_summary_tells_what_the_session_holds(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.full_session()
        store.create(session)
        store.update(samples.grow(session))
        (summary,) = store.list_page().items
        for field in ("status", "source", "metadata", "version", "created_at", "updated_at"):
            assert exact(getattr(summary, field)) == exact(getattr(session, field))
        assert summary.session_id == session.session_id
        assert summary.finalized_at == session.finalized_at
        assert (summary.revision_count, summary.draft_count, summary.hole_count) == (
            len(session.revisions),
            len(session.ir_drafts),
            len(session.pending_resolutions),
        )

    @guarantee("G1")
    @pytest.mark.parametrize(
        ("text", "preview"),
        [
            ("one line", "one line"),
            ("\n first\nsecond ", "\n first\nsecond "),
            ("x" * 120, "x" * 120),
            ("x" * 121, "x" * 120),
            ("\U0001f600" * 121, "\U0001f600" * 120),
            ("e\u0301" * 61, "e\u0301" * 60),
            ("", ""),
        ],
        ids=["short", "lines", "longest", "cut", "cut_by_characters", "not_composed", "empty"],
    )
    def test_a_summary_shows_the_beginning_of_the_first_revision(
        self, harness: StoreHarness, text: str, preview: str
    ) -> None:
        store = harness.store()
        session = samples.session(text)
        session.add_revision(samples.revision("another"))
        store.create(session)
        late = PromptSession(session_id="-")
        store.create(late)
        late.add_revision(samples.revision(text))
        store.update(late)
        assert [item.preview for item in walk(store)] == [preview, preview]

    @guarantee("G1")
    def test_a_summary_of_a_session_without_input_says_so(self, harness: StoreHarness) -> None:
        store, session = harness.store(), PromptSession()
        store.create(session)
        (summary,) = store.list_page().items
        assert summary.preview == session.original_input


class Values:
    """G2: a store gives and takes values; nobody holds a reference to what is stored."""

    @guarantee("G2")
    def test_changing_a_session_after_storing_it_changes_nothing_stored(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session(metadata={"a": {"b": [1]}})
        store.create(session)
        before = exact(stored(store, session.session_id))
        _spoil(session)
        assert exact(stored(store, session.session_id)) == before

    @guarantee("G2")
    def test_changing_a_session_after_updating_it_changes_nothing_stored(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session(metadata={"a": {"b": [1]}})
        store.create(session)
        store.update(samples.grow(session))
        before = exact(stored(store, session.session_id))
        _spoil(session)
        assert exact(stored(store, session.session_id)) == before

    @guarantee("G2")
    def test_changing_what_get_returned_changes_nothing_stored(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session(metadata={"a": {"b": [1]}})
        store.create(session)
        _spoil(stored(store, session.session_id))
        assert holds(store, session)

    @guarantee("G2")
    def test_changing_what_a_list_returned_changes_nothing_stored(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session(metadata={"a": {"b": [1]}})
        store.create(session)
        for found in (store.list_all(), store.list_active()):
            _spoil(found[0])
            found.clear()
        assert [exact(found) for found in store.list_all()] == [exact(session)]
        assert [exact(found) for found in store.list_active()] == [exact(session)]

    @guarantee("G2")
    def test_changing_what_refresh_returned_changes_nothing_else(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session(metadata={"a": {"b": [1]}})
        store.create(session)
        before = exact(session)
        _spoil(store.refresh(session))
        assert exact(session) == before
        assert holds(store, session)

    @guarantee("G2")
    def test_changing_a_page_changes_nothing_stored(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session(metadata={"a": {"b": [1]}})
        store.create(session)
        page = store.list_page()
        _try_to_change(page.items[0].metadata)
        page.items.clear()
        assert holds(store, session)
        assert store.list_page().items[0].metadata == {"a": {"b": [1]}}

    @guarantee("G2")
    def test_two_readers_share_nothing_that_can_change(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session(metadata={"a": {"b": [1]}})
        store.create(session)
        mine, theirs = stored(store, session.session_id), stored(store, session.session_id)
        _spoil(mine)
        assert exact(theirs) == exact(session)

    @guarantee("G2")
    def test_a_list_given_to_create_many_stays_the_callers(self, harness: StoreHarness) -> None:
        store = harness.store()
        given = [samples.session(metadata={"a": {"b": [1]}}) for _ in range(2)]
        documents = {session.session_id: exact(session.metadata) for session in given}
        ids = store.create_many(given)
        for session in given:
            _spoil(session)
        given.clear()
        ids.clear()
        assert {s.session_id: exact(s.metadata) for s in store.list_all()} == documents

    @guarantee("G2")
    def test_json_given_to_an_item_is_no_way_into_the_store(self, harness: StoreHarness) -> None:
        store, inner = harness.store(), {"b": [1]}
        session = samples.session(revisions=[samples.revision(metadata={"a": inner})])
        session.add_draft(samples.draft(2, ir={"later": inner}, smt_results=[inner]))
        store.create(session)
        before = exact(stored(store, session.session_id))
        inner["b"].append(2)
        inner["c"] = []
        assert exact(stored(store, session.session_id)) == before

    @guarantee("G2")
    def test_refresh_leaves_its_argument_as_it_is(self, harness: StoreHarness) -> None:
        user = harness.user()
        store, session = harness.store(user), samples.session()
        store.create(session)
        other = stored(store, session.session_id)
        store.update(samples.grow(other))
        samples.grow(session, 9)
        before = exact(session)
        assert exact(store.refresh(session)) == exact(other)
        assert exact(session) == before

    @guarantee("G2")
    def test_reading_changes_nothing(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        for _ in range(2):
            store.refresh(stored(store, session.session_id))
            store.list_all()
            store.list_active()
            store.list_page()
        assert holds(store, session)


def _spoil(session: PromptSession) -> None:
    """Change everything in `session` that can be changed."""
    for items in (session.revisions, session.ir_drafts, session.pending_resolutions):
        for item in items:
            _try_to_change(item.metadata)
        _try_to_change(items)
    for json in (session.metadata.get("a", {}).get("b", []), session.metadata):
        _try_to_change(json)
    session.status = "abandoned"
    session.version = 7


def _try_to_change(json: Any) -> None:
    """Empty a container, or find that it refuses: both keep what is stored."""
    try:
        json.clear()
    except TypeError:
        return
