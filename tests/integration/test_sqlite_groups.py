"""Writes to SQLite that share a transaction: each its own outcome, all on disk when answered."""

import asyncio
import gc
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from lift_sys.backends import sqlite
from lift_sys.backends.call import Call, User
from lift_sys.backends.groups import Job
from lift_sys.backends.sqlite import SQLiteBackend
from lift_sys.spec_sessions import (
    AsyncSQLiteSessionStore,
    OutcomeUnknownError,
    PromptRevision,
    PromptSession,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
    SQLiteSessionStore,
    StoreClosedError,
    StoreUnavailableError,
    operations,
)
from lift_sys.spec_sessions.sqlite_sessions import LAYOUT
from tests.integration.processes import forked, output, start

USER = User("local")


class Traced(SQLiteBackend):
    """Notes the statements of its transactions."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.statements: list[str] = []
        super().__init__(*arguments, **options)

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_trace_callback(self.statements.append)
        return connection

    def count(self, statement: str) -> int:
        return sum(each.lower().startswith(statement) for each in self.statements)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def backend(path: Path) -> Iterator[Traced]:
    with closing(Traced(path, LAYOUT, 0.2)) as backend:
        run(backend, creation("stored"))
        backend.statements.clear()
        yield backend


def creation(*ids: str, key: str | None = None) -> Job:
    sessions = [PromptSession(session_id=each) for each in ids]
    return Job(next(operations.create_many("", sessions, key)), USER)


def update(session_id: str, version: int = 1) -> Job:
    session = PromptSession(session_id=session_id, version=version)
    return Job(next(operations.update("", session, None)), USER)


def deletion(session_id: str) -> Job:
    return Job(next(operations.delete(session_id)), USER)


def run(backend: SQLiteBackend, job: Job) -> Any:
    return backend.execute(job.call, job.user)


def ids_in(path: Path) -> set[str]:
    with SQLiteSessionStore(path) as store:
        return {session.session_id for session in store.list_all()}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every writer waiting."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield
        other.execute("commit")


def told(job: Job) -> Any:
    assert job.done
    return job.answer if job.error is None else type(job.error)


class TestOneTransaction:
    """What a group does and leaves."""

    def test_each_write_gets_what_it_would_have_got_alone(
        self, backend: Traced, path: Path
    ) -> None:
        jobs = [
            creation("one"),
            update("one"),  # of what came before it in the same group
            update("one"),
            creation("two", "stored", "three"),
            update("nobody's"),
            (keyed := creation("four", key="key")),
            Job(keyed.call, USER),
            deletion("stored"),
            creation("stored"),
        ]
        backend.carry_out(jobs)
        assert list(map(told, jobs)) == [
            ["one"],
            2,
            SessionConflictError,
            SessionExistsError,
            SessionNotFoundError,
            ["four"],
            ["four"],
            None,
            ["stored"],
        ]
        assert backend.count("commit") == 1
        assert ids_in(path) == {"one", "four", "stored"}

    def test_a_write_that_is_alone_has_no_savepoint(self, backend: Traced) -> None:
        job = creation("one")
        backend.carry_out([job])
        assert told(job) == ["one"]
        assert backend.count("savepoint") == 0

    @pytest.mark.parametrize(
        "harm",
        [
            "select nonsense",
            "insert into sessions (key) values (1)",
            "rollback",  # as SQLite does by itself where the disk is full
            None,
        ],
    )
    def test_what_one_breaks_is_not_put_down_to_the_others(
        self, path: Path, harm: str | None
    ) -> None:
        def broken(db: sqlite3.Connection, *_: Any) -> None:
            db.execute("delete from sessions")
            if harm is not None:
                db.execute(harm)
            raise AssertionError

        layout = replace(LAYOUT, handlers={**LAYOUT.handlers, "broken": broken})
        bad: Call[Any] = Call("broken", None, str, writes=True)
        jobs = [creation("one"), Job(bad, USER), creation("two"), creation("one")]
        with closing(Traced(path, layout)) as backend:
            backend.carry_out(jobs)
            assert isinstance(jobs[1].error, Exception)
            assert type(jobs[1].error) is type(_error(backend, jobs[1]))
            del jobs[1]
            assert list(map(told, jobs)) == [["one"], ["two"], SessionExistsError]
        assert ids_in(path) == {"one", "two"}

    def test_a_group_ends_after_a_while_and_leaves_the_rest_untouched(
        self, backend: Traced, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "GROUP_SECONDS", 0)
        jobs = [creation("one"), creation("two"), creation("three")]
        backend.carry_out(jobs)
        assert [job.done for job in jobs] == [True, False, False]
        assert ids_in(path) == {"stored", "one"}

    def test_a_locked_file_fails_all_of_them_after_one_wait(
        self, backend: Traced, path: Path
    ) -> None:
        jobs = [creation(f"{number}") for number in range(20)]
        with locked(path):
            begun = monotonic()
            backend.carry_out(jobs)
            assert monotonic() - begun < 2
        assert {told(job) for job in jobs} == {StoreUnavailableError}
        assert len({id(job.error) for job in jobs}) == len(jobs)  # each is raised elsewhere
        assert all(isinstance(job.error.__cause__, sqlite3.Error) for job in jobs if job.error)
        assert ids_in(path) == {"stored"}

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            (sqlite3.SQLITE_IOERR, OutcomeUnknownError),
            (sqlite3.SQLITE_IOERR | 5 << 8, OutcomeUnknownError),  # IOERR_DIR_FSYNC
            (sqlite3.SQLITE_FULL, StoreUnavailableError),
        ],
    )
    @pytest.mark.parametrize("count", [1, 3])
    def test_a_commit_that_fails_is_everybodys(
        self, path: Path, code: int, error: type[Exception], count: int
    ) -> None:
        with closing(Failing(path, LAYOUT)) as backend:
            run(backend, creation("stored"))
            backend.code = code
            jobs = [creation(f"{number}") for number in range(count)]
            backend.carry_out(jobs)
            assert [told(job) for job in jobs] == [error] * count
            assert len({id(job.error) for job in jobs}) == count
            backend.code = 0
            run(backend, creation("after"))
        assert ids_in(path) == {"stored", "after"}


def _error(backend: SQLiteBackend, job: Job) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it is
        run(backend, job)
    return caught.value


class Failing(SQLiteBackend):
    """A disk that does not take a commit."""

    code = 0

    def _connect(self) -> sqlite3.Connection:
        backend = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                if statement == "commit" and backend.code:
                    error = sqlite3.OperationalError("planted")
                    error.sqlite_errorcode = backend.code
                    raise error
                return super().execute(statement, *values)

        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, factory=Connection
        )
        assert isinstance(connection, Connection)
        return connection


class TestThreads:
    """Several threads that write by one store."""

    def test_those_who_wait_share_a_commit(self, path: Path) -> None:
        backend = Traced(path, LAYOUT, 60)
        with closing(backend), ThreadPoolExecutor(20) as threads:
            run(backend, creation("stored"))
            backend.statements.clear()
            with locked(path):
                jobs = [creation(f"{number}") for number in range(20)]
                answers = [threads.submit(run, backend, job) for job in jobs]
                while len(backend._writers._waiting) < 19:
                    threading.Event().wait(0.001)
            assert [answer.result(60) for answer in answers] == [[f"{n}"] for n in range(20)]
            assert backend.count("commit") == 2  # who came first, and all the others

    def test_who_waits_too_long_is_told_and_not_carried_out(self, path: Path) -> None:
        with closing(Traced(path, LAYOUT, 0.2)) as backend, ThreadPoolExecutor(5) as threads:
            run(backend, creation("stored"))
            with locked(path):
                answers = [threads.submit(run, backend, creation(f"{n}")) for n in range(5)]
                for answer in answers:
                    assert isinstance(answer.exception(60), StoreUnavailableError)
            run(backend, creation("after"))
        assert ids_in(path) == {"stored", "after"}

    def test_closing_lets_those_who_wait_end(self, path: Path) -> None:
        store = SQLiteSessionStore(path)
        store.create(PromptSession(session_id="stored"))
        backend: Any = store._backend
        with ThreadPoolExecutor(5) as threads:
            with locked(path):
                answers = [
                    threads.submit(store.create, PromptSession(session_id=f"{number}"))
                    for number in range(5)
                ]
                while len(backend._writers._waiting) < 4:
                    threading.Event().wait(0.001)
                store.close()
            assert [answer.result(60) for answer in answers] == ["0", "1", "2", "3", "4"]
        assert not backend._idle

    def test_a_fork_while_writers_wait_is_a_new_line(self, path: Path) -> None:
        with SQLiteSessionStore(path, timeout=30) as store, ThreadPoolExecutor(3) as threads:
            store.create(PromptSession(session_id="stored"))
            backend: Any = store._backend
            with locked(path):
                answers = [
                    threads.submit(store.create, PromptSession(session_id=f"{number}"))
                    for number in range(3)
                ]
                while len(backend._writers._waiting) < 2:
                    threading.Event().wait(0.001)
                assert forked(lambda: len(backend._writers._waiting)) == 0
            assert forked(lambda: store.create(PromptSession(session_id="child"))) == "child"
            for answer in answers:
                answer.result(60)
        assert ids_in(path) == {"stored", "child", "0", "1", "2"}

    @pytest.mark.parametrize("waits", ["for the file", "in the line"])
    def test_an_interrupt_ends_one_write_and_no_other(self, path: Path, waits: str) -> None:
        program = f"""
