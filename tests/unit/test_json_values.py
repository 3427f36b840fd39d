"""Free-form JSON: frozen copies, changeable copies, and where a value is not JSON."""

import copy
import math
import pickle
from collections import OrderedDict, UserDict
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from lift_sys.backends.errors import InvalidSessionError
from lift_sys.backends.json_values import (
    MAX_DEPTH,
    MAX_INTEGER_DIGITS,
    FrozenDict,
    FrozenList,
    JsonArray,
    JsonObject,
    JsonValue,
    check_json,
    check_model,
    freeze,
    thaw,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner), max_leaves=20
)


def nested(levels: int, kind: str = "list") -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind == "list" else {"k": value}
    return value


def containers(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value
    below = [c for member in inside if isinstance(member, dict | list) for c in containers(member)]
    return [value, *below]


@given(st.lists(values))
def test_a_frozen_copy_equals_and_shares_nothing_that_changes(value: list[Any]) -> None:
    frozen = freeze(value)
    assert frozen == value
    assert {type(c) for c in containers(frozen)} <= {FrozenDict, FrozenList}
    thawed = thaw(frozen)
    assert thawed == value
    assert {type(c) for c in containers(thawed)} <= {dict, list}
    assert not {id(c) for c in containers(thawed)} & {id(c) for c in containers(frozen)}


@given(st.lists(values))
def test_frozen_values_copy_and_pickle(value: list[Any]) -> None:
    frozen = freeze(value)
    assert type(copy.deepcopy(frozen)) is list
    assert copy.deepcopy(frozen) == copy.copy(frozen) == value
    restored = pickle.loads(pickle.dumps(frozen))
    assert restored == value
    assert type(restored) is FrozenList


DICT_CHANGES: list[Any] = [
    lambda d: d.__setitem__("a", 1),
    lambda d: d.__delitem__("a"),
    lambda d: d.__ior__({"b": 1}),
    lambda d: d.clear(),
    lambda d: d.pop("a"),
    lambda d: d.popitem(),
    lambda d: d.setdefault("b", 1),
    lambda d: d.update(b=1),
]
LIST_CHANGES: list[Any] = [
    lambda x: x.__setitem__(0, 1),
    lambda x: x.__setitem__(slice(0, 1), []),
    lambda x: x.__delitem__(0),
    lambda x: x.__iadd__([1]),
    lambda x: x.__imul__(2),
    lambda x: x.append(1),
    lambda x: x.clear(),
    lambda x: x.extend([1]),
    lambda x: x.insert(0, 1),
    lambda x: x.pop(),
    lambda x: x.remove(2),
    lambda x: x.reverse(),
    lambda x: x.sort(),
]


@pytest.mark.parametrize("change", DICT_CHANGES)
def test_a_frozen_object_refuses_every_change(change: Any) -> None:
    frozen = freeze({"a": 2})
    with pytest.raises(TypeError, match="object cannot be changed"):
        change(frozen)
    assert frozen == {"a": 2}


@pytest.mark.parametrize("change", LIST_CHANGES)
def test_a_frozen_array_refuses_every_change(change: Any) -> None:
    frozen = freeze([2, 1])
    with pytest.raises(TypeError, match="array cannot be changed"):
        change(frozen)
    assert frozen == [2, 1]


def test_no_way_to_change_is_forgotten() -> None:
    of_mappings = {*dir(MutableMapping), "__ior__"} - set(dir(Mapping))
    of_sequences = {*dir(MutableSequence), "__imul__", "sort"} - set(dir(Sequence))
    for frozen, plain, changing in (
        (FrozenDict, dict, of_mappings),
        (FrozenList, list, of_sequences),
    ):
        for name in changing & set(dir(plain)):
            assert getattr(frozen, name) is not getattr(plain, name), name


def test_what_nests_too_deeply_or_in_itself_is_left_for_the_check() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for copied in (freeze(circle), thaw(circle)):
        with pytest.raises(InvalidSessionError, match="nested more than 100 levels"):
            check_json(copied, "metadata")


@given(values)
def test_json_is_accepted(value: Any) -> None:
    check_json(value, "metadata")
    check_json(freeze(value), "metadata")


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_the_limit_of_nesting_is_exact(kind: str) -> None:
    check_json(nested(MAX_DEPTH, kind), "metadata")
    with pytest.raises(InvalidSessionError, match="nested more than 100 levels"):
        check_json(nested(MAX_DEPTH + 1, kind), "metadata")


@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_of_integers_is_exact(sign: int) -> None:
    check_json(sign * (10**MAX_INTEGER_DIGITS - 1), "n")
    with pytest.raises(InvalidSessionError, match="n: an integer of more than 4300 digits"):
        check_json(sign * 10**MAX_INTEGER_DIGITS, "n")


class Text(str):
    """No JSON type."""

    __slots__ = ()


class Colour(StrEnum):
    """No JSON type."""

    RED = "red"


class Number(IntEnum):
    """No JSON type."""

    ONE = 1


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        (1, 2),
        {1},
        b"x",
        Decimal(1),
        1j,
        datetime.now(UTC),
        object(),
        Text("x"),
        Colour.RED,
        Number.ONE,
        OrderedDict(a=1),
        UserDict(a=1),
        MappingProxyType({"a": 1}),
        range(3),
        "\0",
        "a\ud800b",
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(InvalidSessionError, match=r"^metadata: "):
        check_json(value, "metadata")
    with pytest.raises(InvalidSessionError, match=r"^metadata\.a\[1\]\.b: "):
        check_json({"a": [0, {"b": value}]}, "metadata")


@pytest.mark.parametrize("key", [1, None, True, 1.5, (1,), Text("x"), b"x"], ids=repr)
def test_keys_are_text(key: Any) -> None:
    with pytest.raises(InvalidSessionError, match=r"^metadata\.a: the key .* JSON keys are text"):
        check_json({"a": {key: 1}}, "metadata")


@pytest.mark.parametrize("key", ["\0", "\udfff"])
def test_keys_hold_what_every_backend_keeps(key: str) -> None:
    with pytest.raises(InvalidSessionError, match=r"^metadata\.a \(a key\): holds "):
        check_json({"a": {key: 1}}, "metadata")


def test_a_message_is_short_however_long_the_key() -> None:
    with pytest.raises(InvalidSessionError) as raised:
        check_json({"k" * 10_000: math.nan}, "metadata")
    assert len(str(raised.value)) < 150


class Inner(BaseModel):
    """A model with every kind of member."""

    model_config = ConfigDict(extra="allow")
    text: str = ""
    many: tuple["Inner", ...] = ()
    free: Any = None


@pytest.mark.parametrize(
    ("model", "place"),
    [
        (Inner(text="\0"), "ir.text"),
        (Inner(many=(Inner(), Inner(text="\ud800"))), "ir.many[1].text"),
        (Inner(free={"a": [math.nan]}), "ir.free.a[0]"),
        (Inner(extra=[(1,)]), "ir.extra[0]"),
        (Inner(**{"\0": 1}), "ir (a key)"),
    ],
)
def test_a_model_is_checked_to_its_depths(model: Inner, place: str) -> None:
    with pytest.raises(InvalidSessionError) as raised:
        check_model(model, "ir")
    assert str(raised.value).startswith(f"{place}: ")


class Free(BaseModel):
    """The field types."""

    an_object: JsonObject
    an_array: JsonArray
    any_value: JsonValue


def test_model_fields_freeze_what_they_are_given_and_nothing_is_shared() -> None:
    inner: list[Any] = [1]
    given_object = {"a": inner}
    model = Free(an_object=given_object, an_array=(inner, 2), any_value={"b": inner})
    inner.append(2)
    assert model.model_dump() == {
        "an_object": {"a": [1]},
        "an_array": [[1], 2],
        "any_value": {"b": [1]},
    }
    assert type(model.an_object) is FrozenDict
    assert type(model.an_array) is FrozenList


def test_model_fields_take_mappings_and_sequences_and_nothing_else() -> None:
    Free(an_object=MappingProxyType({"a": 1}), an_array=range(3), any_value=1)
    no_objects: list[Any] = [[], "text", 1, None]
    for wrong in no_objects:
        with pytest.raises(ValidationError, match="must be a JSON object"):
            Free(an_object=wrong, an_array=[], any_value=None)
    no_arrays: list[Any] = [{}, "text", b"bytes", 1, None]
    for bad in no_arrays:
        with pytest.raises(ValidationError, match="must be a JSON array"):
            Free(an_object={}, an_array=bad, any_value=None)
