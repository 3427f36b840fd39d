"""Calls as functions of a Postgres database, over psycopg: one statement, one round trip.

A call is one simple query of two statements, which Postgres runs as one transaction: the first
takes the user's role and claims for this transaction only, so that row-level security holds, the
second calls the function. Nothing is left on the connection, so a transaction pooler may stand in
between.
"""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Escaping
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout

from lift_sys.backends.call import Call, User
from lift_sys.backends.errors import PermissionDeniedError, StoreClosedError
from lift_sys.backends.remote import (
    PASSING,
    Functions,
    Unanswered,
    arguments_json,
    decoded,
    key_json,
    persist,
    persist_async,
    refused,
)

T = TypeVar("T")

ROLE: Final = "authenticated"
"""The role under which row-level security holds a user to their own rows."""
POOL_SIZE: Final = 10
"""How many connections are kept at the most."""
POOL_SECONDS: Final = 5.0
"""How many seconds an attempt waits for a free connection."""
IDLE_SECONDS: Final = 5.0
"""How many seconds an idle connection has to show that it lives."""
WAIT_INTERVAL: Final = 0.1
"""How often, in seconds, a waiting thread looks up to see an interruption."""
STATEMENT_SECONDS: Final = 8.0
"""How long a statement may take: the limit that hosted Supabase sets for a signed-in user."""

_LOGIN_REFUSED: Final = (
    "authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "permission denied for database",
)


class _Settings:
    """What the sync and the async backend have in common: where, as whom, and the query's text."""

    def __init__(
        self, url: str, functions: Functions, schema: str, budget: float, *, row_security: bool
    ) -> None:
        self.url = url
        self.functions = functions
        self.schema = schema
        self.budget = budget
        self.row_security = row_security
        parts = conninfo_to_dict(url)
        place = [parts.get(name) or "" for name in ("host", "hostaddr", "port", "dbname")]
        self.origin = f"postgresql:{':'.join(map(str, place))}:{schema}"
        self.connection: Mapping[str, Any] = {
            "autocommit": True,
            "prepare_threshold": None,
            "connect_timeout": parts.get("connect_timeout") or 5,
            "client_encoding": "utf8",
            "application_name": parts.get("application_name") or "lift-sys",
        }

    def query(self, call: Call[Any], user: User) -> tuple[bytes, list[bytes]]:
        """Return the query, with places for the literals, and the literals."""
        claims = json.dumps({"sub": user.user_id, "role": ROLE})
        role = ROLE if self.row_security else "none"
        literals = [
            role.encode(),
            claims.encode(),
            str(int(STATEMENT_SECONDS * 1000)).encode(),
            user.user_id.encode(),
            arguments_json(call),
        ]
        if call.writes:
            literals.append(key_json(call))
        return self._text(call.name, len(literals) - 3), literals

    def _text(self, name: str, count: int) -> bytes:
        quoted = self.schema.replace('"', '""').replace("%", "%%")
        places = ", ".join(["%s"] * count)
        return (
            "select pg_catalog.set_config('role', %s, true), "
            "pg_catalog.set_config('request.jwt.claims', %s, true), "
            "pg_catalog.set_config('statement_timeout', %s, true); "
            f'select "{quoted}"."{name}{self.functions.suffix}"({places})'
        ).encode()

    def explained(self, error: psycopg.Error) -> Exception:
        """Return what `error` means: a refusal, or a failure that another attempt may not meet."""
        code = error.sqlstate
        if code is None or (code[:2] in ("08", "57") and code != "57014"):
            # The connection is gone; what was sent on it may have been carried out before.
            return Unanswered(_first_line(error), may_have_happened=code != "57P03")
        if code in PASSING:
            return Unanswered(_first_line(error), may_have_happened=False)
        diagnosis = error.diag
        word = diagnosis.message_primary or _first_line(error)
        return refused(self.functions, code, word, diagnosis.message_detail)

    def diagnosed(self, failure: Exception) -> Exception:
        """Return what it means that no connection can be had."""
        text = _first_line(failure)
        if any(phrase in text for phrase in _LOGIN_REFUSED):
            return PermissionDeniedError(text)
        return Unanswered(text, may_have_happened=False)


