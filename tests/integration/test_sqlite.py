"""SQLite on real files: killed, shared, damaged, read-only, full, deleted, forked."""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lift_sys.backends.call import Call, User
from lift_sys.backends.instants import now
from lift_sys.backends.sqlite import SQLiteBackend
from lift_sys.spec_sessions import (
    AsyncSQLiteSessionStore,
    PermissionDeniedError,
    PromptRevision,
    PromptSession,
    SchemaOutdatedError,
    SessionConflictError,
    SessionNotFoundError,
    SessionStore,
    SessionStoreError,
    SQLiteSessionStore,
    StoreUnavailableError,
)
from lift_sys.spec_sessions.models import Source, Status
from lift_sys.spec_sessions.records import GetSession, ListSessions, Position
from lift_sys.spec_sessions.sqlite_sessions import LAYOUT
from tests.integration.processes import NOBODY, forked, output, start, without_rights

WRITER = """
import sys
from lift_sys.spec_sessions import *
path, session_id = sys.argv[1:3]
store = SQLiteSessionStore(path)
def revision(text):
    return PromptRevision(
        timestamp="2026-01-01T00:00:00Z", content=text, revision_type="manual_edit"
    )
"""


def revision(text: str) -> PromptRevision:
    return PromptRevision(
        timestamp="2026-01-01T00:00:00Z",
        content=text,
        revision_type="manual_edit",
    )


def filled(path: Path, sessions: int = 3) -> list[dict[str, Any]]:
    """Make a store with some sessions, closed again; return its content."""
    with SQLiteSessionStore(path) as store:
        for number in range(sessions):
            store.create(PromptSession.create_new(original_input=f"input {number} " * 200))
        return content(store)


def content(store: SessionStore) -> list[dict[str, Any]]:
    return [session.to_dict() for session in store.list_all()]


def content_of(path: Path) -> list[dict[str, Any]]:
    with SQLiteSessionStore(path) as store:
        return content(store)


def got(store: SessionStore, session_id: str) -> PromptSession:
    session = store.get(session_id)
    assert session is not None
    return session


def operations(store: SessionStore) -> list[Callable[[], Any]]:
    """One call of every operation that reaches the file."""
    session = PromptSession.create_new()
    stored = PromptSession(session_id="s", version=1)
    return [
        lambda: store.create(session),
        lambda: store.create_many([session]),
        lambda: store.get("s"),
        lambda: store.update(stored),
        lambda: store.refresh(stored),
        lambda: store.delete("s"),
        store.list_all,
        store.list_active,
        store.list_page,
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may reach, which ``tmp_path`` is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


class TestKilled:
    """Acknowledged means on disk."""

    def test_kill_9_loses_nothing_acknowledged(self, path: Path) -> None:
        with SQLiteSessionStore(path) as store:
            session_id = store.create(PromptSession.create_new())
        program = f"""{WRITER}
session = store.get(session_id)
while True:
    session.add_revision(revision(f"{{session.version + 1}} " * 300))
    store.update(session)
    print(session.version, flush=True)
"""
        for _ in range(4):
            writer = start(program, path, session_id)
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(15)]
            writer.kill()
            rest, err = writer.communicate()
            assert (writer.returncode, err) == (-signal.SIGKILL, "")
            complete = [
                line for line in (*lines, *rest.splitlines(keepends=True)) if line[-1:] == "\n"
            ]
            acknowledged = int(complete[-1])
            with SQLiteSessionStore(path) as store:
                session = got(store, session_id)
            assert session.version in (acknowledged, acknowledged + 1)
            assert [r.content for r in session.revisions] == [
                f"{version} " * 300 for version in range(2, session.version + 1)
            ]
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("pragma integrity_check").fetchall() == [("ok",)]

    def test_an_exit_with_open_stores_neither_hangs_nor_warns(self, path: Path) -> None:
        program = """
import asyncio, sys
from lift_sys.spec_sessions import *
sync, left = SQLiteSessionStore(sys.argv[1]), AsyncSQLiteSessionStore(sys.argv[1])
sync.create(PromptSession.create_new())
asyncio.run(left.create(PromptSession.create_new()))
"""
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(content_of(path)) == 2


