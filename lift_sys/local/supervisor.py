"""Runs the servers of one stack as a process of its own, so that they end when their owner does.

It is started by path (``python -I -S supervisor.py [FOLDER]``), needs the standard library only,
and takes one command a line on its input, each answered by one line of JSON:

    {"do": "start", "name": ..., "argv": [...], "env": {...}, "folder": path, "log": path,
     "uid": null or int, "gid": null or int, "quit": signal number}
    {"do": "kill", "name": ..., "signal": signal number}
    {"do": "poll", "name": ...}

When the input ends, or the process that started it is gone, it stops the servers, newest first,
and removes FOLDER where one was named. An owner that is killed says nothing; the end of the input
says it. The parent's id is watched too, for a fork of the owner may hold the input open.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_SECONDS = 0.5
_QUIT_SECONDS = 10.0

_Servers = dict[str, tuple["subprocess.Popen[bytes]", int]]


def main() -> None:
    """Serve commands until the owner is gone, then stop everything."""
    folders = sys.argv[1:]
    servers: _Servers = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _serve(servers)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for process, quit_signal in reversed(servers.values()):
            _end(process, quit_signal)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _serve(servers: _Servers) -> None:
    owner = os.getppid()
    pending = b""
    while os.getppid() == owner:
        if not select.select([0], [], [], _PARENT_CHECK_SECONDS)[0]:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            answer = json.dumps(_obey(json.loads(line), servers)) + "\n"
            os.write(1, answer.encode())


def _obey(command: dict[str, Any], servers: _Servers) -> dict[str, Any]:
    name = command["name"]
    if command["do"] == "start":
        try:
            servers[name] = (_start(command), command["quit"])
        except (OSError, subprocess.SubprocessError) as error:
            return {"error": str(error)}
    process, _ = servers[name]
    if command["do"] == "kill":
        _end(process, command["signal"])
    return {"pid": process.pid, "returncode": process.poll()}


def _start(command: dict[str, Any]) -> subprocess.Popen[bytes]:
    uid = command["uid"]
    with open(command["log"], "ab") as log:  # noqa: PTH123 - pathlib would double the start-up time
        return subprocess.Popen(
            command["argv"],
            env=command["env"],
            cwd=command["folder"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=uid,
            group=command["gid"],
            extra_groups=None if uid is None else [],
            start_new_session=True,
            preexec_fn=_dying_with_parent(command["quit"]),  # noqa: PLW1509 - no threads here
        )


def _dying_with_parent(quit_signal: int) -> Callable[[], None] | None:
    """Return what makes a new process get ``quit_signal`` if this supervisor is killed."""
    if sys.platform != "linux":
        return None  # elsewhere nothing stands in for a supervisor that is itself killed
    prctl = ctypes.CDLL(None).prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, quit_signal)

    return arrange


def _end(process: subprocess.Popen[bytes], signal_number: int) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal_number)
    try:
        process.wait(_QUIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
