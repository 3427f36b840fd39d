"""Refinement: the pending resolutions of a session become a new draft. No I/O.

A resolution answers the hole it names. What the answer is put to is said by its type:

================== ============================================================================
clarify_intent     the summary, where there is none yet; else a paragraph of the rationale
refine_signature   the type of the parameter or of the result that the hole stands for
add_constraint     an assertion
specify_effect     an effect
================== ============================================================================

An answer to the signature that fits no place in it becomes an assertion, so that nothing said is
lost. Of several answers to one hole all are applied, in their order; of two types the later holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lift_sys.ir.models import (
    Assertion,
    Effect,
    HoleKind,
    IntermediateRepresentation,
    Signature,
    TypedHole,
)
from lift_sys.spec_sessions.models import HoleResolution, IRDraft, PromptSession, ResolutionType

IR = IntermediateRepresentation

ANSWER_TO: Final[Mapping[HoleKind, ResolutionType]] = {
    "intent": "clarify_intent",
    "signature": "refine_signature",
    "effect": "specify_effect",
    "assertion": "add_constraint",
    "implementation": "add_constraint",
}
"""The type of answer that a hole of each kind takes, where none is named."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """What came of applying a session's pending resolutions.

    Attributes:
        draft: the new current draft; None where no resolution could be applied.
        applied: the resolutions that are in it, in their order.
        unknown: those that name no hole of the draft before; they stay pending.
        unresolved: the identifiers of the holes that are left, in the order of the draft.
    """

    draft: IRDraft | None
    applied: list[HoleResolution]
    unknown: list[HoleResolution]
    unresolved: list[str]


def refine(session: PromptSession) -> Refinement:
    """Apply the pending resolutions of `session` to its current draft.

    The session gets a new draft, ``valid`` where no hole is left and else ``incomplete``, and the
    resolutions in it are marked applied. Where no resolution names a hole of the current draft,
    or there is no draft, the session stays as it is. Nothing is stored: ``update`` does that.

    Args:
        session: is changed in place.
    """
    current = session.current_draft
    holes = {hole.identifier: hole for hole in current.ir.typed_holes()} if current else {}
    pending = [(i, r) for i, r in enumerate(session.pending_resolutions) if not r.applied]
    known = [(index, resolution) for index, resolution in pending if resolution.hole_id in holes]
    draft = None
    if current is not None and known:
        ir = current.ir
        for _, resolution in known:
            answer = _ANSWERS[resolution.resolution_type]
            ir = answer(ir, holes[resolution.hole_id], resolution.resolution_text)
        ir = _without(ir, {resolution.hole_id for _, resolution in known})
        draft = _draft(current, ir, [index + 1 for index, _ in known])
        for index, _ in known:
            session.mark_applied_at(index)
        session.add_draft(draft)
    return Refinement(
        draft=draft,
        applied=[session.pending_resolutions[index] for index, _ in known],
        unknown=[resolution for _, resolution in pending if resolution.hole_id not in holes],
        unresolved=session.get_unresolved_holes(),
    )


def _draft(before: IRDraft, ir: IR, resolutions: list[int]) -> IRDraft:
    unresolved = [hole.identifier for hole in ir.typed_holes()]
    return IRDraft(
        version=before.version + 1,
        ir=ir,
        validation_status="incomplete" if unresolved else "valid",
        ambiguities=unresolved,
        metadata={"resolutions": resolutions},
    )


def _clarify_intent(ir: IR, _hole: TypedHole, text: str) -> IR:
    intent = ir.intent
    if not intent.summary:
        intent = intent.model_copy(update={"summary": text})
    else:
        rationale = f"{intent.rationale}\n\n{text}" if intent.rationale else text
        intent = intent.model_copy(update={"rationale": rationale})
    return ir.model_copy(update={"intent": intent})


def _refine_signature(ir: IR, hole: TypedHole, text: str) -> IR:
    subject = hole.identifier.removesuffix(".type")
    for index, parameter in enumerate(ir.signature.parameters):
        if parameter.name == subject:
            parameters = list(ir.signature.parameters)
            parameters[index] = parameter.model_copy(update={"type_hint": text})
            return _with_signature(
                ir, ir.signature.model_copy(update={"parameters": tuple(parameters)})
            )
    if subject in ("return", "returns"):
        return _with_signature(ir, ir.signature.model_copy(update={"returns": text}))
    return _add_constraint(ir, hole, text)


def _with_signature(ir: IR, signature: Signature) -> IR:
    return ir.model_copy(update={"signature": signature})


def _add_constraint(ir: IR, hole: TypedHole, text: str) -> IR:
    added = Assertion(predicate=text, rationale=f"answers the hole {hole.identifier}")
    return ir.model_copy(update={"assertions": (*ir.assertions, added)})


def _specify_effect(ir: IR, _hole: TypedHole, text: str) -> IR:
    return ir.model_copy(update={"effects": (*ir.effects, Effect(description=text))})


_ANSWERS: Final[Mapping[ResolutionType, Callable[[IR, TypedHole, str], IR]]] = {
    "clarify_intent": _clarify_intent,
    "refine_signature": _refine_signature,
    "add_constraint": _add_constraint,
    "specify_effect": _specify_effect,
}


def _without(ir: IR, identifiers: set[str]) -> IR:
    """Return `ir` without the holes of these identifiers, wherever they stand."""

    def left(holes: tuple[TypedHole, ...]) -> dict[str, tuple[TypedHole, ...]]:
        return {"holes": tuple(hole for hole in holes if hole.identifier not in identifiers)}

    return ir.model_copy(
        update={
            "intent": ir.intent.model_copy(update=left(ir.intent.holes)),
            "signature": ir.signature.model_copy(update=left(ir.signature.holes)),
            "effects": tuple(e.model_copy(update=left(e.holes)) for e in ir.effects),
            "assertions": tuple(a.model_copy(update=left(a.holes)) for a in ir.assertions),
            **left(ir.holes),
        }
    )