class TestManyProcesses:
    """One file, several processes."""

    def test_processes_that_make_the_file_at_once_all_succeed(self, path: Path) -> None:
        program = f"""{WRITER}
session = PromptSession.create_new(original_input=session_id)
print("ready", flush=True)
sys.stdin.readline()
store.create(session)
"""
        makers = [start(program, path, number) for number in range(8)]
        for maker in makers:
            assert maker.stdout is not None
            assert maker.stdout.readline() == "ready\n"
        for maker in makers:
            assert maker.stdin is not None
            maker.stdin.write("go\n")
            maker.stdin.flush()
        for maker in makers:
            output(maker)
        with SQLiteSessionStore(path) as store:
            assert {s.original_input for s in store.list_all()} == set("01234567")

    def test_each_version_has_exactly_one_winner(self, path: Path) -> None:
        with SQLiteSessionStore(path) as store:
            session_id = store.create(PromptSession.create_new())
        program = f"""{WRITER}
session = store.get(session_id)
won = 0
while won < 12:
    session.add_revision(revision(sys.argv[3]))
    try:
        store.update(session)
    except SessionConflictError as conflict:
        assert conflict.current_version > conflict.expected_version == session.version
        session = store.refresh(session)
    else:
        won += 1
        print(session.version)
"""
        writers = [start(program, path, session_id, name) for name in "abcd"]
        versions = {
            name: list(map(int, output(w).split())) for name, w in zip("abcd", writers, strict=True)
        }
        with SQLiteSessionStore(path) as store:
            session = got(store, session_id)
        assert sorted(v for won in versions.values() for v in won) == list(range(2, 50))
        assert session.version == 49
        winner = {version: name for name, won in versions.items() for version in won}
        assert [r.content for r in session.revisions] == [winner[v] for v in range(2, 50)]

    def test_a_file_locked_by_another_process_is_unavailable_until_it_is_free(
        self, path: Path
    ) -> None:
        before = filled(path)
        program = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("begin exclusive")
