"""Each kind of change, the version it calls for and whether the table changes."""

from typing import Any

import pytest

from lift_sys.contracts import Bump, Comparison, ContractError, Version, compare

BASE: dict[str, Any] = {
    "title": "Payment",
    "properties": {
        "amount": {"type": "string", "maxLength": 9},
        "state": {"enum": ["open", "paid"]},
        "note": {"type": "string"},
        "lines": {
            "type": "array",
            "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
        },
    },
    "required": ["amount", "state"],
}


def _with(**changes: Any) -> dict[str, Any]:
    return {**BASE, "properties": {**BASE["properties"], **changes}}


def _without(name: str) -> dict[str, Any]:
    properties = {key: value for key, value in BASE["properties"].items() if key != name}
    required = [key for key in BASE["required"] if key != name]
    return {**BASE, "properties": properties, "required": required}


# The new schema, the bump, and whether a table of columns has to change; one of documents never.
CHANGES: dict[str, tuple[dict[str, Any], Bump, bool]] = {
    "nothing": (BASE, Bump.NONE, False),
    "remove a required field": (_without("amount"), Bump.MAJOR, True),
    "change a field's type": (_with(amount={"type": "integer"}), Bump.MAJOR, True),
    "add an optional field": (_with(extra={"type": "string"}), Bump.MINOR, True),
    "fix the documentation": ({**BASE, "title": "A payment"}, Bump.PATCH, False),
    "describe a field": (
        _with(note={"type": "string", "description": "free text"}),
        Bump.PATCH,
        False,
    ),
    "remove an optional field": (_without("note"), Bump.MINOR, True),
    "remove an optional field, others refused": (
        {**_without("note"), "additionalProperties": False},
        Bump.MAJOR,
        True,
    ),
    "add a required field": (
        {**_with(extra={"type": "string"}), "required": ["amount", "state", "extra"]},
        Bump.MAJOR,
        True,
    ),
    "require an optional field": (
        {**BASE, "required": ["amount", "state", "note"]},
        Bump.MAJOR,
        True,
    ),
    "no longer require a field": ({**BASE, "required": ["amount"]}, Bump.MAJOR, True),
    "accept null": (_with(note={"type": ["string", "null"]}), Bump.MAJOR, False),
    "add a value": (_with(state={"enum": ["open", "paid", "void"]}), Bump.MAJOR, True),
    "remove a value": (_with(state={"enum": ["open"]}), Bump.MAJOR, True),
    "reorder values": (_with(state={"enum": ["paid", "open"]}), Bump.NONE, True),
    "list the values": (_with(note={"enum": ["a"]}), Bump.MAJOR, True),
    "narrow a rule": (_with(amount={"type": "string", "maxLength": 5}), Bump.MAJOR, True),
    "add a default": (_with(note={"type": "string", "default": ""}), Bump.MINOR, True),
    "change below a list": (
        _with(
            lines={
                "type": "array",
                "items": {"type": "object", "properties": {"n": {"type": "number"}}},
            }
        ),
        Bump.MAJOR,
        False,
    ),
    "an index": ({**BASE, "x-index": [["note"]]}, Bump.MINOR, True),
    "behind a reference": (
        {**_with(note={"$ref": "#/$defs/n"}), "$defs": {"n": {"type": "string"}}},
        Bump.NONE,
        False,
    ),
    "an annotation": ({**BASE, "x-anything": 1}, Bump.PATCH, False),
    "impossible now": (_with(note=False), Bump.MAJOR, True),
}


def _compare(load: Any, new: dict[str, Any], strategy: str = "relational") -> Comparison:
    before = load(BASE, place="a/b/before", strategy=strategy)
    after = load({**new, "$id": before.identity}, place="a/b/after", strategy=strategy)
    return compare(before, after)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_calls_for_its_version(load: Any, kind: str) -> None:
    new, bump, _ = CHANGES[kind]
    assert _compare(load, new).bump is bump


@pytest.mark.parametrize("kind", [kind for kind in CHANGES if kind != "reorder values"])
def test_a_change_of_columns_needs_a_migration(load: Any, kind: str) -> None:
    new, _, migration = CHANGES[kind]
    assert _compare(load, new).migration is migration


@pytest.mark.parametrize("kind", [kind for kind in CHANGES if kind != "an index"])
def test_a_change_of_documents_needs_none(load: Any, kind: str) -> None:
    new, _, _ = CHANGES[kind]
    assert not _compare(load, new, "jsonb").migration


def test_an_index_on_documents_needs_one(load: Any) -> None:
    assert _compare(load, CHANGES["an index"][0], "jsonb").migration


def test_each_change_says_whether_it_needs_the_migration(load: Any) -> None:
    new = {**_with(extra={"type": "string"}), "title": "A payment"}
    found = {change.pointer: change.migration for change in _compare(load, new).changes}
    assert found == {"/properties/extra": True, "": False}


def test_a_change_is_reported_where_it_is(load: Any) -> None:
    (change,) = _compare(load, CHANGES["change below a list"][0]).changes
    assert (change.pointer, change.message) == (
        "/properties/lines/items/properties/n",
        "type: integer -> number",
    )


@pytest.mark.parametrize(
    ("old", "bump", "least"),
    [
        ("1.2.3", Bump.MAJOR, "2.0.0"),
        ("1.2.3", Bump.MINOR, "1.3.0"),
        ("1.2.3", Bump.PATCH, "1.2.4"),
        ("1.2.3", Bump.NONE, "1.2.3"),
        ("0.2.3", Bump.MAJOR, "0.3.0"),
        ("0.2.3", Bump.MINOR, "0.2.4"),
        ("0.2.3", Bump.PATCH, "0.2.4"),
    ],
)
def test_a_bump_gives_the_least_version_that_follows(old: str, bump: Bump, least: str) -> None:
    assert str(bump.applied_to(Version.parse(old))) == least


@pytest.mark.parametrize(
    ("version", "enough"), [("1.0.0", False), ("1.0.1", False), ("1.1.0", True), ("2.0.0", True)]
)
def test_a_version_that_says_too_little_is_not_enough(
    load: Any, version: str, enough: bool
) -> None:
    new = {**_with(extra={"type": "string"}), "version": version}
    assert _compare(load, new).is_enough is enough


def test_two_different_contracts_are_not_compared(load: Any) -> None:
    with pytest.raises(ContractError, match="not a version of"):
        compare(load({}, place="a/b/c"), load({}, place="a/b/d"))


@pytest.mark.parametrize(
    "text", ["1", "1.0", "01.0.0", "1.0.0-rc1", "v1.0.0", "", None, 1.0, "\u0661.0.0"]
)
def test_what_is_no_version_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="no version"):
        Version.parse(text)
