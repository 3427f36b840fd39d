"""G13: what not every backend can keep is refused by all of them, by name and before any I/O."""

import enum
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from lift_sys.spec_sessions import InvalidSessionError, PromptSession, UserRequiredError
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import content, exact, holds, stored

MIB = 2**20


class _Colour(enum.StrEnum):
    RED = "red"


class _Whole(int):
    pass


def _circle() -> dict[str, Any]:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    return circle


BAD_TEXTS = {"nul": "a\0b", "nul_alone": "\0", "surrogate": "\ud800", "low_surrogate": "x\udfff"}
BAD_JSON: dict[str, Any] = {
    **BAD_TEXTS,
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus_infinity": float("-inf"),
    "tuple": (1, 2),
    "set": {1},
    "bytes": b"x",
    "decimal": Decimal("1.0"),
    "instant": samples.START,
    "complex": 1j,
    "object": object(),
    "enum": _Colour.RED,
    "subclass_of_int": _Whole(1),
    "number_as_key": {1: 2},
    "none_as_key": {None: 2},
    "nul_in_key": {"\0": 1},
    "surrogate_in_key": {"\ud800": 1},
    "too_many_digits": 10**4_300,
    "too_many_negative_digits": -(10**4_300),
    "circle": _circle(),
    "within": [{"a": [float("nan")]}],
}
"""What looks like JSON to some and is not."""


def _in_metadata(session: PromptSession, value: Any) -> str:
    session.metadata["bad"] = value
    return "metadata"


def _in_revision(session: PromptSession, value: Any) -> str:
    session.add_revision(samples.revision(metadata={"bad": [value]}))
    return rf"revisions\[{len(session.revisions) - 1}\]"


def _in_draft(session: PromptSession, value: Any) -> str:
    session.add_draft(samples.draft(2, ambiguities=[value]))
    return rf"ir_drafts\[{len(session.ir_drafts) - 1}\]"


def _in_ir(session: PromptSession, value: Any) -> str:
    session.add_draft(samples.draft(2, ir={"later": {"bad": value}}))
    return rf"ir_drafts\[{len(session.ir_drafts) - 1}\]"


def _in_resolution(session: PromptSession, value: Any) -> str:
    session.add_resolution(samples.resolution(metadata={"bad": {"b": value}}))
    return rf"pending_resolutions\[{len(session.pending_resolutions) - 1}\]"


JSON_PLACES: dict[str, Callable[[PromptSession, Any], str]] = {
    "metadata": _in_metadata,
    "revision": _in_revision,
    "draft": _in_draft,
    "ir": _in_ir,
    "resolution": _in_resolution,
}
"""Put a value into a session and return how its place is named."""


def _as_content(session: PromptSession, value: Any) -> str:
    session.revisions.append(samples.revision().model_construct(**_fields(session, value)))
    return rf"revisions\[{len(session.revisions) - 1}\].content"


def _fields(session: PromptSession, value: Any) -> dict[str, Any]:
    return {**session.revisions[0].__dict__, "content": value}


def _as_hole(session: PromptSession, value: Any) -> str:
    fields = {**session.pending_resolutions[0].__dict__, "hole_id": value}
    session.pending_resolutions.append(samples.resolution().model_construct(**fields))
    return rf"pending_resolutions\[{len(session.pending_resolutions) - 1}\].hole_id"


def _as_key(session: PromptSession, value: Any) -> str:
    session.metadata[value] = 1
    return "metadata"


TEXT_PLACES: dict[str, Callable[[PromptSession, Any], str]] = {
    "content": _as_content,
    "hole": _as_hole,
    "key": _as_key,
}


