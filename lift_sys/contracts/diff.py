"""What changed between two versions of a contract, and which version number that calls for.

A change is major when some value that one side writes cannot be read by the other: old code
reading new data, or new code reading old. Optional properties may come (and, where others are
tolerated, go) with a minor version, and words change with a patch. A draft (0.x.y) breaks with a
minor version.

Whether a migration is needed does not follow from the version: a JSONB document changes its
fields freely. So the two tables themselves are compared.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from lift_sys.contracts.contract import METADATA_KEY, Contract, Version
from lift_sys.contracts.schema import Shape, View, json_key, pointer
from lift_sys.contracts.tables import Table, tables_for
from lift_sys.contracts.types import Column

_DOCUMENTATION: Final = frozenset(
    {"title", "description", "examples", "$comment", "deprecated", "readOnly", "writeOnly"}
)
_STRUCTURE: Final = frozenset(
    {
        "x-index",
        "x-foreign-key",
        "x-owner",
        "x-updated-at",
        "x-postgres-type",
        "x-column",
        "x-table",
        METADATA_KEY,
    }
)
# Compared through the shape, or only names and places of other schemas.
_COMPARED_OTHERWISE: Final = frozenset(
    {"type", "nullable", "enum", "const", "properties", "required", "items", "anyOf", "oneOf"}
    | {"allOf", "$ref", "$defs", "definitions", "$id", "id", "$schema", "version", "$anchor"}
)
_RULES: Final = frozenset(
    {"format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum"}
    | {"exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems", "contains"}
    | {"minContains", "maxContains", "prefixItems", "additionalItems", "unevaluatedItems"}
    | {"minProperties", "maxProperties", "additionalProperties", "patternProperties"}
    | {"propertyNames", "unevaluatedProperties", "dependencies", "dependentRequired"}
    | {"dependentSchemas", "not", "if", "then", "else"}
)


class Bump(IntEnum):
    """Which part of a version a change calls for."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    def applied_to(self, version: Version) -> Version:
        """Return the least version that may follow ``version`` after such a change."""
        bump = self
        if version.major == 0 and bump > Bump.PATCH:
            bump = Bump(bump - 1)
        if bump is Bump.MAJOR:
            return Version(version.major + 1, 0, 0)
        if bump is Bump.MINOR:
            return Version(version.major, version.minor + 1, 0)
        return version._replace(patch=version.patch + bump)


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        pointer: where in the contract.
        message: what changed.
        bump: which part of the version it calls for.
        migration: whether the table has to change with it.
    """

    pointer: str
    message: str
    bump: Bump
    migration: bool = False


@dataclass(frozen=True)
class Pair:
    """Two places still to be compared: those that speak of one value, before and after."""

    old: tuple[View, ...]
    new: tuple[View, ...]
    pointer: str

    @property
    def key(self) -> tuple[tuple[int, ...], ...]:
        """What is equal for two pairs of the same places."""
        return tuple(tuple(id(view.schema) for view in views) for views in (self.old, self.new))


@dataclass(frozen=True)
class Comparison:
    """What lies between two versions of a contract.

    Attributes:
        old: the version before.
        new: the version after.
        changes: the changes, the gravest first.
        migration: whether any table changes.
    """

    old: Version
    new: Version
    changes: tuple[Change, ...]
    migration: bool

    @property
    def bump(self) -> Bump:
        """The gravest bump that a change calls for."""
        return max((change.bump for change in self.changes), default=Bump.NONE)

    @property
    def least(self) -> Version:
        """The least version the new contract may bear."""
        return self.bump.applied_to(self.old)

    @property
    def is_enough(self) -> bool:
        """Whether the new contract's version says at least as much as the changes."""
        return self.new >= self.least


def compare(old: Contract, new: Contract) -> Comparison:
    """Return what changed from ``old`` to ``new``.

    Raises:
        ContractError: they are two different contracts, or one of them has no valid table.
    """
    if old.identity != new.identity:
        new.root.refuse(f"this is {new.identity!r}, not a version of {old.identity!r}", "$id")
    # A table's name is no part of the comparison, only that both sides have the same one.
    names = new.names or (new.identity,)
    before, after = (tables_for(replace(contract, names=names)) for contract in (old, new))
    changed = _changed_places(before, after)
    altered = [_structure(table) for table in before] != [_structure(table) for table in after]
    changes = [
        replace(change, migration=altered and _touches(change, changed))
        for change in _walk(Pair((old.root,), (new.root,), ""))
    ]
    changes.sort(key=lambda change: (-change.bump, change.pointer, change.message))
    return Comparison(old.version, new.version, tuple(dict.fromkeys(changes)), altered)


def _walk(root: Pair) -> Iterator[Change]:
    """Yield the changes at ``root`` and below, level by level.

    A definition that several places share is compared once, which also ends the walk through
    recursive ones.
    """
    waiting, seen = deque([root]), set[tuple[tuple[int, ...], ...]]()
    while waiting:
        pair = waiting.popleft()
        if pair.key in seen:
            continue
        seen.add(pair.key)
        for found in _compare_pair(pair):
            if isinstance(found, Pair):
                waiting.append(found)
            else:
                yield found


def _compare_pair(pair: Pair) -> Iterator[Change | Pair]:
    impossible = [any(view.schema is False for view in views) for views in (pair.old, pair.new)]
    if any(impossible):
        if impossible[0] != impossible[1]:
            yield Change(pair.pointer, "it became possible, or impossible, to have it", Bump.MAJOR)
        return
    old, new, path = Shape.of(pair.old), Shape.of(pair.new), pair.pointer
    yield from _types(old, new, path)
    yield from _values(old, new, path)
    yield from _keywords(old, new, path)
    yield from _properties(old, new, path)
    yield from _nested(old, new, path)


