"""The local stack as one object: start it, use it, break it, stop it."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from lift_sys.backends.migrations import migrate_up, packaged_migrations
from lift_sys.local import postgres, rest
from lift_sys.local.folder import folder_lock
from lift_sys.local.gateway import Gateway
from lift_sys.local.servers import LocalStackError, Server, Supervisor
from lift_sys.local.settings import StackSettings

__all__ = ["LocalSupabase"]


class LocalSupabase:
    """Postgres, PostgREST and a gateway on free ports of 127.0.0.1, with the migrations applied.

    Use it as a context manager, or call ``start`` and ``stop``. Everything it started stops with
    the block, and also when this process is killed.

    Args:
        data_dir: a folder that keeps data, ports and secrets from run to run, and that one stack
            at a time may use; None for a temporary one, removed at the end. A temporary stack does
            not wait for the disk, so its data survives a killed server but not a power cut.
        migrations: the folder to apply; this release's own by default.
        schemas: what PostgREST exposes, the default one first; each gets the migrations.
        pool_size: how many connections PostgREST keeps.
        record_requests: whether the gateway keeps what it saw; a stack that runs for days had
            better not.

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
        record_requests: bool = True,
    ) -> None:
        self._data_dir = data_dir
        self._migrations = packaged_migrations() if migrations is None else migrations
        self._schemas = tuple(schemas)
        self._pool_size = pool_size
        self._record_requests = record_requests
        self._supervisor: Supervisor | None = None
        self._running: ExitStack | None = None
        self._settings: StackSettings | None = None
        self._folder = Path()

    def start(self) -> Self:
        """Start everything and return once it serves; see the class for what is raised."""
        if self._running is not None:
            raise LocalStackError("this stack is running already")
        with ExitStack() as undo:
            self._supervisor = self._open_folder(undo)
            self._settings = self._load_settings()
            postgres.make_cluster(self._data, self._settings.postgres_password)
            self.start_postgres()
            self._migrate()
            self.start_postgrest()
            self.gateway = self._start_gateway(undo)
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

    def jwt(self, user_id: str, role: str = "authenticated", expires_in: float = 3600.0) -> str:
        """Return the access token of a user.

        Args:
            user_id: the claim ``sub``.
            role: the database role it acts as.
            expires_in: seconds from now; negative for a token that has expired.
        """
        issuer = f"{self.url}/auth/v1"
        claims = {"sub": user_id, "role": role, "aud": "authenticated", "iss": issuer}
        return self._known.token(claims, expires_in=expires_in)

    @property
    def authenticator_url(self) -> str:
        """The database's address for ``authenticator``, which row-level security does hold."""
        return self._known.authenticator_url

    def environment(self) -> dict[str, str]:
        """Return the environment variables that lead a program to this stack."""
        return self._known.environment()

    def start_postgres(self) -> None:
        """Start Postgres on the same port and data, and return once it takes connections."""
        self._servers.start(self._postgres(), self._postgres_is_ready)

    def kill_postgres(self) -> None:
        """Kill Postgres as a crash would, connections and all; what was committed stays."""
        self._servers.kill(postgres.NAME)

    def restart_postgres(self) -> None:
        """Stop Postgres in good order and start it again; every connection is lost."""
        self._servers.stop(postgres.NAME, signal.SIGINT)
        self.start_postgres()

    def start_postgrest(self) -> None:
        """Start PostgREST on the same port, and return once it knows the schema."""
        self._servers.start(self._postgrest(), self._postgrest_is_ready)

    def kill_postgrest(self) -> None:
        """Kill PostgREST as a crash would."""
        self._servers.kill(rest.NAME)

    def restart_postgrest(self) -> None:
        """Stop PostgREST in good order and start it again."""
        self._servers.stop(rest.NAME, signal.SIGTERM)
        self.start_postgrest()

    def wait_until_ready(self) -> None:
        """Return once Postgres takes connections and PostgREST has its own and the schema."""
        self._servers.wait(self._postgres(), self._postgres_is_ready)
        self._servers.wait(self._postgrest(), self._postgrest_is_ready)

    def pids(self) -> dict[str, int]:
        """Return the process id of each server, and of the supervisor that owns them."""
        names = (postgres.NAME, rest.NAME)
        return {"supervisor": self._servers.own_pid} | {
            name: self._servers.pid(name) for name in names
        }

    @property
    def _known(self) -> StackSettings:
        if self._settings is None:
            raise LocalStackError("the local stack has not been started")
        return self._settings

    @property
    def _servers(self) -> Supervisor:
        if self._supervisor is None:
            raise LocalStackError("the local stack has not been started")
        return self._supervisor

    @property
    def _data(self) -> Path:
        return self._folder / "postgres"

    def _postgres(self) -> Server:
        return postgres.server(
            self._data,
            self._known.postgres_port,
            self._folder / "postgres.log",
            is_temporary=self._data_dir is None,
        )

    def _postgrest(self) -> Server:
        log = self._folder / "postgrest.log"
        return rest.server(self._known, self._schemas, self._pool_size, log)

    def _postgres_is_ready(self) -> bool:
        return postgres.is_ready(self.database_url)

    def _postgrest_is_ready(self) -> bool:
        return rest.is_ready(self._known)

    def _open_folder(self, undo: ExitStack) -> Supervisor:
        if self._data_dir is None:
            self._folder = Path(tempfile.mkdtemp(prefix="lift-sys-"))
            # The supervisor removes it when this process is killed; here, should that be killed.
            undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
            supervisor = Supervisor(remove=self._folder)
        else:
            self._folder = self._data_dir.resolve()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            supervisor = Supervisor(keep_open=undo.enter_context(folder_lock(self._folder)))
        undo.callback(supervisor.close)
        return supervisor

    def _load_settings(self) -> StackSettings:
        settings = StackSettings.load(self._folder)
        if settings is None:
            settings = StackSettings.new()
            settings.save(self._folder)
        return settings

    def _migrate(self) -> None:
        for schema in self._schemas:
            migrate_up(self.database_url, self._migrations, schema=schema)
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("alter role authenticator password {}").format(
                    sql.Literal(self._known.authenticator_password)
                )
            )

    def _start_gateway(self, undo: ExitStack) -> Gateway:
        known = self._known
        gateway = Gateway(
            known.postgrest_port,
            known.keys(),
            port=known.gateway_port,
            record=self._record_requests,
        )
        try:
            gateway.start()
        except OSError as error:
            raise LocalStackError(f"the gateway cannot listen at {self.url}: {error}") from error
        undo.callback(gateway.stop)
        return gateway
