"""Requests as bytes: what no well-behaved client sends, over a real connection."""

import socket
from collections.abc import Iterator

import pytest

from tests.integration.api.servers import ServerProcess, serving

LIMIT = 1_000
HEAD = b"POST /sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
CLOSE = b"Connection: close\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"LIFT_SYS_STORE": "memory://", "LIFT_SYS_MAX_BODY_BYTES": str(LIMIT)}
    with serving(tmp_path_factory.mktemp("wire"), settings) as server:
        yield server
        answer = exchange(server, b"GET /health HTTP/1.1\r\nHost: x\r\n" + CLOSE + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert "Traceback" not in server.output()


def exchange(server: ServerProcess, request: bytes, *, ends: bool = False) -> bytes:
    """Send the bytes, hang up where it `ends` there, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def chunked(size: int) -> bytes:
    part = b"64\r\n" + b" " * 100 + b"\r\n"
    return (
        HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + part * (size // 100) + b"0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("request_", "status", "word"),
    [
        (chunked(LIMIT + 100), 413, b"/problems/too-large"),
        (chunked(LIMIT), 422, b"/problems/invalid-request"),
        (HEAD + CLOSE + b"Content-Length: 5000\r\n\r\n{}", 413, b"/problems/too-large"),
        (HEAD + CLOSE + b"Content-Length: 1\r\n\r\n{}", 422, b"/problems/invalid-request"),
        (
            HEAD + CLOSE + b"Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n",
            413,
            b"/problems/too-large",
        ),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400, b"Invalid"),
        (HEAD + b"Content-Length: -1\r\n\r\n{}", 400, b"Invalid"),
        (HEAD + b"Content-Length: x\r\n\r\n{}", 400, b"Invalid"),
        (HEAD + b"Host: 127.0.0.1\r\n\r\n", 400, b"Invalid"),
        (b"POST /sessions HTTP/1.0\r\n\r\n", 403, b"/problems/not-local"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, b"Invalid"),
    ],
    ids=lambda value: repr(value[-40:]) if isinstance(value, bytes) else str(value),
)
def test_a_strange_request_is_refused(server, request_, status, word):
    answer = exchange(server, request_)
    assert answer.startswith(b"HTTP/1.1 %d" % status), answer
    assert word in answer


@pytest.mark.parametrize(
    "unfinished",
    [b"", b"POST", HEAD, HEAD + b"Content-Length: 10\r\n\r\n{", chunked(300)[:-50]],
    ids=len,
)
def test_a_request_that_ends_early_harms_nobody(server, unfinished):
    assert b"HTTP/1.1 5" not in exchange(server, unfinished, ends=True)


def test_the_answer_to_head_has_no_body(server):
    answer = exchange(server, b"HEAD /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + CLOSE + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (head[:12], body) == (b"HTTP/1.1 200", b"")
    assert b"content-length: 15" in head
