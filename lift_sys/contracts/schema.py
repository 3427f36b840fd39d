"""JSON Schemas as contracts need them: loaded, checked, and seen through ``$ref`` and ``allOf``.

A ``SchemaSet`` loads the files below one folder; nothing outside it is ever read or fetched. A
``View`` is one place in a schema. ``View.shape()`` answers what values that place accepts, after
following references, joining ``allOf`` and taking null out of ``anyOf``.
"""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote, unquote

import jsonschema_specifications  # type: ignore[import-untyped]  # it ships no types
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT202012, UnknownDialect, specification_with

from lift_sys.contracts.errors import ContractError

if TYPE_CHECKING:
    from referencing._core import Resolver

ALL_TYPES: Final = frozenset({"string", "number", "boolean", "object", "array"})
"""Every JSON type but null; an integer is a number."""
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The dialect of a schema that names none."""
MAX_LAYERS: Final = 10_000
"""How many subschemas may speak of one place; more is refused rather than computed."""
MAX_REFERENCES: Final = 100
"""How many references may lead from one to the next before a place is reached."""

_FILE_SCHEME: Final = "file:///"
_IDENTITY_KEYS: Final = ("$id", "id")


class SchemaSet:
    """The JSON Schema files below one folder, each loaded when it is first asked for.

    Args:
        root: the folder. A reference that leaves it is refused, and so is any to a network.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._shown_root = root.name or self.root.name
        retrieving: Registry[Any] = Registry(
            retrieve=self._retrieve,  # type: ignore[call-arg]  # mypy cannot see through its attrs
        )
        self._registry = retrieving.combine(jsonschema_specifications.REGISTRY).crawl()
        self._resources: dict[Path, Resource[Any]] = {}

    @cached_property
    def _paths_by_id(self) -> dict[str, Path]:
        """Where each ``$id`` below the root stands; a file that cannot be read has none."""
        found: dict[str, Path] = {}
        for path in sorted(self.root.rglob("*.schema.json")):
            try:
                schema = read_json(path, self.shown(path))
            except ContractError:
                continue
            if isinstance(schema, dict) and isinstance(schema.get("$id"), str):
                found.setdefault(schema["$id"].rstrip("#"), path)
        return found

    def shown(self, path: Path) -> str:
        """Return ``path`` as messages and generated files show it: from the root's own name on."""
        resolved = path.resolve()
        if not resolved.is_relative_to(self.root):
            return path.name
        return f"{self._shown_root}/{resolved.relative_to(self.root).as_posix()}"

    def load(self, path: Path) -> "View":
        """Return the root of the schema in ``path``.

        Raises:
            ContractError: the file cannot be read, is no JSON or no valid JSON Schema.
        """
        file = self.shown(path)
        schema = read_json(path, file)
        if not isinstance(schema, dict):
            raise ContractError(file, "", "a contract is a JSON object, not a bare value")
        check_schema(schema, file)
        resource = _resource(schema)
        uri = _FILE_SCHEME + quote(path.resolve().as_posix().lstrip("/"))
        registry = self._registry.with_resource(uri, resource).crawl()
        by_file = registry.resolver(base_uri=uri)
        said = next((schema[k] for k in _IDENTITY_KEYS if isinstance(schema.get(k), str)), "")
        identity = said.rstrip("#")
        by_id = by_file
        if identity and not identity.startswith("#"):
            registry = registry.with_resource(identity, resource).crawl()
            by_id = registry.resolver(base_uri=identity)
        return View(schema, (), file, by_id, by_file)

    def _retrieve(self, uri: str) -> Resource[Any]:
        path = self._paths_by_id.get(uri.rstrip("#"))
        if path is None and uri.startswith(_FILE_SCHEME):
            path = (Path("/") / unquote(uri.removeprefix(_FILE_SCHEME))).resolve()
        if path is None or not path.is_relative_to(self.root) or not path.is_file():
            raise NoSuchResource(ref=uri)  # type: ignore[call-arg]  # as above
        # A registry forgets what it retrieves; the same file must give the same objects again.
        if path not in self._resources:
            file = self.shown(path)
            self._resources[path] = _resource(read_json(path, file))
        return self._resources[path]


