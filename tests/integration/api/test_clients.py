"""Clients of a real server on each store: many at once, with connections that break."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lift_sys.local import delay_answer
from tests.integration.api.servers import ServerProcess, serving, wait_for
from tests.integration.api.workload import WRITES, run_clients


def test_no_write_is_lost_or_doubled(settings, stack, tmp_path):
    with serving(tmp_path, settings) as server:
        for clients in (1, 10, 50):
            asyncio.run(run_clients(server.port, stack.jwt, clients, 0.3))
        server.stop()
        assert_in_order(server)


def test_what_is_acknowledged_survives_a_killed_server(settings, stack, tmp_path):
    clients, kills = 10, 2
    with serving(tmp_path, settings) as first:
        servers = [first]

        async def kill_and_restart(acknowledged: asyncio.Semaphore) -> None:
            for _ in range(kills):
                for _ in range(clients * WRITES // (kills + 1)):
                    await acknowledged.acquire()
                servers[-1].kill()
                servers.append(await asyncio.to_thread(restarted))

        def restarted():
            return ServerProcess(tmp_path, settings, port=first.port)

        try:
            asyncio.run(run_clients(first.port, stack.jwt, clients, 0.1, kill_and_restart))
        finally:
            for server in servers:
                server.kill()
        assert len(servers) == kills + 1


def test_the_database_is_asked_with_the_users_own_token(stack, tmp_path):
    settings = {
        "LIFT_SYS_STORE": "supabase://",
        "LIFT_SYS_AUTH": "supabase",
        "SUPABASE_URL": stack.url,
        "SUPABASE_KEY": stack.anon_key,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
    }
    token = stack.jwt("ann")
    with serving(tmp_path, settings) as server:
        stack.gateway.reset()
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.post(f"{server.url}/sessions", json={}, headers=headers).status_code == 201
        [asked] = stack.gateway.requests
        assert asked.headers["authorization"] == f"Bearer {token}"
        assert asked.headers["apikey"] == stack.anon_key
        assert httpx.get(f"{server.url}/ready").is_success
    with serving(tmp_path, {**settings, "SUPABASE_KEY": "sb_publishable_wrong"}) as server:
        assert httpx.get(f"{server.url}/ready").status_code == 403


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
def test_a_server_that_is_told_to_stop_answers_what_it_was_asked(stack, tmp_path, how, code):
    settings = {"LIFT_SYS_STORE": f"supabase+{stack.url}", "SUPABASE_KEY": stack.service_key}
    held = stack.gateway.fault(delay_answer(1.0))
    with serving(tmp_path, settings) as server, held as hold, ThreadPoolExecutor() as threads:
        asked = threads.submit(httpx.post, f"{server.url}/sessions", json={})
        wait_for(lambda: hold.hits > 0, "the request to reach the store")
        assert server.stop(how) == code
        assert asked.result().status_code == 201
        assert_in_order(server)


def assert_in_order(server: ServerProcess) -> None:
    """Fail where the server left something open or failed in a way it does not know."""
    output = server.output()
    assert "Finished server process" in output
    for sign in ("Warning", "Exception ignored", "Traceback", "ERROR"):
        assert sign not in output
