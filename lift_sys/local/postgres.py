"""How the stack's Postgres is made, started and asked whether it is ready."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from lift_sys.local.background import HOST
from lift_sys.local.binaries import postgres_programs
from lift_sys.local.servers import Account, LocalStackError, Server, bare_environment

NAME = "postgres"


def make_cluster(data: Path, password: str) -> None:
    """Make the data folder of a new server, unless it is there.

    Args:
        data: the folder, whose parent exists; it is there whole or not at all.
        password: of the superuser ``postgres``.

    Raises:
        LocalStackError: ``initdb`` failed; the message has its words.
    """
    if data.exists():
        return
    scratch = data.with_name(f"{data.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    account = _account()
    if account is not None:
        os.chown(scratch, account.uid, account.gid)
    _initdb(scratch, password, account)
    scratch.rename(data)


def server(data: Path, port: int, log: Path, *, is_temporary: bool) -> Server:
    """Return how to start Postgres on a data folder and a port.

    Args:
        data: what ``make_cluster`` made.
        port: where it listens on the loopback address; it has no Unix socket.
        log: where its output goes.
        is_temporary: do not wait for the disk, and stop without a last checkpoint. Data still
            survive a killed server, which is all that a test can do to it.
    """
    account = _account()
    settings = {
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "timezone": "UTC",
    }
    if is_temporary:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    options = [f"--{name}={value}" for name, value in settings.items()]
    return Server(
        NAME,
        [str(postgres_programs(account) / "postgres"), "-D", _name_of(data, account), *options],
        env=bare_environment(),
        folder=data,
        log=log,
        quit_signal=signal.SIGQUIT if is_temporary else signal.SIGINT,
        account=account,
    )


def is_ready(database_url: str) -> bool:
    """Say whether the server takes connections."""
    try:
        psycopg.connect(database_url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _account() -> Account | None:
    """Return who runs Postgres in place of root, as whom it refuses to run."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def _name_of(data: Path, account: Account | None) -> str:
    """Return what Postgres calls its data folder, which it is started in.

    Another account may be kept out of a folder above it, such as a home. Under this name it needs
    no path: it was put inside before it changed the account.
    """
    return "/proc/self/cwd" if account is not None and sys.platform == "linux" else str(data)


def _initdb(data: Path, password: str, account: Account | None) -> None:
    command = [
        str(postgres_programs(account) / "initdb"),
        f"--pgdata={_name_of(data, account)}",
        "--username=postgres",
        "--pwfile=/dev/stdin",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        "--no-sync",
    ]
    with tempfile.TemporaryFile("w+") as secret:
        secret.write(password)
        secret.seek(0)
        if account is not None:
            os.fchown(secret.fileno(), account.uid, account.gid)
        done = subprocess.run(
            command,
            stdin=secret,
            cwd=data,
            env=bare_environment(),
            **(account.as_arguments() if account else {}),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise LocalStackError(f"Postgres cannot make its data folder {data}:\n{done.stderr}")
