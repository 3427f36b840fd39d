"""``lift-sys local``: a stack in the background that other programs find."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from lift_sys.local.cli import app
from tests.integration.local.processes import is_alive, wait_for


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, migrations: Path) -> Iterator[Callable[..., Result]]:
    def run(command: str, *options: str) -> Result:
        extra = ["--migrations", str(migrations)] if command == "up" else []
        return CliRunner().invoke(app, [command, "--data", str(data), *extra, *options])

    yield run
    run("down")


def test_up_is_found_by_the_others_and_may_be_repeated(run, data: Path) -> None:
    assert run("status").exit_code == 3
    assert run("env").exit_code == 3
    up = run("up")
    assert up.exit_code == 0, up.stderr
    names = [line.removeprefix("export ").partition("=")[0] for line in up.stdout.splitlines()]
    assert names == [
        "SUPABASE_URL",
        "SUPABASE_ANON_KEY",
        "SUPABASE_SERVICE_KEY",
        "SUPABASE_JWT_SECRET",
        "LIFT_SYS_DATABASE_URL",
    ]
    pid = (data / "daemon.pid").read_text()
    assert run("up").stdout == run("env").stdout == up.stdout
    assert (data / "daemon.pid").read_text() == pid
    environment = json.loads(run("env", "--json").stdout)
    status = json.loads(run("status", "--json").stdout)
    assert status == {
        "running": True,
        "url": environment["SUPABASE_URL"],
        "data": str(data.resolve()),
    }
    answer = httpx.get(
        f"{environment['SUPABASE_URL']}/rest/v1/notes",
        headers={"apikey": environment["SUPABASE_SERVICE_KEY"]},
    )
    assert answer.json() == []
    assert run("down").stdout == "Stopped.\n"
    assert run("status").exit_code == 3
    assert run("down", "--json").stdout == '{"stopped": false}\n'


def test_after_a_crash_up_brings_the_same_back(run, data: Path) -> None:
    before = run("up").stdout
    pid = int((data / "daemon.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid), "the daemon's end")
    assert run("status").exit_code == 3
    assert run("up").stdout == before
    assert run("status").exit_code == 0


def test_a_stale_process_id_is_not_taken_for_a_stack(run, data: Path) -> None:
    data.mkdir()
    (data / "daemon.pid").write_text(str(os.getpid()))
    assert run("status").exit_code == 3
    assert run("down").stdout == "Nothing was running.\n"


def test_a_stack_that_cannot_start_says_why(data: Path, tmp_path: Path) -> None:
    (tmp_path / "20260101000000_bad.sql").write_text("select nope")
    failed = CliRunner().invoke(app, ["up", "--data", str(data), "--migrations", str(tmp_path)])
    assert failed.exit_code == 1
    assert 'column "nope" does not exist' in failed.stderr
