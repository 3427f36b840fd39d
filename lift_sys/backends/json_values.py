"""Free-form JSON values: what may be stored, and how it is kept unchangeable.

Stored values are shared between a store and its callers, so they must not change. ``freeze``
makes a deep copy that refuses changes, ``thaw`` makes an ordinary one, and ``check_json`` says
where a value is not JSON, before anything is sent anywhere (G13).
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, NoReturn, TypeAlias

from pydantic import BaseModel, BeforeValidator, PlainValidator, WithJsonSchema

from lift_sys.backends.errors import InvalidSessionError
from lift_sys.backends.excerpts import excerpt

MAX_DEPTH: Final = 100
"""How deeply objects and arrays may nest."""
MAX_INTEGER_DIGITS: Final = 4_300
"""How many decimal digits an integer may have: the limit of Python's own integer parser."""

_INTEGER_BOUND: Final = 10**MAX_INTEGER_DIGITS
_A_KEY: Final = object()

Field: TypeAlias = "str | tuple[Field, object]"
"""Where a value stands: a name, or what it stands in and the key or index there.

It is put into words only for a message, because millions of values are checked for one that fails.
"""


def _refuse(self: object, *_: object, **__: object) -> NoReturn:
    kind = "object" if isinstance(self, dict) else "array"
    msg = f"a stored JSON {kind} cannot be changed; change a copy made by thaw() or copy.deepcopy()"
    raise TypeError(msg)


class FrozenDict(dict[str, Any]):
    """A JSON object that refuses changes and equals the ``dict`` of the same content."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        copied: dict[str, Any] = thaw(self)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        return (freeze, (thaw(self),))


class FrozenList(list[Any]):
    """A JSON array that refuses changes and equals the ``list`` of the same content."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: object) -> list[Any]:
        copied: list[Any] = thaw(self)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        return (freeze, (thaw(self),))


EMPTY_OBJECT: Final = FrozenDict()
EMPTY_ARRAY: Final = FrozenList()


def freeze(value: Any, *, depth: int = 0) -> Any:
    """Return `value` with every ``dict`` and ``list`` in it replaced by a frozen copy.

    Anything else is kept as it is: ``check_json`` judges later, at the store, whether it is JSON.
    What nests too deeply to be stored (or contains itself) is kept as it is from there on.
    """
    kind = type(value)
    if depth > MAX_DEPTH:
        return value
    if kind is dict:
        if not value:
            return EMPTY_OBJECT
        return FrozenDict({k: freeze(v, depth=depth + 1) for k, v in value.items()})
    if kind is list:
        return FrozenList([freeze(v, depth=depth + 1) for v in value]) if value else EMPTY_ARRAY
    return value


def thaw(value: Any, *, depth: int = 0) -> Any:
    """Return `value` with every object and array in it replaced by an ordinary, changeable copy.

    What nests too deeply to be stored (or contains itself) is kept as it is from there on.
    """
    kind = type(value)
    if depth > MAX_DEPTH:
        return value
    if kind is FrozenDict or kind is dict:
        return {k: thaw(v, depth=depth + 1) for k, v in value.items()}
    if kind is FrozenList or kind is list:
        return [thaw(v, depth=depth + 1) for v in value]
    return value


def check_json(value: Any, field: Field, *, depth: int = 0) -> None:
    """Raise ``InvalidSessionError`` unless `value` is JSON that every backend keeps unchanged.

    The types must be JSON's own, exactly: ``dict`` with ``str`` keys, ``list``, ``str``, ``int``,
    ``float``, ``bool`` and ``None``. A tuple or an enum member would come back as another type.

    Args:
        value: what is to be stored.
        field: where it stands, for the message, such as ``metadata`` or ``revisions[3].metadata``.
        depth: how many objects and arrays are around it already.
    """
    kind = type(value)
    if kind is str:
        check_text(value, field)
    elif kind is bool or value is None:
        return
    elif kind is int:
        if not -_INTEGER_BOUND < value < _INTEGER_BOUND:
            raise _invalid(
                field, f"an integer of more than {MAX_INTEGER_DIGITS} digits; store it as text"
            )
    elif kind is float:
        if not math.isfinite(value):
            raise _invalid(field, f"{value} is not JSON; use null or text")
    else:
        _check_container(value, field, depth)


