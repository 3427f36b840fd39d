"""The representation is an immutable value that any JSON round trip returns unchanged."""

import copy
import datetime as dt
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import lift_sys.ir
from lift_sys.ir import (
    Assertion,
    Effect,
    Intent,
    IntermediateRepresentation,
    Parameter,
    Provenance,
    Signature,
    TypedHole,
)

MODELS = [
    IntermediateRepresentation, Intent, Signature, Parameter, Effect, Assertion, Provenance,
]  # fmt: skip

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30, max_value=10**31)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, json_values, max_size=3)
kinds = st.sampled_from(["intent", "signature", "effect", "assertion", "implementation"])


def extended(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A document with some of the known members, and some that this release does not know."""
    unknown = objects.map(lambda o: {k: v for k, v in o.items() if k not in known})
    return st.tuples(st.fixed_dictionaries({}, optional=known), unknown).map(lambda p: p[1] | p[0])


holes = st.lists(
    st.tuples(
        extended(
            {
                "kind": kinds,
                "type_hint": texts,
                "description": texts,
                "constraints": objects | st.lists(json_values, max_size=3),
            }
        ),
        texts,
    ).map(lambda pair: pair[0] | {"identifier": pair[1]}),
    max_size=2,
)
maybe_text = st.none() | texts
documents = extended(
    {
        "intent": extended({"summary": texts, "rationale": maybe_text, "holes": holes}),
        "signature": extended(
            {
                "name": texts,
                "parameters": st.lists(
                    extended({"name": texts, "default": maybe_text}), max_size=2
                ),
                "returns": maybe_text,
                "holes": holes,
            }
        ),
        "effects": st.lists(extended({"description": texts, "holes": holes}), max_size=2),
        "assertions": st.lists(extended({"predicate": texts, "holes": holes}), max_size=2),
        "holes": holes,
        "metadata": extended(
            {
                "source_path": maybe_text,
                "line": st.none() | st.integers(),
                "evidence": st.lists(json_values, max_size=3),
            }
        ),
    }
)


def typed(value: Any) -> Any:
    """Return `value` with the type of everything in it, so that 1, 1.0 and True all differ."""
    if isinstance(value, dict):
        return type(value), [(key, typed(member)) for key, member in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [typed(member) for member in value]
    return type(value), repr(value)


def assert_contains(stored: Any, given_part: Any) -> None:
    """Assert that every member of the document is there, with the same value and type."""
    assert type(stored) is type(given_part)
    if isinstance(given_part, dict):
        for name, member in given_part.items():
            assert_contains(stored[name], member)
    elif isinstance(given_part, list):
        assert len(stored) == len(given_part)
        for one, other in zip(stored, given_part, strict=True):
            assert_contains(one, other)
    else:
        assert typed(stored) == typed(given_part)


@given(documents)
def test_g1_any_document_comes_back_whole_through_dict_and_json(document: dict[str, Any]):
    ir = IntermediateRepresentation.from_dict(document)
    assert_contains(ir.to_dict(), document)
    for again in (
        IntermediateRepresentation.from_dict(ir.to_dict()),
        IntermediateRepresentation.from_json(ir.to_json()),
        IntermediateRepresentation.from_json(ir.to_json().encode()),
        IntermediateRepresentation.from_json(json.dumps(document)),
        pickle.loads(pickle.dumps(ir)),
    ):
        assert again == ir
        assert typed(again.to_dict()) == typed(ir.to_dict())
        assert hash(again) == hash(ir)


@given(documents)
def test_to_dict_is_what_to_json_says(document: dict[str, Any]):
    ir = IntermediateRepresentation.from_dict(document)
    assert typed(json.loads(ir.to_json())) == typed(ir.to_dict())
    assert list(json.loads(ir.to_json())) == list(ir.to_dict())


@pytest.mark.parametrize(
    "number", [0, -1, 1, 1.0, -0.0, 0.1, 1e16, 1e308, 5e-324, 2**53 + 1, 2**64, 10**30, -(10**4299)]
)
def test_g1_numbers_keep_value_and_type(number: float):
    hole = TypedHole.model_validate({"identifier": "h", "constraints": [number], "newer": number})
    for again in (
        TypedHole.model_validate(hole.to_dict()),
        TypedHole.model_validate_json(hole.model_dump_json()),
    ):
        assert typed(again.to_dict()["constraints"]) == typed([number])
        assert typed(again.to_dict()["newer"]) == typed(number)


@pytest.mark.parametrize(
    "text", ["", "\x00", "ﷺ", "漢字 𠮷", "👩‍👩‍👧", "e\u0301", "\u2028\r\n\ufeff", "\\\"'"]
)
def test_g1_text_in_any_script_is_kept(text: str):
    ir = IntermediateRepresentation.from_dict(
        {"intent": {"summary": text}, text or "k": {text: text}}
    )
    assert IntermediateRepresentation.from_json(ir.to_json()) == ir
    assert ir.intent.summary == text


def test_lone_surrogates_are_left_for_the_store_to_refuse():
    ir = IntermediateRepresentation.from_dict({"intent": {"summary": "\ud800"}, "newer": "\udfff"})
    assert ir.intent.summary == "\ud800"
    assert ir.to_dict()["newer"] == "\udfff"


@pytest.mark.parametrize("value", [float("inf"), (1,), {1}, b"x", dt.date(2025, 1, 1), object()])
def test_to_dict_keeps_what_is_not_json_for_the_store_to_refuse(value: Any):
    ir = IntermediateRepresentation.from_dict({"newer": [value]})
    assert ir.to_dict()["newer"][0] is value


def test_infinity_is_not_written_as_null():
    ir = IntermediateRepresentation.from_dict({"newer": float("inf")})
    assert IntermediateRepresentation.from_json(ir.to_json()) == ir


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_object_parses(model: type[Any]):
    assert model.model_validate_json("{}") == model() == model.model_validate({})


def test_a_hole_needs_its_identifier_and_nothing_else():
    hole = TypedHole(identifier="x.type")
    assert hole.to_dict() == {
        "identifier": "x.type", "kind": "intent", "type_hint": "Any", "description": "",
        "constraints": {},
    }  # fmt: skip
    with pytest.raises(ValidationError, match="identifier"):
        TypedHole.model_validate({})


@pytest.mark.parametrize(
    "constraints", [{}, [], {"default": "None"}, ["a", {"b": [1, 1.0]}], {"": None}]
)
def test_constraints_are_kept_as_object_or_array(constraints: Any):
    hole = TypedHole.model_validate({"identifier": "h", "constraints": constraints})
    assert typed(hole.to_dict()["constraints"]) == typed(constraints)
    assert type(hole.constraints) is not type(constraints)


@pytest.mark.parametrize("constraints", ["text", 1, None, True])
def test_constraints_that_are_neither_are_refused(constraints: Any):
    with pytest.raises(ValidationError, match="constraints"):
        TypedHole.model_validate({"identifier": "h", "constraints": constraints})


@pytest.mark.parametrize("line", ["7", 7.0, True])
def test_a_line_is_not_converted(line: Any):
    with pytest.raises(ValidationError, match="line"):
        Provenance.model_validate({"line": line})


@pytest.mark.parametrize(
    "document", ["[]", "null", "1", "{", "", '{"intent": null}', '{"holes": {}}']
)
def test_what_contradicts_the_types_is_refused(document: str):
    with pytest.raises(ValidationError):
        IntermediateRepresentation.from_json(document)


@pytest.mark.parametrize(
    "name",
    ["to_dict", "from_json", "model_config", "__class__", "__dict__", "self", "model_extra", ""],
)
def test_unknown_members_may_have_any_name(name: str):
    ir = IntermediateRepresentation.from_dict({name: [1], "intent": {name: {"a": None}}})
    assert ir.to_dict()[name] == [1]
    assert IntermediateRepresentation.from_json(ir.to_json()) == ir
    assert ir.model_copy(update={"newer": 1}).to_dict()[name] == [1]


def hole(identifier: str) -> dict[str, Any]:
    return {"identifier": identifier}


def test_typed_holes_come_in_the_documented_order():
    ir = IntermediateRepresentation.from_dict(
        {
            "holes": [hole("implementation")],
            "assertions": [{"holes": [hole("a1")]}, {"holes": [hole("a2")]}],
            "effects": [{"holes": [hole("e1"), hole("e2")]}, {}, {"holes": [hole("e3")]}],
            "signature": {"holes": [hole("s1"), hole("s2")]},
            "intent": {"holes": [hole("i1")]},
        }
    )
    assert [h.identifier for h in ir.typed_holes()] == [
        "i1", "s1", "s2", "e1", "e2", "e3", "a1", "a2", "implementation",
    ]  # fmt: skip


def sample() -> IntermediateRepresentation:
    return IntermediateRepresentation.from_dict(
        {
            "holes": [{"identifier": "h", "constraints": {"a": [{"b": []}]}, "newer": {"c": [1]}}],
            "metadata": {"evidence": [{"k": [1]}]},
            "newer": {"x": [{"y": 1}]},
        }
    )


def fresh_constraints() -> Any:
    return TypedHole(identifier="fresh").constraints


def _change_attribute(ir: Any) -> None:
    ir.intent = Intent()


def _change_unknown(ir: Any) -> None:
    ir.newer = 1


def _add_unknown(ir: Any) -> None:
    ir.another = 1


def _delete_attribute(ir: Any) -> None:
    del ir.intent


def _delete_unknown(ir: Any) -> None:
    del ir.newer


def _change_tuple(ir: Any) -> None:
    ir.holes[0] = None


CHANGES = [
    _change_attribute, _change_unknown, _add_unknown, _delete_attribute, _delete_unknown,
    _change_tuple,
    lambda ir: ir.newer.update(z=1),
    lambda ir: ir.newer["x"].append(1),
    lambda ir: ir.newer["x"][0].pop("y"),
    lambda ir: ir.model_extra.clear(),
    lambda ir: ir.holes[0].constraints.clear(),
    lambda ir: ir.holes[0].constraints["a"][0]["b"].append(1),
    lambda ir: ir.holes[0].newer["c"].insert(0, 1),
    lambda ir: ir.metadata.evidence.append(1),
    lambda ir: ir.metadata.evidence[0]["k"].clear(),
    lambda ir: ir.intent.model_extra.update(z=1),
    lambda _: fresh_constraints().update(z=1),
    lambda _: Provenance().evidence.append(1),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_g2_nothing_in_a_representation_can_be_changed(change: Any):
    ir, before = sample(), sample().to_dict()
    with pytest.raises((TypeError, ValidationError, AttributeError)):
        change(ir)
    assert ir == sample()
    assert ir.to_dict() == before


def test_g2_the_callers_document_is_not_shared():
    document = sample().to_dict()
    ir = IntermediateRepresentation.from_dict(document)
    document["newer"]["x"].clear()
    document["holes"][0]["constraints"]["a"].clear()
    document["metadata"]["evidence"].clear()
    assert ir == sample()


def test_g2_to_dict_is_new_and_changeable_throughout():
    ir = sample()
    first = ir.to_dict()
    first["newer"]["x"][0]["y"] = 2
    first["holes"][0]["constraints"]["a"].append(1)
    first["holes"].append({})
    first["metadata"]["evidence"][0]["k"].append(2)
    assert ir.to_dict() == sample().to_dict()


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda ir: ir.model_copy(deep=True)]
)
def test_g2_a_copy_of_what_cannot_change_is_itself(duplicate: Any):
    ir = sample()
    assert duplicate(ir) is ir
    assert copy.deepcopy([ir])[0] is ir


def test_a_copy_with_updates_leaves_the_original_and_is_checked():
    ir = sample()
    changed = ir.model_copy(update={"intent": {"summary": "new"}, "another": {"a": [1]}})
    assert changed.intent == Intent(summary="new")
    assert changed.to_dict()["newer"] == {"x": [{"y": 1}]}
    assert ir == sample()
    with pytest.raises(TypeError):
        changed.model_extra["another"]["a"].append(2)
    with pytest.raises(ValidationError):
        ir.model_copy(update={"intent": 1})


def test_equal_representations_hash_alike_and_differences_show():
    assert len({sample(), sample()}) == 1
    one = TypedHole(identifier="h", constraints={"a": 1})
    other = TypedHole(identifier="h", constraints={"a": 2})
    assert one != other
    assert len({one, other}) == 2


def test_the_public_names_are_these():
    assert sorted(lift_sys.ir.__all__) == [
        "Assertion", "Effect", "HoleKind", "Intent", "IntermediateRepresentation", "LiftError",
        "LiftedFunction", "Parameter", "ParameterKind", "Provenance", "Signature", "TypedHole",
        "lift", "lift_file", "lift_functions", "python_files",
    ]  # fmt: skip
    assert all(hasattr(lift_sys.ir, name) for name in lift_sys.ir.__all__)
