"""What is understood of a JSON Schema, and what is refused, where and why."""

import json
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lift_sys.contracts import Contract, ContractError, Workspace, tables_for
from lift_sys.contracts.schema import Shape, json_key


def _shape(load: Any, schema: Any, **more: Any) -> Shape:
    contract: Contract = load({"properties": {"x": schema}, **more})
    return contract.root.shape().property_shape("x")


@pytest.mark.parametrize(
    ("schema", "types", "nullable"),
    [
        (True, {"string", "number", "boolean", "object", "array"}, True),
        ({}, {"string", "number", "boolean", "object", "array"}, True),
        ({"type": "string"}, {"string"}, False),
        ({"type": ["string", "null"]}, {"string"}, True),
        ({"type": "string", "nullable": True}, {"string"}, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"string"}, True),
        ({"oneOf": [{"type": "null"}, {"$ref": "#/$defs/number"}]}, {"number"}, True),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, {"number"}, False),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, {"integer"}, False),
        ({"allOf": [{"type": ["string", "null"]}, {"type": "string"}]}, {"string"}, False),
        ({"enum": ["a", None]}, {"string"}, True),
        ({"enum": ["a", None], "type": "string"}, {"string"}, False),
        ({"enum": ["a"], "type": "string", "nullable": True}, {"string"}, True),
        ({"const": None}, set(), True),
        ({"type": "null"}, set(), True),
        ({"anyOf": [{"const": 1}, {"const": 2.5}]}, {"integer", "number"}, False),
        ({"$ref": "#/$defs/number", "description": "beside it"}, {"number"}, False),
    ],
)
def test_types_and_null_are_understood(
    load: Any, schema: Any, types: set[str], nullable: bool
) -> None:
    shape = _shape(load, schema, **{"$defs": {"number": {"type": "number"}}})
    assert (set(shape.types), shape.nullable) == (types, nullable)


def test_alternatives_of_constants_are_one_list(load: Any) -> None:
    shape = _shape(load, {"oneOf": [{"const": "a"}, {"enum": ["b", "a"]}]})
    assert (shape.enum, shape.is_union) == (("a", "b"), False)


def test_alternatives_of_other_kinds_stay_a_union(load: Any) -> None:
    assert _shape(load, {"anyOf": [{"type": "string"}, {"type": "object"}]}).is_union


def test_all_of_joins_properties_bounds_and_requirements(load: Any) -> None:
    base = {"properties": {"n": {"minimum": 1}, "m": {}}, "required": ["m"]}
    contract = load(
        {
            "allOf": [base],
            "properties": {"n": {"type": "integer", "minimum": 0, "exclusiveMaximum": 9}},
            "required": ["n"],
        }
    )
    shape = contract.root.shape()
    n = shape.property_shape("n")
    assert (list(shape.properties), shape.required) == (["n", "m"], {"n", "m"})
    assert (n.types, n.lower_bound(), n.upper_bound()) == ({"integer"}, (1, False), (9, True))


def test_a_reference_reaches_other_files_by_path_and_by_id(root: Path, put: Any) -> None:
    put("x/y/target", {"$defs": {"word": {"type": "string"}}})
    schema = {
        "properties": {
            "by_path": {"$ref": "../y/target.schema.json#/$defs/word"},
            "by_id": {"$ref": "x:y:target#/$defs/word"},
        }
    }
    contract = Workspace(root).load(put("x/z/source", schema))
    shape = contract.root.shape()
    assert {shape.property_shape(name).types for name in shape.properties} == {
        frozenset({"string"})
    }


