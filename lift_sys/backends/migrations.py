"""Brings a Postgres database to the schema that a folder of SQL files describes.

The files are ``<14 digits>_name.sql``, and what is recorded of them is what the Supabase CLI
records, so that either tool may follow the other on the same database. Each file is one
transaction together with its row in ``supabase_migrations.schema_migrations``: a file is applied
whole or not at all.

On a plain Postgres, ``platform.sql`` beside this module goes first: the roles and the ``auth``
functions that every Supabase project is born with. A database counts as a Supabase when its server
has the role ``supabase_admin``, which owns the platform on hosted and self-hosted projects alike
and which no client may drop, or when it has a table ``auth.users``. There, nothing of the platform
is touched.

The files name the schema ``public``. Another one is had by putting its name in the place of that
one, and ``<name>_internal`` in the place of ``lift_sys_internal``. Such a copy has a history of its
own, ``supabase_migrations.schema_migrations_<name>``, of which the Supabase CLI knows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, LiteralString

import psycopg
from psycopg import errors as pg
from psycopg import sql

from lift_sys.backends.errors import (
    PermissionDeniedError,
    SessionStoreError,
    StoreUnavailableError,
)
from lift_sys.backends.sql_text import moved_to_schema, split_statements

__all__ = [
    "Migration",
    "MigrationError",
    "migrate_up",
    "migration_status",
    "packaged_migrations",
]

_FILE_NAME = re.compile(r"(?P<version>\d{14})_(?P<name>.+)\.sql")
# Any constant does, as long as no other program picks the same one.
_LOCK = 7_305_194_826_031
_CONNECT_SECONDS = 10
_REFUSED_LOGIN = re.compile(
    r"authentication failed|no password supplied|pg_hba\.conf|not permitted to log in"
    r'|role ".*" does not exist|permission denied for database'
)
_SCHEMA_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,39}")
_TRANSACTION_WORDS = {"abort", "begin", "commit", "end", "rollback", "start"}

_FIND_SUPABASE = """
    select exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin')
        or exists (
            select from pg_catalog.pg_class c
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'auth' and c.relname = 'users'
        )
"""
_FIND_PLATFORM = """
    select exists (
        select from pg_catalog.pg_proc p
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'auth' and p.proname = 'jwt'
    )
