"""Calls answered from one SQLite file, shared by threads and processes.

Acknowledged means on disk: the file is in WAL mode and every commit is synced. A write takes the
write lock before it reads (``BEGIN IMMEDIATE``), so that nothing it decided by can have changed
when it writes; a read sees one snapshot. Writes that wait for each other share a transaction and
its sync (see ``groups``); each still happens whole or not at all.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
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
from lift_sys.backends.groups import Job, Line
from lift_sys.backends.retry import retrying

T = TypeVar("T")

DEFAULT_TIMEOUT: Final = 10.0
"""For how many seconds a call waits for other writers before it gives up."""
MAX_TIMEOUT: Final = 86_400.0
"""The longest such wait: a day, well inside what locks can count."""
PAGE_BYTES: Final = 2048
"""The file's page size: a commit writes whole pages, and a small change touches half a dozen.

An item of 2 KB has most of itself on a page of its own, where a page of 4096 would waste half. With
8192 a session of 1,000 such items is read in three quarters of the time, and added to in a quarter
more; items of more than 100 KB are written faster too, but they are few.
"""
GROUP_SECONDS: Final = 0.02
"""After how long no further write is taken into a transaction: other processes write too."""
IDLE_CONNECTIONS: Final = 8
"""How many connections are kept for the next call."""

Handler: TypeAlias = Callable[[sqlite3.Connection, str, Any, WriteKey | None], Any]
"""Answers one kind of call in a transaction: is given the user's id, the arguments and the key."""

Connections: TypeAlias = deque[sqlite3.Connection]
_Outcome: TypeAlias = tuple[Any, SessionStoreError | None]

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
        self._writers = Line(self.carry_out)

    def __del__(self) -> None:
        # A store that nobody closed leaves nothing for the interpreter to warn of.
        self._drop_idle()

    def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` in one transaction and return its answer.

        Writes that wait for each other share the transaction: see ``carry_out``.

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
        if not call.writes:
            return self._execute(call, user)
        job = Job(call, user)
        if not self._writers.join(job, self._timeout):
            raise StoreUnavailableError(
                f"{self._path}: other writers took longer than {self._timeout} s; try again"
            )
        if job.error is not None:
            raise job.error
        answer: T = job.answer
        return answer

    def carry_out(self, jobs: Sequence[Job]) -> None:
        """Carry out writes in one transaction, as many as take ``GROUP_SECONDS`` and one at least.

        Each is done whole or not at all, and settled with the answer or the error that ``execute``
        would have ended with. Where anything but a refusal befalls the transaction, it is undone,
        and each write gets one of its own: what one has broken is not put down to the others.
        """
        if len(jobs) == 1 or not self._carried_out_together(jobs):
            for job in jobs:
                try:
                    job.settle(self._execute(job.call, job.user))
                except Exception as error:  # noqa: BLE001  # whatever it is, the caller is told
                    job.settle(None, error)

    def close(self) -> None:
        """Close the file. Calls under way end; further ones raise ``StoreClosedError``."""
        self._closed = True
        self._drop_idle()

    def _execute(self, call: Call[T], user: User) -> T:
        with self._connection() as connection, self._transaction(connection, writes=call.writes):
            answer: T = self._answer(connection, call, user)
        return answer

    def _carried_out_together(self, jobs: Sequence[Job]) -> bool:
        """Carry out the first of `jobs` in one transaction; return whether they are settled."""
        begun, reached = False, jobs
        outcomes: list[_Outcome] = []
        try:
            with self._connection() as connection, self._transaction(connection, writes=True):
                begun = True
                outcomes = self._outcomes(connection, jobs)
                reached = jobs[: len(outcomes)]
        except SessionStoreError as error:
            if begun and not isinstance(error, OutcomeUnknownError):
                return False
            outcomes = [(None, _twin(error)) for _ in reached]
        except Exception:  # noqa: BLE001  # the one that it comes of meets it again
            return False
        for job, outcome in zip(reached, outcomes, strict=True):
            job.settle(*outcome)
        return True

    def _outcomes(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> list[_Outcome]:
        """Return what comes of the first of `jobs`; one that is refused leaves no trace."""
        outcomes: list[_Outcome] = []
        enough = monotonic() + GROUP_SECONDS
        for job in jobs:
            connection.execute("savepoint one")
            try:
                outcomes.append((self._answer(connection, job.call, job.user), None))
            except SessionStoreError as refusal:
                outcomes.append((None, refusal))
                connection.execute("rollback to one")
            connection.execute("release one")
            if monotonic() >= enough:
                break
        return outcomes

    def _answer(self, connection: sqlite3.Connection, call: Call[T], user: User) -> T:
        try:
            answer: T = self._layout.handlers[call.name](
                connection, user.user_id, call.arguments, call.key
            )
        except SessionStoreError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise StoreUnavailableError(
                f"{self._path}: holds what cannot be read ({error}); restore it from a backup"
            ) from error
        return answer

    def _connection(self) -> "_Lease":
        """Return a connection for a ``with`` block, whose errors of the driver are explained."""
        return _Lease(self)

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

    def _transaction(self, connection: sqlite3.Connection, *, writes: bool) -> "_Transaction":
        """Return a transaction for a ``with`` block: committed at its end, undone by an error."""
        return _Transaction(self, connection, writes=writes)

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


class _Lease:
    """A connection while it is used."""

    __slots__ = ("_backend", "_connection", "_idle")

    def __init__(self, backend: SQLiteBackend) -> None:
        self._backend = backend

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._idle = self._backend._connections()
            self._connection = self._backend._take(self._idle)
        except sqlite3.Error as error:
            raise self._backend._explained(error) from error
        return self._connection

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, SessionStoreError):
            self._backend._put_back(self._connection, self._idle)
            return
        self._connection.close()  # who knows what state an interrupt, say, left it in
        if isinstance(error, sqlite3.Error):
            raise self._backend._explained(error) from error


class _Transaction:
    """A transaction of a connection."""

    __slots__ = ("_backend", "_connection", "_writes")

    def __init__(
        self, backend: SQLiteBackend, connection: sqlite3.Connection, *, writes: bool
    ) -> None:
        self._backend = backend
        self._connection = connection
        self._writes = writes

    def __enter__(self) -> None:
        # A read sees one snapshot; a write takes the lock before it reads what it decides by.
        self._connection.execute("begin immediate" if self._writes else "begin deferred")

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            try:
                self._connection.execute("commit")
            except sqlite3.Error as failure:
                self._undo()
                if _primary_code(failure) == sqlite3.SQLITE_IOERR and self._writes:
                    raise OutcomeUnknownError(
                        f"{self._backend._path}: the disk failed during the commit ({failure}); "
                        "repeat the write with its idempotency key"
                    ) from failure
                raise
        else:
            self._undo()

    def _undo(self) -> None:
        if self._connection.in_transaction:  # an error may have undone it already
            self._connection.execute("rollback")


def _twin(error: SessionStoreError) -> SessionStoreError:
    """Return an error that says the same: each is raised in a thread of its own."""
    twin = type(error)(*error.args)
    twin.__cause__ = error.__cause__
    return twin


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
