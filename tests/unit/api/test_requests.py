"""Requests that are none: every one is answered with problem details, and none with a 500."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from lift_sys.api.settings import Settings
from tests.unit.api.clients import client_of
from tests.unit.api.test_sessions import kind

JSON = {"Content-Type": "application/json"}
DEEP = b"[" * 100_000 + b"]" * 100_000
SMALL = 1_000


def posted(client: TestClient, content: bytes, **headers: str) -> Any:
    return client.post("/sessions", content=content, headers={**JSON, **headers})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"original_input": "\xc3\x28"}',
        b'{"original_input": "\\ud800"}',
        b'{"metadata": {"\\udfff": 1}}',
        b'{"metadata": {"n": NaN}}',
        b'{"metadata": {"n": -Infinity}}',
        b'{"metadata": {"n": 1' + b"0" * 5_000 + b"}}",
        b'{"metadata": ' + DEEP + b"}",
        DEEP,
        b'{"metadata": []}',
        b'{"source": "elsewhere"}',
        b'{"unknown": 1}',
        b'{"ir": {"holes": [{}]}}',
        b'{"original_input": 1}',
        b"{} {}",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_not_understood_is_refused(client, body):
    assert kind(posted(client, body)) == (422, "invalid-request")


@pytest.mark.parametrize(
    "body",
    [
        rb'{"original_input": "\u0000"}',
        rb'{"metadata": {"a\u0000b": 1}}',
        rb'{"ir": {"intent": {"summary": "\u0000"}}}',
        rb'{"ir": {"later": {"\u0000": 1}}}',
        b'{"metadata": {"deep": ' + b"[" * 101 + b"]" * 101 + b"}}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_value_that_no_store_keeps_is_refused(client, body):
    assert kind(posted(client, body)) == (422, "invalid-value")


def test_what_json_can_say_comes_back_as_it_was(client):
    value = {
        "n": 10**40,
        "f": 1e308,
        "zero": -0.0,
        "one": 1.0,
        "text": "\U0001f600\u2028",
        "": None,
    }
    path = posted(client, json.dumps({"metadata": value}).encode()).headers["location"]
    found = client.get(path).json()["metadata"]
    assert found == value
    assert [type(member) for member in found.values()] == [type(m) for m in value.values()]


@pytest.mark.parametrize(
    "kind_of_body",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "json",
        "a/json",
    ],
)
def test_another_kind_of_body_is_refused(client, kind_of_body):
    answer = client.post("/sessions", content=b"{}", headers={"Content-Type": kind_of_body})
    assert kind(answer) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "kind_of_body", ["application/json; charset=utf-8", "application/merge-patch+json"]
)
def test_json_by_another_name_is_taken(client, kind_of_body):
    answer = client.post("/sessions", content=b"{}", headers={"Content-Type": kind_of_body})
    assert answer.status_code == 201


def test_many_wrong_fields_make_a_short_answer(client):
    answer = posted(client, json.dumps({"ir": {"holes": [{}] * 10_000}}).encode())
    assert kind(answer) == (422, "invalid-request")
    assert len(answer.json()["errors"]) == 20


# --- size


@pytest.fixture
def small() -> Iterator[TestClient]:
    """A client of a server that takes small bodies only."""
    settings = Settings(LIFT_SYS_STORE="memory://", LIFT_SYS_MAX_BODY_BYTES=SMALL)
    with client_of(settings) as client:
        yield client


def body_of(size: int) -> bytes:
    return json.dumps({"original_input": ""}).replace('""', '"' + "x" * (size - 22) + '"').encode()


def test_a_body_may_be_as_large_as_is_allowed(small):
    assert len(body_of(SMALL)) == SMALL
    assert posted(small, body_of(SMALL)).status_code == 201
    assert kind(posted(small, body_of(SMALL + 1))) == (413, "too-large")


def test_a_body_in_parts_is_counted(small):
    parts = [body_of(SMALL + 1)[i : i + 100] for i in range(0, SMALL + 1, 100)]
    answer = small.post("/sessions", content=iter(parts), headers=JSON)
    assert kind(answer) == (413, "too-large")
    answer = small.post("/sessions", content=iter([body_of(SMALL)]), headers=JSON)
    assert answer.status_code == 201


@pytest.mark.parametrize("claim", ["0", "10", "-1", "nonsense", "9" * 4_500])
def test_what_a_header_claims_of_the_size_is_not_believed(small, claim):
    answer = posted(small, body_of(SMALL + 1), **{"Content-Length": claim})
    assert kind(answer) == (413, "too-large")


def test_what_a_header_claims_is_enough_to_refuse(small):
    answer = posted(small, b"{}", **{"Content-Length": str(SMALL + 1)})
    assert kind(answer) == (413, "too-large")


# --- places and methods


@pytest.mark.parametrize(
    "url", ["/", "/sessions/", "/nowhere", "/sessions/a/b/c", "/sessions/a%2Fb"]
)
def test_what_is_not_there_is_a_problem(client, url):
    assert kind(client.get(url)) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "url", "allowed"),
    [
        ("PUT", "/sessions", "GET, HEAD, POST"),
        ("PATCH", "/sessions/x", "DELETE, GET, HEAD"),
        ("OPTIONS", "/sessions", "GET, HEAD, POST"),
        ("GET", "/sessions/x/process", "POST"),
        ("PUT", "/sessions/lift", "POST"),
        ("TRACE", "/health", "GET, HEAD"),
        ("PUT", "/docs", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_there_is_a_problem(client, method, url, allowed):
    answer = client.request(method, url)
    assert kind(answer) == (405, "method-not-allowed")
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allowed


def test_head_is_answered_as_get(client):
    for url in ("/health", "/sessions"):
        head, get = client.head(url), client.get(url)
        assert (head.status_code, head.headers) == (200, get.headers)
    assert client.head("/sessions/nowhere").status_code == 404


@pytest.mark.parametrize(
    "session_id", ["%00", "x" * 256, "%ED%A0%80", "%F0%9F%98%80", "..", "lift"]
)
def test_an_id_that_no_session_has_is_not_found(client, session_id):
    for method, place in [("GET", ""), ("POST", "/process")]:
        assert client.request(method, f"/sessions/{session_id}{place}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=1e3",
        "limit=" + "9" * 5_000,
        "status=gone",
        "source=elsewhere",
        "cursor=x",
        "cursor=%00",
        "cursor=bnVsbA",
        "cursor=WzEsMl0",
        "cursor=" + "W1tb" * 2_000,
    ],
)
def test_a_query_that_is_not_understood_is_refused(client, query):
    answer = client.get(f"/sessions?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_no_other_site_is_let_in_by_default(client):
    answer = client.get("/sessions", headers={"Origin": "http://localhost:3000"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