class BadValues:
    """G13: values that cannot be stored, and the limits."""

    @guarantee("G13")
    @pytest.mark.parametrize("place", JSON_PLACES)
    @pytest.mark.parametrize("name", BAD_JSON)
    def test_what_is_not_json_is_refused_by_name(
        self, harness: StoreHarness, name: str, place: str
    ) -> None:
        _assert_refused(harness, lambda session: JSON_PLACES[place](session, BAD_JSON[name]))

    @guarantee("G13")
    @pytest.mark.parametrize("place", TEXT_PLACES)
    @pytest.mark.parametrize("name", BAD_TEXTS)
    def test_text_that_cannot_be_kept_is_refused_by_name(
        self, harness: StoreHarness, name: str, place: str
    ) -> None:
        _assert_refused(harness, lambda session: TEXT_PLACES[place](session, BAD_TEXTS[name]))

    @guarantee("G13")
    @pytest.mark.parametrize("place", JSON_PLACES)
    def test_what_is_nested_too_deeply_is_refused_by_name(
        self, harness: StoreHarness, place: str
    ) -> None:
        _assert_refused(harness, lambda session: JSON_PLACES[place](session, samples.nested(101)))

    @guarantee("G13")
    @pytest.mark.parametrize(
        "value",
        ["", "x" * 256, "a\0b", "\ud800", None, 7],
        ids=["empty", "too_long", "nul", "surrogate", "none", "number"],
    )
    def test_what_is_no_session_id_is_refused_by_create(
        self, harness: StoreHarness, value: Any
    ) -> None:
        store, session = harness.store(), samples.session()
        session.__dict__["session_id"] = value
        with pytest.raises(InvalidSessionError, match="session_id"):
            store.create(session)
        with pytest.raises(InvalidSessionError, match="session_id"):
            store.create_many([samples.session(), session])
        assert store.list_all() == []

    @guarantee("G13")
    @pytest.mark.parametrize("character", ["x", "\u00e9", "\U0001f600"], ids=ascii)
    def test_the_longest_ids_are_kept(self, harness: StoreHarness, character: str) -> None:
        unique = harness.user()
        store = harness.store(unique + character * (255 - len(unique)))
        session = samples.session(session_id=character * 255)
        store.create(session)
        assert holds(store, session)

    @guarantee("G13")
    @pytest.mark.parametrize(
        "value", ["x" * 256, "a\0b", "\ud800", 7], ids=["too_long", "nul", "surrogate", "number"]
    )
    def test_what_is_no_user_id_is_refused(self, harness: StoreHarness, value: Any) -> None:
        with pytest.raises(InvalidSessionError, match="user_id"):
            harness.store().for_user(value)

    @guarantee("G13")
    def test_a_view_needs_a_user(self, harness: StoreHarness) -> None:
        with pytest.raises(UserRequiredError, match="user_id") as caught:
            harness.store().for_user("")
        assert isinstance(caught.value, ValueError)

    @guarantee("G13")
    @pytest.mark.parametrize("field", ["status", "source"])
    @pytest.mark.parametrize("value", ["open", "", None, 1], ids=repr)
    def test_a_word_that_the_model_lacks_is_refused_by_name(
        self, harness: StoreHarness, field: str, value: Any
    ) -> None:
        def spoil(session: PromptSession) -> str:
            session.__dict__[field] = value
            return field

        _assert_refused(harness, spoil)

    @guarantee("G13")
    @pytest.mark.parametrize("field", ["revisions", "ir_drafts", "pending_resolutions"])
    @pytest.mark.parametrize(
        "item", ["text", {}, None, samples.session()], ids=lambda i: type(i).__name__
    )
    def test_what_is_no_item_is_refused_by_name(
        self, harness: StoreHarness, field: str, item: Any
    ) -> None:
        def spoil(session: PromptSession) -> str:
            getattr(session, field).append(item)
            return rf"{field}\[1\]"

        _assert_refused(harness, spoil)

    @guarantee("G13")
    def test_the_largest_item_is_kept_and_a_larger_one_refused(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        overhead = len(samples.revision("").model_dump_json())
        session.add_revision(samples.revision("x" * (16 * MIB - overhead)))
        store.update(session)
        got = stored(store, session.session_id)
        assert got.revisions[1].content == session.revisions[1].content
        session.add_revision(samples.revision("x" * (16 * MIB - overhead + 1)))
        with pytest.raises(InvalidSessionError, match=r"revisions\[2\]"):
            store.update(session)
        assert stored(store, session.session_id).version == 2

    @guarantee("G13")
    def test_an_item_is_measured_in_bytes_and_not_in_characters(
        self, harness: StoreHarness
    ) -> None:
        def spoil(session: PromptSession) -> str:
            session.add_revision(samples.revision("\U0001f600" * (4 * MIB)))
            return r"revisions\[1\]"

        _assert_refused(harness, spoil)

    @guarantee("G13")
    def test_the_largest_metadata_are_kept_and_larger_ones_refused(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), samples.session()
        session.metadata = {"m": "x" * (16 * MIB - len('{"m":""}'))}
        store.create(session)
        assert stored(store, session.session_id).metadata == session.metadata
        session.metadata["m"] += "x"
        with pytest.raises(InvalidSessionError, match="metadata"):
            store.update(session)

    @guarantee("G13")
    def test_a_write_that_is_too_large_is_refused_whole(self, harness: StoreHarness) -> None:
        store, text = harness.store(), "x" * (13 * MIB)
        sessions = [samples.session(text) for _ in range(5)]
        with pytest.raises(InvalidSessionError):
            store.create_many(sessions)
        assert [session.version for session in sessions] == [0] * 5
        assert store.list_page().items == []

    @guarantee("G13")
    @guarantee("G6")
    def test_one_bad_session_among_good_ones_keeps_all_of_them_out(
        self, harness: StoreHarness
    ) -> None:
        store = harness.store()
        bad = samples.session(metadata={"bad": float("nan")})
        with pytest.raises(InvalidSessionError):
            store.create_many([samples.session(), bad, samples.session()])
        assert store.list_all() == []


def _assert_refused(harness: StoreHarness, spoil: Callable[[PromptSession], str]) -> None:
    """A session that was spoilt is neither created nor updated, and recovers."""
    store, new, known = harness.store(), samples.session(), samples.session()
    store.create(known)
    before = content(store)
    place = spoil(new)
    for write in (
        lambda: store.create(new),
        lambda: store.create(new, idempotency_key="k"),
        lambda: store.create_many([samples.session(), new]),
    ):
        with pytest.raises(InvalidSessionError, match=place):
            write()
    assert spoil(known) == place
    for key in (None, "k"):
        with pytest.raises(InvalidSessionError, match=place):
            store.update(known, idempotency_key=key)
    assert (new.version, known.version) == (0, 1)
    assert content(store) == before
    good = stored(store, known.session_id)
    store.update(samples.grow(good), idempotency_key="k")
    assert exact(stored(store, known.session_id)) == exact(good)
