"""Many at a time: threads, tasks and processes on one session and on many (G7, G15)."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial

import pytest

from lift_sys.spec_sessions import (
    AsyncSessionStore,
    PromptSession,
    SessionConflictError,
    SessionNotFoundError,
    SessionStore,
)
from lift_sys.testing import processes, samples
from lift_sys.testing.blocking import BlockingStore, submit
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import Capability, StoreHarness
from lift_sys.testing.linear import Event, append_in_turns, check_content, check_order
from lift_sys.testing.observe import at_once, content, error_of, exact, holds, stored, within


class Concurrency:
    """G15 and G7: threads, tasks and processes."""

    @guarantee("G7")
    @guarantee("G15")
    @pytest.mark.parametrize("writers", [2, 16])
    def test_of_the_writers_on_one_version_exactly_one_wins(
        self, harness: StoreHarness, writers: int
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        for round_ in range(2, 6):
            handles = [stored(store, session.session_id) for _ in range(writers)]
            outcomes = at_once(
                harness.patience, [partial(_won, store, handle) for handle in handles]
            )
            assert sorted(outcomes) == [False] * (writers - 1) + [True]
            (winner,) = [h for h, won in zip(handles, outcomes, strict=True) if won]
            assert winner.version == round_
            assert holds(store, winner)

    @guarantee("G15")
    @guarantee("G7")
    def test_threads_on_one_session_see_an_order(self, harness: StoreHarness) -> None:
        store = harness.store()
        (session_id,) = _sessions(store, 1)
        seen = at_once(
            harness.patience,
            [partial(append_in_turns, store, [session_id], f"{n}", 4) for n in range(6)],
        )
        _assert_in_order(store, [session_id], seen, acknowledged=6 * 4)

    @guarantee("G15")
    @guarantee("G7")
    def test_threads_with_stores_of_their_own_see_an_order(self, harness: StoreHarness) -> None:
        user = harness.user()
        store = harness.store(user)
        ids = _sessions(store, 3)
        stores = [harness.reopen(user) for _ in range(4)]
        seen = at_once(
            harness.patience,
            [partial(append_in_turns, own, ids, f"{n}", 3) for n, own in enumerate(stores)],
        )
        _assert_in_order(store, ids, seen, acknowledged=4 * 3)

    @guarantee("G15")
    def test_stores_that_meet_new_data_at_the_same_time_all_work(
        self, harness: StoreHarness
    ) -> None:
        user = harness.user()
        stores = [harness.reopen(user) for _ in range(8)]
        sessions = [samples.session(f"{number}") for number in range(8)]
        ids = at_once(
            harness.patience,
            [partial(s.create, session) for s, session in zip(stores, sessions, strict=True)],
        )
        for store in stores:
            assert sorted(s.session_id for s in store.list_all()) == sorted(ids)

    @guarantee("G15")
    def test_a_store_serves_fifty_threads(self, harness: StoreHarness) -> None:
        store = harness.store()
        ids = _sessions(store, 5)

        def work(number: int) -> dict[str, list[Event]]:
            own = samples.session(f"{number}")
            store.create(own)
            store.update(samples.grow(own))
            seen = append_in_turns(store, [ids[number % 5]], f"{number}", 1)
            assert holds(store, own)
            store.delete(own.session_id)
            assert store.get(own.session_id) is None
            return seen

        seen = at_once(harness.patience, [partial(work, number) for number in range(50)])
        _assert_in_order(store, ids, seen, acknowledged=10)
        assert len(store.list_all()) == 5

    @guarantee("G15")
    @guarantee("G7")
    def test_processes_on_the_same_sessions_see_an_order(self, harness: StoreHarness) -> None:
        harness.require(Capability.SHARED_BETWEEN_PROCESSES)
        user = harness.user()
        store = harness.store(user)
        ids = _sessions(store, 2)
        with processes.pool(2) as pool:
            started = [
                pool.submit(processes.append_elsewhere, harness.opener, user, ids, f"{n}", 8)
                for n in range(2)
            ]
            seen = [append_in_turns(store, ids, "here", 8)]
            seen += [future.result() for future in started]
        _assert_in_order(store, ids, seen, acknowledged=3 * 8)

    @guarantee("G8")
    @guarantee("G15")
    def test_processes_that_repeat_one_create_leave_one_copy(self, harness: StoreHarness) -> None:
        harness.require(Capability.SHARED_BETWEEN_PROCESSES)
        user = harness.user()
        store, session = harness.store(user), samples.session()
        with processes.pool(2) as pool:
            started = [
                pool.submit(
                    processes.create_elsewhere, harness.opener, user, session.to_dict(), "k"
                )
                for _ in range(4)
            ]
            assert {future.result() for future in started} == {session.session_id}
        assert [s.session_id for s in store.list_all()] == [session.session_id]

    @guarantee("G6")
    def test_a_process_killed_while_it_writes_leaves_whole_writes(
        self, harness: StoreHarness
    ) -> None:
        harness.require(Capability.SHARED_BETWEEN_PROCESSES)
        user = harness.user()
        store = harness.store(user)
        (session_id,) = _sessions(store, 1)
        got, acknowledged = stored(store, session_id), 1
        for _ in range(2):
            with processes.writing_elsewhere(harness.opener, user, session_id) as next_write:
                for _ in range(5):
                    acknowledged = next_write()
            got = stored(store, session_id)
            assert got.version >= acknowledged
            assert got.counts().each() == (20 * (got.version - 1) + 1,) * 3
        store.update(samples.grow(got))
        assert holds(store, got)

    @guarantee("G15")
    @guarantee("G19")
    def test_a_delete_among_writers_is_final(self, harness: StoreHarness) -> None:
        store = harness.store()
        for _ in range(5):
            (session_id,) = _sessions(store, 1)
            writers = _Deletion(store, session_id)
            at_once(harness.patience, [*[writers.write] * 4, writers.delete])
            assert store.get(session_id) is None
        assert store.list_all() == []

    @guarantee("G15")
    @guarantee("G10")
    def test_a_list_is_complete_while_others_write(self, harness: StoreHarness) -> None:
        store = harness.store()
        still = sorted(_sessions(store, 20))
        moving = _sessions(store, 3)
        done = threading.Event()

        def write() -> None:
            sessions = [stored(store, session_id) for session_id in moving]
            while not done.is_set():
                for session in sessions:
                    store.update(samples.grow(session))

        with ThreadPoolExecutor(1) as threads:
            writer = threads.submit(write)
            try:
                for _ in range(10):
                    found = [s.session_id for s in store.list_all()]
                    assert sorted(found) == sorted([*still, *moving])
                    assert len(store.list_page(limit=100).items) == 23
            finally:
                done.set()
            writer.result(harness.patience)

    @guarantee("G15")
    def test_a_reader_sees_whole_writes_alone(self, harness: StoreHarness) -> None:
        store = harness.store()
        (session_id,) = _sessions(store, 1)
        done = threading.Event()

        def write() -> None:
            session = stored(store, session_id)
            while not done.is_set():
                store.update(samples.grow(session))

        with ThreadPoolExecutor(1) as threads:
            writer = threads.submit(write)
            try:
                behind = got = stored(store, session_id)
                for _ in range(30):
                    for got in (
                        stored(store, session_id),
                        store.refresh(behind),
                        *store.list_all(),
                    ):
                        assert got.counts().each() == (got.version,) * 3
                    (item,) = store.list_page().items
                    counts = (item.revision_count, item.draft_count, item.hole_count)
                    assert counts == (item.version,) * 3
            finally:
                done.set()
            writer.result(harness.patience)

    @guarantee("G15")
    def test_a_slow_caller_keeps_nobody_waiting(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        if isinstance(store, BlockingStore):
            pytest.skip("an iterator that waits blocks the event loop, whatever the store does")
        store.create(session)
        begun, go_on = threading.Event(), threading.Event()

        def slowly() -> Iterator[PromptSession]:
            yield samples.session()
            begun.set()
            go_on.wait(harness.patience)
            yield samples.session()

        with ThreadPoolExecutor(1) as threads:
            creating = threads.submit(store.create_many, slowly())
            try:
                assert begun.wait(harness.patience)
                within(harness.patience, lambda: store.update(samples.grow(session)))
                assert within(harness.patience, lambda: len(store.list_all())) == 1
            finally:
                go_on.set()
            assert len(creating.result(harness.patience)) == 2

    @guarantee("G15")
    def test_a_caller_may_use_the_store_while_it_is_being_asked(
        self, harness: StoreHarness
    ) -> None:
        store = harness.store()
        if isinstance(store, BlockingStore):
            pytest.skip("an iterator cannot await")

        def asking() -> Iterator[PromptSession]:
            for number in range(3):
                assert len(store.list_all()) == 0
                yield samples.session(f"{number}")

        within(harness.patience, lambda: store.create_many(asking()))
        assert len(store.list_all()) == 3


class Tasks:
    """G15: an async store, its tasks, and what is left when one of them is cancelled."""

    @guarantee("G15")
    @guarantee("G7")
    def test_tasks_on_one_session_see_one_winner_each_time(self, harness: StoreHarness) -> None:
        store, raw = _asynchronous(harness)
        session = samples.session()
        store.create(session)

        async def write(number: int) -> int:
            conflicts = 0
            while True:
                got = await raw.get(session.session_id)
                assert got is not None
                try:
                    await raw.update(samples.grow(got, number))
                except SessionConflictError:
                    conflicts += 1
                else:
                    return conflicts

        async def all_at_once() -> None:
            await asyncio.gather(*(write(number) for number in range(2, 12)))

        submit(all_at_once()).result(harness.patience)
        got = stored(store, session.session_id)
        assert got.counts().each() == (11, 11, 11)
        assert got.version == 11

    @guarantee("G15")
    def test_fifty_tasks_are_served(self, harness: StoreHarness) -> None:
        store, raw = _asynchronous(harness)

        async def work(number: int) -> None:
            session = samples.session(f"{number}")
            await raw.create(session)
            await raw.update(samples.grow(session))
            assert exact(await raw.get(session.session_id)) == exact(session)
            await raw.list_page(limit=5)

        async def all_at_once() -> None:
            await asyncio.gather(*(work(number) for number in range(50)))

        submit(all_at_once()).result(harness.patience)
        assert {s.version for s in store.list_all()} == {2}

    @guarantee("G15")
    @guarantee("G6")
    @pytest.mark.parametrize("ticks", range(6))
    def test_a_cancelled_write_is_whole_or_absent_and_the_store_goes_on(
        self, harness: StoreHarness, ticks: int
    ) -> None:
        store, raw = _asynchronous(harness)
        session = samples.session()
        store.create(session)
        for _ in range(5):
            handle = samples.grow(stored(store, session.session_id))
            base = handle.version
            _cancel_after(ticks, partial(raw.update, handle), harness)
            got = within(harness.patience, partial(stored, store, session.session_id))
            assert got.counts().each() == (got.version,) * 3
            # The object agrees with what is stored, so that the caller can go on from it.
            assert handle.version == got.version
            assert got.version == base or exact(handle) == exact(got)
            within(harness.patience, partial(store.update, samples.grow(got)))

    @guarantee("G15")
    @pytest.mark.parametrize("ticks", range(4))
    def test_many_cancelled_calls_wedge_nothing(self, harness: StoreHarness, ticks: int) -> None:
        store, raw = _asynchronous(harness)
        session = samples.session()
        store.create(session)
        before = content(store)
        for _ in range(20):
            for read in (lambda: raw.get(session.session_id), raw.list_all, raw.list_page):
                _cancel_after(ticks, read, harness)
        for _ in range(20):
            _cancel_after(ticks, lambda: raw.create(samples.session()), harness)
        for found in within(harness.patience, store.list_all):
            if found.session_id != session.session_id:
                assert found.counts().each() == (1, 1, 1)
                store.delete(found.session_id)
        assert content(store) == before

    @guarantee("G15")
    @guarantee("G8")
    def test_a_cancelled_write_can_be_repeated_with_its_key(self, harness: StoreHarness) -> None:
        store, raw = _asynchronous(harness)
        session = samples.session()
        document = session.to_dict()
        for ticks in (1, 0, 2):
            copy = PromptSession.from_dict(document)
            _cancel_after(ticks, partial(raw.create, copy, idempotency_key="k"), harness)
        within(harness.patience, partial(store.create, session, idempotency_key="k"))
        assert [exact(s) for s in store.list_all()] == [exact(session)]


class _Deletion:
    """Writers on a session that is being deleted."""

    def __init__(self, store: SessionStore, session_id: str) -> None:
        self._store = store
        self._session = stored(store, session_id)
        self._deleted = threading.Event()

    def write(self) -> None:
        """Write until the session is gone, and check that it stays so."""
        session = samples.unknown_copy(self._session)
        while True:
            late = self._deleted.is_set()
            try:
                session = self._store.refresh(session)
                self._store.update(samples.grow(session))
            except SessionConflictError:
                assert not late
            except SessionNotFoundError:
                return
            else:
                assert not late

    def delete(self) -> None:
        """Delete the session, once somebody has written."""
        session_id = self._session.session_id
        while stored(self._store, session_id).version == self._session.version:
            pass
        self._store.delete(session_id)
        self._deleted.set()


def _asynchronous(harness: StoreHarness) -> tuple[SessionStore, AsyncSessionStore]:
    """Return a store and the async one that it adapts; skip where it is not async."""
    store = harness.store()
    if not isinstance(store, BlockingStore):
        pytest.skip("the store is sync: it has no tasks")
    return store, store.asynchronous


def _cancel_after(ticks: int, call: Callable[[], Awaitable[object]], harness: StoreHarness) -> bool:
    """Start a call as a task, let the loop turn so often, cancel it; return whether it was."""

    async def attempt() -> bool:
        task = asyncio.ensure_future(call())
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    future: Future[bool] = submit(attempt())
    try:
        return future.result(harness.patience)
    except (TimeoutError, CancelledError) as error:
        raise AssertionError("a cancelled call never ended") from error


def _won(store: SessionStore, handle: PromptSession) -> bool:
    base = handle.version
    error = error_of(partial(store.update, samples.grow(handle)))
    if error is None:
        return True
    assert isinstance(error, SessionConflictError)
    assert (error.expected_version, error.current_version) == (base, base + 1)
    return False


def _sessions(store: SessionStore, count: int) -> list[str]:
    return store.create_many(samples.session(f"{number}") for number in range(count))


def _assert_in_order(
    store: SessionStore, ids: list[str], seen: list[dict[str, list[Event]]], acknowledged: int
) -> None:
    """What each writer saw of each session fits together, and with what is stored."""
    for session_id in ids:
        events = [event for by_id in seen for event in by_id.get(session_id, [])]
        assert sum(event.wrote for event in events) == acknowledged
        check_order(events)
        check_content(events, stored(store, session_id))
