"""The Supabase CLI accepts our folder and our history, and we accept the CLI's."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from lift_sys.backends.migrations import migrate_up, migration_status, packaged_migrations
from lift_sys.local.binaries import supabase_cli
from tests.migrations.conftest import Query

READ_HISTORY = """
    select version, name, statements from supabase_migrations.schema_migrations order by version
"""
TRICKY = """
/* outer; /* inner; */ still; */ select 1; select $a$ ; $b$ ; $a$;
select 'a\\'; select E'b\\';';

create function public.g(x int) returns int language sql
begin atomic
  select case x when 1 then 2 else 3 end;
  select 4;
end;
create rule r as on delete to public.cards do also (select 1; select 2);
select 3 -- tail; comment
  ; ;
"""


def supabase(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [supabase_cli(), *arguments],
        cwd=project,
        env={**os.environ, "DO_NOT_TRACK": "1", "CI": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def push(project: Path, url: str) -> None:
    supabase(project, "db", "push", "--yes", f"--remote={url}")


def test_either_tool_may_follow_the_other_and_both_leave_the_same_history(
    new_database: Callable[[], str], folder: Path, query: Query
) -> None:
    project = folder.parents[1]
    ours, theirs = new_database(), new_database()
    migrate_up(ours, folder)
    push(project, theirs)
    assert query(ours, READ_HISTORY) == query(theirs, READ_HISTORY)

    (folder / "20260103000000_tricky.sql").write_text(TRICKY)
    (folder / "20260104000000_empty.sql").write_text("")
    (folder / "20260105000000_windows.sql").write_bytes(
        b"\xef\xbb\xbfselect 1;\r\n\r\nselect\r\n2;\r\n"
    )
    push(project, ours)
    assert len(migrate_up(theirs, folder)) == 3
    assert query(ours, READ_HISTORY) == query(theirs, READ_HISTORY)
    assert {migration.state for migration in migration_status(ours, folder)} == {"applied"}


def test_the_cli_lists_and_advises_after_us(database: str, folder: Path) -> None:
    migrate_up(database, folder)
    listed = supabase(folder.parents[1], "migration", "list", f"--remote={database}")
    assert listed.count("20260101000000") == 2
    assert listed.count("20260102000000") == 2
    supabase(folder.parents[1], "db", "advisors", f"--remote={database}")


def test_the_cli_takes_the_repository_as_it_is(database: str, tmp_path: Path) -> None:
    # A copy of the folder's shape: the CLI keeps notes of its own beside config.toml.
    project = tmp_path / "copy"
    (project / "supabase").mkdir(parents=True)
    source = packaged_migrations().parent
    (project / "supabase" / "config.toml").write_text((source / "config.toml").read_text())
    (project / "supabase" / "migrations").symlink_to(packaged_migrations())
    (tmp_path / "nothing").mkdir()
    migrate_up(database, tmp_path / "nothing")  # what Supabase has beforehand
    push(project, database)
    assert all(
        migration.state == "applied"
        for migration in migration_status(database, packaged_migrations())
    )
