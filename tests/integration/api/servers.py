"""``lift-sys serve`` as a process of its own: started, killed, stopped in good order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SECONDS: Final = 20.0
"""For how long a server may start or stop."""
_COMMAND: Final = (sys.executable, "-c", "from lift_sys.cli import main; main()", "serve")
_SETTINGS: Final = ("LIFT_SYS_", "SUPABASE_", "USER_ID")


class ServerProcess:
    """One server on a port of this machine, with its output in files of `folder`."""

    def __init__(
        self, folder: Path, settings: Mapping[str, str], *options: str, port: int = 0
    ) -> None:
        self._out, self._err = folder / "server.out", folder / "server.err"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*_COMMAND, "--port", str(port), *options],
                cwd=folder,
                env={**kept, **settings, "PYTHONWARNINGS": "error::ResourceWarning"},
                stdout=out,
                stderr=err,
            )
        self.url = self._read_url()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def output(self) -> str:
        """What it has printed so far, on both streams."""
        return self._out.read_text() + self._err.read_text()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(SECONDS)

    def _read_url(self) -> str:
        wait_for(self._has_printed, "the server to say where it is")
        assert self.process.poll() is None, self.output()
        return self._out.read_text().split()[-1]

    def _has_printed(self) -> bool:
        return self._out.read_text().endswith("\n") or self.process.poll() is not None


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS} s for {what}"
        time.sleep(0.01)


@contextmanager
def serving(
    folder: Path, settings: Mapping[str, str], *options: str, port: int = 0
) -> Iterator[ServerProcess]:
    """A server that is gone at the end, however it ends."""
    server = ServerProcess(folder, settings, *options, port=port)
    try:
        yield server
    finally:
        server.kill()