@dataclass(frozen=True)
class View:
    """One place in a schema: the subschema, where it stands, and how its references resolve."""

    schema: Any
    path: tuple[str | int, ...]
    file: str
    by_id: "Resolver[Any]" = field(repr=False, compare=False)
    by_file: "Resolver[Any]" = field(repr=False, compare=False)

    @property
    def pointer(self) -> str:
        """The JSON pointer of this place, seen from the contract's root through references."""
        return pointer(*self.path)

    def refuse(self, reason: str, *below: str) -> NoReturn:
        """Raise a ``ContractError`` for this place, or for the place ``below`` it."""
        raise ContractError(self.file, pointer(*self.path, *below), reason)

    def child(self, *path: str | int) -> "View":
        """Return the place ``path`` below this one."""
        schema = self.schema
        for step in path:
            schema = schema[step]
        by_id = self.by_id
        if isinstance(schema, dict) and isinstance(schema.get("$id"), str):
            by_id = by_id.in_subresource(DRAFT202012.create_resource(schema))
        return View(schema, (*self.path, *path), self.file, by_id, self.by_file)

    def target(self) -> "View":
        """Return the place that this one's ``$ref`` names.

        Raises:
            ContractError: nothing is there, or only a network could tell.
        """
        reference = self.schema["$ref"]
        resolvers = [self.by_id] if self.by_file is self.by_id else [self.by_id, self.by_file]
        for resolver in resolvers:
            try:
                found = resolver.lookup(reference)
            except (Unresolvable, ValueError, TypeError, LookupError, RecursionError) as error:
                if isinstance(error, ContractError):
                    raise
                continue
            if isinstance(found.contents, bool | dict):
                path = (*self.path, "$ref")
                return View(found.contents, path, self.file, found.resolver, self.by_file)
        return self.refuse(f"{reference!r} names no schema below the root; none is fetched", "$ref")

    def shape(self) -> "Shape":
        """Return what this place accepts.

        Raises:
            ContractError: a reference is circular or unresolvable, or no value is accepted.
        """
        return Shape.of([self])


@dataclass(frozen=True)
class Layer:
    """What one subschema, apart from those it refers to, says of a value."""

    view: View
    types: frozenset[str]
    nullable: bool
    enum: tuple[Any, ...] | None = None
    union: bool = False


@dataclass(frozen=True)
class Shape:
    """What values a place accepts, all of its subschemas joined.

    Attributes:
        view: the place itself, for messages.
        types: the JSON types accepted besides null; "integer" only where "number" is not.
        nullable: whether null is accepted.
        enum: the values accepted besides null, in order, or None where they are not listed.
        is_union: whether alternatives remain that no single column type expresses.
        layers: the subschemas joined, the place's own first.
    """

    view: View
    types: frozenset[str]
    nullable: bool
    enum: tuple[Any, ...] | None
    is_union: bool
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, views: Iterable[View]) -> "Shape":
        """Return the shape of what all ``views`` accept at once (see ``View.shape``)."""
        views = list(views)
        visits = itertools.count()
        layers = [layer for view in views for layer in _layers(view, (), visits)]
        types = _meet(layer.types for layer in layers)
        nullable = all(layer.nullable for layer in layers)
        enum = _common_values([layer.enum for layer in layers if layer.enum is not None], types)
        if enum is not None:
            types = frozenset(json_type(value) for value in enum)
        if not types and not nullable:
            views[0].refuse("no value satisfies this schema")
        is_union = any(layer.union for layer in layers)
        return cls(views[0], types, nullable, enum, is_union, tuple(layers))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the first value that a subschema gives for ``key``, the place's own first."""
        return next((at.view.schema[key] for at in self.layers if key in at.view.schema), default)

    def every(self, key: str) -> list[Any]:
        """Return the different values that the subschemas give for ``key``, in order."""
        values: list[Any] = []
        for layer in self.layers:
            value = layer.view.schema.get(key)
            if value is not None and value not in values:
                values.append(value)
        return values

    @property
    def required(self) -> frozenset[str]:
        """The properties an object must have."""
        return frozenset(name for names in self.every("required") for name in _list(names))

    @cached_property
    def properties(self) -> dict[str, list[View]]:
        """The places that speak of each property, in order of first mention."""
        found: dict[str, list[View]] = {}
        for layer in self.layers:
            for name in _mapping(layer.view.schema.get("properties")):
                found.setdefault(name, []).append(layer.view.child("properties", name))
        return found

    def property_shape(self, name: str) -> "Shape":
        """Return what the property ``name`` accepts."""
        return Shape.of(self.properties[name])

    def lower_bound(self) -> tuple[Any, bool] | None:
        """Return the least number accepted and whether it is itself excluded, or None."""
        bounds = self._bounds("minimum", "exclusiveMinimum")
        return max(bounds, key=lambda b: (b[0], b[1]), default=None)

    def upper_bound(self) -> tuple[Any, bool] | None:
        """Return the greatest number accepted and whether it is itself excluded, or None."""
        bounds = self._bounds("maximum", "exclusiveMaximum")
        return min(bounds, key=lambda b: (b[0], not b[1]), default=None)

    def _bounds(self, inclusive: str, exclusive: str) -> list[tuple[Any, bool]]:
        bounds: list[tuple[Any, bool]] = []
        for layer in self.layers:
            limit, strict = layer.view.schema.get(inclusive), layer.view.schema.get(exclusive)
            if _is_number(limit):
                # Up to draft 4, exclusiveMinimum was a boolean beside minimum.
                bounds.append((limit, strict is True))
            if _is_number(strict):
                bounds.append((strict, True))
        return bounds