"""
_Connection = psycopg.Connection[tuple[object, ...]]


class MigrationError(SessionStoreError):
    """A migration file is wrong, or the database refused it; nothing of that file was kept.

    Attributes:
        file: the name of the file.
        line: the line of the file that the database points at, from 1; None where it names none.
    """

    def __init__(self, file: str, reason: str, *, line: int | None = None) -> None:
        place = file if line is None else f"{file}, line {line}"
        super().__init__(f"{place}: {reason}")
        self.file = file
        self.line = line


@dataclass(frozen=True)
class Migration:
    """One migration, and where this database stands with it.

    Attributes:
        version: the 14 digits.
        name: what follows them in the file's name, without ``.sql``.
        state: ``applied``; ``pending``, in the folder only; or ``unknown``, in the database only
            (from a later release, or from another folder that shares the history).
    """

    version: str
    name: str
    state: Literal["applied", "pending", "unknown"]


def packaged_migrations() -> Path:
    """Return the folder of this release's migrations.

    In a checkout that is the repository's ``supabase/migrations``; in an installed wheel, the copy
    inside the package.
    """
    package = Path(__file__).parents[1]
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "supabase").is_dir():
        return checkout / "supabase" / "migrations"
    return package / "_supabase" / "migrations"


def migrate_up(database_url: str, folder: Path, *, schema: str = "public") -> list[Migration]:
    """Apply what is pending, oldest first, and tell PostgREST to look again.

    A plain Postgres gets what Supabase provides before the first file, and also when there is none.
    Any number of programs may do this at once: they take turns, file by file, and each file is
    applied once. Versions that only the database knows are left alone.

    Args:
        database_url: ``postgresql://...``, of a role that may run DDL. A transaction pooler's
            address will do: no state of a session is relied upon.
        folder: where the files are; names that do not end in ``.sql`` are ignored.
        schema: where the tables and functions go, instead of ``public``; made when missing. A name
            of lower-case letters, digits and underscores.

    Returns:
        What this very call applied, in order; empty when there was nothing to do, and then not
        even the right to run DDL is needed.

    Raises:
        MigrationError: a file's name or content is wrong; the files before it stay applied.
        PermissionDeniedError: the role may not connect, or may not do what a file does.
        StoreUnavailableError: the server cannot be reached, or a lock was not to be had in time.
        ValueError: ``database_url`` or ``schema`` is malformed.
    """
    files = _read_folder(folder, schema)
    applied: list[Migration] = []
    with _connected(database_url) as connection:
        history = _History(connection, schema)
        if not history.pending(files) and _platform_stands(connection):
            return applied
        with _turn(connection):
            _lay_platform(connection)
            _lay_schema(connection, schema)
            history.prepare()
        while migration := _apply_next(connection, history, files):
            applied.append(migration)
    return applied


def migration_status(database_url: str, folder: Path, *, schema: str = "public") -> list[Migration]:
    """Compare the folder with the database's history, and change nothing.

    Args:
        database_url: ``postgresql://...``, of a role that may read the history.
        folder, schema: as for ``migrate_up``.

    Returns:
        Every migration of either side, by version.

    Raises:
        PermissionDeniedError: the role may not connect, or may not read the history; the message
            says which grants it lacks.
        MigrationError, StoreUnavailableError, ValueError: as ``migrate_up``.
    """
    files = _read_folder(folder, schema)
    with _connected(database_url) as connection:
        history = _History(connection, schema).names()
    known = {file.version: file.migration for file in files}
    states = [
        replace(migration, state="applied" if version in history else "pending")
        for version, migration in known.items()
    ] + [
        Migration(version, name, "unknown")
        for version, name in history.items()
        if version not in known
    ]
    return sorted(states, key=lambda migration: migration.version)


@dataclass(frozen=True)
class _File:
    """A migration file that was read."""

    migration: Migration
    path: Path
    text: str

    @property
    def version(self) -> str:
        return self.migration.version


class _History:
    """What the database remembers of the migrations of one schema."""

    def __init__(self, connection: _Connection, schema: str) -> None:
        self._connection = connection
        self._name = "schema_migrations" + ("" if schema == "public" else f"_{schema}")
        self._table = sql.Identifier("supabase_migrations", self._name)

    def names(self) -> dict[str, str]:
        """Return the name of each recorded version."""
        if not self._columns():
            return {}
        try:
            # Older releases of the CLI kept no name: reading the row as JSON does not mind.
            rows = self._execute(
                "select h.version, coalesce(pg_catalog.to_jsonb(h) ->> 'name', '') from {} h"
            )
            return {str(version): str(name) for version, name in rows}
        except pg.InsufficientPrivilege as error:
            raise PermissionDeniedError(
                f"the role {self._connection.info.user!r} may not read the history of migrations: "
                "it needs usage on the schema supabase_migrations and select on its table "
                f"{self._name}"
            ) from error

    def pending(self, files: list[_File]) -> list[_File]:
        """Return the files that are not recorded."""
        names = self.names()
        return [file for file in files if file.version not in names]

    def prepare(self) -> None:
        """Make the table, or complete that of an older release of the CLI."""
        if not {"version", "statements", "name"} <= self._columns():
            self._execute("create schema if not exists supabase_migrations")
            self._execute("create table if not exists {} (version text not null primary key)")
            self._execute("alter table {} add column if not exists statements text[]")
            self._execute("alter table {} add column if not exists name text")

    def record(self, file: _File, statements: list[str]) -> None:
        """Take note of a file that was applied."""
        self._execute(
            "insert into {} (version, statements, name) values (%s, %s, %s)",
            [file.version, statements, file.migration.name],
        )

    def _columns(self) -> set[str]:
        rows = self._connection.execute(
            """
            select a.attname
            from pg_catalog.pg_attribute a
            join pg_catalog.pg_class c on c.oid = a.attrelid
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'supabase_migrations' and c.relname = %s
                and a.attnum > 0 and not a.attisdropped
            """,
            [self._name],
        )
        return {str(name) for (name,) in rows}

    def _execute(
        self, statement: LiteralString, values: list[object] | None = None
    ) -> psycopg.Cursor[tuple[object, ...]]:
        return self._connection.execute(sql.SQL(statement).format(self._table), values)


def _read_folder(folder: Path, schema: str) -> list[_File]:
    if not _SCHEMA_NAME.fullmatch(schema):
        raise ValueError(
            f"schema {schema!r}: use up to 40 lower-case letters, digits and underscores, "
            "and do not begin with pg_"
        )
    if not folder.is_dir():
        raise MigrationError(str(folder), "there is no such folder of migrations")
    files: dict[str, _File] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(path.name, "the name must be <14 digits>_name.sql")
        version = match["version"]
        if version in files:
            raise MigrationError(path.name, f"{files[version].path.name} has the same version")
        # No newline translation, no byte-order mark: the CLI records the text the same way.
        text = path.read_bytes().decode("utf-8-sig")
        if schema != "public":
            text = moved_to_schema(text, schema)
        files[version] = _File(Migration(version, match["name"], "pending"), path, text)
    return list(files.values())


@contextmanager
def _connected(database_url: str) -> Iterator[_Connection]:
    """Yield a connection of its own; what the driver raises comes out as an error of ours."""
    with _translated_errors():
        try:
            connection = psycopg.connect(
                database_url,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                prepare_threshold=None,
            )
        except psycopg.ProgrammingError as error:
            raise ValueError(f"malformed database URL: {_first_line(error)}") from error
        with connection:
            yield connection


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except pg.InsufficientPrivilege as error:
        raise PermissionDeniedError(
            f"this role may not migrate the database: {_first_line(error)}"
        ) from error
    except pg.LockNotAvailable as error:
        raise StoreUnavailableError(
            "another migration of this database takes too long; try again later"
        ) from error
    except psycopg.Error as error:
        if _is_refused_login(error):
            raise PermissionDeniedError(
                f"the database refuses this login: {_first_line(error)}"
            ) from error
        raise StoreUnavailableError(
            f"the database cannot be used now: {_first_line(error)}"
        ) from error


def _is_refused_login(error: psycopg.Error) -> bool:
    """Whether the server turned the login down; before a session there is no SQLSTATE to ask."""
    return error.sqlstate is None and _REFUSED_LOGIN.search(str(error)) is not None


def _first_line(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().partition("\n")[0]


@contextmanager
def _turn(connection: _Connection) -> Iterator[None]:
    """Hold a transaction in which no other migration of this database runs.

    The lock belongs to the transaction and not to the session, so that it holds behind a
    transaction pooler too.
    """
    connection.execute("reset all")
    with connection.transaction():
        connection.execute("set local lock_timeout = '60s'")
        connection.execute("select pg_catalog.pg_advisory_xact_lock(%s)", [_LOCK])
        # A short wait from here on: DDL that queues behind a long query blocks all later ones.
        connection.execute("set local lock_timeout = '4s'")
        yield


def _apply_next(connection: _Connection, history: _History, files: list[_File]) -> Migration | None:
    """Apply the oldest pending file; None when there is none left."""
    with _turn(connection):
        pending = history.pending(files)
        if not pending:
            return None
        _apply(connection, history, pending[0])
        connection.execute("notify pgrst, 'reload schema'")
    return replace(pending[0].migration, state="applied")


def _apply(connection: _Connection, history: _History, file: _File) -> None:
    statements = split_statements(file.text)
    for statement in statements:
        if statement.keyword in _TRANSACTION_WORDS:
            raise MigrationError(
                file.path.name,
                f"{statement.keyword!r}: a file is one transaction, and may not end or begin one",
            )
    _execute_file(connection, file.path.name, file.text)
    history.record(file, [statement.text for statement in statements])


def _execute_file(connection: _Connection, name: str, text: str) -> None:
    try:
        connection.execute(text.encode())
    except pg.InsufficientPrivilege as error:
        raise PermissionDeniedError(f"{name}: {_first_line(error)}") from error
    except psycopg.OperationalError as error:
        # A lock or time limit, a full disk, a lost server: its trouble and not the file's.
        raise StoreUnavailableError(
            f"{name}: {_first_line(error)}; nothing of this file was kept, try again later"
        ) from error
    except psycopg.Error as error:
        raise MigrationError(name, _first_line(error), line=_line_of(error, text)) from error


def _line_of(error: psycopg.Error, text: str) -> int | None:
    position = error.diag.statement_position
    return None if position is None else text.count("\n", 0, int(position) - 1) + 1


def _lay_platform(connection: _Connection) -> None:
    if not _truth(connection, _FIND_SUPABASE):
        platform = Path(__file__).with_name("platform.sql")
        _execute_file(connection, platform.name, platform.read_text(encoding="utf-8"))


def _platform_stands(connection: _Connection) -> bool:
    return _truth(connection, _FIND_SUPABASE) or _truth(connection, _FIND_PLATFORM)


def _lay_schema(connection: _Connection, schema: str) -> None:
    """Make a schema other than ``public``, which every database has, and let the API's roles in."""
    if schema != "public":
        name = sql.Identifier(schema)
        connection.execute(sql.SQL("create schema if not exists {}").format(name))
        connection.execute(
            sql.SQL("grant usage on schema {} to authenticated, service_role").format(name)
        )


def _truth(connection: _Connection, query: str) -> bool:
    row = connection.execute(query.encode()).fetchone()
    return row is not None and row[0] is True
