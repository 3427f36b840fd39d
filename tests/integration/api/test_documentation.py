"""What is written about the server is true: its commands and its example are run."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lift_sys.local import LocalSupabase
from tests.integration.api.servers import ServerProcess, serving

TEXT = (Path(__file__).parents[3] / "README.md").read_text()


def block(fence: str) -> str:
    found = re.search(rf"^```{fence}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def run(commands: str, server: ServerProcess, folder: Path) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands.replace("http://127.0.0.1:8000", server.url)],
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_server_takes_three_lines(tmp_path):
    install, serve, ask = block("sh serve").splitlines()
    assert install == 'pip install "lift-sys[server]"'
    assert serve == "lift-sys serve"
    with serving(tmp_path, {}) as server:
        done = run(ask, server, tmp_path)
        assert done.stdout == '{"status":"ok"}'


def test_a_whole_session_with_curl(tmp_path):
    with serving(tmp_path, {}) as server:
        done = run(block("sh walk"), server, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    written = re.findall(r'^\{"session_id":".{36}","version":(\d+)\}$', done.stdout, re.MULTILINE)
    assert written == ["2", "2", "3", "4", "5", "6", "7", "8"]
    assert '"status":"finalized"' in done.stdout
    assert done.stdout.endswith("304\n")


@pytest.fixture
def environment(stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "LIFT_SYS_STORE": "supabase://",
        "LIFT_SYS_AUTH": "supabase",
        "SUPABASE_URL": stack.url,
        "SUPABASE_KEY": stack.anon_key,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_the_store_in_another_application(stack, tmp_path):
    example = tmp_path / "example.py"
    example.write_text(block("python fastapi"))
    application = runpy.run_path(str(example))["app"]
    with TestClient(application) as client:
        headers = {"Authorization": f"Bearer {stack.jwt('ann')}"}
        answer = client.post("/tickets/17/session", headers=headers)
        assert (answer.status_code, len(answer.json())) == (201, 36)
        refused = client.post("/tickets/17/session")
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"


def test_modal_is_told_to_deploy_what_is_there():
    create, deploy = block("sh modal").splitlines()
    assert create.startswith("modal secret create lift-sys ")
    assert deploy == "modal deploy -m lift_sys.modal_app"
