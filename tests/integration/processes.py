"""Other processes for the tests: Python programs, forks, and forks with fewer rights."""

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

NOBODY = 65534


def start(program: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start `program` in an interpreter of its own, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **{**pipes, **options})


def output(process: subprocess.Popen[str]) -> str:
    """Wait for `process` and return what it printed; fail where it failed or complained."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out


def forked(work: Callable[[], Any], *, user: int | None = None) -> Any:
    """Return what `work` returns in a forked child, which may act as another user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(work(), pipe)
        except BaseException:  # noqa: BLE001  # reported by the exit code; pytest must not go on here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return pickle.loads(answer)


def without_rights(work: Callable[[], Any]) -> Any:
    """Return what `work` returns as a user to whom file permissions apply."""
    return forked(work, user=NOBODY) if os.geteuid() == 0 else work()
