"""Costs that do not grow: what is read for a page, an append, a clean-up, and what is stored."""

import base64
import json
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from lift_sys.backends.migrations import migrate_up, packaged_migrations
from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import PostgresSessionStore, PromptRevision, PromptSession
from tests.databases import ask, scratch_database

USER = "ann"
MANY = 20_000


@pytest.fixture(scope="module")
def crowded(stack: LocalSupabase) -> Iterator[str]:
    """A database in which a user has very many sessions, and others have as many."""
    with scratch_database(stack.database_url) as url:
        migrate_up(url, packaged_migrations())
        ask(
            url,
            f"""
            insert into public.sessions (user_id, id, status, source, updated_at, original_input)
            select case when i % 2 = 0 then '{USER}' else 'user-' || i % 100 end,
                'session-' || i,
                case when i % 1000 = 0 then 'abandoned' else 'active' end,
                case when i % 5000 = 0 then 'code' else 'prompt' end,
                now() - i * interval '1 second',
                repeat('word ', 100)
            from generate_series(1, {2 * MANY}) as i
            """,
        )
        yield url


def buffers(url: str, call: str, *, role: str | None) -> int:
    """Return how many pages of tables and indexes a call reads, once its plans are made."""
    with psycopg.connect(url, autocommit=True) as connection, connection.transaction():
        if role is not None:
            connection.execute(f"set local role {role}")
        claims = json.dumps({"sub": USER})
        connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        for _ in range(5):  # from then on the plan is the general one
            connection.execute(f"select {call}")
        return pages_read(connection, call)


def pages_read(connection: psycopg.Connection[Any], call: str) -> int:
    rows = connection.execute(f"explain (analyze, buffers, timing off, costs off) select {call}")
    plan = "\n".join(row[0] for row in rows).partition("Planning:")[0]
    return sum(int(pages) for pages in re.findall(r"(?:hit|read)=(\d+)", plan))


def listed(**narrowed: Any) -> str:
    arguments = {"status": None, "source": None, "limit": 21, "after": None} | narrowed
    return f"public.list_sessions_v1('{USER}', '{json.dumps(arguments)}')"


@pytest.mark.parametrize("role", ["authenticated", None])
@pytest.mark.parametrize(
    "narrowed",
    [
        {},
        {"status": "abandoned"},
        {"source": "code"},
        {"status": "finalized", "source": "code"},
        {"after": {"updated_at": "2020-01-01T00:00:00Z", "session_id": "s"}},
    ],
    ids=str,
)
def test_a_page_of_a_list_reads_no_more_than_it_shows(
    crowded: str, role: str | None, narrowed: dict[str, Any]
) -> None:
    # Six runs of the index, a row for each session shown, and their beginnings.
    assert buffers(crowded, listed(**narrowed), role=role) < 6 * 21 + 60


@pytest.mark.parametrize("role", ["authenticated", None])
def test_one_session_costs_a_few_pages_among_very_many(crowded: str, role: str | None) -> None:
    call = f"""public.get_session_v1('{USER}', '{{"session_id": "session-200"}}')"""
    assert buffers(crowded, call, role=role) < 30


def test_plans_made_on_empty_tables_stay_good(scratch: str) -> None:
    """A connection keeps its plans while the tables grow, and nobody analyses them meanwhile."""
    with psycopg.connect(scratch, autocommit=True) as connection:
        claims = json.dumps({"sub": USER})
        connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])
        connection.execute("set role authenticated")
        for _ in range(10):
            connection.execute(f"select {listed()}")
        ask(
            scratch,
            "alter table public.sessions set (autovacuum_enabled = off);"
            "insert into public.sessions (user_id, id, status, source, updated_at)"
            f" select '{USER}', 's' || i, 'active', 'prompt', now() - i * interval '1 second'"
            f" from generate_series(1, {MANY}) i",
        )
        assert pages_read(connection, listed()) < 6 * 21 + 100


def text(size: int) -> str:
    """Return text that cannot be compressed."""
    return base64.b64encode(os.urandom(size)).decode()[:size]


def append(session: PromptSession, content: str) -> None:
    session.add_revision(
        PromptRevision(timestamp=session.updated_at, content=content, revision_type="manual_edit")
    )


def test_a_thousand_appends_take_little_more_room_than_their_content(scratch: str) -> None:
    size = "select pg_database_size(current_database())"
    ask(scratch, "checkpoint")
    before = ask(scratch, size)[0][0]
    count = 1000
    with PostgresSessionStore(scratch, "7c9e6679-7425-40de-944b-e07fc1f90ae7") as store:
        session = PromptSession.create_new("prompt", original_input="x")
        store.create(session)
        for _ in range(count):
            append(session, text(2048))
            store.update(session)
        assert store.get(session.session_id) == session
    ask(scratch, "checkpoint")
    content = count * 2048
    # Rows, indexes and whatever is dead; a few empty maps of new tables weigh more at first.
    assert (ask(scratch, size)[0][0] - before - 300_000) / content < 1.6


def test_large_sessions_are_loaded_in_pages_that_fit(scratch: str) -> None:
    with PostgresSessionStore(scratch, USER) as store:
        for number in range(5):
            session = PromptSession.create_new("prompt", original_input=text(20_000))
            session.session_id = f"s{number}"
            store.create(session)
            append(session, text(20_000))
            store.update(session)
    sizes = ask(scratch, "select distinct item_bytes between 40000 and 41000 from public.sessions")
    assert sizes == [(True,)]
    ask(scratch, "update public.sessions set item_bytes = 7 * 1024 * 1024")
    pages, after = [], None
    while True:
        arguments = json.dumps({"status": None, "after_id": after})
        ((page,),) = ask(scratch, "select public.load_sessions_v1(%s, %s)", USER, arguments)
        pages.append(len(page["sessions"]))
        if (after := page["next_after_id"]) is None:
            break
    assert pages == [3, 2]


OLD_KEYS = """
    insert into lift_sys_internal.session_writes (user_id, key, call, fingerprint, written_at)
    select 'gone', 'k' || i, 'delete_session', '', now() - interval '26 hours'
    from generate_series(1, %s) i
"""
COUNT_KEYS = "select count(*) from lift_sys_internal.session_writes where user_id = 'gone'"


def test_old_keys_go_bit_by_bit_also_those_of_users_who_are_gone(scratch: str) -> None:
    ask(scratch, OLD_KEYS, 2000)
    left = [2000]
    with PostgresSessionStore(scratch, USER) as store:
        while left[-1] > 0:
            assert len(left) < 2000, "clean-up keeps pace with writes"
            store.delete("none")
            left.append(ask(scratch, COUNT_KEYS)[0][0])
    assert max(before - after for before, after in pairwise(left)) == 100


def test_a_key_is_free_again_after_a_day(scratch: str) -> None:
    with PostgresSessionStore(scratch, USER) as store:
        one, other = (PromptSession.create_new("prompt", original_input=x) for x in "ab")
        store.create(one, idempotency_key="k")
        ask(
            scratch,
            "update lift_sys_internal.session_writes set written_at = now() - interval '24 h 1 s'",
        )
        store.create(other, idempotency_key="k")
        assert len(store.list_all()) == 2
