"""The Modal functions, run here against a real stack: twice, at once, and killed in between."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import lift_sys
from lift_sys import modal_app
from lift_sys.local import LocalSupabase, delay, delay_answer
from lift_sys.modal_app import process_session
from lift_sys.spec_sessions import (
    HoleResolution,
    IRDraft,
    PromptSession,
    SessionNotFoundError,
    SupabaseSessionStore,
    UserRequiredError,
)
from tests.integration.api.servers import wait_for

HOLES = 5
SECONDS = 1.0
IMPORT = """
import sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(event))
from lift_sys.modal_app import api, app, image, process_session, secret
seen = {"socket.connect", "socket.bind", "socket.getaddrinfo", "sqlite3.connect"} & set(opened)
import pathlib, lift_sys
folder = pathlib.Path(lift_sys.__file__).parents[1]
print(folder, sorted(seen), sorted({"supabase", "psycopg", "fastapi"} & sys.modules.keys()))
"""


@pytest.fixture(autouse=True)
def environment(stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the secret says."""
    monkeypatch.delenv("LIFT_SYS_STORE", raising=False)
    found = {
        "SUPABASE_URL": stack.url,
        "SUPABASE_SERVICE_KEY": stack.service_key,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
        "USER_ID": f"ann-{uuid.uuid4()}",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def store(environment: dict[str, str]) -> Any:
    with SupabaseSessionStore(user_id=environment["USER_ID"]) as store:
        yield store


@pytest.fixture
def session_id(store: SupabaseSessionStore) -> str:
    """A session with answers to all of its holes, but for the last."""
    holes = [{"identifier": f"hole-{n}", "kind": "assertion"} for n in range(HOLES + 1)]
    draft = IRDraft(version=1, ir={"holes": holes})
    session = PromptSession.create_new("prompt", "x", draft)
    for n in range(HOLES):
        session.add_resolution(
            HoleResolution(
                hole_id=f"hole-{n}", resolution_text=f"{n} > 0", resolution_type="add_constraint"
            )
        )
    return store.create(session)


def assert_processed_once(store: SupabaseSessionStore, session_id: str) -> None:
    session = store.get(session_id)
    assert session is not None
    assert [r.applied for r in session.pending_resolutions] == [True] * HOLES
    assert [draft.version for draft in session.ir_drafts] == [1, 2]
    assert session.current_draft is not None
    assert [a.predicate for a in session.current_draft.ir.assertions] == [
        f"{n} > 0" for n in range(HOLES)
    ]
    assert session.get_unresolved_holes() == [f"hole-{HOLES}"]
    assert session.version == 2


def test_the_answers_are_applied(store, session_id):
    assert process_session.local(session_id) == {
        "session_id": session_id,
        "status": "active",
        "version": 2,
        "applied": HOLES,
        "unresolved": [f"hole-{HOLES}"],
    }
    assert_processed_once(store, session_id)


def test_an_input_that_runs_twice_is_processed_once(store, session_id):
    first, second = (process_session.local(session_id) for _ in range(2))
    assert second == {**first, "applied": 0}
    assert_processed_once(store, session_id)


def test_an_input_that_runs_in_many_threads_is_processed_once(store, session_id):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(process_session.local, [session_id] * 8))
    assert sorted(each["applied"] for each in found) == [0] * 7 + [HOLES]
    assert {each["version"] for each in found} == {2}
    assert_processed_once(store, session_id)


def test_an_input_that_runs_in_two_containers_is_processed_once(store, session_id):
    containers = [container(session_id) for _ in range(2)]
    found = [json.loads(each.communicate()[0]) for each in containers]
    assert sorted(each["applied"] for each in found) == [0, HOLES]
    assert_processed_once(store, session_id)


@pytest.mark.parametrize(
    ("call", "fault", "drafts"),
    [
        ("get_session_v1", delay_answer(SECONDS), 1),
        ("update_session_v1", delay(SECONDS), 1),
        ("update_session_v1", delay_answer(SECONDS), 2),
    ],
    ids=["as it reads", "as it writes", "once it has written"],
)
def test_a_container_that_is_killed_leaves_all_or_nothing(
    stack, store, session_id, call, fault, drafts
):
    with stack.gateway.fault(fault, when=lambda request: request.path.endswith(call)) as hold:
        killed = container(session_id)
        wait_for(lambda: hold.hits > 0, "the container to be there")
        if fault == delay_answer(SECONDS):
            wait_for(lambda: len(store.get(session_id).ir_drafts) == drafts, "the database")
        killed.kill()
        killed.communicate()
        assert len(store.get(session_id).ir_drafts) == drafts
        process_session.local(session_id)  # another container; the first one's write may yet come
        assert_processed_once(store, session_id)
    wait_for(lambda: None not in answered(stack, call), "the gateway to be done")
    assert_processed_once(store, session_id)


def test_a_container_may_be_killed_at_any_moment(store, session_id):
    chance = random.Random(7)
    for _ in range(4):
        killed = container(session_id)
        time.sleep(chance.random() * 0.03)  # the moment of the kill is what is at random
        killed.kill()
        killed.communicate()
        session = store.get(session_id)
        applied = {r.applied for r in session.pending_resolutions}
        assert (len(session.ir_drafts), applied) in ((1, {False}), (2, {True}))
    process_session.local(session_id)
    assert_processed_once(store, session_id)


def answered(stack: LocalSupabase, call: str) -> list[int | None]:
    return [each.status for each in stack.gateway.requests if each.path.endswith(call)]


def container(session_id: str) -> "subprocess.Popen[str]":
    """A process that is about to process the session."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.api.modal_input", session_id],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


def test_a_session_that_is_not_there_is_an_error(session_id):
    with pytest.raises(SessionNotFoundError):
        process_session.local(str(uuid.uuid4()))
    with pytest.raises(SessionNotFoundError):
        process_session.local(session_id, "bob")


def test_a_user_has_to_be_named(session_id, monkeypatch):
    monkeypatch.delenv("USER_ID")
    with pytest.raises(UserRequiredError):
        process_session.local(session_id)


def test_the_server_on_modal_lets_users_in_by_their_tokens(stack, environment):
    application = modal_app.api.local()
    with TestClient(application, base_url="https://x.modal.run") as client:
        assert client.get("/ready").json() == {"status": "ok"}
        headers = {"Authorization": f"Bearer {stack.jwt(environment['USER_ID'])}"}
        path = client.post("/sessions", json={}, headers=headers).headers["location"]
        assert client.get(path, headers=headers).is_success
        assert client.get(path).status_code == 401
        other = {"Authorization": f"Bearer {stack.jwt('bob')}"}
        assert client.get(path, headers=other).status_code == 404


def test_an_import_opens_nothing_and_loads_no_driver(tmp_path):
    """Also in a container, where the package is all there is of the checkout."""
    package = Path(lift_sys.__file__).parent
    shutil.copytree(package, tmp_path / "lift_sys", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == f"{tmp_path} [] []\n"
