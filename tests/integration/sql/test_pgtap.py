"""The pgTAP tests beside the migrations, on Postgres 15."""

import re
from pathlib import Path

import psycopg
import pytest

from lift_sys.backends.migrations import packaged_migrations
from tests.databases import ask

FILES = sorted(packaged_migrations().with_name("tests").glob("*.test.sql"))


def tap(url: str, script: str) -> list[str]:
    """Run a script and return every line that its statements answered."""
    lines: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(script.encode())
        while True:
            if cursor.description:
                lines += (line for (text,) in cursor for line in str(text).splitlines())
            if not cursor.nextset():
                return lines


def failures(lines: list[str]) -> list[str]:
    """Return what is wrong with an answer in TAP: a failed test, or not as many as planned."""
    plan = re.fullmatch(r"1\.\.(\d+)", lines[0])
    count = sum(line.startswith("ok ") for line in lines)
    wrong = [line for line in lines if not re.match(r"ok |1\.\.|# Subtest", line)]
    if plan is None or int(plan[1]) != count:
        wrong.append(f"{count} tests passed, planned were {lines[0]}")
    return wrong


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_database_is_as_the_pgtap_tests_say(file: Path, old_database: str) -> None:
    assert failures(tap(old_database, file.read_text())) == []


def test_a_planted_defect_is_reported(old_database: str) -> None:
    ask(
        old_database,
        "alter table public.session_drafts disable row level security;"
        "grant select on public.sessions to anon;"
        "alter function public.get_session_v1 security definer",
    )
    found = [failures(tap(old_database, file.read_text())) for file in FILES]
    assert [bool(some) for some in found] == [False, True, True]
