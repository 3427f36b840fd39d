"""The decisions about a write, by themselves."""

from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest

from lift_sys.backends.call import WriteKey
from lift_sys.backends.errors import (
    HistoryRewriteError,
    IdempotencyKeyReusedError,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
)
from lift_sys.spec_sessions import HoleResolution, PromptRevision, PromptSession, rules
from lift_sys.spec_sessions.encoding import encode_header, encode_items
from lift_sys.spec_sessions.models import Counts
from lift_sys.spec_sessions.records import Base, UpdateSession, WriteRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
STORED = rules.StoredState(3, Base(START, Counts(1, 0, 1)))


def revision(text: str) -> PromptRevision:
    return PromptRevision(timestamp=START, content=text, revision_type="initial")


def answer(text: str = "", *, applied: bool = False) -> HoleResolution:
    return HoleResolution(
        hole_id="h",
        resolution_text=text,
        resolution_type="add_constraint",
        timestamp=START,
        applied=applied,
    )


def wanted(**fields: Any) -> UpdateSession:
    session = PromptSession(
        session_id="s",
        created_at=START,
        revisions=fields.pop("revisions", []),
        pending_resolutions=fields.pop("resolutions", []),
    )
    given: dict[str, Any] = {
        "header": encode_header(session),
        "expected_version": 3,
        "base": STORED.base,
        "items": encode_items(session),
        "applied": [],
    }
    return UpdateSession(**{**given, **fields})


def unasked() -> NoReturn:
    raise AssertionError("the stored items are read although the base is known")


def stored_items() -> rules.StoredItems:
    return rules.StoredItems([revision("1")], [], [answer()])


def test_an_update_on_what_is_stored_adds_its_items_without_reading_any() -> None:
    update = wanted(revisions=[revision("2"), revision("3")], applied=[1])
    plan = rules.plan_update(STORED, update, unasked)
    assert (plan.version, plan.applied, plan.counts) == (4, [1], Counts(3, 0, 1))
    assert plan.items is update.items


def test_nothing_stored_is_not_found() -> None:
    with pytest.raises(SessionNotFoundError, match="'s'"):
        rules.plan_update(None, wanted(), unasked)


@pytest.mark.parametrize("version", [2, 4])
def test_another_version_is_a_conflict_that_names_both(version: int) -> None:
    with pytest.raises(SessionConflictError) as raised:
        rules.plan_update(STORED, wanted(expected_version=version), unasked)
    assert (raised.value.expected_version, raised.value.current_version) == (version, 3)


@pytest.mark.parametrize("base", [Base(LATER, STORED.base.counts), Base(START, Counts(2, 0, 1))])
def test_another_session_of_that_id_is_a_rewrite(base: Base) -> None:
    with pytest.raises(HistoryRewriteError, match="get it anew"):
        rules.plan_update(STORED, wanted(base=base), unasked)


def test_a_whole_session_adds_what_follows_the_stored_items() -> None:
    update = wanted(
        base=None,
        revisions=[revision("1"), revision("2")],
        resolutions=[answer(applied=True), answer("new")],
    )
    plan = rules.plan_update(STORED, update, stored_items)
    assert [item.value.content for item in plan.items.revisions] == ["2"]
    assert [item.value.resolution_text for item in plan.items.resolutions] == ["new"]
    assert (plan.applied, plan.counts) == ([1], Counts(2, 0, 2))


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"revisions": [], "resolutions": [answer()]}, r"revisions\[0\] is stored and is missing"),
        (
            {"revisions": [revision("x")], "resolutions": [answer()]},
            r"revisions\[0\] is stored and is another",
        ),
        ({"revisions": [revision("1")]}, r"pending_resolutions\[0\]"),
        (
            {"revisions": [revision("1")], "resolutions": [answer("x", applied=True)]},
            r"pending_resolutions\[0\]",
        ),
    ],
)
def test_a_whole_session_that_differs_is_a_rewrite(fields: Any, place: str) -> None:
    with pytest.raises(HistoryRewriteError, match=place):
        rules.plan_update(STORED, wanted(base=None, **fields), stored_items)


def test_applied_goes_from_false_to_true_only() -> None:
    old = answer()
    assert rules.newly_applied([(4, old, old.as_applied())]) == [5]
    for new in (None, answer(), answer("x"), answer("x", applied=True)):
        with pytest.raises(HistoryRewriteError):
            rules.newly_applied([(0, old.as_applied(), new)])
    with pytest.raises(HistoryRewriteError):
        rules.newly_applied([(0, old, answer("x"))])


def test_a_key_gives_back_its_result_for_the_same_write_of_the_same_call_only() -> None:
    record = WriteRecord("update_session", "f", 7)
    assert rules.replayed(None, "update_session", WriteKey("k", "f")) is None
    assert rules.replayed(record, "update_session", WriteKey("k", "f")) is record
    for call, fingerprint in (("create_sessions", "f"), ("update_session", "g")):
        with pytest.raises(IdempotencyKeyReusedError, match="'k'"):
            rules.replayed(record, call, WriteKey("k", fingerprint))


def test_an_id_is_taken_once() -> None:
    rules.require_new("s", exists=False)
    with pytest.raises(SessionExistsError, match="'s'"):
        rules.require_new("s", exists=True)


@pytest.mark.parametrize(
    ("known", "extended"),
    [
        (Base(START, Counts(1, 0, 1)), True),
        (Base(START, Counts(0, 0, 0)), True),
        (Base(START, Counts(2, 0, 0)), False),
        (Base(START, Counts(0, 1, 0)), False),
        (Base(START, Counts(0, 0, 2)), False),
        (Base(LATER, Counts(1, 0, 1)), False),
    ],
)
def test_a_tail_is_enough_where_the_stored_session_begins_with_the_known(
    known: Base, extended: bool
) -> None:
    assert rules.extends(STORED.base, known) is extended


def test_no_message_repeats_a_huge_id() -> None:
    assert len(str(rules.not_found("x" * 10_000))) < 150
    assert str(rules.not_found("a")) == "this user has no session 'a'"
