"""From models to what is stored: every limit at its edge, every message naming its field."""

import math
from collections import OrderedDict
from datetime import datetime
from typing import Any

import pytest

from lift_sys.backends.errors import InvalidSessionError
from lift_sys.ir import IntermediateRepresentation, lift
from lift_sys.spec_sessions import (
    HoleResolution,
    InMemorySessionStore,
    IRDraft,
    PromptRevision,
    PromptSession,
)
from lift_sys.spec_sessions import encoding as enc
from lift_sys.spec_sessions.models import MAX_NAME_LENGTH

START = "2026-01-01T00:00:00Z"
[IR] = lift("def f(a): return a")


def revision(**fields: Any) -> PromptRevision:
    return PromptRevision(
        **{"timestamp": START, "content": "", "revision_type": "initial", **fields}
    )


def draft(**fields: Any) -> IRDraft:
    return IRDraft(**{"version": 1, "ir": IR, **fields})


def answer(**fields: Any) -> HoleResolution:
    given = {"hole_id": "h", "resolution_text": "", "resolution_type": "add_constraint"}
    return HoleResolution(**{**given, **fields})


def session(**fields: Any) -> PromptSession:
    return PromptSession(**fields)


def refusal(made: PromptSession) -> str:
    """The message that every store refuses the session with, before any I/O."""
    with InMemorySessionStore() as store:
        with pytest.raises(InvalidSessionError) as raised:
            store.create(made)
        assert store.list_all() == []
    return str(raised.value)


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (session(session_id=""), "session_id"),
        (session(session_id="x" * 256), "session_id"),
        (session(session_id="\0"), "session_id"),
        (session(session_id="\ud800"), "session_id"),
        (session(metadata={"a": [math.nan]}), "metadata.a[0]"),
        (session(metadata={"a": "\0"}), "metadata.a"),
        (session(metadata={1: "a"}), "metadata"),
        (session(metadata={"a": (1,)}), "metadata.a"),
        (session(revisions=[revision(), revision(content="a\0b")]), "revisions[1].content"),
        (session(revisions=[revision(content="\udfff")]), "revisions[0].content"),
        (session(revisions=[revision(target_hole="\0")]), "revisions[0].target_hole"),
        (session(revisions=[revision(metadata={"k": {"\0": 1}})]), "revisions[0].metadata.k"),
        (session(ir_drafts=[draft(smt_results=[math.inf])]), "ir_drafts[0].smt_results[0]"),
        (session(ir_drafts=[draft(ambiguities=[{"a": {1}}])]), "ir_drafts[0].ambiguities[0].a"),
        (
            session(
                ir_drafts=[
                    draft(
                        ir=IR.model_copy(
                            update={"intent": IR.intent.model_copy(update={"summary": "\0"})}
                        )
                    )
                ]
            ),
            "ir_drafts[0].ir.intent.summary",
        ),
        (
            session(ir_drafts=[draft(ir=IntermediateRepresentation.from_dict({"x": [math.nan]}))]),
            "ir_drafts[0].ir.x[0]",
        ),
        (session(pending_resolutions=[answer(hole_id="\0")]), "pending_resolutions[0].hole_id"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_field(made: PromptSession, field: str) -> None:
    message = refusal(made)
    assert message.startswith((f"{field}: ", f"{field} (a key): "))
    assert len(message) < 200


def test_what_went_round_the_models_is_refused_too() -> None:
    construct: Any = PromptRevision.model_construct
    for made, field in (
        (construct(content=5), "revisions[0]"),
        (revision().model_construct(**{**dict(revision()), "content": 5}), "revisions[0].content"),
        (
            revision().model_construct(**{**dict(revision()), "timestamp": datetime(2026, 1, 1)}),  # noqa: DTZ001
            "revisions[0].timestamp",
        ),
        (
            revision().model_construct(**{**dict(revision()), "revision_type": "odd"}),
            "revisions[0].revision_type",
        ),
        ("no revision", "revisions[0]"),
        (answer(), "revisions[0]"),
    ):
        broken = session()
        broken.revisions.append(made)  # type: ignore[arg-type]  # as a careless caller would
        assert refusal(broken).startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "odd"),
        ("source", "odd"),
        ("metadata", []),
        ("metadata", OrderedDict()),
        ("created_at", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("updated_at", "x"),
        ("finalized_at", 5),
        ("session_id", 5),
    ],
)
def test_a_header_that_went_round_the_model_is_refused_too(field: str, value: Any) -> None:
    broken = session()
    broken.__dict__[field] = value
    assert refusal(broken).startswith(f"{field}: ")


