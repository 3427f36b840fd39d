"""Watching the processes of a stack come and go."""

import time
from collections.abc import Callable, Iterable

import psutil

_SECONDS = 20.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {_SECONDS} s for {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def family(pids: Iterable[int]) -> set[int]:
    """The processes and all of their descendants."""
    found = set(pids)
    for pid in list(found):
        found |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return found


def wait_until_gone(pids: Iterable[int]) -> None:
    left = set(pids)
    wait_for(lambda: not any(map(is_alive, left)), f"the end of processes {left}")