import os, signal, sqlite3, sys, threading
from lift_sys.spec_sessions import *
store = SQLiteSessionStore(sys.argv[1])
store.create(PromptSession(session_id="stored"))
other = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
other.execute("begin immediate")
line = store._backend._writers

def until(condition):
    while not condition():
        threading.Event().wait(0.001)

def create(name):
    store.create(PromptSession(session_id=name))

def rest():
    until(lambda: line._led if {waits == "for the file"} else line._waiting)
    writers = [threading.Thread(target=create, args=(name,)) for name in "bc"]
    for writer in writers:
        writer.start()
    until(lambda: len(line._waiting) >= 2)
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(0.2)
    other.execute("commit")
    for writer in writers:
        writer.join()

if {waits == "in the line"}:
    first = threading.Thread(target=create, args=("a",))
    first.start()
    until(lambda: line._led)
helper = threading.Thread(target=rest)
helper.start()
try:
    create("interrupted")
except KeyboardInterrupt:
    print("interrupted")
helper.join()
create("after")
print(sorted({{s.session_id for s in store.list_all()}} - {{"interrupted"}}))
"""
        interrupted, ids = output(start(program, path)).splitlines()
        assert interrupted == "interrupted"
        expected = ["after", "b", "c", "stored"] + ["a"] * (waits == "in the line")
        assert ids == str(sorted(expected))


def tasks(store: AsyncSQLiteSessionStore, count: int) -> "list[asyncio.Task[str]]":
    return [
        asyncio.create_task(store.create(PromptSession(session_id=f"{number}")))
        for number in range(count)
    ]


async def all_begun(store: AsyncSQLiteSessionStore) -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class TestTasks:
    """Several tasks that write by one store."""

    def test_those_who_wait_share_a_commit(self, path: Path) -> None:
        async def scenario() -> None:
            async with AsyncSQLiteSessionStore(path) as store:
                traced = Traced(path, LAYOUT, 60)
                backend: Any = store._backend
                backend._backend = traced
                backend.begin_anew()
                await store.create(PromptSession(session_id="stored"))
                traced.statements.clear()
                with locked(path):
                    created = tasks(store, 50)
                    await all_begun(store)
                assert await asyncio.gather(*created) == [f"{n}" for n in range(50)]
                assert traced.count("commit") <= 2

        asyncio.run(scenario())

    def test_closing_lets_those_who_wait_end_and_refuses_the_next(self, path: Path) -> None:
        async def scenario() -> None:
            store = AsyncSQLiteSessionStore(path)
            await store.create(PromptSession(session_id="stored"))
            with locked(path):
                created = tasks(store, 20)
                await all_begun(store)
                closing_ = asyncio.create_task(store.close())
                await all_begun(store)
            assert await asyncio.gather(*created) == [f"{n}" for n in range(20)]
            await closing_
            with pytest.raises(StoreClosedError):
                await store.create(PromptSession.create_new())
            backend: Any = store._backend
            with pytest.raises(StoreClosedError):
                await backend.execute(creation("late").call, USER)

        asyncio.run(scenario())
        assert len(ids_in(path)) == 21

    def test_a_cancelled_task_takes_nobody_along(self, path: Path) -> None:
        async def scenario() -> None:
            async with AsyncSQLiteSessionStore(path) as store:
                await store.create(PromptSession(session_id="stored"))
                with locked(path):
                    created = tasks(store, 10)
                    await all_begun(store)
                    for task in created[::2]:
                        task.cancel()
                        task.cancel()
                answers = await asyncio.gather(*created, return_exceptions=True)
                assert answers[1::2] == ["1", "3", "5", "7", "9"]
                assert {type(answer) for answer in answers[::2]} == {asyncio.CancelledError}

        asyncio.run(scenario())
        assert len(ids_in(path)) == 11  # a write under way comes to its end

    def test_a_loop_that_is_gone_ends_no_other(self, path: Path) -> None:
        store = AsyncSQLiteSessionStore(path)
        asyncio.run(store.create(PromptSession(session_id="stored")))
        backend: Any = store._backend
        with locked(path):
            loop = asyncio.new_event_loop()

            async def begin() -> None:
                backend.execute(creation("abandoned").call, USER)

            loop.run_until_complete(begin())
            loop.close()
        asyncio.run(store.create(PromptSession(session_id="after")))
        asyncio.run(store.close())
        assert ids_in(path) == {"stored", "abandoned", "after"}

    def test_a_store_that_nobody_closed_leaves_no_thread(self, path: Path) -> None:
        def writers() -> list[threading.Thread]:
            return [thread for thread in threading.enumerate() if "writer" in thread.name]

        before = writers()
        store = AsyncSQLiteSessionStore(path)
        asyncio.run(store.create(PromptSession(session_id="s")))
        (thread,) = set(writers()) - set(before)
        del store
        gc.collect()
        thread.join(60)
        assert not thread.is_alive()

    def test_an_exit_with_writes_that_nobody_awaits_carries_them_out(self, path: Path) -> None:
        program = """
