"""What the checkers of SQL say of the migrations: nothing. And each reports a planted defect."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lift_sys.backends.migrations import packaged_migrations
from lift_sys.local.binaries import supabase_cli
from tests.databases import ask

FOLDER = packaged_migrations()
FILES = sorted(FOLDER.glob("*.sql"))
OURS = "('public', 'lift_sys_internal')"
# A domain without constraints is its base type: nothing is converted.
CAST_TO_DOMAIN = """'cast "json" value to "lift_sys_internal."application/json"" type'"""
CHECK_FUNCTIONS = f"""
    select p.proname, f.lineno, f.message
    from pg_proc as p
    cross join lateral extensions.plpgsql_check_function_tb(
        p.oid, extra_warnings => true, performance_warnings => true, security_warnings => true,
        compatibility_warnings => true
    ) as f
    where p.pronamespace::regnamespace::text in {OURS}
        and p.prolang = (select oid from pg_language where lanname = 'plpgsql')
        and f.detail is distinct from {CAST_TO_DOMAIN}
"""
MISSING_INDEXES = f"""
    select c.conname
    from pg_constraint as c
    where c.contype = 'f' and c.connamespace::regnamespace::text in {OURS}
        and not exists (
            select from pg_index as i
            where i.indrelid = c.conrelid
                and (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(c.conkey)]
                    = c.conkey
        )
"""
DUPLICATE_INDEXES = f"""
    select i.indexrelid::regclass::text, j.indexrelid::regclass::text
    from pg_index as i
    join pg_index as j on j.indrelid = i.indrelid and j.indexrelid <> i.indexrelid
    join pg_class as c on c.oid = i.indrelid
    where c.relnamespace::regnamespace::text in {OURS}
        and j.indkey::text || ' ' like i.indkey::text || ' %'
"""


def squawk(*files: Path) -> list[str]:
    """Return the rules that the files break, judged as one transaction each."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("squawk"),
            "--assume-in-transaction",
            "--pg-version=15.0",
            "--reporter=json",
            # Versions and positions end at 2**31 - 1 on every backend (models.MAX_COUNT).
            "--exclude=prefer-bigint-over-int",
            *files,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return [finding["rule_name"] for finding in json.loads(done.stdout)]


def advisors(url: str) -> set[str]:
    """Return the names of Supabase's own lints that a database breaks."""
    done = subprocess.run(
        [
            supabase_cli(), "db", "advisors", f"--remote={url}", "--level=warn",
            "--output-format=json",
        ],
        env={**os.environ, "DO_NOT_TRACK": "1", "CI": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )  # fmt: skip
    return {lint["name"] for lint in json.loads(done.stdout)["results"]}


def test_squawk_has_nothing_to_say() -> None:
    assert squawk(*FILES) == []


def test_squawk_reports_a_planted_defect(tmp_path: Path) -> None:
    planted = tmp_path / "20260101000000_planted.sql"
    planted.write_text("alter table public.sessions add column rank integer not null;")
    assert "adding-required-field" in squawk(planted)


@pytest.fixture
def checked(old_database: str) -> str:
    ask(old_database, "create extension plpgsql_check schema extensions")
    return old_database


def test_plpgsql_check_has_nothing_to_say(checked: str) -> None:
    assert ask(checked, CHECK_FUNCTIONS) == []


def test_plpgsql_check_reports_planted_defects(checked: str) -> None:
    ask(
        checked,
        """
        create function public.planted(p_id text) returns text language plpgsql stable as $$
        begin
          execute 'select 1 where ' || p_id;
          return (select s.no_such_column from public.sessions as s);
        end $$
        """,
    )
    found = " ".join(message for _, _, message in ask(checked, CHECK_FUNCTIONS))
    assert "no_such_column" in found
    assert "is not sanitized" in found


def test_the_advisors_of_supabase_have_nothing_to_say(scratch: str) -> None:
    assert advisors(scratch) == set()


def test_the_advisors_of_supabase_report_planted_defects(scratch: str) -> None:
    ask(
        scratch,
        """
        create table public.planted (id integer, user_id text);
        grant select on public.planted to anon;
        create function public.planted() returns integer language sql as 'select 1';
        create policy "all" on public.session_revisions for select to authenticated
            using (user_id = auth.jwt() ->> 'sub');
        """,
    )
    assert advisors(scratch) >= {
        "rls_disabled_in_public",
        "function_search_path_mutable",
        "auth_rls_initplan",
        "multiple_permissive_policies",
    }


def test_every_foreign_key_has_an_index_and_no_index_is_there_twice(scratch: str) -> None:
    assert ask(scratch, MISSING_INDEXES) == []
    assert ask(scratch, DUPLICATE_INDEXES) == []


def test_a_missing_and_a_doubled_index_are_found(scratch: str) -> None:
    ask(
        scratch,
        """
        create table public.planted (
            user_id text, session_id text,
            constraint planted_session foreign key (user_id, session_id)
                references public.sessions (user_id, id)
        );
        create index planted_user on public.sessions (user_id, status);
        """,
    )
    assert ask(scratch, MISSING_INDEXES) == [("planted_session",)]
    assert ask(scratch, DUPLICATE_INDEXES) == [("planted_user", "sessions_latest")]