print("locked", flush=True)
sys.stdin.readline()
file.execute("commit")
file.close()
"""
        holder = start(program, path)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with SQLiteSessionStore(path, timeout=0.1) as store:
            assert content(store) == before  # a reader does not wait for a writer
            session = PromptSession.create_new()
            with pytest.raises(StoreUnavailableError, match="keeps it locked; try again") as raised:
                store.create(session)
            assert isinstance(raised.value.__cause__, sqlite3.OperationalError)
            assert content(store) == before
            holder.communicate("go\n", timeout=60)
            store.create(session)
            assert len(content(store)) == len(before) + 1


class TestLayout:
    """The layout is versioned inside the file."""

    def test_an_older_file_is_upgraded_in_place(self, path: Path) -> None:
        before = filled(path)
        note = ("create table notes (text text)", "insert into notes values ('upgraded')")

        def notes(db: sqlite3.Connection, _user: str, _arguments: Any, _key: Any) -> list[Any]:
            return db.execute("select text from notes").fetchall()

        newer = replace(
            LAYOUT,
            migrations=(*LAYOUT.migrations, note),
            handlers={**LAYOUT.handlers, "notes": notes},
        )
        with closing(SQLiteBackend(path, newer)) as backend:
            call: Call[Any] = Call("notes", None, str, writes=False)
            assert backend.execute(call, User("local")) == [("upgraded",)]
        with closing(SQLiteBackend(path, newer)) as backend:
            assert backend.execute(call, User("local")) == [("upgraded",)]
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("pragma user_version").fetchone() == (2,)
            assert file.execute("select count(*) from sessions").fetchone() == (len(before),)

    def test_an_upgrade_that_fails_leaves_the_file_as_it_was(self, path: Path) -> None:
        before = filled(path)
        broken = replace(
            LAYOUT, migrations=(*LAYOUT.migrations, ("create table notes (text)", "nonsense"))
        )
        call: Call[Any] = Call("get_session", None, str, writes=False)
        with closing(SQLiteBackend(path, broken)) as backend, pytest.raises(SessionStoreError):
            backend.execute(call, User("local"))
        assert content_of(path) == before

    def test_the_file_of_a_newer_release_is_refused_and_left_as_it_is(self, path: Path) -> None:
        filled(path)
        with closing(sqlite3.connect(path)) as file:
            file.execute("pragma user_version = 99")
        before = path.read_bytes()
        with SQLiteSessionStore(path) as store:
            for operation in operations(store):
                with pytest.raises(SchemaOutdatedError, match=r"newer release .*upgrade lift-sys"):
                    operation()
        assert path.read_bytes() == before

    def test_a_layout_that_another_process_makes_meanwhile_is_none_of_another_program(
        self, path: Path
    ) -> None:
        class Beaten(SQLiteBackend):
            """Lets another store make the layout between its own questions about the file."""

            beaten = False

            def _connect(self) -> sqlite3.Connection:
                connection = super()._connect()
                connection.set_trace_callback(self._amid)
                return connection

            def _amid(self, statement: str) -> None:
                if "user_version" in statement and not self.beaten:
                    self.beaten = True
                    with SQLiteSessionStore(path, timeout=0.05) as other:
                        named(lambda: other.create(PromptSession.create_new()))

        with closing(Beaten(path, LAYOUT)) as backend:
            call: Call[Any] = Call("get_session", GetSession("s"), str, writes=False)
            assert backend.execute(call, User("local")) is None
            assert backend.beaten

    def test_a_table_that_is_gone_is_named(self, path: Path) -> None:
        filled(path)
        with closing(sqlite3.connect(path)) as file:
            file.execute("drop table items")
            file.commit()
        with SQLiteSessionStore(path) as store, pytest.raises(SchemaOutdatedError, match="items"):
            store.list_all()

    @pytest.mark.parametrize("journal", ["delete", "wal"])
    @pytest.mark.parametrize(
        "statements",
        [
            ["create table t (a)", "insert into t values (1)"],
            ["pragma application_id = 7"],
            ["pragma user_version = 1"],
            ["pragma application_id = 7", "pragma user_version = 1", "create table sessions (a)"],
        ],
    )
    def test_another_programs_database_is_refused_and_left_byte_for_byte(
        self, path: Path, journal: str, statements: list[str]
    ) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute(f"pragma journal_mode = {journal}")
            for statement in statements:
                file.execute(statement)
        before = path.read_bytes()
        with SQLiteSessionStore(path) as store:
            for operation in operations(store):
                with pytest.raises(SchemaOutdatedError, match="another program's database"):
                    operation()
        assert path.read_bytes() == before
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]


class TestDamaged:
    """What is no intact file is named, and not made worse."""

    @pytest.mark.parametrize("kept", [2, 16, 50, 100, 1000])
    def test_a_truncated_file(self, path: Path, kept: int) -> None:
        filled(path)
        os.truncate(path, kept)
        before = path.read_bytes()
        with SQLiteSessionStore(path) as store:
            for operation in operations(store):
                with pytest.raises((StoreUnavailableError, SchemaOutdatedError)):
                    operation()
        assert path.read_bytes() == before

    @pytest.mark.parametrize("text", ["hello\n", "SQLite format 3", "x" * 20_000])
    def test_a_text_file(self, path: Path, text: str) -> None:
        path.write_text(text)
        with SQLiteSessionStore(path) as store:
            for operation in operations(store):
                with pytest.raises(StoreUnavailableError, match="no intact SQLite file"):
                    operation()
        assert path.read_text() == text

    def test_garbage_anywhere_is_a_named_error_or_does_no_harm(self, path: Path) -> None:
        before = filled(path, sessions=8)
        intact = path.read_bytes()
        failures = 0
        for start_ in range(0, len(intact), 512):
            garbage = bytes((start_ * 7 + i * 31) % 256 for i in range(256))
            path.write_bytes(intact[:start_] + garbage + intact[start_ + len(garbage) :])
            with SQLiteSessionStore(path, timeout=0.05) as store:
                try:
                    found = content(store)
                except (StoreUnavailableError, SchemaOutdatedError):
                    failures += 1
                else:
                    assert len(found) <= len(before)
        assert failures > 5

    @pytest.mark.parametrize(
        "statement",
        [
            "update items set body = '{'",
            "update items set body = '{}'",
            "update items set body = x'ff'",
            "update items set body = cast(x'22ff22' as text)",
            "update sessions set metadata = 'x'",
            "update sessions set created_at = 'x'",
        ],
    )
    def test_a_row_that_cannot_be_read_is_a_named_error(self, path: Path, statement: str) -> None:
        filled(path)
        with closing(sqlite3.connect(path)) as file:
            file.execute(statement)
            file.commit()
        with SQLiteSessionStore(path) as store:
            with pytest.raises(StoreUnavailableError, match=r"sessions\.db: "):
                store.list_all()
            store.create(PromptSession(session_id="fine"))
            assert got(store, "fine").version == 1

    def test_an_empty_file_becomes_a_store(self, path: Path) -> None:
        path.touch()
        with SQLiteSessionStore(path) as store:
            store.create(PromptSession(session_id="s"))
        assert [s["session_id"] for s in content_of(path)] == ["s"]

    def test_a_folder_is_named(self, path: Path) -> None:
        path.mkdir()
        with SQLiteSessionStore(path) as store:
            for operation in operations(store):
                with pytest.raises(StoreUnavailableError, match="is a folder; name a file"):
                    operation()
        assert list(path.iterdir()) == []

    def test_a_missing_folder_is_named_and_not_made(self, tmp_path: Path) -> None:
        with SQLiteSessionStore(tmp_path / "no" / "x.db") as store:
            for operation in operations(store):
                with pytest.raises(StoreUnavailableError, match="there is no folder"):
                    operation()
        assert list(tmp_path.iterdir()) == []

    def test_a_name_that_no_file_can_have(self, tmp_path: Path) -> None:
        with SQLiteSessionStore(tmp_path / ("x" * 300)) as store, pytest.raises(SessionStoreError):
            store.list_all()


def named(operation: Callable[[], Any]) -> str:
    """Return the name of the error of the store that the operation raises, or nothing."""
    try:
        operation()
    except SessionStoreError as error:
        return type(error).__name__
    return ""


class TestPermissions:
    """As a user to whom they apply."""

    def test_a_file_that_may_not_be_written(self, open_folder: Path) -> None:
        path = open_folder / "x.db"
        before = filled(path)
        path.chmod(0o444)

        def attempt() -> list[str]:
            with SQLiteSessionStore(path) as store:
                stored = PromptSession.from_dict(before[0])
                return [
                    named(lambda: store.create(PromptSession.create_new())),
                    named(lambda: store.update(stored)),
                    named(lambda: store.delete(stored.session_id)),
                ]

        assert without_rights(attempt) == [PermissionDeniedError.__name__] * 3
        assert content_of(path) == before

    def test_a_file_that_may_not_be_read(self, open_folder: Path) -> None:
        path = open_folder / "x.db"
        before = filled(path)
        path.chmod(0)

        def attempt() -> set[str]:
            with SQLiteSessionStore(path) as store:
                return {named(operation) for operation in operations(store)}

        assert without_rights(attempt) == {PermissionDeniedError.__name__}
        path.chmod(0o644)
        assert content_of(path) == before

    def test_a_folder_that_may_not_be_written(self, open_folder: Path) -> None:
        open_folder.chmod(0o555)

        def attempt() -> set[str]:
            with SQLiteSessionStore(open_folder / "x.db") as store:
                return {named(operation) for operation in operations(store)}

        assert without_rights(attempt) == {PermissionDeniedError.__name__}
        assert list(open_folder.iterdir()) == []

    def test_a_folder_that_becomes_writable_works_again(self, open_folder: Path) -> None:
        if os.geteuid() == 0:
            os.chown(open_folder, NOBODY, NOBODY)

        def attempt() -> tuple[str, str]:
            open_folder.chmod(0o555)
            with SQLiteSessionStore(open_folder / "x.db") as store:
                first = named(lambda: store.create(PromptSession.create_new()))
                open_folder.chmod(0o755)
                return first, named(lambda: store.create(PromptSession.create_new()))

        assert without_rights(attempt) == (PermissionDeniedError.__name__, "")


FILL = f"""{WRITER}
session = store.get(session_id)
try:
    while True:
        session.add_revision(revision(f"{{session.version + 1}} " * 3000))
        store.update(session)
        print(session.version, flush=True)