import asyncio, sys
from lift_sys.backends.call import User
from lift_sys.spec_sessions import *
from lift_sys.spec_sessions import operations
store = AsyncSQLiteSessionStore(sys.argv[1])
async def begin():
    for number in range(20):
        session = PromptSession(session_id=f"{number}")
        call = next(operations.create_many("", [session], None))
        store._backend.execute(call, User("local"))
asyncio.run(begin())
"""
        assert output(start(program, path)) == ""
        assert len(ids_in(path)) == 20

    def test_kill_9_loses_nothing_acknowledged(self, path: Path) -> None:
        program = """
import asyncio, sys
from lift_sys.spec_sessions import *
async def write(store, name):
    session = PromptSession(session_id=name)
    await store.create(session)
    while True:
        revision = PromptRevision(
            timestamp="2026-01-01T00:00:00Z",
            content=f"{session.version + 1} " * 300,
            revision_type="manual_edit",
        )
        session.add_revision(revision)
        await store.update(session)
        print(name, session.version, flush=True)
async def main():
    store = AsyncSQLiteSessionStore(sys.argv[1])
    await asyncio.gather(*(write(store, name) for name in "abcdefgh"))
asyncio.run(main())
"""
        writer = start(program, path)
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(80)]
        writer.kill()
        rest, err = writer.communicate()
        assert (writer.returncode, err) == (-signal.SIGKILL, "")
        lines += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = {name: int(version) for name, version in map(str.split, lines)}
        with SQLiteSessionStore(path) as store:
            for session in store.list_all():
                version = acknowledged[session.session_id]
                assert session.version in (version, version + 1)
                assert [r.content for r in session.revisions] == [
                    f"{version} " * 300 for version in range(2, session.version + 1)
                ]


def test_many_threads_on_one_session_have_one_winner_a_version(path: Path) -> None:
    """The fence holds inside of a group too."""
    with SQLiteSessionStore(path) as store, ThreadPoolExecutor(16) as threads:
        shared = store.create(PromptSession.create_new())

        def attempt() -> int:
            session = store.get(shared)
            assert session is not None
            session.add_revision(
                PromptRevision(
                    timestamp="2026-01-01T00:00:00Z", content="x", revision_type="manual_edit"
                )
            )
            try:
                store.update(session)
            except SessionConflictError:
                return 0
            return session.version

        won = [version for version in threads.map(lambda _: attempt(), range(200)) if version]
        assert sorted(won) == list(range(2, 2 + len(won)))
        session = store.get(shared)
        assert session is not None
        assert (session.version, len(session.revisions)) == (1 + len(won), len(won))