@pytest.mark.parametrize("length", [1, 255])
@pytest.mark.parametrize("character", ["x", "漢", "\N{GRINNING FACE}"])
def test_names_of_1_to_255_characters_are_taken(length: int, character: str) -> None:
    name = character * length
    with InMemorySessionStore(name) as store:
        store.create(session(session_id=name), idempotency_key=name)
        assert store.get(name) is not None


@pytest.mark.parametrize("name", ["x" * 256, "\0", "a\ud800", 5, b"x"])
def test_other_names_are_refused_by_their_field(name: Any) -> None:
    with InMemorySessionStore() as store:
        with pytest.raises(InvalidSessionError, match=r"^idempotency_key: "):
            store.create(session(), idempotency_key=name)
        with pytest.raises(InvalidSessionError, match=r"^user_id: "):
            store.for_user(name)
        assert store.get(name) is None
        assert store.list_all() == []


def sized(content: str) -> int:
    return len(revision(content=content).model_dump_json().encode())


def test_the_size_of_an_item_is_limited_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enc, "MAX_ITEM_BYTES", sized("漢" * 100))
    enc.encode_items(session(revisions=[revision(content="漢" * 100)]))
    message = refusal(session(revisions=[revision(content="漢" * 100 + "x")]))
    limit = enc.MAX_ITEM_BYTES
    assert message.startswith(f"revisions[0]: {limit + 1} bytes as JSON, {limit} are allowed")


def test_the_size_of_the_metadata_is_limited_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enc, "MAX_ITEM_BYTES", len('{"a":"xxx"}'))
    enc.encode_header(session(metadata={"a": "xxx"}))
    assert refusal(session(metadata={"a": "xxxx"})).startswith("metadata: 12 bytes as JSON, 11")


def test_the_size_of_a_write_is_limited_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    made = session(
        revisions=[revision()],
        ir_drafts=[draft()],
        pending_resolutions=[answer()],
        metadata={"a": 1},
    )
    size = len('{"a":1}') + sum(
        len(item.model_dump_json())
        for item in (*made.revisions, *made.ir_drafts, *made.pending_resolutions)
    )
    monkeypatch.setattr(enc, "MAX_WRITE_BYTES", size)
    with InMemorySessionStore() as store:
        store.create(made)
    monkeypatch.setattr(enc, "MAX_WRITE_BYTES", size - 1)
    assert f"{size} bytes in one write" in refusal(made)


def test_only_what_is_new_counts_for_the_size_of_an_update(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enc, "MAX_WRITE_BYTES", 2_000)
    with InMemorySessionStore() as store:
        made = session()
        store.create(made)
        for _ in range(10):
            made.revisions.append(revision(content="x" * 1_000))
            store.update(made)


def test_the_limits_are_those_that_are_documented() -> None:
    assert (MAX_NAME_LENGTH, enc.MAX_ITEM_BYTES, enc.MAX_WRITE_BYTES) == (
        255,
        16 * 2**20,
        64 * 2**20,
    )


def test_an_item_of_the_full_size_is_kept() -> None:
    room = enc.MAX_ITEM_BYTES - sized("")
    with InMemorySessionStore() as store:
        made = session(revisions=[revision(content="x" * room)])
        store.create(made)
        assert store.get(made.session_id) == made


def test_a_key_belongs_to_what_is_written_and_to_every_part_of_it() -> None:
    parts: list[list[object]] = [
        ["a", "bc"],
        ["ab", "c"],
        ["abc"],
        ["a", b"bc"],
        ["a", "bc", None],
        [],
        [1],
        ["1"],
        [True],
    ]
    keys = [enc.write_key("k", p) for p in parts]
    assert len({key.fingerprint for key in keys}) == len(parts)


def test_a_subclass_of_text_is_kept_as_plain_text() -> None:
    class Text(str):
        """As some libraries return."""

        __slots__ = ()

    made = session(revisions=[revision(content=Text("x"))], session_id=Text("id"))
    with InMemorySessionStore() as store:
        try:
            store.create(made)
        except InvalidSessionError as error:
            assert "is not JSON" in str(error)  # noqa: PT017  # either way is a plain answer
        else:
            stored = store.get("id")
            assert stored is not None
            assert type(stored.revisions[0].content) is str
