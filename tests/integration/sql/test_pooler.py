"""Behind a transaction pooler: no state of one user reaches another, and nothing is relied on that
only one of the pooler's connections to the server knows."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import AsyncPostgresSessionStore, PostgresSessionStore, PromptSession
from tests.databases import ask
from tests.debian import pgbouncer
from tests.integration.sql.conftest import Query

USERS = 7
WORKERS = 20
SESSIONS_EACH = 4


@pytest.fixture(scope="module")
def pooler_url(stack: LocalSupabase) -> Iterator[str]:
    with pgbouncer(stack.database_url, pool_size=3) as url:
        yield url


def session_of(user: str) -> PromptSession:
    return PromptSession.create_new("prompt", original_input=f"of {user}")


def check(user: str, sessions: list[PromptSession], count: int) -> None:
    assert [session.original_input for session in sessions] == [f"of {user}"] * count


def names(prefix: str) -> list[str]:
    return [f"{prefix}{number % USERS}" for number in range(WORKERS)]


def expected(prefix: str, user: str) -> int:
    return SESSIONS_EACH * names(prefix).count(user)


def test_twenty_threads_of_seven_users(pooler_url: str, query: Query) -> None:
    with PostgresSessionStore(pooler_url, pool_size=WORKERS) as shared:

        def work(user: str) -> None:
            store = shared.for_user(user)
            for _ in range(SESSIONS_EACH):
                session = session_of(user)
                store.create(session)
                session.add_revision(session.revisions[0])
                store.update(session)
                assert store.get(session.session_id) == session
                found = store.list_all()
                check(user, found, len(found))

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(work, names("sync")))
        for user in set(names("sync")):
            check(user, shared.for_user(user).list_all(), expected("sync", user))
    servers = "select count(*) from pg_stat_activity where application_name = 'lift-sys'"
    assert query(servers)[0][0] <= 3


def test_twenty_tasks_of_seven_users(pooler_url: str) -> None:
    async def work(shared: AsyncPostgresSessionStore, user: str) -> None:
        store = shared.for_user(user)
        for _ in range(SESSIONS_EACH):
            session = session_of(user)
            await store.create(session)
            assert await store.get(session.session_id) == session
            found = await store.list_all()
            check(user, found, len(found))

    async def main() -> None:
        async with AsyncPostgresSessionStore(pooler_url, pool_size=WORKERS) as shared:
            await asyncio.gather(*(work(shared, user) for user in names("async")))
            for user in set(names("async")):
                check(user, await shared.for_user(user).list_all(), expected("async", user))

    asyncio.run(main())


def test_a_connection_is_handed_on_as_it_was(pooler_url: str, query: Query) -> None:
    with PostgresSessionStore(pooler_url, "ann", pool_size=1) as store:
        store.create(session_of("ann"))
    settings = ("role", "request.jwt.claims", "lift_sys.in_call", "statement_timeout")
    asked = ", ".join(f"current_setting('{name}', true)" for name in settings)
    for _ in range(3):
        assert ask(pooler_url, f"select {asked}") in (
            [("none", "", "", "0")],
            [("none", None, None, "0")],
        )


def test_what_another_store_prepared_is_in_nobodys_way(pooler_url: str) -> None:
    stores = [PostgresSessionStore(pooler_url, f"reader {number}") for number in range(8)]
    for store in stores * 3:  # three connections for eight stores: some meet what others prepared
        store.create(session_of(store.user_id))
    for store in stores:
        check(store.user_id, store.list_all(), 3)
        store.close()


def test_what_was_prepared_on_a_connection_that_is_gone(pooler_url: str, query: Query) -> None:
    with PostgresSessionStore(pooler_url, "dan") as store:
        for count in range(1, 4):
            store.create(session_of("dan"))
            check("dan", store.list_all(), count)
            query(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where application_name = 'lift-sys'"
            )
