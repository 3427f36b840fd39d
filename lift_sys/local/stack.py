"""The local stack as one object: start it, use it, break it, stop it."""

from __future__ import annotations

import fcntl
import http.client
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql
from typing_extensions import Self

from lift_sys.backends.migrations import lay_platform, migrate_up, packaged_migrations
from lift_sys.local.background import HOST
from lift_sys.local.binaries import postgres_programs, postgrest
from lift_sys.local.gateway import Gateway
from lift_sys.local.servers import Account, LocalStackError, Server, Supervisor
from lift_sys.local.settings import StackSettings

__all__ = ["LocalSupabase"]

_MAX_ROWS = 1000  # the default of hosted Supabase
_LOCK_SECONDS = 20.0
_POLL_SECONDS = 0.02


class LocalSupabase:
    """Postgres, PostgREST and a gateway on free ports of 127.0.0.1, with the migrations applied.

    Use it as a context manager, or call ``start`` and ``stop``. Everything it started stops with
    the block, and also when this process is killed.

    Args:
        data_dir: a folder that keeps data, ports and secrets from run to run, and that one stack
            at a time may use; None for a temporary one, removed at the end. A temporary stack does
            not wait for the disk, so its data survives a killed server but not a power cut.
        migrations: the folder to apply; this release's own by default.
        schemas: what PostgREST exposes.
        pool_size: how many connections PostgREST keeps.

    Attributes:
        gateway: counts requests and injects faults; there while the stack runs.

    Raises:
        LocalStackError: from ``start``: a server did not start (the message has its log), or
            another stack uses ``data_dir``.
        MigrationError: from ``start``: a migration failed.
    """

    gateway: Gateway

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        migrations: Path | None = None,
        schemas: Sequence[str] = ("public",),
        pool_size: int = 10,
    ) -> None:
        self._data_dir = data_dir
        self._migrations = packaged_migrations() if migrations is None else migrations
        self._schemas = tuple(schemas)
        self._pool_size = pool_size
        self._running: ExitStack | None = None
        self._settings: StackSettings | None = None
        self._folder = Path()

    def start(self) -> Self:
        """Start everything and return once it serves; see the class for what is raised."""
        if self._running is not None:
            raise LocalStackError("this stack is running already")
        with ExitStack() as undo:
            self._folder, lock = self._open_folder(undo)
            self._supervisor = Supervisor(
                remove=None if self._data_dir else self._folder, keep_open=lock
            )
            undo.callback(self._supervisor.close)
            self._settings = self._load_settings()
            self._prepare_database()
            self.start_postgres()
            self._migrate()
            self.start_postgrest()
            self.gateway = Gateway(
                self._known.postgrest_port, self._known.keys(), port=self._known.gateway_port
            )
            undo.callback(self.gateway.stop)
            self._start_gateway()
            self._running = undo.pop_all()
        return self

    def stop(self) -> None:
        """Stop everything that this stack started; a stopped stack is left alone."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What a Supabase client takes as the project's URL."""
        return self._known.url

    @property
    def database_url(self) -> str:
        """The database's ``postgresql://`` address for its owner, the superuser ``postgres``."""
        return self._known.database_url

    @property
    def anon_key(self) -> str:
        """The API key of the role ``anon``, a JWT."""
        return self._known.anon_key

    @property
    def service_key(self) -> str:
        """The API key of the role ``service_role``, a JWT: row-level security does not hold it."""
        return self._known.service_key

    @property
    def publishable_key(self) -> str:
        """The newer kind of key for ``anon``, which is no JWT."""
        return self._known.publishable_key

    @property
    def secret_key(self) -> str:
        """The newer kind of key for ``service_role``, which is no JWT."""
        return self._known.secret_key

    @property
    def jwt_secret(self) -> str:
        """What signs every token of this stack (HS256)."""
        return self._known.jwt_secret

    def jwt(
        self, user_id: str, role: str = "authenticated", expires_in: float = 3600.0
    ) -> str:
        """Return the access token of a user.

        Args:
            user_id: the claim ``sub``.
            role: the database role it acts as.
            expires_in: seconds from now; negative for a token that has expired.
        """
        claims = {"sub": user_id, "role": role, "aud": "authenticated"}
        return self._known.token(claims, expires_in=expires_in)

    def login_url(self) -> str:
        """Return the database's address for ``authenticator``, which row-level security holds."""
        return self._known.login("authenticator", self._known.authenticator_password)

    def environment(self) -> dict[str, str]:
        """Return the environment variables that lead a program to this stack."""
        return {
            "SUPABASE_URL": self.url,
            "SUPABASE_ANON_KEY": self.anon_key,
            "SUPABASE_SERVICE_KEY": self.service_key,
            "SUPABASE_JWT_SECRET": self.jwt_secret,
            "LIFT_SYS_DATABASE_URL": self.database_url,
        }

    def start_postgres(self) -> None:
        """Start Postgres on the same port and data, and return once it takes connections."""
        self._supervisor.start(self._postgres, self._postgres_is_ready)

    def kill_postgres(self) -> None:
        """Kill Postgres as a crash would, connections and all; what was committed stays."""
        self._supervisor.kill("postgres")

    def restart_postgres(self) -> None:
        """Stop Postgres in good order and start it again; every connection is lost."""
        self._supervisor.stop("postgres", signal.SIGINT)
        self.start_postgres()

    def start_postgrest(self) -> None:
        """Start PostgREST on the same port, and return once it knows the schema."""
        self._supervisor.start(self._postgrest, self._postgrest_is_ready)

    def kill_postgrest(self) -> None:
        """Kill PostgREST as a crash would."""
        self._supervisor.kill("postgrest")

    def restart_postgrest(self) -> None:
        """Stop PostgREST in good order and start it again."""
        self._supervisor.stop("postgrest", signal.SIGTERM)
        self.start_postgrest()

    def wait_until_ready(self) -> None:
        """Return once Postgres takes connections and PostgREST has its own and the schema."""
        self._supervisor.wait(self._postgres, self._postgres_is_ready)
        self._supervisor.wait(self._postgrest, self._postgrest_is_ready)

    def pids(self) -> dict[str, int]:
        """Return the process id of each server, and of the supervisor that owns them."""
        return {
            "supervisor": self._supervisor.own_pid,
            "postgres": self._supervisor.pid("postgres"),
            "postgrest": self._supervisor.pid("postgrest"),
        }

    @property
    def _known(self) -> StackSettings:
        if self._settings is None:
            raise LocalStackError("the local stack has not been started")
        return self._settings

    @property
    def _data(self) -> Path:
        return self._folder / "postgres"

    @property
    def _postgres(self) -> Server:
        programs = postgres_programs(_server_account())
        settings = {
            "listen_addresses": HOST,
            "port": str(self._known.postgres_port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
        }
        if self._data_dir is None:
            # Survives a killed server, which is all that a test can do to it, and starts faster.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Server(
            "postgres",
            [str(programs / "postgres"), "-D", str(self._data), *options],
            env=_bare_environment(),
            log=self._folder / "postgres.log",
            # Temporary data need no last checkpoint.
            quit_signal=signal.SIGQUIT if self._data_dir is None else signal.SIGINT,
            account=_server_account(),
        )

    @property
    def _postgrest(self) -> Server:
        known = self._known
        settings = {
            "PGRST_DB_URI": self.login_url(),
            "PGRST_DB_SCHEMAS": ",".join(self._schemas),
            "PGRST_DB_EXTRA_SEARCH_PATH": "public,extensions",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_MAX_ROWS": str(_MAX_ROWS),
            "PGRST_DB_POOL": str(self._pool_size),
            "PGRST_JWT_SECRET": known.jwt_secret,
            "PGRST_SERVER_HOST": HOST,
            "PGRST_SERVER_PORT": str(known.postgrest_port),
            "PGRST_ADMIN_SERVER_PORT": str(known.admin_port),
        }
        return Server(
            "postgrest",
            [str(postgrest())],
            env=_bare_environment() | settings,
            log=self._folder / "postgrest.log",
        )

    def _open_folder(self, undo: ExitStack) -> tuple[Path, int | None]:
        if self._data_dir is None:
            folder = Path(tempfile.mkdtemp(prefix="lift-sys-"))
            _let_others_pass(folder)
            return folder, None
        folder = self._data_dir.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _let_others_pass(folder)
        return folder, undo.enter_context(_FolderLock(folder))

    def _load_settings(self) -> StackSettings:
        settings = StackSettings.load(self._folder)
        if settings is None:
            settings = StackSettings.new()
            settings.save(self._folder)
        return settings

    def _prepare_database(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        scratch = self._folder / "postgres.new"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        account = _server_account()
        if account is not None:
            os.chown(scratch, account.uid, account.gid)
        _initdb(scratch, self._known.postgres_password, account)
        scratch.rename(self._data)

    def _migrate(self) -> None:
        lay_platform(self.database_url)
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("alter role authenticator password {}").format(
                    sql.Literal(self._known.authenticator_password)
                )
            )
        migrate_up(self.database_url, self._migrations)

    def _start_gateway(self) -> None:
        try:
            self.gateway.start()
        except OSError as error:
            raise LocalStackError(f"the gateway cannot listen at {self.url}: {error}") from error

    def _postgres_is_ready(self) -> bool:
        try:
            psycopg.connect(self.database_url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _postgrest_is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._known.admin_port, timeout=5)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()


