"""``lift-sys migrate``: what it prints and how it exits."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lift_sys.backends.migrations_cli import app


@pytest.fixture
def run(database: str, folder: Path):
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(
            app, [*arguments, "--migrations", str(folder)], env={"LIFT_SYS_DATABASE_URL": database}
        )

    return run


def test_up_and_status_tell_people_and_programs(run) -> None:
    pending = run("status")
    assert pending.exit_code == 3
    assert pending.stdout.splitlines()[0] == "pending  20260101000000_first"
    applied = run("up", "--json")
    assert applied.exit_code == 0
    assert json.loads(applied.stdout)[0] == {
        "version": "20260101000000",
        "name": "first",
        "state": "applied",
    }
    assert run("up").stdout == "Nothing to apply.\n"
    assert run("status", "--json").exit_code == 0


def test_an_error_is_one_sentence_on_stderr(run, folder: Path) -> None:
    (folder / "20260102000000_second_one.sql").write_text("select nope;")
    failed = run("up")
    assert failed.exit_code == 1
    assert failed.stdout == ""
    assert failed.stderr == (
        'Error: 20260102000000_second_one.sql, line 1: column "nope" does not exist\n'
    )


def test_the_database_must_be_named(folder: Path) -> None:
    assert CliRunner().invoke(app, ["up"], env={"LIFT_SYS_DATABASE_URL": ""}).exit_code == 2
