"""Every way in which the migrations reach a database leaves the same one."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from lift_sys.backends.errors import PermissionDeniedError
from lift_sys.backends.migrations import migrate_up, migration_status, packaged_migrations
from lift_sys.local import LocalSupabase
from lift_sys.local.binaries import postgres_programs
from lift_sys.spec_sessions import PostgresSessionStore
from tests.databases import ask, scratch_database
from tests.migrations.test_supabase_cli import push, supabase

FOLDER = packaged_migrations()
PROJECT = FOLDER.parents[1]
HISTORY = "select version, name, statements from supabase_migrations.schema_migrations order by 1"


def dump(url: str) -> str:
    """Return the schema of a database as statements, without what differs from dump to dump."""
    done = subprocess.run(
        [
            postgres_programs(None) / "pg_dump",
            "--schema-only",
            "--exclude-schema=supabase_migrations",
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))


@pytest.fixture
def databases(stack: LocalSupabase) -> Iterator[Callable[[], str]]:
    """Makes one more database at each call, with what Supabase has and nothing else."""
    with ExitStack() as undo:

        def make() -> str:
            return undo.enter_context(scratch_database(stack.database_url))

        yield make


@pytest.fixture
def platform(tmp_path: Path) -> Callable[[str], object]:
    """Lays in a database what every Supabase project is born with."""
    (tmp_path / "none").mkdir()
    return lambda url: migrate_up(url, tmp_path / "none")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The repository as the Supabase CLI sees it, in a place where it may keep its notes."""
    project = tmp_path / "project"
    (project / "supabase").mkdir(parents=True)
    for name in ("config.toml", "migrations", "seed.sql", "tests"):
        (project / "supabase" / name).symlink_to(PROJECT / "supabase" / name)
    return project


def test_the_cli_and_lift_sys_leave_the_same_database_and_history(
    databases: Callable[[], str], platform: Callable[[str], object], project: Path
) -> None:
    ours, theirs = databases(), databases()
    migrate_up(ours, FOLDER)
    platform(theirs)
    push(project, theirs)
    assert dump(ours) == dump(theirs)
    assert ask(ours, HISTORY) == ask(theirs, HISTORY)
    assert migrate_up(theirs, FOLDER) == []
    assert "up to date" in supabase(project, "db", "push", "--yes", f"--remote={ours}")
    listed = supabase(project, "migration", "list", f"--remote={ours}")
    for file in FOLDER.glob("*.sql"):
        assert listed.count(file.name[:14]) == 2


def test_six_at_once_leave_the_same_database(databases: Callable[[], str]) -> None:
    alone, together = databases(), databases()
    migrate_up(alone, FOLDER)
    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(lambda _: migrate_up(together, FOLDER), range(6)))
    assert sum(map(len, applied)) == len(list(FOLDER.glob("*.sql")))
    assert dump(alone) == dump(together)


def test_older_privileges_of_a_project_change_nothing(
    databases: Callable[[], str], platform: Callable[[str], object]
) -> None:
    """Projects of some years ago grant everything new in public to everybody."""
    new, old = databases(), databases()
    migrate_up(new, FOLDER)
    platform(old)
    for kind in ("tables", "functions", "sequences"):
        ask(
            old,
            f"alter default privileges in schema public grant all on {kind}"
            " to anon, authenticated, service_role",
        )
    migrate_up(old, FOLDER)
    grants = """
        select c.oid::regclass::text, a.grantee::regrole::text, a.privilege_type
        from pg_class c, aclexplode(c.relacl) a
        where c.relnamespace::regnamespace::text in ('public', 'lift_sys_internal')
        union all
        select p.oid::regprocedure::text, a.grantee::regrole::text, a.privilege_type
        from pg_proc p, aclexplode(p.proacl) a
        where p.pronamespace::regnamespace::text in ('public', 'lift_sys_internal')
        order by 1, 2, 3
    """
    assert ask(old, grants) == ask(new, grants)


def test_the_seed_may_be_sown_twice(scratch: str, old_database: str) -> None:
    seed = (PROJECT / "supabase" / "seed.sql").read_text()
    for url in (scratch, old_database):
        for _ in range(2):
            ask(url, seed)
        with PostgresSessionStore(url, "demo") as store:
            assert [s.session_id for s in store.list_all()] == ["slugify", "retry-policy"]
            slugify = store.get("slugify")
        assert slugify is not None
        assert slugify.get_unresolved_holes() == ["max_length"]


def test_a_role_without_ddl_may_ask_how_things_stand(scratch: str) -> None:
    ask(scratch, "create role onlooker login password 'onlooker'")
    place = psycopg.conninfo.conninfo_to_dict(scratch)
    url = f"postgresql://onlooker:onlooker@{place['host']}:{place['port']}/{place['dbname']}"
    try:
        with pytest.raises(PermissionDeniedError, match="select on its table schema_migrations"):
            migration_status(url, FOLDER)
        ask(
            scratch,
            "grant usage on schema supabase_migrations to onlooker;"
            "grant select on supabase_migrations.schema_migrations to onlooker",
        )
        assert {migration.state for migration in migration_status(url, FOLDER)} == {"applied"}
    finally:
        ask(scratch, "drop owned by onlooker; drop role onlooker")
