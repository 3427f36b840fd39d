"""The check command against a real database: codes, JSON, and nothing written."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from lift_sys.contracts.cli import app
from tests.integration.contracts.project import Project

PIPED = {"COLUMNS": None}
"""What a pipe says of its width; a test runner may have set one for its own output."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path)
    project.add("a/b/c", {})
    project.generate()
    monkeypatch.chdir(tmp_path)
    return project


def test_check_compares_with_the_database_it_is_given(
    project: Project, connection: psycopg.Connection[Any], database_url: str
) -> None:
    arguments = ["check", "--database-url", database_url]
    assert "supabase db push" in CliRunner(env=PIPED).invoke(app, arguments).stdout
    project.apply(connection)
    result = CliRunner(env=PIPED).invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (0, "contracts, migrations and database agree\n")


def test_check_takes_the_database_from_the_environment(
    project: Project,
    connection: psycopg.Connection[Any],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project.apply(connection)
    connection.execute("alter table public.a_b_c disable row level security")
    connection.commit()
    monkeypatch.setenv("LIFT_SYS_DATABASE_URL", database_url)
    result = CliRunner(env=PIPED).invoke(app, ["check", "--json"])
    assert (result.exit_code, json.loads(result.stdout)) == (
        1,
        [
            {
                "code": "row-security-off",
                "severity": "error",
                "where": "a_b_c",
                "message": "row-level security is off: whoever has a grant reaches every row",
                "remedy": "alter table public.a_b_c enable row level security",
            }
        ],
    )
