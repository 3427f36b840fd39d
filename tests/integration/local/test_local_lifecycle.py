"""A stack starts beside others, stops without a trace, and keeps what it is told to keep."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest

from lift_sys.backends.migrations import MigrationError
from lift_sys.local import LocalStackError, LocalSupabase, folder
from lift_sys.local.servers import free_port
from lift_sys.local.settings import StackSettings
from tests.integration.local.processes import family, wait_until_gone

OWNER = """
import json, sys
from pathlib import Path
from lift_sys.local import LocalSupabase
data = Path(sys.argv[2]) if len(sys.argv) > 2 else None
with LocalSupabase(migrations=Path(sys.argv[1]), data_dir=data) as stack:
    print(json.dumps(stack.pids()), stack._folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(migrations: Path):
    """Starts a program that owns a stack; yields the function, and ends what is left."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, int], Path]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OWNER, str(migrations), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        pids, _, folder = line.rpartition(" ")
        return process, eval(pids), Path(folder.strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def add_note(stack: LocalSupabase) -> int:
    return httpx.post(
        f"{stack.url}/rest/v1/rpc/add_note",
        json={"body": "kept"},
        headers={"apikey": stack.anon_key, "authorization": f"Bearer {stack.jwt('ann')}"},
    ).status_code


def count_rows(stack: LocalSupabase) -> int:
    answer = httpx.get(f"{stack.url}/rest/v1/notes", headers={"apikey": stack.service_key})
    return len(answer.json())


def test_a_stopped_stack_leaves_no_process_and_no_file(migrations: Path) -> None:
    stack = LocalSupabase(migrations=migrations)
    with stack:
        processes = family(stack.pids().values())
        data = stack._folder
        assert data.is_dir()
    wait_until_gone(processes)
    assert not data.exists()
    stack.stop()


def test_everything_listens_on_the_loopback_address_only(stack: LocalSupabase) -> None:
    known = stack._known
    ports = (known.gateway_port, known.postgrest_port, known.admin_port, known.postgres_port)
    for port in ports:
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))


def test_two_stacks_run_side_by_side(stack: LocalSupabase, migrations: Path) -> None:
    with LocalSupabase(migrations=migrations) as other:
        assert other.url != stack.url
        answer = httpx.get(f"{other.url}/rest/v1/notes", headers={"apikey": stack.service_key})
        assert answer.status_code == 401
        assert count_rows(other) == 0


def test_a_killed_owner_leaves_nothing_behind(owner) -> None:
    process, pids, data = owner()
    processes = family(pids.values())
    process.kill()
    wait_until_gone(processes)
    assert not data.exists()


def test_an_owner_that_ends_without_stopping_leaves_nothing_behind(owner) -> None:
    process, pids, data = owner()
    processes = family(pids.values())
    process.send_signal(signal.SIGTERM)
    wait_until_gone(processes)
    assert not data.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_killed_supervisor_takes_its_servers_along(owner) -> None:
    process, pids, data = owner()
    processes = family(pids.values())
    os.kill(pids["supervisor"], signal.SIGKILL)
    wait_until_gone(processes - {pids["supervisor"]})
    process.communicate("")
    assert not data.exists()


def test_a_data_folder_keeps_data_ports_and_secrets(tmp_path: Path, migrations: Path) -> None:
    with LocalSupabase(data_dir=tmp_path / "kept", migrations=migrations) as first:
        assert add_note(first) == 200
        before = (first.environment(), first.publishable_key, first.secret_key)
    with LocalSupabase(data_dir=tmp_path / "kept", migrations=migrations) as second:
        assert (second.environment(), second.publishable_key, second.secret_key) == before
        assert count_rows(second) == 1
    assert (tmp_path / "kept" / "stack.json").stat().st_mode & 0o777 == 0o600


def test_a_data_folder_is_free_again_once_its_killed_owner_s_servers_are_gone(
    owner, tmp_path: Path, migrations: Path
) -> None:
    process, _, data = owner(str(tmp_path / "kept"))
    process.kill()
    with LocalSupabase(data_dir=data, migrations=migrations) as stack:
        assert add_note(stack) == 200


def test_a_data_folder_takes_one_stack_at_a_time(
    tmp_path: Path, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_LOCK_SECONDS", 0.1)
    second = LocalSupabase(data_dir=tmp_path, migrations=migrations)
    with (
        LocalSupabase(data_dir=tmp_path, migrations=migrations),
        pytest.raises(LocalStackError, match="another stack uses"),
    ):
        second.start()


def test_a_taken_port_is_reported_with_the_servers_own_words(
    tmp_path: Path, migrations: Path
) -> None:
    settings = StackSettings.new()
    settings.save(tmp_path)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", settings.postgres_port))
        with pytest.raises(LocalStackError, match="Address already in use"):
            LocalSupabase(data_dir=tmp_path, migrations=migrations).start()


def test_a_failed_migration_stops_what_was_started(tmp_path: Path) -> None:
    (tmp_path / "20260101000000_bad.sql").write_text("select nope")
    stack = LocalSupabase(migrations=tmp_path)
    with pytest.raises(MigrationError):
        stack.start()
    assert not stack._folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(stack.database_url)


def test_a_stack_that_was_not_started_says_so() -> None:
    with pytest.raises(LocalStackError, match="not been started"):
        assert LocalSupabase().url
    with pytest.raises(LocalStackError, match="not been started"):
        LocalSupabase().kill_postgres()


def test_the_default_migrations_are_this_release_s_own() -> None:
    with LocalSupabase() as stack:
        answer = httpx.get(f"{stack.url}/rest/v1/", headers={"apikey": stack.anon_key})
        assert answer.status_code == 200


def test_free_ports_are_free() -> None:
    port = free_port()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        probe.listen()
        assert free_port() != port
