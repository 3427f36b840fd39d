"""Many threads, many tasks, cancelled tasks, forks and loops on one store (G15)."""

import asyncio
import multiprocessing
import uuid
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from lift_sys.spec_sessions import (
    SessionConflictError,
    SessionStoreError,
    StoreUnavailableError,
)
from tests.integration.servers.conftest import Service, fresh
from tests.integration.servers.load import wait_for
from tests.integration.servers.sessions import (
    revision,
    session,
    stored_revisions,
    stored_version,
)


def test_fifty_threads_on_one_store(service: Service) -> None:
    store = service.sync_store()

    def work(number: int) -> None:
        known = session(text=f"thread {number}")
        store.create(known)
        for write in range(4):
            known.add_revision(revision(f"thread {number}, write {write}"))
            store.update(known)
            assert store.get(known.session_id) == known

    with ThreadPoolExecutor(50) as threads:
        list(threads.map(work, range(50)))
    assert len(store.list_all()) == 50


def test_of_fifty_threads_on_one_version_one_wins(
    service: Service, owner: psycopg.Connection
) -> None:
    store = service.sync_store()
    known = session()
    store.create(known)
    copies = [store.get(known.session_id) for _ in range(50)]

    def work(number: int) -> tuple[int, int]:
        mine = copies[number]
        assert mine is not None
        mine.add_revision(revision(f"thread {number}"))
        try:
            store.update(mine)
        except SessionConflictError as error:
            return error.expected_version, error.current_version
        return 0, 0

    with ThreadPoolExecutor(50) as threads:
        ends = sorted(threads.map(work, range(50)))
    assert ends == [(0, 0)] + [(1, 2)] * 49
    assert len(stored_revisions(owner, known.session_id)) == 2


def test_two_hundred_tasks_on_one_store(service: Service) -> None:
    store = service.async_store()

    async def work(number: int) -> None:
        known = session(text=f"task {number}")
        await store.create(known)
        known.add_revision(revision("second"))
        await store.update(known)
        assert await store.get(known.session_id) == known

    async def main() -> None:
        async with store:
            await asyncio.gather(*map(work, range(200)))
            assert len(await store.list_all()) == 200

    service.loop.run(main())


