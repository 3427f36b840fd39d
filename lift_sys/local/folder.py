"""The folder of a stack whose data are kept: one stack at a time, findable by other programs."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lift_sys.local.servers import LocalStackError

_LOCK_SECONDS = 20.0
_POLL_SECONDS = 0.02


@contextmanager
def folder_lock(folder: Path) -> Iterator[int]:
    """Keep ``folder`` to this stack, and yield the descriptor that holds the lock.

    Whoever inherits the descriptor holds the lock too: the stack's supervisor does, so that it
    outlasts an owner that is killed, until the servers are gone.

    Raises:
        LocalStackError: another stack has the folder, and did not give it up in time.
    """
    descriptor = os.open(_lock_path(folder), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise LocalStackError(f"another stack uses {folder}")
            time.sleep(_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def is_in_use(folder: Path) -> bool:
    """Say whether a stack has this folder, or one that was killed is still stopping in it."""
    try:
        descriptor = os.open(_lock_path(folder), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _lock_path(folder: Path) -> Path:
    return folder / "lock"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
