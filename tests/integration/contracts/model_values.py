"""Values that a pydantic model accepts, drawn field by field from what the model itself says.

A field that is added to a model is tried at once, and one of a new kind fails until it is taught.
"""

import types
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lift_sys.spec_sessions.history import History

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(
    ["", "it's", '"', "\\", "\x7f\u0085\u2028\ufeff", "e\u0301 שלום 漢字", "🧪" * 9]
)
NUMBERS = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([10**30, -(10**4299), 2**63, 1e308, 5e-324, 1.0, 100.0, 0.1, -0.0])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
ARRAYS = st.lists(JSON, max_size=3)
ENDS = [
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    datetime(2026, 3, 29, 2, 30, 0, 1, timezone(timedelta(hours=-3, minutes=-30))),
]
INSTANTS = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(ENDS)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bool: st.booleans(),
    datetime: INSTANTS,
    type(None): st.none(),
    dict[str, Any]: OBJECTS,
    list[Any]: ARRAYS,
}


def values_of(model: type[BaseModel], **instead: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for instances of ``model``; keywords replace those of single fields."""
    fields = {
        name: instead[name] if name in instead else _values(field.annotation, field)
        for name, field in model.model_fields.items()
    }
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    said = st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    )
    more = OBJECTS if model.model_config.get("extra") == "allow" else st.just({})
    return st.builds(lambda more, said: model.model_validate({**more, **said}), more, said)


def _values(annotation: Any, field: FieldInfo) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN:
        drawn = PLAIN[annotation]
    elif annotation is int:
        drawn = _integers(field)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        drawn = values_of(annotation)
    elif origin is Literal:
        drawn = st.sampled_from(arguments)
    elif origin is Annotated:
        drawn = _values(arguments[0], field)
    elif origin in {Union, types.UnionType}:
        drawn = st.one_of([_values(argument, field) for argument in arguments])
    elif origin in {tuple, History}:
        drawn = st.lists(_values(arguments[0], field), max_size=2)
    else:
        raise NotImplementedError(f"teach this how to draw {annotation!r}")
    return drawn


def _integers(field: FieldInfo) -> st.SearchStrategy[int]:
    """Draw within the field's bounds, the bounds themselves often."""
    low = next((limit.ge for limit in field.metadata if hasattr(limit, "ge")), None)
    high = next((limit.le for limit in field.metadata if hasattr(limit, "le")), None)
    within = st.integers(low, high)
    ends = [end for end in (low, high) if end is not None]
    return st.sampled_from(ends) | within if ends else within | st.just(10**30)
