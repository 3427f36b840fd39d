"""Calls as functions of a Postgres database, over psycopg: one transaction, one round trip.

A call is a pipeline of two statements, which Postgres runs as one transaction: the first takes the
user's role and claims for this transaction only, so that row-level security holds, the second calls
the function. Both are prepared, until it shows that a transaction pooler stands in between, which
forgets such. Nothing else is left on the connection.
"""

import time
from functools import cache
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic_core import to_json

from lift_sys.backends.call import Call, User
from lift_sys.backends.connections import (
    AsyncPool,
    AsyncTimedConnection,
    Pool,
    TimedConnection,
)
from lift_sys.backends.errors import (
    PermissionDeniedError,
    SessionStoreError,
    StoreClosedError,
    StoreUnavailableError,
)
from lift_sys.backends.ownership import PerLoop, PerProcess
from lift_sys.backends.pipelines import Statement, pipeline
from lift_sys.backends.remote import (
    CLOSED,
    PASSING,
    Functions,
    Unanswered,
    arguments_json,
    connection_lost,
    decoded,
    key_json,
    persist,
    persist_async,
    refused,
)

T = TypeVar("T")

ROLE: Final = "authenticated"
"""The role under which row-level security holds a user to their own rows."""
CONNECT_SECONDS: Final = 5
"""How long making a connection may take, unless the URL says otherwise."""
STATEMENT_SECONDS: Final = 8.0
"""How long a statement may take: the limit that hosted Supabase sets for a signed-in user."""

_LOGIN_REFUSED: Final = (
    "authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "permission denied for database",
    "is not permitted to log in",
)
_NULL: Final = b"null"
_READ_ONLY: Final = "25006"
_PREPARED_ELSEWHERE: Final = frozenset(
    {
        "26000",  # invalid_sql_statement_name: it was prepared on another connection
        "42P05",  # duplicate_prepared_statement: somebody prepared it on this one
    }
)
"""A pooler gave the call another connection to the server than an earlier one had."""


class _Settings:
    """What the sync and the async backend have in common: where, as whom, and the query's text."""

    def __init__(
        self, url: str, functions: Functions, schema: str, budget: float, *, row_security: bool
    ) -> None:
        try:
            parts = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            # libpq's words might quote the password.
            raise ValueError("url: is none that Postgres takes; see libpq's URIs") from error
        self.functions = functions
        self.schema = schema
        self.budget = budget
        self.prepares = True
        self._role = ROLE if row_security else "none"
        self._function = cache(self._new_function)
        place = [parts.get(name) or "" for name in ("host", "hostaddr", "port", "dbname")]
        self.origin = f"postgresql:{':'.join(map(str, place))}:{schema}"
        self.conninfo = make_conninfo(
            url,
            client_encoding="utf8",
            connect_timeout=parts.get("connect_timeout") or CONNECT_SECONDS,
            application_name=parts.get("application_name") or "lift-sys",
        )

    def statements(self, call: Call[Any], user: User) -> list[tuple[Statement, list[bytes]]]:
        """Return what a call runs, each statement with its parameters."""
        parameters = [user.user_id.encode(), arguments_json(call)]
        if call.writes:
            parameters.append(key_json(call))
        claims = to_json({"sub": user.user_id, "role": ROLE})
        return [
            (_identify(self._role, STATEMENT_SECONDS), [claims]),
            (self._function(call.name, len(parameters)), parameters),
        ]

    def _new_function(self, name: str, count: int) -> Statement:
        schema, function = self.schema.replace('"', '""'), f"{name}{self.functions.suffix}"
        places = ", ".join(f"${number}" for number in range(1, count + 1))
        return Statement(function, f'select "{schema}"."{function}"({places})')

    def explained(
        self,
        error: psycopg.Error,
        pool: Pool | AsyncPool,
        connection: TimedConnection | AsyncTimedConnection,
    ) -> Unanswered | SessionStoreError:
        """Return what an error of a call means, and draw the consequences for the connections."""
        meaning = self.meaning(error)
        if error.sqlstate in _PREPARED_ELSEWHERE:
            self.prepares = False
        if isinstance(meaning, Unanswered) and meaning.may_have_happened:
            # The connection is lost, and the idle ones may lead to the same dead end.
            pool.discard_idle()
        if error.sqlstate == _READ_ONLY:
            # A connection stays read-only when the database no longer is.
            connection.pgconn.finish()
        return meaning

    def meaning(self, error: psycopg.Error) -> Unanswered | SessionStoreError:
        """Return what `error` means: a refusal, or a failure that another attempt may not meet."""
        code, line = error.sqlstate, _first_line(error)
        if code is None:
            if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                return Unanswered(line, may_have_happened=True)
            return StoreUnavailableError(f"{line}; nothing was written")
        if connection_lost(code):
            return Unanswered(line, may_have_happened=True)
        if code in PASSING or code in _PREPARED_ELSEWHERE:
            return Unanswered(line, may_have_happened=False)
        word = error.diag.message_primary or line
        return refused(self.functions, code, word, error.diag.message_detail)

    def unreached(self, error: psycopg.Error) -> Unanswered | SessionStoreError:
        """Return what it means that no connection can be made. libpq gives no code here."""
        line = _first_line(error)
        if any(phrase in line for phrase in _LOGIN_REFUSED):
            return PermissionDeniedError(line)
        if line.endswith("does not exist"):
            kind = PermissionDeniedError if "role" in line else StoreUnavailableError
            return kind(f"{line}; see the URL")
        return Unanswered(line, may_have_happened=False)


