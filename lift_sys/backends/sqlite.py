"""Calls answered from one SQLite file, shared by threads and processes.

Acknowledged means on disk: the file is in WAL mode and every commit is synced. A write takes the
write lock before it reads (``BEGIN IMMEDIATE``), so that nothing it decided by can have changed
when it writes; a read sees one snapshot.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from lift_sys.backends.call import Call, User, WriteKey
from lift_sys.backends.errors import (
    OutcomeUnknownError,
    PermissionDeniedError,
    SchemaOutdatedError,
    SessionStoreError,
    StoreClosedError,
    StoreUnavailableError,
)
from lift_sys.backends.forks import watch_forks
from lift_sys.backends.retry import retrying

T = TypeVar("T")

DEFAULT_TIMEOUT: Final = 10.0
"""For how many seconds a call waits for other writers before it gives up."""
MAX_TIMEOUT: Final = 86_400.0
"""The longest such wait: a day, well inside what locks can count."""
PAGE_BYTES: Final = 8192
"""The file's page size: items of 2 KB share a page, where the default of 4096 wastes half.

Only in a table with a rowid: one without puts all but the first 2,030 bytes of a row on pages of
their own, which made files three times as large.
"""
IDLE_CONNECTIONS: Final = 8
"""How many connections are kept for the next call."""

Handler: TypeAlias = Callable[[sqlite3.Connection, str, Any, WriteKey | None], Any]
"""Answers one kind of call in a transaction: is given the user's id, the arguments and the key."""

Connections: TypeAlias = deque[sqlite3.Connection]

_INHERITED: Final[list[Connections]] = []
"""Connections opened before a fork: SQLite wants the child neither to use nor to close them."""


@dataclass(frozen=True)
class Layout:
    """What a domain keeps in the file.

    Attributes:
        application_id: marks the file as the domain's, so that no other file is written to.
        migrations: statements that make version 1, 2, ... of the layout of the version before.
        handlers: by name of the call.
    """

    application_id: int
    migrations: Sequence[Sequence[str]]
    handlers: Mapping[str, Handler]