def _types(old: Shape, new: Shape, path: str) -> Iterator[Change]:
    if old.types != new.types:
        message = f"type: {_names(old)} -> {_names(new)}"
        yield Change(path, message, Bump.MAJOR)
    if old.nullable != new.nullable:
        message = "null is accepted now" if new.nullable else "null is refused now"
        yield Change(path, message, Bump.MAJOR)


def _names(shape: Shape) -> str:
    return " or ".join(sorted(shape.types)) or "null"


def _values(old: Shape, new: Shape, path: str) -> Iterator[Change]:
    if old.enum is None or new.enum is None:
        if old.enum is not new.enum:
            listed = "listed" if old.enum is None else "no longer listed"
            yield Change(path, f"the allowed values are {listed} now", Bump.MAJOR)
        return
    before = {json_key(value) for value in old.enum}
    after = {json_key(value) for value in new.enum}
    for value in sorted(before - after):
        yield Change(path, f"the value {value} is refused now", Bump.MAJOR)
    for value in sorted(after - before):
        yield Change(path, f"the value {value} is new: old code cannot read it", Bump.MAJOR)


def _keywords(old: Shape, new: Shape, path: str) -> Iterator[Change]:
    names = {key for shape in (old, new) for at in shape.layers for key in at.view.schema}
    for name in sorted(names - _COMPARED_OTHERWISE):
        before, after = (_said(shape, name) for shape in (old, new))
        if before == after:
            continue
        if name in _RULES:
            yield Change(path, f"the rule {name} changed", Bump.MAJOR)
        elif name in _STRUCTURE or name == "default":
            yield Change(path, f"{name} changed", Bump.MINOR)
        else:
            kind = "documentation" if name in _DOCUMENTATION else "annotation"
            yield Change(path, f"the {kind} {name} changed", Bump.PATCH)


def _said(shape: Shape, name: str) -> Any:
    """Return what a shape says by the keyword ``name``, comparable."""
    if name in _RULES:
        return sorted(json_key(value) for value in shape.every(name))
    return json_key(shape.get(name))


def _properties(old: Shape, new: Shape, path: str) -> Iterator[Change | Pair]:
    for name in dict.fromkeys([*old.properties, *new.properties]):
        place = path + pointer("properties", name)
        if name not in new.properties:
            yield _removed(old, new, name, place)
        elif name not in old.properties:
            yield _added(new, name, place)
        else:
            if (name in old.required) != (name in new.required):
                state = "required" if name in new.required else "optional"
                yield Change(place, f"the property is {state} now", Bump.MAJOR)
            yield Pair(tuple(old.properties[name]), tuple(new.properties[name]), place)


def _removed(old: Shape, new: Shape, name: str, place: str) -> Change:
    if name in old.required:
        return Change(place, "a required property was removed", Bump.MAJOR)
    if False in new.every("additionalProperties"):
        message = "an optional property was removed, and others are refused"
        return Change(place, message, Bump.MAJOR)
    return Change(place, "an optional property was removed", Bump.MINOR)


def _added(new: Shape, name: str, place: str) -> Change:
    if name in new.required:
        return Change(place, "a required property was added: old data lacks it", Bump.MAJOR)
    return Change(place, "an optional property was added", Bump.MINOR)


def _nested(old: Shape, new: Shape, path: str) -> Iterator[Change | Pair]:
    """Compare what stands below a shape besides its properties: items and alternatives."""
    for key in ("items", "anyOf", "oneOf"):
        before, after = _below(old, key), _below(new, key)
        if len(before) != len(after):
            if key == "items" or old.is_union or new.is_union:
                yield Change(path, f"{key} changed", Bump.MAJOR)
            continue
        for position, (one, other) in enumerate(zip(before, after, strict=True)):
            steps = (key,) if key == "items" else (key, position)
            yield Pair((one,), (other,), path + pointer(*steps))


def _below(shape: Shape, key: str) -> list[View]:
    found: list[View] = []
    for layer in shape.layers:
        value = layer.view.schema.get(key)
        if isinstance(value, list):
            found.extend(layer.view.child(key, position) for position, _ in enumerate(value))
        elif value is not None:
            found.append(layer.view.child(key))
    return found


def _structure(table: Table) -> object:
    """Return what of a table the database sees."""
    columns = [_enforced(column) for column in table.columns]
    settings = (table.owner, table.operations, table.keeps_updated_at)
    return table.name, table.pattern, columns, table.indexes, settings


def _enforced(column: Column) -> Column:
    return replace(column, why="", pointer="", markers=(), note="", samples=())


def _changed_places(before: Sequence[Table], after: Sequence[Table]) -> Mapping[str, bool]:
    """Return, by pointer, whether the column made from there is different, new or gone."""
    old, new = (
        {c.pointer: _enforced(c) for table in tables for c in table.columns if c.pointer}
        for tables in (before, after)
    )
    return {place: old.get(place) != new.get(place) for place in old.keys() | new.keys()}


def _touches(change: Change, changed: Mapping[str, bool]) -> bool:
    """Tell whether ``change`` is one for which the table changes."""
    for place, differs in changed.items():
        if change.pointer == place or change.pointer.startswith(place + "/"):
            return differs
    return any(change.message.startswith(key) for key in _STRUCTURE)
