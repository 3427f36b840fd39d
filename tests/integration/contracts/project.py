"""A small Supabase project in a folder: contracts in, migrations out."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from lift_sys.contracts import Finding, PlannedMigration, Workspace, check, plan, write

MOMENT = datetime(2025, 10, 30, 14, 30, tzinfo=UTC)


class Project:
    """A folder with supabase/contracts and supabase/migrations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contracts = folder / "supabase" / "contracts"
        self.migrations = folder / "supabase" / "migrations"

    def add(self, place: str, schema: Mapping[str, Any], **persistence: Any) -> Path:
        """Write a contract; what ``schema`` lacks to be one is added."""
        path = self.contracts / f"{place}.schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"x-artifact-metadata": {"persistence": persistence}} if persistence else {}
        head = {"$id": place.replace("/", ":"), "version": "1.0.0"}
        path.write_text(json.dumps({**head, **metadata, **schema}), encoding="utf-8")
        return path

    def workspace(self) -> Workspace:
        return Workspace(self.contracts)

    def plan(self) -> list[PlannedMigration]:
        contracts, refused = self.workspace().load_all()
        assert not refused
        return plan(contracts, self.migrations, clock=lambda: MOMENT)

    def generate(self) -> list[PlannedMigration]:
        planned = self.plan()
        write(planned)
        return planned

    def apply(self, connection: psycopg.Connection[Any]) -> None:
        """Run the migrations as the CLI does: each in a transaction of its own."""
        for path in sorted(self.migrations.glob("*.sql")):
            connection.execute(path.read_bytes())
            connection.commit()

    def check(self, connection: psycopg.Connection[Any]) -> list[Finding]:
        return check(self.workspace(), self.migrations, connection=connection)


def relational(properties: Mapping[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    """Return a schema whose properties become columns, with nothing left to a reviewer."""
    settled = {"x-foreign-key": False, "x-index": False, "x-owner": False, "x-updated-at": True}
    return {
        "type": "object",
        "x-artifact-metadata": {"persistence": {"strategy": "relational"}},
        **settled,
        "properties": dict(properties),
        "required": list(required),
        **more,
    }
