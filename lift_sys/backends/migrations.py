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
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import errors as pg

from lift_sys.backends.errors import (
    PermissionDeniedError,
    SessionStoreError,
    StoreUnavailableError,
)
from lift_sys.backends.sql_text import split_statements

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
_FIND_HISTORY = """
    select exists (
        select from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'supabase_migrations' and c.relname = 'schema_migrations'
    )
"""
# Older releases of the CLI kept no name: reading the row as JSON does not mind.
_READ_HISTORY = """
    select h.version, coalesce(pg_catalog.to_jsonb(h) ->> 'name', '')
    from supabase_migrations.schema_migrations h
"""
_CREATE_HISTORY = """
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (
        version text not null primary key
    );
    alter table supabase_migrations.schema_migrations
        add column if not exists statements text[],
        add column if not exists name text;
"""
_RECORD = """
    insert into supabase_migrations.schema_migrations (version, statements, name)
    values (%s, %s, %s)
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


def migrate_up(database_url: str, folder: Path) -> list[Migration]:
    """Apply what is pending, oldest first, and tell PostgREST to look again.

    A plain Postgres gets what Supabase provides before the first file, and also when there is none.
    Any number of programs may do this at once: they take turns, file by file, and each file is
    applied once. Versions that only the database knows are left alone.

    Args:
        database_url: ``postgresql://...``, of a role that may run DDL. A transaction pooler's
            address will do: no state of a session is relied upon.
        folder: where the files are; names that do not end in ``.sql`` are ignored.

    Returns:
        What this very call applied, in order; empty when there was nothing to do, and then not
        even the right to run DDL is needed.

    Raises:
        MigrationError: a file's name or content is wrong; the files before it stay applied.
        PermissionDeniedError: the role may not connect, or may not do what a file does.
        StoreUnavailableError: the server cannot be reached, or a lock was not to be had in time.
        ValueError: ``database_url`` is malformed.
    """
    files = _read_folder(folder)
    applied: list[Migration] = []
    with _connected(database_url) as connection:
        if not _pending(connection, files) and _platform_stands(connection):
            return applied
        with _turn(connection):
            _lay_platform(connection)
            if not _history_is_complete(connection):
                connection.execute(_CREATE_HISTORY)
        while migration := _apply_next(connection, files):
            applied.append(migration)
    return applied


def migration_status(database_url: str, folder: Path) -> list[Migration]:
    """Compare the folder with the database's history, and change nothing.

    Args:
        database_url: ``postgresql://...``, of a role that may read the history.
        folder: as for ``migrate_up``.

    Returns:
        Every migration of either side, by version.

    Raises:
        PermissionDeniedError: the role may not connect, or may not read the history; the message
            says which grants it lacks.
        MigrationError, StoreUnavailableError, ValueError: as ``migrate_up``.
    """
    files = _read_folder(folder)
    with _connected(database_url) as connection:
        history = _history(connection)
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
    sql: str

    @property
    def version(self) -> str:
        return self.migration.version


def _read_folder(folder: Path) -> list[_File]:
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
        sql = path.read_bytes().decode("utf-8-sig")
        files[version] = _File(Migration(version, match["name"], "pending"), path, sql)
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


def _apply_next(connection: _Connection, files: list[_File]) -> Migration | None:
    """Apply the oldest pending file; None when there is none left."""
    with _turn(connection):
        pending = _pending(connection, files)
        if not pending:
            return None
        _apply(connection, pending[0])
        connection.execute("notify pgrst, 'reload schema'")
    return replace(pending[0].migration, state="applied")


def _apply(connection: _Connection, file: _File) -> None:
    statements = split_statements(file.sql)
    for statement in statements:
        if statement.keyword in _TRANSACTION_WORDS:
            raise MigrationError(
                file.path.name,
                f"{statement.keyword!r}: a file is one transaction, and may not end or begin one",
            )
    _execute_file(connection, file.path.name, file.sql)
    connection.execute(
        _RECORD,
        [file.version, [statement.text for statement in statements], file.migration.name],
    )


def _execute_file(connection: _Connection, name: str, sql: str) -> None:
    try:
        connection.execute(sql.encode())
    except pg.InsufficientPrivilege as error:
        raise PermissionDeniedError(f"{name}: {_first_line(error)}") from error
    except psycopg.OperationalError as error:
        # A lock or time limit, a full disk, a lost server: its trouble and not the file's.
        raise StoreUnavailableError(
            f"{name}: {_first_line(error)}; nothing of this file was kept, try again later"
        ) from error
    except psycopg.Error as error:
        raise MigrationError(name, _first_line(error), line=_line_of(error, sql)) from error


def _line_of(error: psycopg.Error, sql: str) -> int | None:
    position = error.diag.statement_position
    return None if position is None else sql.count("\n", 0, int(position) - 1) + 1


def _lay_platform(connection: _Connection) -> None:
    if not _truth(connection, _FIND_SUPABASE):
        platform = Path(__file__).with_name("platform.sql")
        _execute_file(connection, platform.name, platform.read_text(encoding="utf-8"))


def _platform_stands(connection: _Connection) -> bool:
    return _truth(connection, _FIND_SUPABASE) or _truth(connection, _FIND_PLATFORM)


def _pending(connection: _Connection, files: list[_File]) -> list[_File]:
    history = _history(connection)
    return [file for file in files if file.version not in history]


def _history(connection: _Connection) -> dict[str, str]:
    """Return the name of each recorded version."""
    if not _truth(connection, _FIND_HISTORY):
        return {}
    try:
        return {str(version): str(name) for version, name in connection.execute(_READ_HISTORY)}
    except pg.InsufficientPrivilege as error:
        raise PermissionDeniedError(
            f"the role {connection.info.user!r} may not read the history of migrations: it needs "
            "usage on the schema supabase_migrations and select on its table schema_migrations"
        ) from error


def _history_is_complete(connection: _Connection) -> bool:
    return _truth(
        connection,
        """
        select count(*) = 3 from pg_catalog.pg_attribute a
        where a.attrelid = pg_catalog.to_regclass('supabase_migrations.schema_migrations')
            and a.attname in ('version', 'statements', 'name') and not a.attisdropped
        """,
    )


def _truth(connection: _Connection, query: str) -> bool:
    row = connection.execute(query.encode()).fetchone()
    return row is not None and row[0] is True
