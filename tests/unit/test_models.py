"""The models: values that check themselves, and sessions that know what of them is stored."""

import copy
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lift_sys.ir import IntermediateRepresentation, TypedHole, lift
from lift_sys.spec_sessions import (
    HistoryRewriteError,
    HoleResolution,
    InMemorySessionStore,
    IRDraft,
    PromptRevision,
    PromptSession,
    SessionConflictError,
)
from lift_sys.spec_sessions.models import MAX_COUNT, NO_INPUT, preview_of

START = datetime(2026, 1, 1, tzinfo=UTC)
[IR] = lift("def f(a): return a")


def revision(text: str = "text", **fields: Any) -> PromptRevision:
    return PromptRevision(timestamp=START, content=text, revision_type="manual_edit", **fields)


def answer(hole: str = "a.type", **fields: Any) -> HoleResolution:
    return HoleResolution(
        hole_id=hole, resolution_text="int", resolution_type="refine_signature", **fields
    )


def full_session() -> PromptSession:
    session = PromptSession.create_new(
        "code", "def f(a): return a", IRDraft(version=1, ir=IR), {"tags": ["x", 1.0, None]}
    )
    session.add_revision(revision(target_hole="a.type", metadata={"n": 10**30}))
    session.add_resolution(answer())
    session.add_resolution(answer())
    return session


def test_a_new_session_is_active_with_an_id_of_its_own() -> None:
    one, other = PromptSession.create_new(), PromptSession.create_new()
    assert one.session_id != other.session_id
    assert (one.status, one.source, one.version) == ("active", "prompt", 0)
    assert one.created_at == one.updated_at
    assert (one.original_input, one.current_draft, one.get_unresolved_holes()) == (
        NO_INPUT,
        None,
        [],
    )


def test_the_original_input_becomes_the_first_revision() -> None:
    session = PromptSession.create_new(original_input="")
    assert [(r.content, r.revision_type) for r in session.revisions] == [("", "initial")]
    assert session.original_input == ""


def test_each_change_moves_updated_at() -> None:
    for change in (
        lambda s: s.add_revision(revision()),
        lambda s: s.add_draft(IRDraft(version=2, ir=IR)),
        lambda s: s.add_resolution(answer()),
        lambda s: s.mark_resolution_applied("a.type"),
        PromptSession.finalize,
        PromptSession.abandon,
    ):
        session = full_session()
        session.updated_at = START
        change(session)
        assert session.updated_at > START


def test_resolutions_of_one_hole_are_applied_one_by_one_oldest_first() -> None:
    session = full_session()
    for expected in ([True, False], [True, True]):
        assert session.mark_resolution_applied("a.type")
        assert [r.applied for r in session.pending_resolutions] == expected
    assert not session.mark_resolution_applied("a.type")
    assert not session.mark_resolution_applied("unknown")
    with pytest.raises(IndexError):
        session.mark_applied_at(9)


def test_statuses_are_taken_and_left() -> None:
    session = full_session()
    session.finalize()
    at = session.finalized_at
    assert at == session.updated_at
    session.finalize()
    assert (session.status, session.finalized_at) == ("finalized", at)
    session.abandon()
    session.abandon()
    assert (session.status, session.finalized_at) == ("abandoned", None)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("status", "open"),
        ("source", "voice"),
        ("version", -1),
        ("version", MAX_COUNT + 1),
        ("metadata", [1]),
        ("metadata", None),
        ("created_at", datetime(2026, 1, 1)),  # noqa: DTZ001  # a naive one
        ("updated_at", "2026-01-01T00:00:00"),
        ("revisions", ["text"]),
        ("revisions", None),
        ("ir_drafts", [revision()]),
        ("session_id", 7),
    ],
)
def test_a_field_refuses_what_it_cannot_hold_when_made_and_when_assigned(
    field: str, wrong: Any
) -> None:
    with pytest.raises(ValidationError, match=field):
        PromptSession(**{field: wrong})
    session = full_session()
    before = session.to_dict()
    with pytest.raises(ValidationError, match=field):
        setattr(session, field, wrong)
    assert session.to_dict() == before


