"""The endpoints under ``/sessions``, in memory: what is answered, and what repetition does."""

from typing import Any

import pytest
from starlette.testclient import TestClient

IR = {
    "intent": {"summary": "Adds."},
    "signature": {
        "name": "add",
        "holes": [{"identifier": "return.type", "kind": "signature"}],
    },
}
CODE = "def add(a, b):\n    return a + b\n\ndef sub(a, b):\n    return a - b\n"


@pytest.fixture
def path(client: TestClient) -> str:
    """A session with one hole."""
    answer = client.post("/sessions", json={"original_input": "Add two numbers", "ir": IR})
    return str(answer.headers["location"])


def version(client: TestClient, path: str) -> int:
    return int(client.get(path).json()["version"])


def kind(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return answer.status_code, problem["type"].removeprefix("/problems/")


def keyed(key: str, **headers: str) -> dict[str, str]:
    return {"Idempotency-Key": key, **headers}


def test_a_new_session_is_where_the_answer_says(client):
    answer = client.post("/sessions", json={"original_input": "Add", "metadata": {"n": 1.0}})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/sessions/{answer.json()['session_id']}"
    assert (answer.headers["etag"], answer.json()["version"]) == ('"1"', 1)
    session = client.get(answer.headers["location"]).json()
    assert session["revisions"][0]["content"] == "Add"
    assert session["status"] == "active"
    assert isinstance(session["metadata"]["n"], float)


def test_items_are_appended_in_their_order(client, path):
    for body in ({"content": "one"}, {"content": "two", "revision_type": "hole_fill"}):
        answer = client.post(f"{path}/revisions", json=body)
        assert (answer.status_code, answer.headers["location"]) == (201, path)
    assert client.post(f"{path}/drafts", json={"ir": {}}).json()["version"] == 4
    body = {"hole_id": "return.type", "resolution_text": "int"}
    assert client.post(f"{path}/resolutions", json=body).headers["etag"] == '"5"'
    session = client.get(path).json()
    assert [r["content"] for r in session["revisions"]] == ["Add two numbers", "one", "two"]
    assert [d["version"] for d in session["ir_drafts"]] == [1, 2]
    assert session["pending_resolutions"][0]["resolution_type"] == "refine_signature"


def test_a_hole_that_no_draft_has_needs_a_type_of_answer(client, path):
    body = {"hole_id": "nowhere", "resolution_text": "int"}
    assert kind(client.post(f"{path}/resolutions", json=body)) == (422, "invalid-value")
    body["resolution_type"] = "add_constraint"
    assert client.post(f"{path}/resolutions", json=body).status_code == 201


def test_answers_are_applied_and_the_session_made_final(client, path):
    assert kind(client.post(f"{path}/finalize")) == (409, "open-holes")
    body = {"hole_id": "return.type", "resolution_text": "int"}
    client.post(f"{path}/resolutions", json=body)
    assert client.post(f"{path}/process").json()["version"] == 3
    assert client.post(f"{path}/finalize").json()["version"] == 4
    session = client.get(path).json()
    assert session["ir_drafts"][-1]["ir"]["signature"]["returns"] == "int"
    assert (session["status"], session["finalized_at"] is None) == ("finalized", False)


def test_open_holes_are_no_obstacle_to_force(client, path):
    for almost in (1, "true"):
        answer = client.post(f"{path}/finalize", json={"force": almost})
        assert kind(answer) == (422, "invalid-request")
    assert client.post(f"{path}/finalize", json={"force": True}).status_code == 200


@pytest.mark.parametrize("what", ["process", "finalize", "abandon"])
def test_what_changes_nothing_writes_nothing(client, path, what):
    body = {"hole_id": "return.type", "resolution_text": "int"}
    client.post(f"{path}/resolutions", json=body)
    client.post(f"{path}/process")
    client.post(f"{path}/{what}")
    before = version(client, path)
    assert client.post(f"{path}/{what}", headers=keyed("k")).json()["version"] == before
    assert version(client, path) == before


def test_a_deleted_session_is_gone_and_deleting_it_again_is_fine(client, path):
    assert [client.delete(path).status_code for _ in range(2)] == [204, 204]
    assert kind(client.get(path)) == (404, "session-not-found")
    assert kind(client.post(f"{path}/abandon")) == (404, "session-not-found")


def test_lists_are_narrowed_and_paged(client):
    paths = [client.post("/sessions", json={}).headers["location"] for _ in range(3)]
    client.post(f"{paths[0]}/abandon")
    page = client.get("/sessions", params={"limit": 2}).json()
    rest = client.get("/sessions", params={"cursor": page["next_cursor"]}).json()
    assert [f"/sessions/{item['session_id']}" for item in page["items"] + rest["items"]] == [
        paths[0],
        paths[2],
        paths[1],
    ]
    assert rest["next_cursor"] is None
    abandoned = client.get("/sessions", params={"status": "abandoned", "source": "prompt"}).json()
    assert [item["status"] for item in abandoned["items"]] == ["abandoned"]
    assert client.get("/sessions", params={"source": "code"}).json()["items"] == []


def test_code_is_lifted_once(client):
    first = client.post("/sessions/lift", json={"code": CODE, "path": "sums.py"})
    assert (first.status_code, first.json()["new"]) == (200, 2)
    again = client.post("/sessions/lift", json={"code": CODE, "path": "sums.py"}).json()
    assert again == {"session_ids": first.json()["session_ids"], "new": 0}
    more = CODE + "\ndef mul(a, b):\n    return a * b\n"
    assert client.post("/sessions/lift", json={"code": more, "path": "sums.py"}).json()["new"] == 1


def test_code_that_does_not_parse_is_a_problem(client):
    answer = client.post("/sessions/lift", json={"code": "def f(:"})
    assert kind(answer) == (422, "source-not-lifted")
    assert client.post("/sessions/lift", json={"code": ""}).json() == {"session_ids": [], "new": 0}
    deep = client.post("/sessions/lift", json={"code": "(" * 10_000 + ")" * 10_000})
    assert kind(deep) == (422, "source-not-lifted")


# --- ETag, If-None-Match, If-Match


@pytest.mark.parametrize("header", ['"1"', 'W/"1"', '"7", "1"', "*"])
def test_a_session_that_did_not_change_is_not_sent_again(client, path, header):
    answer = client.get(path, headers={"If-None-Match": header})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')


@pytest.mark.parametrize("header", ['"2"', "1", "nonsense", '"1', "", '"99999999999999"'])
def test_a_session_that_changed_is_sent(client, path, header):
    assert client.get(path, headers={"If-None-Match": header}).status_code == 200


@pytest.mark.parametrize("header", ['"1"', '"7", "1"', "*"])
def test_a_write_to_the_named_version_happens(client, path, header):
    answer = client.post(f"{path}/revisions", json={"content": "x"}, headers={"If-Match": header})
    assert (answer.status_code, answer.json()["version"]) == (201, 2)


@pytest.mark.parametrize("header", ['"2"', 'W/"1"', "1", "nonsense", "", '"99999999999999"'])
def test_a_write_to_another_version_is_refused(client, path, header):
    answer = client.post(f"{path}/revisions", json={"content": "x"}, headers={"If-Match": header})
    assert kind(answer) == (412, "version-mismatch")
    assert answer.json()["current_version"] == 1
    assert kind(client.delete(path, headers={"If-Match": header})) == (412, "version-mismatch")
    assert version(client, path) == 1


def test_the_named_version_may_be_deleted(client, path):
    assert client.delete(path, headers={"If-Match": '"1"'}).status_code == 204
    assert client.delete(path, headers={"If-Match": '"1"'}).status_code == 204


# --- Idempotency-Key: one write, the same answer

WRITES = {
    "revisions": {"content": "x"},
    "drafts": {"ir": {}},
    "resolutions": {"hole_id": "return.type", "resolution_text": "int"},
    "process": None,
    "finalize": {"force": True},
    "abandon": None,
}


@pytest.fixture(params=WRITES)
def write(request: pytest.FixtureRequest, client: TestClient, path: str) -> Any:
    """Makes one kind of write with a key, where it changes something, again and again."""
    if request.param == "process":
        client.post(f"{path}/resolutions", json=WRITES["resolutions"])

    def send(**headers: str) -> Any:
        return client.post(
            f"{path}/{request.param}",
            json=WRITES[request.param],
            headers=keyed("one", **headers),
        )

    return send


def same(first: Any, again: Any) -> bool:
    names = ("etag", "location", "content-type")
    return (first.status_code, first.content, [first.headers.get(n) for n in names]) == (
        again.status_code,
        again.content,
        [again.headers.get(n) for n in names],
    )


def test_a_repeated_write_happens_once_and_is_answered_the_same(client, path, write):
    first = write()
    assert first.is_success
    stored = client.get(path).content
    assert same(first, write())
    assert client.get(path).content == stored


def test_it_is_answered_the_same_after_others_moved_on(client, path, write):
    first = write()
    client.post(f"{path}/drafts", json={"ir": IR})
    client.post(f"{path}/resolutions", json=WRITES["resolutions"])
    client.post(f"{path}/abandon")
    client.post(f"{path}/revisions", json={"content": "theirs"})
    stored = client.get(path).content
    assert same(first, write())
    assert client.get(path).content == stored


def test_it_is_answered_the_same_after_the_session_was_deleted(client, path, write):
    first = write()
    client.delete(path)
    assert same(first, write())
    assert client.get(path).status_code == 404


def test_it_is_answered_the_same_at_the_version_it_named(client, path, write):
    before = client.get(path).headers["etag"]
    first = write(**{"If-Match": before})
    assert first.is_success
    assert same(first, write(**{"If-Match": before}))
    client.post(f"{path}/revisions", json={"content": "theirs"})
    assert same(first, write(**{"If-Match": before}))
    now = client.get(path).headers["etag"]
    assert same(first, write(**{"If-Match": now}))


def test_a_key_that_was_refused_can_still_be_used(client, path, write):
    assert kind(write(**{"If-Match": '"77"'})) == (412, "version-mismatch")
    assert write().is_success


def test_a_repeated_start_is_one_session_with_one_answer(client):
    def start() -> Any:
        return client.post("/sessions", json={"original_input": "x"}, headers=keyed("one"))

    first = start()
    assert same(first, start())
    client.post(f"{first.headers['location']}/revisions", json={"content": "more"})
    assert same(first, start())
    assert len(client.get("/sessions").json()["items"]) == 1
    client.delete(first.headers["location"])
    assert same(first, start())
    assert client.get("/sessions").json()["items"] == []


def test_repeated_lifting_is_answered_the_same(client):
    client.post("/sessions/lift", json={"code": CODE.partition("\n\n")[0] + "\n"})

    def lift() -> Any:
        return client.post("/sessions/lift", json={"code": CODE}, headers=keyed("one"))

    first = lift()
    assert first.json()["new"] == 1
    assert same(first, lift())
    client.delete(f"/sessions/{first.json()['session_ids'][1]}")
    assert same(first, lift())
    assert len(client.get("/sessions").json()["items"]) == 1


@pytest.mark.parametrize(
    ("other", "body"),
    [
        ("revisions", {"content": "y"}),
        ("drafts", {"ir": {}}),
        ("finalize", {"force": True}),
        ("finalize", None),
        ("process", None),
        ("abandon", None),
    ],
)
def test_a_key_belongs_to_one_request(client, path, other, body):
    client.post(f"{path}/revisions", json={"content": "x"}, headers=keyed("one"))
    answer = client.post(f"{path}/{other}", json=body, headers=keyed("one"))
    assert kind(answer) == (422, "idempotency-key-reused")
    elsewhere = client.post("/sessions", json={}).headers["location"]
    answer = client.post(f"{elsewhere}/revisions", json={"content": "x"}, headers=keyed("one"))
    assert kind(answer) == (422, "idempotency-key-reused")
    answer = client.post("/sessions", json={}, headers=keyed("one"))
    assert kind(answer) == (422, "idempotency-key-reused")
    answer = client.post("/sessions/lift", json={"code": CODE}, headers=keyed("one"))
    assert kind(answer) == (422, "idempotency-key-reused")
    assert version(client, path) == 2


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_is_none_is_refused(client, path, key):
    for url, body in [("/sessions", {}), (f"{path}/revisions", {"content": "x"})]:
        assert kind(client.post(url, json=body, headers=keyed(key))) == (422, "invalid-request")