class _FolderLock:
    """Keeps a data folder to one stack; the supervisor shares it until the servers are gone."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"

    def __enter__(self) -> int:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _LOCK_SECONDS
        while not try_lock(self._descriptor):
            # A stack whose owner was killed still needs a moment to stop.
            if time.monotonic() > deadline:
                os.close(self._descriptor)
                raise LocalStackError(f"another stack uses {self._path.parent}")
            time.sleep(_POLL_SECONDS)
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file if nobody else has it, and say whether it was to be had."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _server_account() -> Account | None:
    """Return who runs Postgres in place of root, which it refuses to run as."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def _let_others_pass(folder: Path) -> None:
    """Let the account that runs Postgres in place of root reach its data inside ``folder``."""
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _initdb(folder: Path, password: str, account: Account | None) -> None:
    with tempfile.NamedTemporaryFile("w", dir=folder.parent) as secret:
        secret.write(password)
        secret.flush()
        if account is not None:
            os.chown(secret.name, account.uid, account.gid)
        _run_initdb(folder, secret.name, account)


def _run_initdb(folder: Path, password_file: str, account: Account | None) -> None:
    command = [
        str(postgres_programs(account) / "initdb"),
        f"--pgdata={folder}",
        "--username=postgres",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        "--no-sync",
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        cwd="/",
        env=_bare_environment(),
        user=account and account.uid,
        group=account and account.gid,
        extra_groups=None if account is None else [],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalStackError(f"Postgres cannot make its data folder {folder}:\n{done.stderr}")


def _bare_environment() -> dict[str, str]:
    """Return an environment in which no setting of this user changes what a server does."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
