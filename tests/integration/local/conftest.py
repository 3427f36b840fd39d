"""One stack for the module's tests, with a small schema of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from lift_sys.local import LocalSupabase

SCHEMA = """
create table public.notes (
    id bigint generated always as identity primary key,
    user_id text not null default (auth.jwt() ->> 'sub'),
    body text not null
);
alter table public.notes enable row level security;
create policy notes_select on public.notes for select to authenticated
    using (user_id = (select auth.jwt() ->> 'sub'));
create policy notes_insert on public.notes for insert to authenticated
    with check (user_id = (select auth.jwt() ->> 'sub'));
grant select, insert on public.notes to authenticated, service_role;

create function public.add_note(body text) returns jsonb
language sql volatile set search_path = ''
as $$
    insert into public.notes (body) values (body) returning to_jsonb(notes)
$$;
create function public.whoami() returns jsonb
language sql stable set search_path = ''
as $$
    select jsonb_build_object(
        'role', current_user,
        'sub', auth.jwt() ->> 'sub',
        'timeout', current_setting('statement_timeout')
    )
$$;
create function public.many(n int) returns setof int
language sql stable set search_path = ''
as $$ select generate_series(1, n) $$;
create function public.snooze(seconds float) returns jsonb
language sql volatile set search_path = ''
as $$ select to_jsonb(true) from (select pg_sleep(seconds)) as slept $$;
"""


@pytest.fixture(scope="session")
def migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrations")
    (folder / "20260101000000_notes.sql").write_text(SCHEMA)
    return folder


@pytest.fixture(scope="session")
def stack(migrations: Path) -> Iterator[LocalSupabase]:
    with LocalSupabase(migrations=migrations) as stack:
        yield stack


@pytest.fixture
def client(stack: LocalSupabase) -> Iterator[httpx.Client]:
    """A bare HTTP client of user ``ann``."""
    headers = {"apikey": stack.anon_key, "authorization": f"Bearer {stack.jwt('ann')}"}
    with httpx.Client(base_url=f"{stack.url}/rest/v1", headers=headers, timeout=20) as client:
        yield client


@pytest.fixture
def count_notes(stack: LocalSupabase) -> Callable[[str], int]:
    """Counts the notes with a given body, past row-level security."""

    def count(body: str) -> int:
        answer = httpx.get(
            f"{stack.url}/rest/v1/notes",
            params={"body": f"eq.{body}", "select": "id"},
            headers={"apikey": stack.service_key},
        )
        return len(answer.json())

    return count
