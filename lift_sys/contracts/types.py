"""From what a property accepts to the Postgres column that holds it.

One function, ``column_for``, maps a ``Shape`` to a ``Column``: the type, whether null may stand
there, the default and the CHECKs. The type follows the JSON Schema type and format; an ``enum``
or ``const`` becomes a CHECK, objects and arrays become JSONB.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

from lift_sys.contracts.naming import identifier, json_literal, literal
from lift_sys.contracts.patterns import UUID_PATTERNS, UntranslatableError, translate
from lift_sys.contracts.schema import Shape, json_key, json_type

INT4: Final = range(-(2**31), 2**31)
INT8: Final = range(-(2**63), 2**63)

_STRING_FORMATS: Final = {
    "date-time": "timestamptz",
    "date": "date",
    "time": "time",
    "uuid": "uuid",
}
_PLAIN_TYPES: Final = {"number": "numeric", "boolean": "boolean"}
_OVERRIDE: Final = re.compile(r"[a-z][a-z0-9_]*( [a-z]+)*(\(\d+(, ?\d+)?\))?( [a-z ]+)?(\[\])?")
_INTEGER_RANGES: Final = {"integer": INT4, "bigint": INT8}
_FAR_NUMBERS: Final = range(-(10**30), 10**30 + 1)
_FAR_LENGTH: Final = 10_000
_FAR_TEXTS: Final = {
    "timestamptz": ("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"),
    "date": ("0001-01-01", "9999-12-31"),
    "boolean": ("true", "false"),
}
_NUMBERS: Final = frozenset({"integer", "bigint", "numeric"})


@dataclass(frozen=True)
class Marker:
    """Something the contract leaves open, for a reviewer to settle in the migration.

    Attributes:
        topic: one word or two, in kebab-case, by which the marker is found.
        text: what to decide, and which key of the contract would settle it.
    """

    topic: str
    text: str


@dataclass(frozen=True)
class Sample:
    """A value to try on the column's CHECKs, in Postgres' text form, and whether they accept it."""

    text: str
    accepted: bool


@dataclass(frozen=True)
class ForeignKey:
    """What a column refers to; ``on_delete`` is an SQL action in lower case."""

    table: str
    column: str
    on_delete: str


@dataclass(frozen=True)
class Column:
    """One column, and what of it the database must enforce.

    Attributes:
        name: the column's name, unquoted.
        type: its Postgres type as migrations write it.
        nullable: whether null may stand in it.
        default: its default as SQL, or None.
        checks: conditions as SQL, each over this column alone.
        allowed: the values accepted besides null, in Postgres' text form, or None.
        samples: further values to try on the CHECKs.
        why: the rule that gave the type, for people.
        pointer: where in the contract it comes from; empty for a standard column.
        is_key: whether it is the primary key.
        identity: whether Postgres numbers it.
        references: what it refers to, or None.
        markers: what is left to a reviewer.
        note: what the type cannot express, or empty.
    """

    name: str
    type: str
    nullable: bool = False
    default: str | None = None
    checks: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None
    samples: tuple[Sample, ...] = ()
    why: str = ""
    pointer: str = ""
    is_key: bool = False
    identity: bool = False
    references: ForeignKey | None = None
    markers: tuple[Marker, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class _Mapping:
    type: str
    why: str
    marker: Marker | None = None
    note: str = ""


def column_for(name: str, shape: Shape, *, required: bool) -> Column:
    """Return the column ``name`` for values of ``shape``.

    Args:
        name: the column's name.
        shape: what the property accepts.
        required: whether the contract requires the property.

    Raises:
        ContractError: the shape has no column, or its default is not one of its values.
    """
    mapping = _mapping(name, shape)
    default = _default(shape, mapping.type)
    checks, markers = _checks(name, shape, mapping.type)
    if mapping.marker:
        markers.insert(0, mapping.marker)
    allowed = _allowed(shape, mapping.type)
    may_lack = not required and default is None
    return Column(
        name=name,
        type=mapping.type,
        nullable=shape.nullable or may_lack,
        default=default,
        checks=tuple(checks),
        allowed=allowed,
        samples=() if allowed is not None else _samples(shape, mapping.type),
        why=mapping.why,
        pointer=shape.view.pointer,
        markers=tuple(markers),
        note=mapping.note,
    )


def _mapping(name: str, shape: Shape) -> _Mapping:
    override = shape.get("x-postgres-type")
    if override is not None:
        if not isinstance(override, str) or not _OVERRIDE.fullmatch(override):
            shape.view.refuse(f"{override!r} is no plain Postgres type", "x-postgres-type")
        return _Mapping(override, "x-postgres-type says so")
    if shape.enum is not None:
        return _listed_type(shape.enum)
    if shape.is_union or len(shape.types) > 1:
        names = "any JSON value" if len(shape.types) > 4 else " or ".join(sorted(shape.types))  # noqa: PLR2004 - all five
        text = (
            f"{name} may be {names}, which no one type holds: say x-postgres-type, jsonb or other"
        )
        return _Mapping("jsonb", f"no mapping for {names}", Marker("unmapped-type", text))
    return _single_type(name, shape)


def _single_type(name: str, shape: Shape) -> _Mapping:
    if not shape.types:
        return _Mapping("text", "only null is accepted")
    (kind,) = shape.types
    if kind == "string":
        return _string_type(shape)
    if kind == "integer":
        return _integer_type(shape)
    if kind in {"object", "array"}:
        text = (
            f"{name} holds {kind}s as JSONB: consider a table of their own, or say x-postgres-type"
        )
        return _Mapping("jsonb", f"an {kind} becomes jsonb", Marker("normalization", text))
    return _Mapping(_PLAIN_TYPES[kind], f"a {kind} becomes {_PLAIN_TYPES[kind]}")


def _listed_type(values: tuple[Any, ...]) -> _Mapping:
    kinds = {json_type(value) for value in values}
    why = "enum or const: a CHECK on "
    if kinds <= {"string"}:
        return _Mapping("text", why + "text")
    if kinds == {"boolean"}:
        return _Mapping("boolean", why + "boolean, as all values are")
    # Who writes 1.0 in the list may write it in the data, which no integer column would take.
    if kinds == {"integer"} and not any(isinstance(value, float) for value in values):
        ranges = _INTEGER_RANGES.items()
        fitting = [t for t, numbers in ranges if all(int(v) in numbers for v in values)]
        chosen = fitting[0] if fitting else "numeric"
        return _Mapping(chosen, why + f"{chosen}, as all values are integers")
    if kinds <= {"integer", "number"}:
        return _Mapping("numeric", why + "numeric, as all values are numbers")
    return _Mapping("jsonb", why + "jsonb, as the values have several types")


def _string_type(shape: Shape) -> _Mapping:
    formats = [name for name in shape.every("format") if isinstance(name, str)]
    mapped = {_STRING_FORMATS[name]: name for name in formats if name in _STRING_FORMATS}
    if len(mapped) > 1:
        shape.view.refuse(f"two formats at once: {' and '.join(mapped.values())}", "format")
    if mapped:
        ((chosen, name),) = mapped.items()
        note = "a time's offset is not kept by the type time" if chosen == "time" else ""
        return _Mapping(chosen, f"format {name} becomes {chosen}", note=note)
    if UUID_PATTERNS.intersection(shape.every("pattern")):
        return _Mapping("uuid", "the pattern of a UUID becomes uuid")
    said = f", format {formats[0]} included" if formats else ""
    return _Mapping("text", f"a string becomes text{said}")


def _integer_type(shape: Shape) -> _Mapping:
    formats = shape.every("format")
    if "int64" in formats:
        return _Mapping("bigint", "format int64 becomes bigint")
    lower, upper = shape.lower_bound(), shape.upper_bound()
    limits = [int(bound[0]) for bound in (lower, upper) if bound is not None]
    for name, numbers in _INTEGER_RANGES.items():
        if all(limit in numbers for limit in limits):
            bounded = len(limits) == 2 or "int32" in formats  # noqa: PLR2004 - both ends
            note = "" if bounded or name == "bigint" else _RANGE_NOTE
            return _Mapping(name, f"an integer becomes {name}", note=note)
    return _Mapping("numeric", "an integer beyond 64 bits becomes numeric")


_RANGE_NOTE: Final = (
    "the contract accepts integers beyond the 32 bits of the column: "
    "state minimum and maximum, or format int64"
)


def _checks(name: str, shape: Shape, column_type: str) -> tuple[list[str], list[Marker]]:
    """Return the conditions on the column, and what of them Postgres cannot say."""
    column = identifier(name)
    if shape.enum is not None:
        return _enum_checks(column, shape.enum, column_type), []
    if not shape.types:
        return [f"{column} is null"], []
    if column_type == "text" and shape.types == {"string"}:
        return _text_checks(name, column, shape)
    checks: list[str] = []
    if column_type in _NUMBERS and shape.types <= {"integer", "number"}:
        checks = _number_checks(column, shape, column_type)
    elif column_type == "jsonb" and len(shape.types) == 1:
        checks = [f"jsonb_typeof({column}) = '{min(shape.types)}'"]
    return checks, []


def _enum_checks(column: str, values: tuple[Any, ...], column_type: str) -> list[str]:
    if not values:
        return [f"{column} is null"]
    shown = [_value(value, column_type) for value in values]
    return [f"{column} = {shown[0]}" if len(shown) == 1 else f"{column} in ({', '.join(shown)})"]


def _text_checks(name: str, column: str, shape: Shape) -> tuple[list[str], list[Marker]]:
    checks: list[str] = []
    markers: list[Marker] = []
    for key, sign, pick in (("minLength", ">=", max), ("maxLength", "<=", min)):
        lengths = [int(length) for length in shape.every(key) if json_type(length) == "integer"]
        if lengths and (key, pick(lengths)) != ("minLength", 0):
            checks.append(f"char_length({column}) {sign} {pick(lengths)}")
    for pattern in shape.every("pattern"):
        try:
            checks.append(f"{column} ~ {literal(translate(str(pattern)))}")
        except UntranslatableError as error:
            text = f"{name} has a pattern that Postgres cannot express, because of {error}"
            markers.append(Marker("pattern", text))
    return checks, markers


def _number_checks(column: str, shape: Shape, column_type: str) -> list[str]:
    checks: list[str] = []
    if column_type == "numeric" and shape.types == {"integer"}:
        checks.append(f"{column} = trunc({column})")
    for bound, sign in ((shape.lower_bound(), ">"), (shape.upper_bound(), "<")):
        if bound is not None:
            checks.append(f"{column} {sign if bound[1] else sign + '='} {_number(bound[0])}")
    checks.extend(f"mod({column}, {_number(step)}) = 0" for step in shape.every("multipleOf"))
    return checks


def _allowed(shape: Shape, column_type: str) -> tuple[str, ...] | None:
    if shape.enum is None:
        return None
    return tuple(_as_text(value, column_type) for value in shape.enum)


def _samples(shape: Shape, column_type: str) -> tuple[Sample, ...]:
    """Return values at the bounds and one past them, where no other rule interferes.

    Where there is no bound, it is a value far out, which nothing but a stricter CHECK refuses.
    """
    if column_type in _NUMBERS and not shape.every("multipleOf"):
        return tuple(_number_samples(shape, column_type))
    plain = not shape.every("pattern") and not shape.every("format")
    if column_type == "text" and shape.types == {"string"} and plain:
        return tuple(_length_samples(shape))
    return tuple(Sample(text, accepted=True) for text in _FAR_TEXTS.get(column_type, ()))


def _number_samples(shape: Shape, column_type: str) -> Iterator[Sample]:
    ends = _INTEGER_RANGES.get(column_type, _FAR_NUMBERS)
    for bound, outward in ((shape.lower_bound(), -1), (shape.upper_bound(), 1)):
        if bound is None:
            end = ends[0] if outward < 0 else ends[-1]
            if _within(shape, end):
                yield Sample(_number(end), accepted=True)
            continue
        if shape.types == {"integer"} and bound[0] != int(bound[0]):
            continue
        limit, excluded = bound
        beyond = limit if excluded else limit + outward
        inside = limit - outward if excluded else limit
        if column_type not in _INTEGER_RANGES or int(beyond) in _INTEGER_RANGES[column_type]:
            yield Sample(_number(beyond), accepted=False)
        if _within(shape, inside):
            yield Sample(_number(inside), accepted=True)


def _length_samples(shape: Shape) -> Iterator[Sample]:
    shortest = max(map(int, shape.every("minLength")), default=0)
    longest = min(map(int, shape.every("maxLength")), default=_FAR_LENGTH)
    for length in sorted({shortest - 1, shortest, longest, longest + 1}):
        if 0 <= length <= _FAR_LENGTH:
            yield Sample("x" * length, accepted=shortest <= length <= longest)


def _default(shape: Shape, column_type: str) -> str | None:
    value = shape.get("default")
    if value is None:
        return None
    reason = _misfit(shape, value, column_type)
    if reason:
        shape.view.refuse(f"the default {reason}", "default")
    return _value(value, column_type)


def _misfit(shape: Shape, value: Any, column_type: str) -> str | None:
    """Return why ``value`` cannot be the default, or None."""
    kind = json_type(value)
    if shape.enum is not None:
        known = json_key(value) in {json_key(listed) for listed in shape.enum}
        return None if known else "is none of the allowed values"
    if kind not in shape.types and not (kind == "integer" and "number" in shape.types):
        return f"is of type {kind}"
    if isinstance(value, str):
        return _text_misfit(shape, value, column_type)
    return _number_misfit(shape, value, column_type) if kind in {"integer", "number"} else None


def _number_misfit(shape: Shape, value: Any, column_type: str) -> str | None:
    if not _within(shape, value):
        return "is out of bounds"
    numbers = _INTEGER_RANGES.get(column_type)
    return None if numbers is None or int(value) in numbers else f"does not fit {column_type}"


def _text_misfit(shape: Shape, value: str, column_type: str) -> str | None:
    longest = min(shape.every("maxLength"), default=len(value))
    shortest = max(shape.every("minLength"), default=0)
    if not shortest <= len(value) <= longest:
        return "is too short or too long"
    try:
        if column_type == "timestamptz" and datetime.fromisoformat(value).tzinfo is None:
            return "has no offset from UTC"
        if column_type == "date":
            date.fromisoformat(value)
        elif column_type == "time":
            time.fromisoformat(value)
        elif column_type == "uuid":
            uuid.UUID(value)
    except ValueError:
        return f"is no {column_type}"
    return None


def _within(shape: Shape, value: Any) -> bool:
    lower, upper = shape.lower_bound(), shape.upper_bound()
    above = lower is None or value > lower[0] or (value == lower[0] and not lower[1])
    below = upper is None or value < upper[0] or (value == upper[0] and not upper[1])
    return above and below


def _value(value: Any, column_type: str) -> str:
    """Return a JSON value as an SQL literal for a column of ``column_type``."""
    if column_type == "jsonb":
        return json_literal(value)
    if isinstance(value, bool) or json_type(value) in {"integer", "number"}:
        return _as_text(value, column_type)
    return literal(value) if isinstance(value, str) else json_literal(value)


def _as_text(value: Any, column_type: str) -> str:
    """Return a JSON value in Postgres' text form for a column of ``column_type``."""
    if column_type == "jsonb":
        return json_key(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _number(value)


def _number(value: Any) -> str:
    return str(int(value)) if json_type(value) == "integer" else repr(value)