except SessionStoreError as error:
    print(type(error).__name__)
    print(len(store.get(session_id).revisions))
"""


class TestFullDisk:
    """What does not fit is not written, and what was acknowledged stays."""

    def filled_up(self, path: Path, session_id: str, **options: Any) -> None:
        *_, acknowledged, error, readable = output(start(FILL, path, session_id, **options)).split()
        # A write that failed in the commit may be there or not; all others are not.
        assert error in ("StoreUnavailableError", "OutcomeUnknownError")
        with SQLiteSessionStore(path) as store:
            session = got(store, session_id)
            assert session.version in (int(acknowledged), int(acknowledged) + 1)
            assert session.version == len(session.revisions) + 1
            assert int(readable) in (int(acknowledged) - 1, int(acknowledged))
            assert [r.content for r in session.revisions] == [
                f"{version} " * 3000 for version in range(2, session.version + 1)
            ]
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("pragma integrity_check").fetchall() == [("ok",)]

    @pytest.mark.parametrize("room", [200_000, 1_000_000, 6_000_000])
    def test_a_file_that_may_not_grow(self, path: Path, room: int) -> None:
        with SQLiteSessionStore(path) as store:
            session_id = store.create(PromptSession.create_new())

        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

        self.filled_up(path, session_id, preexec_fn=limit)

    def test_a_full_file_system(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not permitted here")
        try:
            with SQLiteSessionStore(disk / "x.db") as store:
                session_id = store.create(PromptSession.create_new())
            self.filled_up(disk / "x.db", session_id)
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_a_disk_too_small_for_the_layout(self, path: Path) -> None:
        def attempt() -> str:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            with SQLiteSessionStore(path, timeout=0.1) as store:
                return named(lambda: store.create(PromptSession.create_new()))

        assert forked(attempt) in ("StoreUnavailableError", "OutcomeUnknownError")
        with SQLiteSessionStore(path) as store:
            assert content(store) == []
            store.create(PromptSession.create_new())


class TestUnderAnOpenStore:
    """What happens to the file, the process or the task meanwhile."""

    def test_a_deleted_file_is_noticed_and_nothing_goes_to_it(self, path: Path) -> None:
        with SQLiteSessionStore(path) as store:
            session = PromptSession.create_new()
            store.create(session)
            path.unlink()
            assert store.get(session.session_id) is None
            with pytest.raises(SessionNotFoundError):
                store.update(session)
            store.create(session)
        assert len(content_of(path)) == 1

    def test_a_file_put_in_its_place_is_what_counts(self, path: Path, tmp_path: Path) -> None:
        other = filled(tmp_path / "other.db")
        with SQLiteSessionStore(path) as store:
            store.create(PromptSession.create_new())
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                (tmp_path / name).unlink()
            (tmp_path / "other.db").rename(path)
            assert content(store) == other
            store.create(PromptSession.create_new())
        assert len(content_of(path)) == len(other) + 1

    def test_a_connection_of_a_deleted_file_is_not_used_again(self, path: Path) -> None:
        with SQLiteSessionStore(path) as store:
            store.create(PromptSession(session_id="old"))
            backend: Any = store._backend
            with backend._connection() as connection:  # a call that is under way meanwhile
                path.unlink()
                assert store.get("old") is None
            assert connection not in backend._idle
            store.create(PromptSession(session_id="new"))
        assert [s["session_id"] for s in content_of(path)] == ["new"]

    def test_a_forked_child_and_its_parent_both_go_on(self, path: Path) -> None:
        with SQLiteSessionStore(path) as store:
            store.create(PromptSession(session_id="before"))

            def child() -> list[str]:
                store.create(PromptSession(session_id="child"))
                return sorted(s.session_id for s in store.list_all())

            assert forked(child) == ["before", "child"]
            store.create(PromptSession(session_id="after"))
            assert len(store.list_all()) == 3

    def test_a_fork_amid_a_write_leaves_the_child_no_lock_that_nobody_frees(
        self, path: Path
    ) -> None:
        filled(path)
        with SQLiteSessionStore(path, timeout=30) as store:
            backend: Any = store._backend
            with backend._writers._guard, backend._opening:
                assert forked(lambda: store.create(PromptSession(session_id="child"))) == "child"
            assert store.get("child") is not None

    def test_an_async_store_works_in_a_forked_child(self, path: Path) -> None:
        store = AsyncSQLiteSessionStore(path)

        async def create(session_id: str) -> str:
            return await store.create(PromptSession(session_id=session_id))

        asyncio.run(create("parent"))
        assert forked(lambda: asyncio.run(create("child"))) == "child"
        asyncio.run(store.close())
        assert {s["session_id"] for s in content_of(path)} == {"parent", "child"}

    def test_fifty_threads_share_one_store(self, path: Path) -> None:
        with SQLiteSessionStore(path) as store:
            shared = store.create(PromptSession.create_new())

            def work(number: int) -> None:
                mine = PromptSession(session_id=f"mine {number}")
                store.create(mine)
                session = got(store, shared)
                while True:
                    session.add_revision(revision(str(number)))
                    try:
                        store.update(session)
                    except SessionConflictError:
                        session = store.refresh(session)
                    else:
                        break
                mine.finalize()
                store.update(mine)

            with ThreadPoolExecutor(50) as threads:
                list(threads.map(work, range(50)))
            assert {r.content for r in got(store, shared).revisions} == set(map(str, range(50)))
            assert got(store, shared).version == 51
            assert len(store.list_page(status="finalized", limit=100).items) == 50

    def test_closing_amid_calls_lets_them_end_and_refuses_the_next(self, path: Path) -> None:
        store = SQLiteSessionStore(path)
        store.create(PromptSession.create_new())
        backend: Any = store._backend
        with backend._connection() as connection:
            store.close()
            assert connection.execute("select count(*) from sessions").fetchone() == (1,)
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("select 1")
        assert {named(operation) for operation in operations(store)} == {"StoreClosedError"}

    def test_a_task_cancelled_amid_a_write_knows_its_outcome(self, path: Path) -> None:
        filled(path)

        async def scenario() -> None:
            async with AsyncSQLiteSessionStore(path) as store:
                session = PromptSession.create_new()
                await store.create(session)
                session.add_revision(revision("cancelled"))
                with closing(sqlite3.connect(path, isolation_level=None)) as other:
                    other.execute("begin immediate")
                    task = asyncio.create_task(store.update(session))
                    for _ in range(5):
                        await asyncio.sleep(0)  # until the write waits for the lock
                        task.cancel()
                    assert not task.done()
                    other.execute("commit")
                    with pytest.raises(asyncio.CancelledError):
                        await task
                assert session.version == 2
                assert await store.get(session.session_id) == session
                session.finalize()
                await store.update(session)

        asyncio.run(scenario())

    def test_a_cancelled_read_leaves_the_store_usable(self, path: Path) -> None:
        filled(path)

        async def scenario() -> None:
            async with AsyncSQLiteSessionStore(path) as store:
                tasks = [asyncio.create_task(store.list_all()) for _ in range(20)]
                await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert len(await store.list_all()) == 3

        asyncio.run(scenario())


@pytest.mark.parametrize("source", [None, "code"])
@pytest.mark.parametrize("status", [None, "abandoned"])
@pytest.mark.parametrize("after", [None, Position(now(), "s")])
def test_a_list_is_read_in_its_order_and_no_further_than_it_goes(
    path: Path, status: Status | None, source: Source | None, after: Position | None
) -> None:
    filled(path)
    asked: list[str] = []
    with closing(SQLiteBackend(path, LAYOUT)) as backend, backend._connection() as connection:
        connection.set_trace_callback(asked.append)
        LAYOUT.handlers["list_sessions"](
            connection, "local", ListSessions(status, source, 20, after), None
        )
        connection.set_trace_callback(None)
        (query,) = asked
        plan = [row[3] for row in connection.execute(f"explain query plan {query}")]
    assert not [step for step in plan if "SCAN" in step or "B-TREE" in step]


def test_the_file_is_the_owners_as_the_umask_says(path: Path) -> None:
    filled(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_readers_go_on_while_a_writer_holds_the_file(path: Path) -> None:
    before = filled(path)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute("begin immediate")
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(60)
    try:
        assert content_of(path) == before
    finally:
        leave.set()
        thread.join()
