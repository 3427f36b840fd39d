"""A model's contract says what the model says, and its table is what one would expect."""

import json
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from lift_sys.contracts import Workspace, export, tables_for, write_contract
from lift_sys.contracts.export import find_model, renew


class State(StrEnum):
    OPEN = "open"
    PAID = "paid"


class Line(BaseModel):
    article: str


class Order(BaseModel):
    """What was ordered."""

    model_config = ConfigDict(json_schema_extra={"x-owner": False, "x-updated-at": True})

    id: UUID
    state: State = State.OPEN
    kind: Literal["a", "b"] | None = None
    count: Annotated[int, Field(ge=0, le=9, json_schema_extra={"x-column": "how_many"})]
    at: datetime
    price: float = 0.5
    lines: list[Line] = []
    extra: dict[str, Any] = {}


class Unwritable(BaseModel):
    call: Callable[[], None]


METADATA = {"persistence": {"strategy": "relational"}}


def _export(root: Path, **more: Any) -> Path:
    path = root / "shop" / "order" / "current.schema.json"
    contract = export(
        Order, identity="shop:order:current", version="1.0.0", metadata=METADATA, **more
    )
    write_contract(contract, path)
    return path


def test_a_model_becomes_a_contract_with_the_columns_of_its_fields(root: Path) -> None:
    (table,) = tables_for(Workspace(root).load(_export(root)))
    columns = {c.name: (c.type, c.nullable, c.default) for c in table.columns}
    assert columns == {
        "id": ("uuid", False, "gen_random_uuid()"),
        "state": ("text", False, "'open'"),
        "kind": ("text", True, None),
        "how_many": ("integer", False, None),
        "at": ("timestamptz", False, None),
        "price": ("numeric", False, "0.5"),
        "lines": ("jsonb", False, "'[]'::jsonb"),
        "extra": ("jsonb", False, "'{}'::jsonb"),
        "created_at": ("timestamptz", False, "now()"),
        "updated_at": ("timestamptz", False, "now()"),
    }


def test_exporting_again_changes_nothing(root: Path) -> None:
    path = _export(root)
    before = path.read_bytes()
    contract = export(Order, identity="shop:order:current", version="1.0.0", metadata=METADATA)
    assert not write_contract(contract, path)
    assert path.read_bytes() == before


def test_renewing_keeps_what_only_the_file_says(root: Path) -> None:
    contract = json.loads(_export(root).read_text())
    contract |= {"version": "2.1.0", "x-index": False, "required": []}
    contract["x-artifact-metadata"]["model"] = f"{__name__}:Order"
    contract["$defs"]["Line"]["properties"]["article"]["x-column"] = "name"
    renewed = renew(contract)
    assert (renewed["version"], renewed["x-index"]) == ("2.1.0", False)
    assert renewed["$defs"]["Line"]["properties"]["article"]["x-column"] == "name"
    assert renewed["x-artifact-metadata"] == contract["x-artifact-metadata"]
    assert renewed["required"] == list(Order.model_fields)


def test_renewing_takes_no_data_and_no_name_for_an_extension(root: Path) -> None:
    contract = json.loads(_export(root).read_text())
    contract["x-artifact-metadata"]["model"] = f"{__name__}:Order"
    contract["properties"]["x-gone"] = {"default": {"x-column": 1}}
    assert "x-gone" not in renew(contract)["properties"]


def test_renewing_refuses_to_lose_an_extension(root: Path) -> None:
    contract = json.loads(_export(root).read_text())
    contract["x-artifact-metadata"]["model"] = f"{__name__}:Order"
    contract["properties"]["gone"] = {"x-column": "left_behind"}
    with pytest.raises(ValueError, match=r"#/properties/gone: the model has no place for this x-c"):
        renew(contract)


def test_what_is_written_requires_every_field(root: Path) -> None:
    contract = Workspace(root).load(_export(root))
    assert contract.root.shape().required == set(Order.model_fields)


def test_what_is_read_may_be_described_instead(root: Path) -> None:
    contract = Workspace(root).load(_export(root, mode="validation"))
    assert contract.root.shape().required == {"id", "count", "at"}


def test_a_model_without_a_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="Unwritable has no JSON Schema"):
        export(Unwritable, identity="x", version="1.0.0")


def test_a_model_is_found_by_name() -> None:
    assert find_model("lift_sys.contracts.contract:Persistence").__name__ == "Persistence"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("lift_sys", "names no model"),
        ("no_such_module:X", "cannot be imported"),
        ("lift_sys.contracts:nothing", "no pydantic model"),
        ("lift_sys.contracts:check", "no pydantic model"),
    ],
)
def test_what_names_no_model_is_refused(reference: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        find_model(reference)