def test_a_recursive_schema_is_no_circle(load: Any) -> None:
    contract = load({"properties": {"child": {"$ref": "#"}}}, strategy="relational")
    assert [table.name for table in tables_for(contract)] == ["a_b_c"]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a contract must not reach for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "remote reference": (
        {"properties": {"x": {"$ref": "https://example.com/x.json"}}},
        "/properties/x/$ref",
        "none is fetched",
    ),
    "file outside": (
        {"properties": {"x": {"$ref": "../../../../outside.json"}}},
        "/properties/x/$ref",
        "names no schema",
    ),
    "dangling reference": (
        {"properties": {"x": {"$ref": "#/$defs/nowhere"}}},
        "/properties/x/$ref",
        "names no schema",
    ),
    "reference to no schema": (
        {"properties": {"x": {"$ref": "#/version"}}},
        "/properties/x/$ref",
        "names no schema",
    ),
    "circular reference": (
        {"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}},
        "/properties/x/$ref",
        "circular",
    ),
    "circle of two": (
        {
            "properties": {"x": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}},
        },
        "/properties/x/$ref",
        "circular",
    ),
    "impossible": (
        {"properties": {"x": {"allOf": [{"type": "string"}, {"type": "object"}]}}},
        "/properties/x",
        "no value",
    ),
    "impossible list": (
        {"properties": {"x": {"allOf": [{"const": "a"}, {"enum": ["b"]}]}}},
        "/properties/x",
        "no value",
    ),
    "required and false": (
        {"properties": {"x": False}, "required": ["x"]},
        "/properties/x",
        "no value",
    ),
    "no properties": ({"type": "object"}, "", "needs properties"),
    "no object": ({"type": "string"}, "", "needs an object"),
    "unknown type": ({"properties": {"x": {"type": "text"}}}, "/properties/x/type", "text"),
    "properties no object": ({"properties": []}, "/properties", "[]"),
    "two formats": (
        {
            "properties": {
                "x": {"type": "string", "allOf": [{"format": "date"}, {"format": "time"}]}
            }
        },
        "/properties/x/format",
        "two formats",
    ),
    "default of another type": (
        {"properties": {"x": {"type": "integer", "default": "1"}}},
        "/properties/x/default",
        "type string",
    ),
    "default not listed": (
        {"properties": {"x": {"enum": ["a"], "default": "b"}}},
        "/properties/x/default",
        "none of the allowed",
    ),
    "default out of bounds": (
        {"properties": {"x": {"type": "number", "minimum": 1, "default": 0}}},
        "/properties/x/default",
        "out of bounds",
    ),
    "default too large": (
        {"properties": {"x": {"type": "integer", "default": 2**31}}},
        "/properties/x/default",
        "does not fit integer",
    ),
    "default no date": (
        {"properties": {"x": {"type": "string", "format": "date", "default": "today"}}},
        "/properties/x/default",
        "no date",
    ),
    "default without offset": (
        {
            "properties": {
                "x": {"type": "string", "format": "date-time", "default": "2025-01-01T00:00:00"}
            }
        },
        "/properties/x/default",
        "no offset",
    ),
    "colliding columns": (
        {"properties": {"fooBar": {"type": "string"}, "foo_bar": {"type": "string"}}},
        "/properties/foo_bar",
        "also that of /properties/fooBar",
    ),
    "nameless column": ({"properties": {"🍣": {"type": "string"}}}, "/properties/🍣", "x-column"),
    "no Postgres type": (
        {"properties": {"x": {"x-postgres-type": "text); drop table x"}}},
        "/properties/x/x-postgres-type",
        "no plain Postgres type",
    ),
    "foreign key without table": (
        {"properties": {"x": {"type": "string", "x-foreign-key": {"column": "id"}}}},
        "/properties/x/x-foreign-key",
        "needs table",
    ),
    "index of nothing": (
        {"properties": {"x": {"type": "string"}}, "x-index": [["y"]]},
        "/x-index/0",
        "no property or column",
    ),
    "owner of nothing": ({"properties": {"x": {}}, "x-owner": "y"}, "/x-owner", "names a property"),
    "owner optional": (
        {"properties": {"x": {"type": "string"}}, "x-owner": "x"},
        "/x-owner",
        "required",
    ),
    "owner of nothing by hand": (
        {
            "properties": {"x": {"type": "string"}},
            "x-owner": "y",
            "x-artifact-metadata": {
                "persistence": {"strategy": "relational", "managed": "by-hand", "table": "x"}
            },
        },
        "/x-owner",
        "names a column",
    ),
    "unknown dialect": ({"$schema": "https://example.com/own"}, "/$schema", "no JSON Schema"),
    "no version": ({"version": "1"}, "/version", "no version"),
    "no identity": ({"$id": ""}, "/$id", "needs an $id"),
    "unknown strategy": (
        {"x-artifact-metadata": {"persistence": {"strategy": "document"}}},
        "/x-artifact-metadata/persistence/strategy",
        "relational",
    ),
    "misspelt key": (
        {"x-artifact-metadata": {"persistence": {"stratgy": "jsonb"}}},
        "/x-artifact-metadata/persistence/stratgy",
        "not permitted",
    ),
    "purpose other": (
        {"x-artifact-metadata": {"persistence": {"purpose": "other"}}},
        "/x-artifact-metadata/persistence",
        "access",
    ),
}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_contract_is_refused_with_file_pointer_and_reason(load: Any, kind: str) -> None:
    schema, pointer, reason = REFUSED[kind]
    with pytest.raises(ContractError) as refusal:
        tables_for(
            load({"x-artifact-metadata": {"persistence": {"strategy": "relational"}}, **schema})
        )
    error = refusal.value
    assert error.file == "contracts/a/b/c.schema.json"
    assert error.pointer.split("/$ref")[0] == pointer.split("/$ref")[0]
    assert reason in error.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no JSON"),
        (b"[]", "a JSON object"),
        (b"true", "a JSON object"),
        (b"\xff{}", "no JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "no JSON number"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": "\\u0000"}', "cannot hold"),
        (b'{"\\ud800": 1}', "cannot hold"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"not": ' * 2_000 + b"{}" + b"}" * 2_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_json_schema_is_refused(root: Path, content: bytes, reason: str) -> None:
    path = root / "x.schema.json"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=reason):
        Workspace(root).load(path)