async def _cancelled(work: Coroutine[Any, Any, Any], moment: float) -> bool:
    """Cancel `work` after so many seconds, or turns of the loop; say whether it was in time."""
    task = asyncio.ensure_future(work)
    if moment < 0:
        for _ in range(int(-moment)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(moment)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return task.cancelled()


MOMENTS = [*range(-12, 0), *(milliseconds / 2_000 for milliseconds in range(24))]


def test_a_cancelled_write_is_known_to_its_object(
    service: Service, owner: psycopg.Connection
) -> None:
    store = service.async_store(**_small(service))
    known = session()

    async def main() -> list[bool]:
        await store.create(known)
        cancelled = []
        for moment in MOMENTS:
            known.add_revision(revision(f"{moment}"))
            before = known.version
            cancelled.append(await _cancelled(store.update(known), moment))
            assert known.version == stored_version(owner, known.session_id)
            if known.version == before:  # it never began; the revision goes with the next one
                assert moment == -1 or cancelled[-1]
        assert _nothing_is_lent(service, store)
        known.metadata["end"] = True
        await asyncio.wait_for(store.update(known), 10)
        assert await store.get(known.session_id) == known
        await store.close()
        return cancelled

    assert sum(service.loop.run(main())) > 5


def test_a_cancelled_read_leaves_a_store_that_works(
    service: Service, owner: psycopg.Connection
) -> None:
    store = service.async_store(**_small(service))
    known = session(300)

    async def main() -> list[bool]:
        await store.create(known)
        cancelled = [
            await _cancelled(store.get(known.session_id), moment)
            for moment in MOMENTS
            for _ in range(3)
        ]
        assert _nothing_is_lent(service, store)
        found = await asyncio.wait_for(store.get(known.session_id), 10)
        assert found == known
        await store.close()
        return cancelled

    assert sum(service.loop.run(main())) > 5


def _small(service: Service) -> dict[str, Any]:
    # Two leaked connections would be the end of it.
    return {"pool_size": 2} if service.kind == "postgres" else {}


def _nothing_is_lent(service: Service, store: Any) -> bool:
    if service.kind == "postgres":
        return bool(store._backend._pools.get()._turns._free._value == 2)
    return bool(store._backend._links.get()._under_way == 0)


def test_a_read_cancelled_while_the_server_is_slow_ends_at_once(
    service: Service, owner: psycopg.Connection
) -> None:
    store = service.async_store()

    async def main() -> None:
        await store.get("warm")
        with owner.transaction():
            owner.execute("lock table public.sessions in access exclusive mode")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(store.get("any"), 0.2)
        assert await store.get("any") is None
        await store.close()

    service.loop.run(main())


def test_closing_under_load_ends_every_call_one_way_or_the_other(
    service: Service, owner: psycopg.Connection
) -> None:
    store = service.sync_store()
    acknowledged: list[str] = []
    refused: list[SessionStoreError] = []

    def work(_: int) -> None:
        try:
            while True:
                acknowledged.append(store.create(session()))
        except SessionStoreError as error:
            refused.append(error)

    with ThreadPoolExecutor(16) as threads:
        pending = [threads.submit(work, number) for number in range(16)]
        wait_for(lambda: len(acknowledged) > 50, "fifty writes")
        store.close()
        for one in pending:
            one.result(20)
    assert {type(error).__name__ for error in refused} == {"StoreClosedError"}
    query = "select count(*) from public.sessions where id = any(%s)"
    assert owner.execute(query, [acknowledged]).fetchone() == (len(acknowledged),)
    query = "select count(*) from public.sessions where user_id = %s"
    assert owner.execute(query, [store.user_id]).fetchone() == (len(acknowledged),)


def test_closing_an_async_store_lets_the_calls_under_way_end(service: Service) -> None:
    store = service.async_store()

    async def main() -> list[Any]:
        await store.get("warm")
        calls = [asyncio.ensure_future(store.create(session())) for _ in range(40)]
        await asyncio.sleep(0.01)
        await store.close()
        return await asyncio.gather(*calls, return_exceptions=True)

    ends = service.loop.run(main())
    assert {type(end).__name__ for end in ends} <= {"str", "StoreClosedError"}
    assert any(isinstance(end, str) for end in ends)


def _in_a_child(store: Any, results: Any) -> None:
    known = store.get("known")
    known.add_revision(revision("child"))
    store.update(known)
    results.put([one.content for one in known.revisions])


def test_a_forked_child_and_its_parent_do_not_share_connections(service: Service) -> None:
    store = service.sync_store()
    known = session()
    known.session_id = "known"
    store.create(known)
    context: Any = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    children = [context.Process(target=_in_a_child, args=[store, results]) for _ in range(2)]
    for number, child in enumerate(children):
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert results.get() == ["word"] + ["child"] * (number + 1)
    with service.counted() as count:
        assert [one.content for one in store.refresh(known).revisions] == ["word", "child", "child"]
    assert count() == 1


def test_an_async_store_outlives_its_loop(service: Service) -> None:
    # What Supabase's HTTP client left open in the first loop nobody can close any more.
    store = service.async_store()
    known = session()

    async def first() -> None:
        await store.create(known)
        if service.kind == "supabase":
            await store._backend._links.get()._http.aclose()

    async def second() -> None:
        async with store:
            assert await store.get(known.session_id) == known

    asyncio.run(first())
    asyncio.run(second())


def test_an_async_store_in_two_loops_at_once_is_refused(service: Service) -> None:
    store = service.async_store()
    service.loop.run(store.get("any"))
    with pytest.raises(StoreUnavailableError, match="another event loop"):
        asyncio.run(store.get("any"))
    service.loop.run(store.close())


@pytest.mark.parametrize("service", ["postgres"], indirect=True)
def test_connections_end_with_their_store(service: Service, owner: psycopg.Connection) -> None:
    name = f"test-{uuid.uuid4()}"
    url = f"{service.stack.authenticator_url}?application_name={name}"
    store = type(service.sync_store())(url, fresh())  # type: ignore[call-arg]  # a Postgres store
    store.get("any")
    query = "select count(*) from pg_stat_activity where application_name = %s"
    assert owner.execute(query, [name]).fetchone() == (1,)
    store.close()
    wait_for(lambda: owner.execute(query, [name]).fetchone() == (0,), "the end of the connection")
