"""A stack in the background, kept in a folder: ``lift-sys local`` starts, finds and stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lift_sys.local.binaries import locked, postgrest
from lift_sys.local.folder import is_in_use
from lift_sys.local.servers import LocalStackError, log_tail
from lift_sys.local.settings import StackSettings
from lift_sys.local.stack import LocalSupabase

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.02


def up(folder: Path, migrations: Path | None = None) -> StackSettings:
    """Start the folder's stack in the background unless it runs, and return once it serves.

    Args:
        folder: where data, ports and secrets are kept; made when missing.
        migrations: the migrations to apply at the start; this release's own by default.

    Raises:
        LocalStackError: it did not start; the message has its log.
    """
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / "up.lock"):
        settings = running(folder)
        if settings is None:
            _launch(folder, migrations)
            settings = running(folder)
    if settings is None:
        raise LocalStackError(f"the stack ended at once:\n{log_tail(_log(folder))}")
    return settings


def running(folder: Path) -> StackSettings | None:
    """Return the settings of the folder's background stack if it runs, else None.

    Files that a crash or a power cut left behind do not count: the lock on the folder does.
    """
    pid = _pid(folder)
    if pid is None or not _is_alive(pid) or not is_in_use(folder):
        return None
    return StackSettings.load(folder)


def down(folder: Path) -> bool:
    """Stop the folder's background stack and return once its servers are gone.

    Returns:
        Whether there was one to stop.

    Raises:
        LocalStackError: it did not stop in time.
    """
    pid = _pid(folder) if running(folder) else None
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while is_in_use(folder):
        if time.monotonic() > deadline:
            raise LocalStackError(f"the stack of process {pid} did not stop")
        time.sleep(_POLL_SECONDS)
    return True


def main() -> None:
    """Run the stack of the folder given as first argument until SIGTERM."""
    folder, *migrations = map(Path, sys.argv[1:])
    signal.signal(signal.SIGTERM, _leave)
    stack = LocalSupabase(
        data_dir=folder,
        migrations=migrations[0] if migrations else None,
        record_requests=False,
    )
    with stack, _announced(folder):
        while True:
            signal.pause()


def _leave(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the way out takes its time
    sys.exit(0)


def _launch(folder: Path, migrations: Path | None) -> None:
    postgrest()  # if it must be fetched, then here, where the caller sees what takes the time
    command = [sys.executable, "-m", __spec__.name, str(folder)]
    if migrations is not None:
        command.append(str(migrations.resolve()))
    with _log(folder).open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + _START_SECONDS
    while _pid(folder) != process.pid:
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            raise LocalStackError(f"the stack did not start:\n{log_tail(_log(folder))}")
        time.sleep(_POLL_SECONDS)
    # It goes on without this process, which is no longer its keeper.
    process.returncode = 0


@contextmanager
def _announced(folder: Path) -> Iterator[None]:
    """Tell other programs that this process serves the folder."""
    scratch = folder / "daemon.pid.new"
    scratch.write_text(str(os.getpid()), encoding="ascii")
    scratch.rename(_pid_file(folder))
    try:
        yield
    finally:
        _pid_file(folder).unlink(missing_ok=True)


def _pid(folder: Path) -> int | None:
    try:
        return int(_pid_file(folder).read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _pid_file(folder: Path) -> Path:
    return folder / "daemon.pid"


def _log(folder: Path) -> Path:
    return folder / "daemon.log"


if __name__ == "__main__":
    main()