def _check_container(value: Any, field: Field, depth: int) -> None:
    kind = type(value)
    if depth >= MAX_DEPTH:
        raise _invalid(field, f"nested more than {MAX_DEPTH} levels deep; flatten it")
    if kind is dict or kind is FrozenDict:
        for key, member in value.items():
            if type(key) is not str:
                raise _invalid(
                    field,
                    f"the key {excerpt(repr(key))} is of type {type(key).__name__}; "
                    "JSON keys are text",
                )
            check_text(key, (field, _A_KEY))
            check_json(member, (field, key), depth=depth + 1)
    elif kind is list or kind is FrozenList:
        for index, member in enumerate(value):
            check_json(member, (field, index), depth=depth + 1)
    else:
        raise _invalid(
            field,
            f"a value of type {kind.__module__}.{kind.__qualname__} is not JSON; "
            "convert it to dict, list, str, int, float, bool or None",
        )


def same_json(one: Any, other: Any) -> bool:
    """Return whether two JSON values say the same, as Postgres's ``jsonb`` sees it.

    The order of keys does not count, and a number is what its digits say: 1 and 1.0 are the same,
    1 and true are not.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return Decimal(repr(one)) == Decimal(repr(other))
    return bool(one == other)


def check_model(model: BaseModel, field: Field) -> None:
    """Raise ``InvalidSessionError`` where a text or free-form value in `model` cannot be stored.

    Other typed fields hold what their types say; validating the encoded model makes sure of that.
    """
    for name, value in model.__dict__.items():
        kind = type(value)
        # Most of a session is plain text and absent members: they pass without another call.
        if kind is str:
            if "\x00" in value or not value.isascii():
                check_text(value, (field, name))
        elif value is not None and value is not EMPTY_OBJECT and value is not EMPTY_ARRAY:
            _check_member(value, (field, name))
    extra = model.__pydantic_extra__
    if extra:
        for name, value in extra.items():
            check_text(name, (field, _A_KEY))
            _check_member(value, (field, name))


def _check_member(value: Any, field: Field) -> None:
    kind = type(value)
    if kind is str:
        check_text(value, field)
    elif kind is tuple:
        for index, member in enumerate(value):
            _check_member(member, (field, index))
    elif isinstance(value, BaseModel):
        check_model(value, field)
    elif kind is not datetime:
        check_json(value, field)


def check_text(value: str, field: Field) -> None:
    """Raise ``InvalidSessionError`` where `value` holds what not every backend can keep.

    That is U+0000, which Postgres refuses in text, and lone surrogates, which UTF-8 lacks.
    """
    if "\x00" in value:
        raise _invalid(field, f"holds U+0000 at {value.index(chr(0))}; remove it")
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _invalid(
            field,
            f"holds a lone surrogate at {error.start}; "
            "decode the text with errors='replace' or remove it",
        ) from error


def _invalid(field: Field, problem: str) -> InvalidSessionError:
    return InvalidSessionError(f"{_name(field)}: {problem}")


def _name(field: Field) -> str:
    if isinstance(field, str):
        return field
    parent, part = field
    if part is _A_KEY:
        return f"{_name(parent)} (a key)"
    return _name(parent) + (f"[{part}]" if isinstance(part, int) else f".{excerpt(str(part))}")


def _frozen_object(value: Any) -> Any:
    kind = type(value)
    if kind is dict or kind is FrozenDict:
        return freeze(value) if kind is dict else value
    if isinstance(value, Mapping):
        return freeze(dict(value))
    raise ValueError("must be a JSON object (a dict)")


def _frozen_array(value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is FrozenList:
        return freeze(value) if kind is list else value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return freeze(list(value))
    raise ValueError("must be a JSON array (a list)")


JsonObject = Annotated[
    dict[str, Any], PlainValidator(_frozen_object), WithJsonSchema({"type": "object"})
]
"""A model field that holds a JSON object, frozen."""
JsonArray = Annotated[list[Any], PlainValidator(_frozen_array), WithJsonSchema({"type": "array"})]
"""A model field that holds a JSON array, frozen."""
JsonValue = Annotated[Any, BeforeValidator(freeze), WithJsonSchema({})]
"""A model field that holds any JSON value, frozen."""