def test_unknown_fields_are_refused() -> None:
    for make in (
        lambda: PromptSession(colour="red"),  # type: ignore[call-arg]  # that is the point
        lambda: revision(colour="red"),
        lambda: answer(colour="red"),
        lambda: IRDraft(version=1, ir=IR, colour="red"),  # type: ignore[call-arg]  # likewise
    ):
        with pytest.raises(ValidationError, match="colour"):
            make()


@pytest.mark.parametrize("item", [revision(), answer(), IRDraft(version=1, ir=IR)])
def test_an_item_is_a_value(item: Any) -> None:
    name = next(iter(type(item).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(item, name, getattr(item, name))
    with pytest.raises(TypeError, match="cannot be changed"):
        item.metadata["x"] = 1
    assert copy.copy(item) is copy.deepcopy(item) is item
    assert pickle.loads(pickle.dumps(item)) == item
    assert type(item).from_dict(json.loads(json.dumps(item.to_dict()))) == item
    changed = item.model_copy(update={"metadata": {"x": 1}})
    assert (changed.metadata, item.metadata) == ({"x": 1}, {})
    with pytest.raises(ValidationError):
        item.model_copy(update={"unknown": 1})
    with pytest.raises(ValidationError):
        item.model_copy(update={name: object()})


def test_items_take_instants_as_text_and_keep_them_in_utc() -> None:
    item = PromptRevision.model_validate(
        {"timestamp": "2026-01-01T02:00:00+02:00", "content": "", "revision_type": "initial"}
    )
    assert item.timestamp == START
    with pytest.raises(ValidationError, match="has no offset"):
        PromptRevision.model_validate(
            {"timestamp": "2026-01-01T00:00:00", "content": "", "revision_type": "initial"}
        )


@pytest.mark.parametrize("number", [0, -1, MAX_COUNT + 1])
def test_a_draft_has_a_number_that_every_store_can_hold(number: int) -> None:
    with pytest.raises(ValidationError, match="version"):
        IRDraft(version=number, ir=IR)


def test_a_session_survives_its_dict_and_json() -> None:
    session = full_session()
    session.finalize()
    assert PromptSession.from_dict(session.to_dict()) == session
    assert PromptSession.from_dict(json.loads(json.dumps(session.to_dict()))) == session


def test_a_dict_with_the_current_draft_beside_the_drafts_is_understood() -> None:
    session = full_session()
    data = session.to_dict()
    data["current_draft"] = data["ir_drafts"][-1]
    assert PromptSession.from_dict(data) == session
    assert PromptSession.from_dict({**data, "current_draft": None}) == session


def test_a_dict_shares_nothing_with_its_session() -> None:
    session = full_session()
    data = session.to_dict()
    rebuilt = PromptSession.from_dict(data)
    data["metadata"]["tags"].append("y")
    data["revisions"][1]["metadata"]["n"] = 0
    assert rebuilt == session


def test_the_metadata_given_is_copied_and_can_be_changed() -> None:
    given_ = {"a": [1]}
    session = PromptSession.create_new(metadata=given_)
    given_["a"].append(2)
    session.metadata["b"] = 1
    assert (session.metadata, given_) == ({"a": [1], "b": 1}, {"a": [1, 2]})


def test_sessions_are_equal_by_what_they_hold() -> None:
    session = full_session()
    twin = PromptSession.from_dict(session.to_dict())
    with InMemorySessionStore() as store:
        store.create(session)
    twin.version = 1
    assert session == twin
    twin.metadata["x"] = 1
    assert session != twin
    assert session != session.to_dict()
    with pytest.raises(TypeError, match="unhashable"):
        hash(session)


COPIES: dict[str, Callable[[PromptSession], PromptSession]] = {
    "copy": copy.copy,
    "model_copy": PromptSession.model_copy,
    "deepcopy": copy.deepcopy,
    "deep model_copy": lambda s: s.model_copy(deep=True),
    "pickle": lambda s: pickle.loads(pickle.dumps(s)),
    "dict": lambda s: PromptSession.from_dict(s.to_dict()),
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
class TestCopiesOfASession:
    """A copy is a session of its own, and either knows what is stored or sends all of it."""

    def test_it_is_equal_and_grows_by_itself(self, make: Any) -> None:
        session = full_session()
        twin = make(session)
        assert twin == session
        twin.add_revision(revision("only here"))
        twin.mark_resolution_applied("a.type")
        assert len(session.revisions) == 2
        assert not session.pending_resolutions[0].applied

    def test_it_can_be_stored_in_the_place_of_the_first(self, make: Any) -> None:
        with InMemorySessionStore() as store:
            session = full_session()
            store.create(session)
            twin = make(session)
            twin.add_revision(revision("by the copy"))
            store.update(twin)
            assert store.get(session.session_id) == twin
            session.add_revision(revision("by the first"))
            with pytest.raises(SessionConflictError):
                store.update(session)
            assert store.refresh(session) == twin

    def test_changed_history_is_known_whichever_of_the_two_was_changed(self, make: Any) -> None:
        with InMemorySessionStore() as store, InMemorySessionStore() as elsewhere:
            session = full_session()
            store.create(session)
            session.revisions[0] = revision("rewritten")
            twin = make(session)
            elsewhere.create(session)
            twin.version = 1
            with pytest.raises(HistoryRewriteError, match=r"revisions\[0\]"):
                store.update(twin)

    def test_a_rewrite_in_one_is_none_in_the_other(self, make: Any) -> None:
        with InMemorySessionStore() as store:
            session = full_session()
            store.create(session)
            twin = make(session)
            twin.revisions[0] = revision("rewritten")
            session.finalize()
            store.update(session)
            assert store.get(session.session_id) == session


def test_lists_may_be_replaced_as_long_as_the_stored_items_stay() -> None:
    with InMemorySessionStore() as store:
        session = full_session()
        store.create(session)
        session.revisions = [*session.revisions, revision("new")]  # type: ignore[assignment]  # made a History
        session.pending_resolutions += [answer("other")]
        store.update(session)
        assert store.get(session.session_id) == session
        session.revisions = session.revisions[1:]  # type: ignore[assignment]  # likewise
        with pytest.raises(HistoryRewriteError, match=r"revisions\[0\]"):
            store.update(session)


def test_another_id_makes_another_session() -> None:
    with InMemorySessionStore() as store:
        session = full_session()
        store.create(session)
        session.session_id = "copied"
        store.create(session)
        assert len(store.list_all()) == 2


def test_unresolved_holes_are_those_of_the_current_draft() -> None:
    session = full_session()
    assert session.get_unresolved_holes() == ["intent", "a.type", "return.type"]
    fewer = IntermediateRepresentation(holes=(TypedHole(identifier="body"),))
    session.add_draft(IRDraft(version=2, ir=fewer))
    assert session.get_unresolved_holes() == ["body"]


@pytest.mark.parametrize(
    ("text", "preview"),
    [("", ""), (" two\nlines", " two\nlines"), ("x" * 120, "x" * 120), ("é" * 500, "é" * 120)],
)
def test_a_preview_is_the_beginning_of_the_input(text: str, preview: str) -> None:
    assert preview_of([revision(text), revision("second")]) == preview


def test_a_session_without_input_has_a_placeholder_for_its_preview() -> None:
    assert preview_of([]) == NO_INPUT


texts = st.text(st.characters(exclude_categories=["Cs"]))
metadata = st.dictionaries(
    texts, st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | st.none()
)


@given(st.lists(st.tuples(texts, metadata), max_size=4), metadata)
def test_any_session_survives_json(items: list[tuple[str, Any]], about: Any) -> None:
    session = PromptSession(
        revisions=[revision(text, metadata=data) for text, data in items],
        metadata=about,
    )
    assert PromptSession.model_validate_json(session.model_dump_json()) == session