def test_a_missing_file_is_refused(root: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        Workspace(root).load(root / "missing.schema.json")


def test_the_second_contract_of_an_id_is_refused(root: Path, put: Any) -> None:
    put("a/b/c", {"$id": "same"})
    put("a/b/d", {"$id": "same"})
    contracts, refused = Workspace(root).load_all()
    assert [contract.file for contract in contracts] == ["contracts/a/b/c.schema.json"]
    assert [error.pointer for error in refused] == ["/$id"]


@pytest.mark.parametrize("key", ["allOf", "anyOf", "oneOf"])
def test_what_would_take_for_ever_is_refused(load: Any, key: str) -> None:
    defs: dict[str, Any] = {"d0": {}}
    for level in range(1, 40):
        defs[f"d{level}"] = {key: [{"$ref": f"#/$defs/d{level - 1}"}] * 2}
    with pytest.raises(ContractError, match="more than"):
        load({"$ref": "#/$defs/d39", "$defs": defs}).root.shape()


def test_a_long_chain_of_references_is_refused(load: Any) -> None:
    defs: dict[str, Any] = {"d0": {}}
    for level in range(1, 2_000):
        defs[f"d{level}"] = {"$ref": f"#/$defs/d{level - 1}"}
    with pytest.raises(ContractError, match="more than"):
        load({"$ref": "#/$defs/d1999", "$defs": defs}).root.shape()


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), ("1", 1), (None, False)])
def test_values_of_different_types_are_different(one: Any, other: Any) -> None:
    assert json_key(one) != json_key(other)


def test_an_integral_float_is_the_same_number() -> None:
    assert json_key({"a": [1.0]}) == json_key({"a": [1]})


def test_a_contract_may_begin_with_a_byte_order_mark(root: Path) -> None:
    path = root / "a" / "b" / "c.schema.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"$id": "a", "version": "1.0.0"}).encode())
    assert Workspace(root).load(path).identity == "a"
