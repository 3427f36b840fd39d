"""Clients whose connections break: they repeat each request until it is answered.

What they were told is remembered, so that it can be compared with what is stored at the end.
"""

import asyncio
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

SECONDS: Final = 60.0
"""For how long a request is repeated."""
_PASSING: Final = frozenset({409, 503})
REVISIONS: Final = 3
WRITES: Final = REVISIONS + 5
"""How many writes each client makes."""
IR: Final = {
    "signature": {"name": "f", "holes": [{"identifier": "return.type", "kind": "signature"}]}
}


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """A user's client, which loses some of its connections and never gives up.

    Args:
        port: the server's, on this machine.
        token: the user's.
        seed: what its bad luck follows from.
        trouble: how likely a connection is lost, from 0 to 1.
    """

    def __init__(self, port: int, token: str, seed: int = 0, trouble: float = 0.0) -> None:
        self._port, self._token, self._trouble = port, token, trouble
        self._random = random.Random(seed)
        self.lost = 0

    async def get(self, path: str) -> Answer:
        return await self._persist("GET", path, None, {})

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._persist("POST", path, body, {**key, **headers})

    async def _persist(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        request = self._request(method, path, content, headers)
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    answer = await self._once(request)
                except (OSError, EOFError):
                    self.lost += 1
                    await asyncio.sleep(self._random.random() * 0.1)
                    continue
                if answer.status not in _PASSING:
                    return answer

    def _request(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> bytes:
        lines = {
            "Host": f"127.0.0.1:{self._port}",
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "Connection": "close",
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content

    async def _once(self, request: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            if self._random.random() < self._trouble:
                await self._lose(request, reader, writer)
            writer.write(request)
            return _parsed(await reader.read())
        finally:
            writer.transport.abort()

    async def _lose(
        self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Lose the connection: before all is sent, right after that, or within the answer."""
        moment = self._random.choice(("before", "after", "within"))
        length = self._random.randrange(len(request)) if moment == "before" else len(request)
        writer.write(request[:length])
        await writer.drain()
        if moment == "within":
            await reader.readexactly(self._random.randrange(1, 20))
        elif moment == "after":
            await asyncio.sleep(self._random.random() * 0.005)
        raise ConnectionAbortedError


def _parsed(received: bytes) -> Answer:
    head, end, content = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if not end or len(content) != int(headers.get("content-length", 0)):
        raise EOFError
    return Answer(int(status.split()[1]), headers, content)


@dataclass
class Run:
    """What one client did: its own session, and what it added to one that it shares."""

    client: Client
    name: str
    acknowledged: asyncio.Semaphore
    path: str = ""

    def texts(self) -> list[str]:
        return [f"{self.name} {n}" for n in range(REVISIONS)]

    async def go(self, shared: str) -> None:
        """Take a session from its first input to its end, and add to the shared one."""
        answer = await self._acknowledged("/sessions", {"original_input": self.name, "ir": IR})
        self.path = answer.headers["location"]
        for text in self.texts():
            await self._acknowledged(f"{self.path}/revisions", {"content": text})
        await self._acknowledged(f"{shared}/revisions", {"content": self.name})
        body = {"hole_id": "return.type", "resolution_text": "int"}
        await self._acknowledged(f"{self.path}/resolutions", body)
        await self._acknowledged(f"{self.path}/process", None)
        await self._acknowledged(f"{self.path}/finalize", None)

    async def _acknowledged(self, path: str, body: Any) -> Answer:
        answer = await self.client.post(path, body)
        assert answer.status in (200, 201), (path, answer)
        self.acknowledged.release()
        return answer

    def check(self, session: dict[str, Any]) -> None:
        """Fail unless its session is what it was told: everything, once, in order."""
        assert [r["content"] for r in session["revisions"]] == [self.name, *self.texts()]
        assert [r["applied"] for r in session["pending_resolutions"]] == [True]
        assert [d["validation_status"] for d in session["ir_drafts"]] == ["pending", "valid"]
        assert session["ir_drafts"][1]["ir"]["signature"]["returns"] == "int"
        assert (session["status"], session["version"]) == ("finalized", REVISIONS + 4)


async def run_clients(
    port: int, token: Callable[[str], str], clients: int, trouble: float, *disturbances: Any
) -> list[str]:
    """Let so many clients of two users work at once, and check what is stored at the end.

    Args:
        port: the server's.
        token: makes the token of a user.
        clients: how many.
        trouble: how likely a connection is lost.
        disturbances: coroutine functions that go on beside them, and are given a semaphore that
            is released at each write that was acknowledged.

    Returns:
        The paths of all sessions.
    """
    users = [f"{name}-{uuid.uuid4()}" for name in ("ann", "bob")]
    readers = {user: Client(port, token(user)) for user in users}
    shared = {u: (await readers[u].post("/sessions", {})).headers["location"] for u in users}
    acknowledged = asyncio.Semaphore(0)
    runs = {
        user: [
            Run(Client(port, token(user), seed, trouble), f"{user} {seed}", acknowledged)
            for seed in range(index, clients, len(users))
        ]
        for index, user in enumerate(users)
    }
    every = [run for some in runs.values() for run in some]
    async with asyncio.TaskGroup() as group:
        for user in users:
            for run in runs[user]:
                group.create_task(run.go(shared[user]))
        for disturb in disturbances:
            group.create_task(disturb(acknowledged))
    for user in users:
        await _check_user(readers[user], runs[user], shared[user])
    other = readers[users[1]]
    for path in (shared[users[0]], *(run.path for run in runs[users[0]])):
        assert (await other.get(path)).status == 404
    return [*shared.values(), *(run.path for run in every)]


async def _check_user(reader: Client, runs: list[Run], shared: str) -> None:
    for run in runs:
        run.check((await reader.get(run.path)).json())
    contents = [r["content"] for r in (await reader.get(shared)).json()["revisions"]]
    assert sorted(contents) == sorted(run.name for run in runs)
    page = (await reader.get("/sessions?limit=1000")).json()
    listed = sorted(f"/sessions/{item['session_id']}" for item in page["items"])
    assert listed == sorted([shared, *(run.path for run in runs)])
