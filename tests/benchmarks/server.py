"""The server beside one without a store: ``python -m tests.benchmarks.server``.

Reading a session of 20 items and appending to it, on SQLite on disk, beside a FastAPI application
that answers the same requests with the same bytes and keeps nothing. Both are uvicorn processes,
asked in turns in one run, by a client that costs next to nothing.
"""

import argparse
import contextlib
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.integration.api.servers import serving

_SESSIONS: Final = 200
_TEXT: Final = "It must not overflow, whatever the operands are. " * 20
_BASELINE: Final = """
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

app = FastAPI()


class NewRevision(BaseModel):
    content: str
    revision_type: str = "manual_edit"
    target_hole: str | None = None
    metadata: dict[str, Any] = {}


@app.get("/sessions/{session_id}")
async def read(session_id: str, request: Request) -> Response:
    return Response(request.app.state.session, media_type="application/json")


@app.post("/sessions/{session_id}/revisions", status_code=201)
async def append(session_id: str, body: NewRevision) -> dict[str, Any]:
    return {"session_id": session_id, "version": 2}


app.state.session = open(sys.argv[1], "rb").read()
uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning")
"""


class _Requests:
    """Requests to one server, taken in turns: each session gets only few of them."""

    def __init__(self, port: int, contents: list[bytes]) -> None:
        self.port = port
        self._contents = itertools.cycle(contents)
        self._lock = threading.Lock()

    def next(self) -> bytes:
        with self._lock:
            return next(self._contents)


@dataclass
class Result:
    """What was measured: the latencies in seconds, and how long it all took."""

    latencies: list[float]
    seconds: float = 0.0

    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, n: int) -> float:
        return statistics.quantiles(self.latencies, n=100)[n - 1] * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=400, help="for each client in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    _say(f"{'':28}{'requests/s':>20}{'p50 ms':>16}{'p95 ms':>16}  ratio")
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)) as requests:
        for clients in (1, 8):
            for name, both in requests.items():
                found = _measured(both, clients, options.requests, options.rounds)
                _print(f"{name}, {clients} client(s)", *found)


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[dict[str, list[_Requests]]]:
    """Start both servers; yield the requests to each, by what they do."""
    store = {"LIFT_SYS_STORE": f"sqlite:///{folder / 'sessions.db'}"}
    with serving(folder, store, "--no-access-log") as server:
        paths = [_session(server.url) for _ in range(_SESSIONS)]
        answer = httpx.get(f"{server.url}{paths[0]}").content
        (folder / "answer.json").write_bytes(answer)
        port = _free_port()
        arguments = [str(folder / "answer.json"), str(port)]
        with subprocess.Popen([sys.executable, "-c", _BASELINE, *arguments]) as bare:
            try:
                _wait_for(port)
                _say(f"a session of 20 items, {len(answer)} bytes; ours / without a store")
                yield {
                    "read": [_Requests(at, [_get(p) for p in paths]) for at in (server.port, port)],
                    "append": [
                        _Requests(at, [_post(p) for p in paths]) for at in (server.port, port)
                    ],
                }
            finally:
                bare.kill()


def _session(url: str) -> str:
    """Store a session of 10 revisions and 10 drafts, and return its path."""
    with httpx.Client(base_url=url) as client:
        ir = {"intent": {"summary": _TEXT}, "holes": [{"identifier": "result"}]}
        body: dict[str, Any] = {"original_input": _TEXT, "ir": ir}
        path = client.post("/sessions", json=body).headers["location"]
        for _ in range(9):
            client.post(f"{path}/revisions", json={"content": _TEXT}).raise_for_status()
            client.post(f"{path}/drafts", json={"ir": ir}).raise_for_status()
        return str(path)


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def _post(path: str) -> bytes:
    body = json.dumps({"content": _TEXT}).encode()
    head = (
        f"POST {path}/revisions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _measured(requests: list[_Requests], clients: int, count: int, rounds: int) -> list[Result]:
    results = [Result([]) for _ in requests]
    for request in requests:
        _round(request, clients, count // 4, Result([]))
    for _ in range(rounds):
        for request, result in zip(requests, results, strict=True):
            _round(request, clients, count, result)
    return results


def _round(requests: _Requests, clients: int, count: int, result: Result) -> None:
    threads = [
        threading.Thread(target=_ask, args=(requests, max(1, count // clients), result.latencies))
        for _ in range(clients)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.seconds += time.perf_counter() - started


def _ask(requests: _Requests, count: int, latencies: list[float]) -> None:
    with socket.create_connection(("127.0.0.1", requests.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            content = requests.next()
            started = time.perf_counter()
            connection.sendall(content)
            _receive(connection)
            latencies.append(time.perf_counter() - started)


def _receive(connection: socket.socket) -> None:
    """Read one whole answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")), received
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    left = length - len(body)
    while left > 0:
        left -= len(connection.recv(65536))


def _print(name: str, ours: Result, bare: Result) -> None:
    columns = [(r.per_second(), r.percentile(50), r.percentile(95)) for r in (ours, bare)]
    rate, p50, p95 = zip(*columns, strict=True)
    _say(
        f"{name:28}{rate[0]:>10.0f} / {rate[1]:>7.0f}  {p50[0]:>6.2f} / {p50[1]:>5.2f}  "
        f"{p95[0]:>6.2f} / {p95[1]:>5.2f}  {rate[1] / rate[0]:.1f}"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError("the server without a store did not start")


if __name__ == "__main__":
    main()
