"""Servers from Debian packages that the schema is tried on: an older Postgres, and a pooler.

``.ci/install-servers`` installs them. Where one is missing, its tests are skipped, unless the
environment variable ``LIFT_SYS_REQUIRE_SERVERS`` is 1: then they fail.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from psycopg.conninfo import conninfo_to_dict

from lift_sys.local import postgres
from lift_sys.local.servers import Account, Server, Supervisor, bare_environment, free_port

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
EXTENSIONS = Path("/usr/share/postgresql/15/extension")
PGBOUNCER = "/usr/sbin/pgbouncer"


@contextmanager
def postgres_15() -> Iterator[str]:
    """Run Debian's Postgres 15 with its checkers, and yield the address of its owner."""
    for needed in (PROGRAMS / "postgres", *map(extension_file, ("pgtap", "plpgsql_check"))):
        if not needed.exists():
            missing(f"{needed} of Debian's packages")
    with own_folder() as (home, account):
        data = home / "data"
        subprocess.run(
            [PROGRAMS / "initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust",
             "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            cwd=home,
            env=bare_environment(),
            **(account.as_arguments() if account else {}),
            check=True,
            capture_output=True,
        )  # fmt: skip
        port = free_port()
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        program = [
            str(PROGRAMS / "postgres"),
            f"-D{data}",
            f"-p{port}",
            "-clisten_addresses=127.0.0.1",
            "-cunix_socket_directories=",
            "-cfsync=off",
        ]
        with running("postgres 15", program, home, account, url):
            yield url


@contextmanager
def pgbouncer(database_url: str, *, pool_size: int) -> Iterator[str]:
    """Run PgBouncer in transaction mode before a database, and yield its address."""
    if not Path(PGBOUNCER).exists():
        missing(PGBOUNCER)
    place = conninfo_to_dict(database_url)
    port = free_port()
    with own_folder() as (home, account):
        (home / "users").write_text(f'"{place["user"]}" "{place["password"]}"\n')
        (home / "settings").write_text(
            "[databases]\n"
            f"postgres = host={place['host']} port={place['port']} dbname={place['dbname']}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {home}/users\n"
            f"pool_mode = transaction\ndefault_pool_size = {pool_size}\nmax_client_conn = 200\n"
        )
        url = f"postgresql://{place['user']}:{place['password']}@127.0.0.1:{port}/postgres"
        with running("pgbouncer", [PGBOUNCER, f"{home}/settings"], home, account, url):
            yield url


def missing(what: str) -> NoReturn:
    """Skip the test for what the machine lacks, or fail it where that is required."""
    message = f"this machine lacks {what}; run .ci/install-servers"
    if os.environ.get("LIFT_SYS_REQUIRE_SERVERS") == "1":
        pytest.fail(message)
    pytest.skip(message)


def extension_file(name: str) -> Path:
    """Return the file by which the server knows an extension."""
    return EXTENSIONS / f"{name}.control"


@contextmanager
def own_folder() -> Iterator[tuple[Path, Account | None]]:
    """Make a folder for whoever runs a server: somebody else in root's place."""
    account = postgres._account()
    # Not below pytest's own folder, which keeps others out.
    with tempfile.TemporaryDirectory(prefix="lift-sys-debian-") as name:
        if account is not None:
            os.chown(name, account.uid, account.gid)
        yield Path(name), account


@contextmanager
def running(
    name: str, program: Sequence[str], home: Path, account: Account | None, url: str
) -> Iterator[None]:
    """Run a server until the block ends."""
    supervisor = Supervisor()
    server = Server(
        name, program, bare_environment(), home, home / "log", signal.SIGINT, account=account
    )
    try:
        supervisor.start(server, lambda: postgres.is_ready(url))
        yield
    finally:
        supervisor.close()