class PostgresBackend:
    """Carries calls to a Postgres database.

    Args:
        url: ``postgresql://``, anything that libpq takes.
        functions: the domain's.
        schema: where the functions are.
        pool_size: how many connections there are at the most.
        budget: for how many seconds a call goes on trying.
        row_security: whether calls run as the role ``authenticated``, under row-level security;
            the role that logs in has to be a member of it.
    """

    def __init__(
        self,
        url: str,
        functions: Functions,
        *,
        schema: str,
        pool_size: int,
        budget: float,
        row_security: bool,
    ) -> None:
        self._settings = _Settings(url, functions, schema, budget, row_security=row_security)
        self.origin = self._settings.origin
        self._closed = False
        self._pools = PerProcess(lambda: Pool(pool_size, self._connect))

    def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` in one round trip and return its answer.

        Raises:
            StoreClosedError: the backend was closed.
            PermissionDeniedError: the login is refused, or the role lacks a grant.
            SchemaOutdatedError: a function is missing: the migrations were not applied.
            StoreUnavailableError: not reached within the budget; nothing was written.
            OutcomeUnknownError: a write that may have happened was not answered.
            SessionStoreError: what the function refused.
        """
        if self._closed:
            raise StoreClosedError(CLOSED)
        settings, pool = self._settings, self._pools.get()
        statements = settings.statements(call, user)

        def attempt(seconds: float) -> T:
            with pool.connection(time.monotonic() + seconds) as connection:
                try:
                    answer = connection.wait(
                        pipeline(connection, statements, prepares=settings.prepares)
                    )
                except psycopg.Error as error:
                    raise settings.explained(error, pool, connection) from error
            return decoded(call, _NULL if answer is None else answer)

        return persist(attempt, call, settings.budget)

    def close(self) -> None:
        """Close the connections: those in use once the calls under way have ended.

        Further calls raise ``StoreClosedError``.
        """
        self._closed = True
        pool = self._pools.known()
        if pool is not None:
            pool.close()

    def _connect(self) -> TimedConnection:
        try:
            return TimedConnection.connect(
                self._settings.conninfo, autocommit=True, prepare_threshold=None
            )
        except psycopg.Error as error:
            raise self._settings.unreached(error) from error


class AsyncPostgresBackend:
    """``PostgresBackend`` for asyncio; belongs to one loop at a time."""

    def __init__(
        self,
        url: str,
        functions: Functions,
        *,
        schema: str,
        pool_size: int,
        budget: float,
        row_security: bool,
    ) -> None:
        self._settings = _Settings(url, functions, schema, budget, row_security=row_security)
        self.origin = self._settings.origin
        self._closed = False
        self._pools = PerLoop(
            lambda: AsyncPool(pool_size, self._connect), abandon=AsyncPool.discard_idle
        )

    async def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` in one round trip and return its answer. See ``PostgresBackend``."""
        if self._closed:
            raise StoreClosedError(CLOSED)
        settings, pool = self._settings, self._pools.get()
        statements = settings.statements(call, user)

        async def attempt(seconds: float) -> T:
            async with pool.connection(time.monotonic() + seconds) as connection:
                try:
                    answer = await connection.wait(
                        pipeline(connection, statements, prepares=settings.prepares)
                    )
                except psycopg.Error as error:
                    raise settings.explained(error, pool, connection) from error
            return decoded(call, _NULL if answer is None else answer)

        return await persist_async(attempt, call, settings.budget)

    async def close(self) -> None:
        """Close the connections. See ``PostgresBackend.close``."""
        pool = self._pools.known()
        self._closed = True
        if pool is not None:
            pool.close()

    async def _connect(self) -> AsyncTimedConnection:
        try:
            return await AsyncTimedConnection.connect(
                self._settings.conninfo, autocommit=True, prepare_threshold=None
            )
        except psycopg.Error as error:
            raise self._settings.unreached(error) from error


@cache
def _identify(role: str, seconds: float) -> Statement:
    """Return the statement that takes a role, the claims in $1 and a limit for a statement.

    All until the transaction ends.
    """
    return Statement(
        "lift_sys identify",
        f"select pg_catalog.set_config('role', '{role}', true), "
        "pg_catalog.set_config('request.jwt.claims', $1, true), "
        f"pg_catalog.set_config('statement_timeout', '{seconds * 1000:.0f}', true)",
    )


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
