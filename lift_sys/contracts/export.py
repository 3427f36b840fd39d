"""From a pydantic model to the contract file that says the same."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from lift_sys.contracts.contract import METADATA_KEY, Version
from lift_sys.contracts.schema import DIALECT


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
        schema = model.model_json_schema(mode=mode)
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError) as error:
        raise ValueError(f"{model.__name__} has no JSON Schema: {error.message}") from error
    said = schema.pop(METADATA_KEY, {})
    head: dict[str, Any] = {"$schema": DIALECT, "$id": identity, "version": version}
    titles: dict[str, Any] = {
        key: schema.pop(key) for key in ("title", "description") if key in schema
    }
    return {**head, **titles, METADATA_KEY: {**said, **(metadata or {})}, **schema}


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
