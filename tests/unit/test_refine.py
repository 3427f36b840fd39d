"""Refinement: what each type of answer does to each kind of hole."""

from typing import Any, get_args

import pytest

from lift_sys.ir import IntermediateRepresentation, TypedHole, lift
from lift_sys.ir.models import Assertion, Effect, HoleKind, Intent, Parameter, Signature
from lift_sys.spec_sessions import HoleResolution, IRDraft, PromptSession
from lift_sys.spec_sessions.models import ResolutionType
from lift_sys.spec_sessions.refine import Refinement, refine

KINDS = get_args(HoleKind)
TYPES = get_args(ResolutionType)


def hole(identifier: str, kind: Any = "intent") -> TypedHole:
    return TypedHole(identifier=identifier, kind=kind)


def full_ir() -> IntermediateRepresentation:
    """A representation with one hole of each kind, in the part it belongs to."""
    return IntermediateRepresentation(
        intent=Intent(summary="S", holes=(hole("why"),)),
        signature=Signature(
            name="f", parameters=(Parameter(name="x"),), holes=(hole("x.type", "signature"),)
        ),
        effects=(Effect(description="E", holes=(hole("raises", "effect"),)),),
        assertions=(Assertion(predicate="P", holes=(hole("bound", "assertion"),)),),
        holes=(hole("body", "implementation"),),
    )


HOLES = dict(zip(KINDS, ("why", "x.type", "raises", "bound", "body"), strict=True))


def session_of(ir: IntermediateRepresentation, *answers: tuple[str, str, str]) -> PromptSession:
    session = PromptSession.create_new(initial_draft=IRDraft(version=1, ir=ir))
    for hole_id, text, resolution_type in answers:
        session.add_resolution(
            HoleResolution(
                hole_id=hole_id,
                resolution_text=text,
                resolution_type=resolution_type,
            )
        )
    return session


def refined(
    ir: IntermediateRepresentation, *answers: tuple[str, str, str]
) -> tuple[PromptSession, Refinement, IntermediateRepresentation]:
    session = session_of(ir, *answers)
    done = refine(session)
    assert session.current_draft is not None
    return session, done, session.current_draft.ir


