"""From a pydantic model to the contract file that says the same.

The model says what the values are; the file says the rest: its version, its metadata, and by
extension keys where the values are kept. ``renew`` brings the one up to date and keeps the other.
"""

import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from lift_sys.contracts.contract import METADATA_KEY, Version
from lift_sys.contracts.schema import DIALECT, pointer

_EXTENSION: Final = "x-"
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
"""The keywords whose own keys are names, and say nothing."""
_DATA: Final = frozenset({"default", "enum", "const", "examples"})
"""The keywords whose values are data, and no schemas."""


class _Generator(GenerateJsonSchema):
    """Requires of what is written every field that is written, also those with a default."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        if self.mode == "serialization" and field["type"] != "typed-dict-field":
            return field.get("serialization_exclude_if") is None
        return super().field_is_required(field, total)


def export(
    model: type[BaseModel],
    *,
    identity: str,
    version: str,
    metadata: Mapping[str, Any] | None = None,
    mode: Literal["serialization", "validation"] = "serialization",
) -> dict[str, Any]:
    """Return the contract of ``model`` as JSON values, in a fixed order of keys.

    Extension keys of a field (``x-column``, ``x-index`` and the like) come from its
    ``json_schema_extra``, those of the whole from the model's.

    Args:
        model: the model.
        identity: the contract's ``$id``.
        version: its semantic version.
        metadata: its ``x-artifact-metadata``; what the model itself says there stays.
        mode: what is described: the values that the model writes, in which a field with a default
            is always present, or those that it reads.

    Raises:
        ValueError: the version is none, or the model has a field that JSON Schema cannot describe.
    """
    Version.parse(version)
    try:
        schema = model.model_json_schema(mode=mode, schema_generator=_Generator)
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError) as error:
        raise ValueError(f"{model.__name__} has no JSON Schema: {error.message}") from error
    said = schema.pop(METADATA_KEY, {})
    head: dict[str, Any] = {"$schema": DIALECT, "$id": identity, "version": version}
    titles: dict[str, Any] = {
        key: schema.pop(key) for key in ("title", "description") if key in schema
    }
    return {**head, **titles, METADATA_KEY: {**said, **(metadata or {})}, **schema}


def renew(contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``contract`` as its model is now; what only the file can say stays.

    That is its ``$id``, version and metadata, and the extension keys at each place in it.

    Args:
        contract: the content of a contract file whose metadata name its ``model``.

    Raises:
        ValueError: the model cannot be found or exported, or has no place any more for an
            extension key.
    """
    metadata = contract[METADATA_KEY]
    fresh = export(
        find_model(metadata["model"]),
        identity=contract["$id"],
        version=contract["version"],
        metadata=metadata,
    )
    for place, key, value in _extensions(contract, ()):
        schema = _at(fresh, place)
        if schema is None:
            where = f"{contract['$id']}#{pointer(*place)}"
            raise ValueError(f"{where}: the model has no place for this {key} any more")
        schema.setdefault(key, value)
    return fresh


def _at(schema: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any] | None:
    for step in place:
        inner = schema.get(step)
        if not isinstance(inner, dict):
            return None
        schema = inner
    return schema


def _extensions(
    schema: Mapping[str, Any], place: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Yield every extension key but the metadata, with its place and its value."""
    are_names = bool(place) and place[-1] in _NAMED
    for key, value in schema.items():
        if key.startswith(_EXTENSION) and not are_names:
            if key != METADATA_KEY:
                yield place, key, value
        elif isinstance(value, dict) and (are_names or key not in _DATA):
            yield from _extensions(value, (*place, key))


def contract_text(contract: Mapping[str, Any]) -> str:
    """Return a contract as its file holds it."""
    return json.dumps(contract, indent=2, ensure_ascii=False) + "\n"


def write_contract(contract: Mapping[str, Any], path: Path) -> bool:
    """Write ``contract`` to ``path`` and tell whether that changed the file."""
    text = contract_text(contract)
    if is_current(contract, path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return True


def is_current(contract: Mapping[str, Any], path: Path) -> bool:
    """Tell whether ``path`` holds ``contract`` already."""
    return path.is_file() and path.read_text(encoding="utf-8") == contract_text(contract)


def find_model(reference: str) -> type[BaseModel]:
    """Return the model that ``package.module:Model`` names.

    Raises:
        ValueError: there is no such module or name, or it is no pydantic model.
    """
    module_name, colon, name = reference.partition(":")
    if not colon or not module_name or not name:
        raise ValueError(f"{reference!r} names no model: write package.module:Model")
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except ImportError as error:
        raise ValueError(f"{module_name!r} cannot be imported: {error}") from error
    if isinstance(found, type) and issubclass(found, BaseModel):
        return found
    raise ValueError(f"{reference!r} is no pydantic model")