def pointer(*steps: str | int) -> str:
    """Return the JSON pointer made of ``steps``."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def json_type(value: Any) -> str:
    """Return the JSON Schema type of ``value``; 1.0 is an integer there, and true is none."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if value == int(value) else "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def json_key(value: Any) -> str:
    """Return text that is equal for equal JSON values only: 1 and 1.0 are equal, 1 and true not."""
    return json.dumps(_plain(value), sort_keys=True)


def read_json(path: Path, file: str) -> Any:
    """Return the JSON value in ``path``, shown in messages as ``file``.

    Raises:
        ContractError: the file cannot be read, or is not JSON that every reader reads alike.
    """
    try:
        value = json.loads(
            path.read_text(encoding="utf-8-sig"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except OSError as error:
        raise ContractError(file, "", f"cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise ContractError(file, "", "is nested too deeply") from error
    except ValueError as error:
        raise ContractError(file, "", f"is no JSON: {error}") from error
    for place, text in _texts(value):
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ContractError(file, place, "holds a character that Postgres text cannot hold")
    return value


def check_schema(schema: Any, file: str) -> None:
    """Raise a ``ContractError`` unless ``schema`` is valid in the dialect its ``$schema`` names."""
    dialect = schema.get("$schema", DIALECT)
    try:
        specification_with(dialect)
    except (UnknownDialect, AttributeError) as unknown:
        reason = f"{dialect!r} is no JSON Schema dialect known here"
        raise ContractError(file, "/$schema", reason) from unknown
    validator = validator_for(schema, default=Draft202012Validator)
    try:
        # Formats are not asserted: whether a pattern is a regular expression is not for Python's
        # own dialect of them to say.
        error = best_match(validator(validator.META_SCHEMA).iter_errors(schema))
    except RecursionError as too_deep:
        raise ContractError(file, "", "is nested too deeply") from too_deep
    if error is not None:
        raise ContractError(file, pointer(*error.absolute_path), one_sentence(error.message))


def one_sentence(message: str, limit: int = 160) -> str:
    """Return ``message`` cut to ``limit`` characters, so that one error stays one line."""
    line = " ".join(message.split())
    return line if len(line) <= limit else line[:limit] + "..."


def _resource(schema: Any) -> Resource[Any]:
    return Resource.from_contents(schema, default_specification=DRAFT202012)


def _layers(view: View, trail: tuple[int, ...], visits: Iterator[int]) -> Iterator[Layer]:
    """Yield what ``view`` and the subschemas joined to it say.

    Args:
        view: the place.
        trail: the schemas that led here, by identity.
        visits: counts the subschemas looked at, all branches included.
    """
    schema = view.schema
    if next(visits) >= MAX_LAYERS:
        view.refuse(f"more than {MAX_LAYERS} subschemas speak of this place")
    if isinstance(schema, bool):
        types = ALL_TYPES if schema else frozenset[str]()
        yield Layer(replace(view, schema={}), types, nullable=schema)
        return
    if not isinstance(schema, dict):
        view.refuse("a schema is an object or a boolean")
    if id(schema) in trail:
        view.refuse("the reference is circular: it leads back to itself")
    if len(trail) > MAX_REFERENCES:
        view.refuse(f"more than {MAX_REFERENCES} references lead here, one to the next")
    trail = (*trail, id(schema))
    yield _own_layer(view)
    if isinstance(schema.get("$ref"), str):
        yield from _layers(view.target(), trail, visits)
    for position, _ in enumerate(_list(schema.get("allOf"))):
        yield from _layers(view.child("allOf", position), trail, visits)
    for key in ("anyOf", "oneOf"):
        if _list(schema.get(key)):
            yield from _alternatives(view, key, trail, visits)


def _own_layer(view: View) -> Layer:
    schema = view.schema
    says = schema.get("type")
    names = [says] if isinstance(says, str) else [n for n in _list(says) if isinstance(n, str)]
    types = _without_subtypes(n for n in names if n != "null") if names else ALL_TYPES
    nullable = not names or "null" in names or schema.get("nullable") is True
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    if not values:
        return Layer(view, types, nullable)
    # OpenAPI's nullable lets null through a list of values that does not name it.
    allows_null = any(value is None for value in values) or schema.get("nullable") is True
    listed = tuple(value for value in values if value is not None)
    return Layer(view, types, nullable and allows_null, enum=listed)


def _alternatives(
    view: View, key: str, trail: tuple[int, ...], visits: Iterator[int]
) -> Iterator[Layer]:
    places = [view.child(key, position) for position, _ in enumerate(view.schema[key])]
    branches = [list(_layers(place, trail, visits)) for place in places]
    nullable = any(all(layer.nullable for layer in branch) for branch in branches)
    typed = [(branch, _meet(layer.types for layer in branch)) for branch in branches]
    possible = [(branch, types) for branch, types in typed if types and not _is_only_null(branch)]
    if len(possible) == 1:
        # The one alternative to null holds as if it stood here itself.
        yield from (replace(layer, nullable=layer.nullable or nullable) for layer in possible[0][0])
        return
    here = replace(view, schema={})
    types = _without_subtypes(name for _, names in possible for name in names)
    lists = [_branch_values(branch, types) for branch, types in possible]
    if possible and all(values is not None for values in lists):
        listed = tuple(value for values in lists for value in values or ())
        yield Layer(here, types, nullable, enum=listed)
        return
    only_numbers = bool(types) and types <= {"number", "integer"}
    yield Layer(here, types, nullable, union=bool(types) and not only_numbers)


def _is_only_null(branch: list[Layer]) -> bool:
    return any(layer.enum == () for layer in branch)


def _branch_values(branch: list[Layer], types: frozenset[str]) -> tuple[Any, ...] | None:
    return _common_values([layer.enum for layer in branch if layer.enum is not None], types)


def _common_values(lists: list[tuple[Any, ...]], types: frozenset[str]) -> tuple[Any, ...] | None:
    """Return the values in every list that are of ``types``, each once, or None without lists."""
    if not lists:
        return None
    common = {json_key(value): value for value in lists[0]}
    for values in lists[1:]:
        keys = {json_key(value) for value in values}
        common = {key: value for key, value in common.items() if key in keys}
    fitting = [value for value in common.values() if _is_of(value, types)]
    return tuple(fitting)


def _is_of(value: Any, types: frozenset[str]) -> bool:
    name = json_type(value)
    return name in types or (name == "integer" and "number" in types)


def _without_subtypes(names: Iterable[str]) -> frozenset[str]:
    found = frozenset(names)
    return found - {"integer"} if "number" in found else found


def _meet(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    """Return the types in every set, where an integer is a number."""
    met = _with_subtypes(ALL_TYPES)
    for names in sets:
        met &= _with_subtypes(names)
    return _without_subtypes(met)


def _with_subtypes(names: frozenset[str]) -> frozenset[str]:
    return names | {"integer"} if "number" in names else names


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value == int(value):
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    return number


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Yield every text in a JSON value, keys included, with its pointer."""
    remaining: list[tuple[str, Any]] = [("", value)]
    while remaining:
        place, item = remaining.pop()
        if isinstance(item, str):
            yield place, item
        elif isinstance(item, dict):
            yield from ((place, key) for key in item)
            remaining.extend((place + pointer(key), nested) for key, nested in item.items())
        elif isinstance(item, list):
            remaining.extend((place + pointer(i), nested) for i, nested in enumerate(item))