@pytest.mark.parametrize("resolution_type", TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_fits_every_hole_and_is_found_in_the_draft(
    kind: str, resolution_type: str
) -> None:
    session, done, ir = refined(full_ir(), (HOLES[kind], "ANSWER", resolution_type))
    assert "ANSWER" in ir.to_json()
    assert [h.identifier for h in ir.typed_holes()] == [
        name for name in HOLES.values() if name != HOLES[kind]
    ]
    assert done.applied == list(session.pending_resolutions)
    assert session.pending_resolutions[0].applied
    assert done.unknown == []


def test_an_answer_to_the_intent_is_the_summary_or_a_paragraph_of_the_rationale() -> None:
    empty = full_ir().model_copy(update={"intent": Intent(holes=(hole("a"), hole("b"), hole("c")))})
    _, _, ir = refined(
        empty,
        ("a", "one", "clarify_intent"),
        ("b", "two", "clarify_intent"),
        ("c", "three", "clarify_intent"),
    )
    assert (ir.intent.summary, ir.intent.rationale) == ("one", "two\n\nthree")


def test_an_answer_to_the_signature_is_the_type_of_its_place() -> None:
    [lifted] = lift("def f(x, *args, **kwargs): return x")
    _, done, ir = refined(
        lifted,
        *((f"{name}.type", name.upper(), "refine_signature") for name in ("x", "args", "kwargs")),
        ("return.type", "RETURN", "refine_signature"),
    )
    assert [p.type_hint for p in ir.signature.parameters] == ["X", "ARGS", "KWARGS"]
    assert ir.signature.returns == "RETURN"
    assert done.unresolved == ["intent"]


def test_a_parameter_named_returns_is_a_parameter() -> None:
    [lifted] = lift("def f(returns): return returns")
    _, _, ir = refined(lifted, ("returns.type", "int", "refine_signature"))
    assert ir.signature.parameters[0].type_hint == "int"
    assert ir.signature.returns is None


def test_of_several_types_for_one_place_the_later_holds_and_all_are_applied() -> None:
    session, done, ir = refined(
        full_ir(), ("x.type", "int", "refine_signature"), ("x.type", "str", "refine_signature")
    )
    assert ir.signature.parameters[0].type_hint == "str"
    assert [r.applied for r in session.pending_resolutions] == [True, True]
    assert len(done.applied) == 2


def test_several_constraints_for_one_hole_are_all_kept_in_order() -> None:
    _, _, ir = refined(
        full_ir(), ("bound", "x > 0", "add_constraint"), ("bound", "x < 9", "add_constraint")
    )
    assert [a.predicate for a in ir.assertions] == ["P", "x > 0", "x < 9"]


def test_an_effect_is_appended() -> None:
    _, _, ir = refined(full_ir(), ("raises", "raises KeyError", "specify_effect"))
    assert [e.description for e in ir.effects] == ["E", "raises KeyError"]


def test_an_answer_to_an_unknown_hole_is_kept_pending_and_reported() -> None:
    session, done, _ = refined(
        full_ir(), ("nowhere", "?", "add_constraint"), ("why", "because", "clarify_intent")
    )
    assert [r.hole_id for r in done.unknown] == ["nowhere"]
    assert [r.applied for r in session.pending_resolutions] == [False, True]
    again = refine(session)
    assert again.draft is None
    assert [r.hole_id for r in again.unknown] == ["nowhere"]


@pytest.mark.parametrize(
    "session",
    [
        PromptSession.create_new(),
        session_of(full_ir()),
        session_of(full_ir(), ("nowhere", "?", "clarify_intent")),
    ],
    ids=["no draft", "no answer", "only an unknown hole"],
)
def test_with_nothing_to_apply_the_session_stays_as_it_is(session: PromptSession) -> None:
    before = session.to_dict()
    done = refine(session)
    assert (done.draft, done.applied) == (None, [])
    assert done.unresolved == session.get_unresolved_holes()
    assert session.to_dict() == before


def test_without_a_draft_every_answer_is_unknown() -> None:
    session = PromptSession.create_new()
    session.add_resolution(
        HoleResolution(hole_id="a", resolution_text="", resolution_type="clarify_intent")
    )
    assert len(refine(session).unknown) == 1


def test_drafts_are_numbered_on_and_tell_which_answers_are_in_them() -> None:
    session, done, _ = refined(full_ir(), ("nowhere", "", "clarify_intent"))
    for identifier in HOLES.values():
        session.add_resolution(
            HoleResolution(
                hole_id=identifier, resolution_text="yes", resolution_type="add_constraint"
            )
        )
        done = refine(session)
    assert [d.version for d in session.ir_drafts] == [1, 2, 3, 4, 5, 6]
    assert [d.metadata.get("resolutions") for d in session.ir_drafts] == [
        None, [2], [3], [4], [5], [6],
    ]  # fmt: skip
    statuses = [d.validation_status for d in session.ir_drafts[1:]]
    assert statuses == ["incomplete"] * 4 + ["valid"]
    assert [list(d.ambiguities) for d in session.ir_drafts[-2:]] == [["body"], []]
    assert done.unresolved == []


def test_earlier_drafts_stay_as_they_were() -> None:
    session = session_of(full_ir(), ("why", "because", "clarify_intent"))
    first = session.ir_drafts[0]
    refine(session)
    assert session.ir_drafts[0] is first
    assert first.ir == full_ir()


def test_what_the_representation_does_not_know_is_kept() -> None:
    ir = IntermediateRepresentation.from_dict({**full_ir().to_dict(), "extension": {"kept": [1.0]}})
    _, _, after = refined(ir, ("why", "because", "clarify_intent"))
    assert after.to_dict()["extension"] == {"kept": [1.0]}
