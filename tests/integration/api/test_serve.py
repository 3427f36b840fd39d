"""``lift-sys serve``: its options, what it prints, and how it fails."""

import os
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import psycopg
import pytest

from lift_sys.auth import is_loopback
from lift_sys.cli import main
from tests.integration.api.servers import serving, wait_for


@pytest.fixture
def failed(tmp_path, monkeypatch, capfd):
    """Runs a server that does not start; returns the exit code and the one line that it says."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("LIFT_SYS_", "SUPABASE_"))]:
        monkeypatch.delenv(name)

    def run(*options: str, **settings: str) -> tuple[int, str]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["lift-sys", "serve", *options])
        with pytest.raises(SystemExit) as end:
            main()
        out, message = capfd.readouterr()
        assert (out, message[:7], message.count("\n")) == ("", "error: ", 1)
        return int(str(end.value.code)), message

    return run


def test_it_serves_the_embedded_default(tmp_path):
    with serving(tmp_path, {}) as server:
        assert server.url.startswith("http://127.0.0.1:")
        path = httpx.post(f"{server.url}/sessions", json={}).headers["location"]
        assert httpx.get(f"{server.url}{path}").json()["version"] == 1
        assert server.stop(signal.SIGINT) == 0
        assert f"GET {path}" in server.output()
    assert (tmp_path / "lift_sys.db").exists()


def test_the_store_is_an_option(tmp_path):
    options = ("--store", "sqlite:///other.db", "--no-access-log")
    with serving(tmp_path, {"LIFT_SYS_STORE": "sqlite:///x.db"}, *options) as server:
        assert httpx.get(f"{server.url}/ready").is_success
        assert "GET" not in server.output()
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "x.db").exists()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_it_serves_another_loopback_address(tmp_path):
    with serving(tmp_path, {}, "--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(f"{server.url}/sessions").is_success


def test_a_store_that_is_down_is_found_by_readiness_and_not_at_the_start(tmp_path):
    settings = {
        "LIFT_SYS_STORE": "postgresql://nobody@127.0.0.1:1/none",
        "LIFT_SYS_READY_SECONDS": "0.2",
    }
    with serving(tmp_path, settings) as server:
        assert httpx.get(f"{server.url}/health").is_success
        answer = httpx.get(f"{server.url}/ready")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")


def test_a_database_without_the_schema_is_not_ready(tmp_path, stack):
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute("create database without_schema")
    store = stack.authenticator_url.rpartition("/")[0] + "/without_schema"
    with serving(tmp_path, {"LIFT_SYS_STORE": store}) as server:
        answer = httpx.get(f"{server.url}/ready")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/schema-outdated")
        assert "migrate" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_without_sign_in_only_this_machine_is_served(failed, host):
    code, message = failed("--host", host)
    assert code == 2
    assert "LIFT_SYS_AUTH=supabase" in message


def test_behind_another_address_nobody_is_answered_without_sign_in(tmp_path):
    """Where the application is started by other means, each request is looked at."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "lift_sys.api.server:app", "--host", "0.0.0.0"]
    with subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "error"],
        cwd=tmp_path,
        env={"PATH": "", "LIFT_SYS_STORE": "memory://"},
    ) as server:
        try:
            wait_for(lambda: answers(port), "the server")
            own = f"http://127.0.0.1:{port}"
            assert httpx.get(f"{own}/sessions").is_success
            outside = outside_address()
            if outside is not None:
                answer = httpx.get(
                    f"http://{outside}:{port}/sessions", headers={"Host": "127.0.0.1"}
                )
                assert answer.status_code == 403
            assert httpx.get(f"{own}/sessions", headers={"Host": "x.example"}).status_code == 403
        finally:
            server.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").is_success
    except httpx.TransportError:
        return False


def outside_address() -> str | None:
    """An address of this machine that others can reach, if it has one."""
    found = (
        each.address
        for some in psutil.net_if_addrs().values()
        for each in some
        if each.family == socket.AF_INET
    )
    return next((address for address in found if not is_loopback(address)), None)


@pytest.mark.parametrize(
    ("options", "settings", "code", "said"),
    [
        (["--store", "nonsense://"], {}, 5, "memory://"),
        (["--store", "supabase://"], {}, 5, "SUPABASE_URL"),
        ([], {"LIFT_SYS_AUTH": "everyone"}, 5, "LIFT_SYS_AUTH"),
        ([], {"LIFT_SYS_AUTH": "supabase"}, 5, "SUPABASE_URL is missing"),
        ([], {"LIFT_SYS_MAX_BODY_BYTES": "x", "LIFT_SYS_READY_SECONDS": "0"}, 5, "READY_SECONDS"),
    ],
)
def test_a_wrong_setting_is_one_line(failed, options, settings, code, said):
    found, message = failed(*options, **settings)
    assert found == code
    assert said in message


def test_a_port_that_is_taken_is_one_line(failed):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, message = failed("--port", str(port))
    assert code == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in message
