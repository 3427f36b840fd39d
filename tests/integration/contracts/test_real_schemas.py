"""JSON Schemas that nobody here wrote: each is generated from or refused with a reason.

They are the ones that installed packages carry: the meta-schemas of every draft and of OpenAPI,
and those of some forty configuration formats.
"""

import json
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lift_sys.contracts import Contract, ContractError, compare, plan
from tests.integration.contracts.project import Project, relational

LARGE = 1_000_000
"""Bytes from which on comparing every place below a schema takes longer than a test should."""
MEDIUM = 100_000
"""Bytes from which on a schema is loaded once and no more."""


def _installed_schemas() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(Path(sysconfig.get_path("purelib")).rglob("*.json")):
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(schema, dict) and ("$schema" in schema or _has_properties(schema)):
            yield path, schema


def _has_properties(schema: dict[str, Any]) -> bool:
    return isinstance(schema.get("properties"), dict)


@pytest.mark.timeout(600)
def test_a_real_schema_is_generated_from_or_refused_with_a_reason(
    tmp_path: Path, connection: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    generated, reasons = 0, list[str]()
    for number, (origin, schema) in enumerate(_installed_schemas()):
        # One folder each, so that no schema's $id makes another's references resolve.
        project = Project(tmp_path / str(number))
        head = {key: value for key, value in relational({}).items() if key.startswith("x-")}
        path = project.add(f"real/schema/n{number}", {**head, **schema, "version": "1.0.0"})
        try:
            contract = project.workspace().load(path)
            if origin.stat().st_size < LARGE:
                assert compare(contract, contract).changes == ()
        except ContractError as error:
            reasons.append(str(error))
            continue
        for kept in (contract, _as_documents(contract)):
            try:
                (migration,) = plan([kept], project.migrations)
            except ContractError as error:
                reasons.append(str(error))
                continue
            generated += 1
            _apply(connection, migration.text, origin)
    with capsys.disabled():
        print(f"\nreal schemas: {generated} generated, {len(reasons)} refused")  # noqa: T201 - to be read
    assert generated > len(reasons)
    assert [reason for reason in reasons if "\n" in reason or not reason.split(": ", 1)[1]] == []


def _as_documents(contract: Contract) -> Contract:
    """Return the same contract for a table of JSONB documents, without loading it once more."""
    persistence = contract.persistence.model_copy(update={"strategy": "jsonb"})
    metadata = contract.metadata.model_copy(update={"persistence": persistence})
    return replace(contract, metadata=metadata)


def _apply(connection: psycopg.Connection[Any], text: str, origin: Path) -> None:
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        pytest.fail(f"{origin.name}: {error}\n{text}")
    connection.rollback()


def test_a_real_schema_as_it_stands_is_no_contract(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for number, (origin, schema) in enumerate(_installed_schemas()):
        if origin.stat().st_size >= MEDIUM:
            continue
        path = project.contracts / "real" / "schema" / f"n{number}.schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema), encoding="utf-8")
        with pytest.raises(ContractError) as refusal:
            project.workspace().load(path)
        assert refusal.value.reason, origin