class PostgresBackend:
    """Carries calls to a Postgres database.

    Args:
        url: ``postgresql://``, anything that libpq takes.
        functions: the domain's.
        schema: where the functions are.
        pool_size: how many connections are kept at the most.
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
        self._lock = threading.Lock()
        self._closed = False
        self._reached = False
        self._checking = threading.Lock()
        self._pool = ConnectionPool(
            url,
            connection_class=_Connection,
            kwargs=dict(self._settings.connection),
            min_size=0,
            max_size=pool_size,
            open=False,
        )

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
        self._open()
        query, literals = self._settings.query(call, user)

        def attempt(seconds: float) -> T:
            return decoded(call, self._attempt(query, literals, seconds))

        return persist(attempt, call, self._settings.budget)

    def close(self) -> None:
        """Close the connections. Further calls raise ``StoreClosedError``."""
        with self._lock:
            self._closed = True
        self._pool.close()

    def _open(self) -> None:
        with self._lock:
            if self._closed:
                raise StoreClosedError("the store was closed; open a new one")
            if self._pool.closed:
                self._pool.open()

    def _attempt(self, query: bytes, literals: list[bytes], seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        try:
            with self._pool.connection(timeout=min(seconds, POOL_SECONDS)) as connection:
                self._reached = True
                connection.deadline = deadline
                try:
                    return _answer(connection.execute(_filled(connection, query, literals)))
                except psycopg.errors._WaitTimeout:
                    connection.close()
                    raise
        except PoolTimeout as error:
            raise self._unreached(error) from error
        except PoolClosed as error:
            raise StoreClosedError("the store was closed; open a new one") from error
        except psycopg.Error as error:
            meaning = self._settings.explained(error)
            if isinstance(meaning, Unanswered):
                self._discard_dead()
            raise meaning from error

    def _unreached(self, error: PoolTimeout) -> Exception:
        """Tell a server that refuses the login from one that is busy: the pool does not say."""
        if not self._reached:
            try:
                psycopg.connect(self._settings.url, connect_timeout=2).close()
            except psycopg.Error as failure:
                return self._settings.diagnosed(failure)
        return self._settings.diagnosed(error)

    def _discard_dead(self) -> None:
        """After a restart of the server every idle connection is dead: find that out at once."""
        if self._checking.acquire(blocking=False):
            try:
                self._pool.check()
            except (PoolTimeout, PoolClosed):
                pass  # the next attempt finds out itself
            finally:
                self._checking.release()


class AsyncPostgresBackend:
    """``PostgresBackend`` for asyncio; belongs to the loop of its first call."""

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
        self._pool_size = pool_size
        self._opening = asyncio.Lock()
        self._closed = False
        self._reached = False
        self._checking = False
        self._pool: AsyncConnectionPool[_AsyncConnection] | None = None

    async def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` in one round trip and return its answer. See ``PostgresBackend``."""
        pool = await self._open()
        query, literals = self._settings.query(call, user)

        async def attempt(seconds: float) -> T:
            return decoded(call, await self._attempt(pool, query, literals, seconds))

        return await persist_async(attempt, call, self._settings.budget)

    async def close(self) -> None:
        """Close the connections. Further calls raise ``StoreClosedError``."""
        self._closed = True
        if self._pool is not None:
            await self._pool.close()

    async def _open(self) -> "AsyncConnectionPool[_AsyncConnection]":
        if self._closed:
            raise StoreClosedError("the store was closed; open a new one")
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    # Made here and not in the constructor, because it takes hold of the loop.
                    pool = AsyncConnectionPool(
                        self._settings.url,
                        connection_class=_AsyncConnection,
                        kwargs=dict(self._settings.connection),
                        min_size=0,
                        max_size=self._pool_size,
                        open=False,
                    )
                    await pool.open()
                    self._pool = pool
        return self._pool

    async def _attempt(
        self,
        pool: "AsyncConnectionPool[_AsyncConnection]",
        query: bytes,
        literals: list[bytes],
        seconds: float,
    ) -> bytes:
        deadline = time.monotonic() + seconds
        try:
            async with pool.connection(timeout=min(seconds, POOL_SECONDS)) as connection:
                self._reached = True
                connection.deadline = deadline
                try:
                    return _answer(await connection.execute(_filled(connection, query, literals)))
                except psycopg.errors._WaitTimeout:
                    await connection.close()
                    raise
        except PoolTimeout as error:
            raise await self._unreached(error) from error
        except PoolClosed as error:
            raise StoreClosedError("the store was closed; open a new one") from error
        except psycopg.Error as error:
            meaning = self._settings.explained(error)
            if isinstance(meaning, Unanswered):
                await self._discard_dead(pool)
            raise meaning from error

    async def _unreached(self, error: PoolTimeout) -> Exception:
        if not self._reached:
            try:
                connection = await AsyncConnection.connect(self._settings.url, connect_timeout=2)
                await connection.close()
            except psycopg.Error as failure:
                return self._settings.diagnosed(failure)
        return self._settings.diagnosed(error)

    async def _discard_dead(self, pool: "AsyncConnectionPool[_AsyncConnection]") -> None:
        if not self._checking:
            self._checking = True
            try:
                await pool.check()
            except (PoolTimeout, PoolClosed):
                pass  # the next attempt finds out itself
            finally:
                self._checking = False


class _Connection(Connection[Any]):
    """A connection that waits for an answer until its deadline, a ``time.monotonic`` instant."""

    deadline: float | None = None

    def wait(
        self, gen: "PQGen[T]", interval: float = WAIT_INTERVAL, timeout: float | None = None
    ) -> T:
        return super().wait(gen, interval, timeout or _seconds_until(self.deadline))


class _AsyncConnection(AsyncConnection[Any]):
    """``_Connection`` for asyncio."""

    deadline: float | None = None

    async def wait(
        self,
        gen: "PQGen[T]",
        interval: float = WAIT_INTERVAL,
        timeout: float | None = None,  # noqa: ASYNC109  # psycopg's signature
    ) -> T:
        return await super().wait(gen, interval, timeout or _seconds_until(self.deadline))


def _seconds_until(deadline: float | None) -> float:
    if deadline is None:
        return IDLE_SECONDS
    return max(0.05, deadline - time.monotonic())


def _filled(
    connection: "Connection[Any] | AsyncConnection[Any]", query: bytes, literals: list[bytes]
) -> bytes:
    escaping = Escaping(connection.pgconn)
    return query % tuple(bytes(escaping.escape_literal(literal)) for literal in literals)


def _answer(cursor: "Cursor[Any] | AsyncCursor[Any]") -> bytes:
    """Return the JSON text that the function, the last statement, answered with."""
    while cursor.nextset():
        pass
    result = cursor.pgresult
    value = result.get_value(0, 0) if result is not None else None
    return b"null" if value is None else value


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
