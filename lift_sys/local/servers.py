"""The owner's side of the supervisor: starts, watches and kills the servers of one stack."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lift_sys.local.background import HOST

_LOG_TAIL_LINES = 25
_POLL_SECONDS = 0.01
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
# Below the range that systems hand out for outgoing connections: while a server is down, no client
# socket can sit on its port, and what is free now is free when the server binds it.
_PORTS = range(20000, 32000)


class LocalStackError(RuntimeError):
    """The local stack cannot do what was asked; the message says why, with the server's log."""


@dataclass(frozen=True)
class Account:
    """The user a server runs as."""

    uid: int
    gid: int

    def as_arguments(self) -> dict[str, Any]:
        """Return what makes ``subprocess`` run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class Server:
    """How to start one server.

    Attributes:
        name: what messages call it.
        argv: the program and its arguments.
        env: its whole environment.
        folder: where it runs.
        log: where its output goes.
        quit_signal: what makes it stop in good order.
        account: another user to run it as, when this one may not.
    """

    name: str
    argv: Sequence[str]
    env: dict[str, str]
    folder: Path
    log: Path
    quit_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None


class Supervisor:
    """A child process that owns the servers, and stops them when this process is gone.

    Args:
        remove: a folder that it removes at the end.
        keep_open: a file descriptor that it holds until then, such as a lock's.
    """

    def __init__(self, *, remove: Path | None = None, keep_open: int | None = None) -> None:
        self._lock = threading.Lock()
        script = Path(__file__).with_name("supervisor.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), *([str(remove)] if remove else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[] if keep_open is None else [keep_open],
            start_new_session=True,
        )

    def start(self, server: Server, is_ready: Callable[[], bool]) -> None:
        """Start a server and wait until it is ready.

        Raises:
            LocalStackError: it ended, or was not ready in time; the message has its last words.
        """
        account = server.account
        self._tell(
            do="start",
            name=server.name,
            argv=list(server.argv),
            env=server.env,
            folder=str(server.folder),
            log=str(server.log),
            quit=int(server.quit_signal),
            uid=account and account.uid,
            gid=account and account.gid,
        )
        self.wait(server, is_ready)

    def wait(self, server: Server, is_ready: Callable[[], bool]) -> None:
        """Wait until a running server is ready; raises as ``start``."""
        deadline = time.monotonic() + _START_SECONDS
        while not is_ready():
            returncode = self._tell(do="poll", name=server.name)["returncode"]
            if returncode is not None:
                raise LocalStackError(
                    f"{server.name} ended with code {returncode}:\n{log_tail(server.log)}"
                )
            if time.monotonic() > deadline:
                raise LocalStackError(
                    f"{server.name} was not ready after {_START_SECONDS:.0f} s:\n"
                    f"{log_tail(server.log)}"
                )
            time.sleep(_POLL_SECONDS)

    def pid(self, name: str) -> int:
        """Return the process id of a server that was started."""
        return int(self._tell(do="poll", name=name)["pid"])

    @property
    def own_pid(self) -> int:
        """The process id of the supervisor itself."""
        return self._process.pid

    def stop(self, name: str, signal_number: signal.Signals) -> None:
        """Send a signal to a server and wait for its end."""
        self._tell(do="kill", name=name, signal=int(signal_number))

    def kill(self, name: str) -> None:
        """Kill a server and its children as a crash would, and wait until all of them are gone."""
        try:
            children = psutil.Process(self.pid(name)).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        self.stop(name, signal.SIGKILL)
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(children, timeout=_STOP_SECONDS)

    def close(self) -> None:
        """Stop every server and the supervisor itself."""
        if self._process.stdin is None or self._process.stdout is None:
            return
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(_STOP_SECONDS)

    def _tell(self, **command: Any) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise LocalStackError("the supervisor has no pipes")
        try:
            with self._lock:
                self._process.stdin.write(json.dumps(command).encode() + b"\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
        except (OSError, ValueError) as error:
            raise LocalStackError("the local stack is not running") from error
        if not line:
            raise LocalStackError("the supervisor of the local stack was killed")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise LocalStackError(f"{command['name']} cannot be started: {answer['error']}")
        return answer


def free_port(taken: Sequence[int] = ()) -> int:
    """Return a loopback port on which nothing listens, other than those in ``taken``."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in taken and _can_bind(port):
            return port
    raise LocalStackError("no free port on the loopback address")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def log_tail(log: Path) -> str:
    """Return the last lines of a log, for a message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return os.linesep.join(lines[-_LOG_TAIL_LINES:])


def bare_environment() -> dict[str, str]:
    """Return an environment in which no setting of this user changes what a server does."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
