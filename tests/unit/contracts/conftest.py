"""A folder of contracts in which each test writes its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lift_sys.contracts import Contract, Workspace

Writer = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "supabase" / "contracts"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def put(root: Path) -> Writer:
    """Write a contract at ``place``; keywords are its persistence."""

    def run(place: str, schema: dict[str, Any] | None = None, **persistence: Any) -> Path:
        path = root / f"{place}.schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"x-artifact-metadata": {"persistence": persistence}} if persistence else {}
        head = {"$id": place.replace("/", ":"), "version": "1.0.0"}
        path.write_text(json.dumps({**head, **metadata, **(schema or {})}), encoding="utf-8")
        return path

    return run


@pytest.fixture
def load(root: Path, put: Writer) -> Callable[..., Contract]:
    """Write a contract and load it."""

    def run(schema: dict[str, Any], *, place: str = "a/b/c", **persistence: Any) -> Contract:
        return Workspace(root).load(put(place, schema, **persistence))

    return run
