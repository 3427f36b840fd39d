"""Servers can be killed and started again, on the same ports and with the same data."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from lift_sys.local import LocalSupabase
from tests.integration.local.processes import is_alive, wait_for

Count = Callable[[str], int]


def add(client: httpx.Client, body: str) -> httpx.Response:
    return client.post("/rpc/add_note", json={"body": body})


def test_what_was_committed_survives_a_killed_postgres(
    stack: LocalSupabase, client: httpx.Client, count_notes: Count
) -> None:
    url, pid = stack.database_url, stack.pids()["postgres"]
    assert add(client, "survivor").status_code == 200
    stack.kill_postgres()
    assert not is_alive(pid)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    assert add(client, "lost").status_code == 503
    stack.start_postgres()
    assert stack.database_url == url
    wait_for(lambda: add(client, "again").status_code == 200, "PostgREST to find Postgres again")
    assert count_notes("survivor") == 1
    assert count_notes("lost") == 0


def test_a_killed_postgres_ends_what_was_running(
    stack: LocalSupabase, client: httpx.Client
) -> None:
    running = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    with (
        psycopg.connect(stack.database_url, autocommit=True) as watcher,
        ThreadPoolExecutor(1) as pool,
    ):
        pending = pool.submit(client.post, "/rpc/snooze", json={"seconds": 5})
        wait_for(lambda: watcher.execute(running).fetchone() == (1,), "the call to run")
        started = time.monotonic()
        stack.kill_postgres()
        assert pending.result(20).status_code == 503
        assert time.monotonic() - started < 4
    stack.start_postgres()


def test_a_restarted_postgres_serves_again(stack: LocalSupabase, client: httpx.Client) -> None:
    stack.restart_postgres()
    stack.wait_until_ready()
    assert add(client, "restarted").status_code == 200


def test_a_killed_postgrest_is_a_bad_gateway_until_it_is_back(
    stack: LocalSupabase, client: httpx.Client
) -> None:
    assert add(client, "before").status_code == 200
    stack.kill_postgrest()
    assert add(client, "while").status_code == 502
    stack.start_postgrest()
    assert add(client, "after").status_code == 200


def test_a_restarted_postgrest_serves_at_once(stack: LocalSupabase, client: httpx.Client) -> None:
    stack.restart_postgrest()
    assert add(client, "restarted").status_code == 200