class SQLiteBackend:
    """Carries calls to one SQLite file.

    Args:
        path: the file; made where there is none.
        layout: what is kept in it.
        timeout: for how many seconds a call waits for other writers.

    Raises:
        ValueError: `timeout` is not from 0 to a day.
    """

    def __init__(self, path: Path, layout: Layout, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._idle: Connections = deque()
        if not 0 <= timeout <= MAX_TIMEOUT:
            raise ValueError(f"timeout: must be from 0 to {MAX_TIMEOUT:.0f} seconds")
        self._path = path.absolute()  # the process may change its folder later
        self.origin = f"sqlite:{self._path}"
        self._layout = layout
        self._timeout = timeout
        self._closed = False
        self.begin_anew()
        watch_forks(self)

    def begin_anew(self) -> None:
        """Forget the connections and locks of the parent process, which are not the child's."""
        if self._idle:
            _INHERITED.append(self._idle)
            self._idle = deque()
        self._opened: tuple[int, int] | None = None
        self._opening = threading.Lock()
        self._write_turn = threading.Lock()

    def __del__(self) -> None:
        # A store that nobody closed leaves nothing for the interpreter to warn of.
        self._drop_idle()

    def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` in one transaction and return its answer.

        Raises:
            StoreClosedError: the backend was closed.
            PermissionDeniedError: the file cannot be written, or not be opened, by this process.
            StoreUnavailableError: locked for longer than the timeout, damaged, or the disk is
                full; nothing was written.
            OutcomeUnknownError: the disk failed while the write was being made permanent.
            SchemaOutdatedError: the file is another program's, or a newer release's.
            SessionStoreError: what the handler decided.
        """
        if self._closed:
            raise StoreClosedError("the store was closed; open a new one")
        handler = self._layout.handlers[call.name]
        with self._turn(call), self._connection() as connection:
            with self._transaction(connection, writes=call.writes):
                answer: T = self._answer(handler, connection, user, call)
            return answer

    def close(self) -> None:
        """Close the file. Calls under way end; further ones raise ``StoreClosedError``."""
        self._closed = True
        self._drop_idle()

    def _answer(
        self, handler: Handler, connection: sqlite3.Connection, user: User, call: Call[Any]
    ) -> Any:
        try:
            return handler(connection, user.user_id, call.arguments, call.key)
        except SessionStoreError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise StoreUnavailableError(
                f"{self._path}: holds what cannot be read ({error}); restore it from a backup"
            ) from error

    @contextmanager
    def _turn(self, call: Call[Any]) -> Iterator[None]:
        """Let the writers of this process wait here, in turn, rather than poll the file's lock."""
        if not call.writes:
            yield
            return
        if not self._write_turn.acquire(timeout=self._timeout):
            raise StoreUnavailableError(
                f"{self._path}: other writers took longer than {self._timeout} s; try again"
            )
        try:
            yield
        finally:
            self._write_turn.release()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            idle = self._connections()
            connection = self._take(idle)
            try:
                yield connection
            except sqlite3.Error:
                connection.close()
                raise
            except BaseException:
                self._put_back(connection, idle)
                raise
            self._put_back(connection, idle)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _connections(self) -> Connections:
        """Return the connections that are free, of the file that is there now."""
        if self._opened is None or self._opened != self._identity():
            with self._opening:
                if self._opened is None or self._opened != self._identity():
                    self._open_file()
        return self._idle

    def _take(self, idle: Connections) -> sqlite3.Connection:
        try:
            return idle.pop()
        except IndexError:
            return self._connect()

    def _put_back(self, connection: sqlite3.Connection, idle: Connections) -> None:
        if idle is not self._idle or len(idle) >= IDLE_CONNECTIONS:
            connection.close()  # of a file that was replaced meanwhile, or one too many
            return
        idle.append(connection)
        if self._closed:
            self._drop_idle()

    def _drop_idle(self) -> None:
        with suppress(IndexError):  # another thread may drop them too
            while True:
                self._idle.pop().close()

    def _identity(self) -> tuple[int, int] | None:
        """Tell this file from another of its name: it may be deleted and made anew."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        return connection

    def _open_file(self) -> None:
        self._drop_idle()
        self._idle = deque()
        for attempt in retrying(self._timeout, sqlite3.OperationalError, when=_is_busy):
            with attempt, closing(self._connect()) as connection:
                self._prepare(connection)
        self._opened = self._identity()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make or upgrade the layout; leave another program's file alone."""
        # One snapshot: another process may be making the layout between two of the questions.
        with self._transaction(connection, writes=False):
            version = self._version(connection)
        if version == len(self._layout.migrations):
            return
        connection.execute(f"pragma page_size = {PAGE_BYTES}")
        connection.execute("pragma journal_mode = wal")
        with self._transaction(connection, writes=True):
            for statements in self._layout.migrations[self._version(connection) :]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"pragma application_id = {self._layout.application_id}")
            connection.execute(f"pragma user_version = {len(self._layout.migrations)}")

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the version of the layout in the file, 0 for an empty file.

        Raises:
            SchemaOutdatedError: the file is another program's, or a newer release's.
        """
        (application_id,) = connection.execute("pragma application_id").fetchone()
        (version,) = connection.execute("pragma user_version").fetchone()
        (objects,) = connection.execute("select count(*) from sqlite_master").fetchone()
        if application_id == 0 and version == 0 and objects == 0:
            return 0
        if application_id != self._layout.application_id:
            raise SchemaOutdatedError(
                f"{self._path} is another program's database; choose another file"
            )
        if version > len(self._layout.migrations):
            raise SchemaOutdatedError(
                f"{self._path} was written by a newer release (layout {version}, this one knows "
                f"{len(self._layout.migrations)}); upgrade lift-sys"
            )
        return int(version)

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection, *, writes: bool) -> Iterator[None]:
        connection.execute("begin immediate" if writes else "begin deferred")
        try:
            yield
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise
        try:
            connection.execute("commit")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("rollback")
            if _primary_code(error) == sqlite3.SQLITE_IOERR and writes:
                raise OutcomeUnknownError(
                    f"{self._path}: the disk failed during the commit ({error}); "
                    "repeat the write with its idempotency key"
                ) from error
            raise

    def _explained(self, error: sqlite3.Error) -> SessionStoreError:
        if self._closed:
            return StoreClosedError("the store was closed; open a new one")
        code = _primary_code(error)
        if code == sqlite3.SQLITE_CANTOPEN:
            return self._unopened(error)
        if code == sqlite3.SQLITE_ERROR and "no such" in str(error):
            return SchemaOutdatedError(f"{self._path} lacks what this release keeps there: {error}")
        kind, meaning = _MEANINGS.get(code, (StoreUnavailableError, "nothing was written"))
        return kind(f"{self._path}: {error}; {meaning}")

    def _unopened(self, error: sqlite3.Error) -> SessionStoreError:
        folder = self._path.parent
        if not _is_folder(folder):
            return StoreUnavailableError(f"{self._path}: there is no folder {folder}; make it")
        if _is_folder(self._path):
            return StoreUnavailableError(f"{self._path} is a folder; name a file")
        return PermissionDeniedError(f"{self._path} cannot be opened: {error}; see its permissions")


_DENIED: Final = (PermissionDeniedError, "this process may not write it; see its permissions")
_LOCKED: Final = (StoreUnavailableError, "another process keeps it locked; try again")
_DAMAGED: Final = (StoreUnavailableError, "it is no intact SQLite file; restore it from a backup")
_MEANINGS: Final[Mapping[int, tuple[type[SessionStoreError], str]]] = {
    sqlite3.SQLITE_READONLY: _DENIED,
    sqlite3.SQLITE_PERM: _DENIED,
    sqlite3.SQLITE_AUTH: _DENIED,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it may not be looked at, or no file can have that name
        return False


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and _primary_code(error) == sqlite3.SQLITE_BUSY
