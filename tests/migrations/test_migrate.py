"""Applying a folder of migrations: whole files, once each, with errors that name the file."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from lift_sys.backends.errors import PermissionDeniedError, StoreUnavailableError
from lift_sys.backends.migrations import (
    Migration,
    MigrationError,
    migrate_up,
    migration_status,
    packaged_migrations,
)
from lift_sys.local.servers import free_port
from tests.migrations.conftest import Query

FIRST = ("20260101000000", "first")
SECOND = ("20260102000000", "second_one")
READ_VERSIONS = "select version from supabase_migrations.schema_migrations order by 1"


def states(url: str, folder: Path) -> list[str]:
    return [migration.state for migration in migration_status(url, folder)]


def with_login(url: str, login: str) -> str:
    return url.replace("postgres:owner", login)


def test_pending_files_are_applied_in_order_and_once(
    database: str, folder: Path, query: Query
) -> None:
    assert states(database, folder) == ["pending", "pending"]
    assert migrate_up(database, folder) == [
        Migration(*FIRST, "applied"),
        Migration(*SECOND, "applied"),
    ]
    assert states(database, folder) == ["applied", "applied"]
    assert migrate_up(database, folder) == []
    assert query(database, "select public.answer(), count(*) from public.cards") == [(42, 1)]


def test_status_changes_nothing(database: str, folder: Path, query: Query) -> None:
    migration_status(database, folder)
    assert query(database, "select to_regnamespace('supabase_migrations')") == [(None,)]


def test_a_version_that_only_the_database_knows_is_unknown_and_left_alone(
    database: str, folder: Path
) -> None:
    migrate_up(database, folder)
    (folder / "20260101000000_first.sql").unlink()
    (folder / "20260103000000_third.sql").write_text("select 3;")
    assert migration_status(database, folder) == [
        Migration(*FIRST, "unknown"),
        Migration(*SECOND, "applied"),
        Migration("20260103000000", "third", "pending"),
    ]
    assert [migration.name for migration in migrate_up(database, folder)] == ["third"]


def test_the_history_of_an_older_tool_is_read_and_completed(
    database: str, folder: Path, query: Query
) -> None:
    query(
        database,
        "create schema supabase_migrations;"
        "create table supabase_migrations.schema_migrations (version text not null primary key);"
        "insert into supabase_migrations.schema_migrations values ('20250101000000')",
    )
    assert migration_status(database, folder)[0] == Migration("20250101000000", "", "unknown")
    assert len(migrate_up(database, folder)) == 2


def test_six_simultaneous_starts_apply_each_file_once(
    database: str, folder: Path, query: Query
) -> None:
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: migrate_up(database, folder), range(6)))
    applied = [migration.version for result in results for migration in result]
    assert sorted(applied) == [FIRST[0], SECOND[0]]
    assert query(database, READ_VERSIONS) == [(FIRST[0],), (SECOND[0],)]
    assert query(database, "select count(*) from public.cards") == [(1,)]


def test_a_file_that_fails_halfway_leaves_nothing_and_is_named(
    database: str, folder: Path, query: Query
) -> None:
    (folder / "20260102000000_second_one.sql").write_text(
        "create table public.half (id int);\n\nselect missing_column from public.cards;\n"
    )
    with pytest.raises(MigrationError, match='column "missing_column" does not exist') as caught:
        migrate_up(database, folder)
    assert caught.value.file == "20260102000000_second_one.sql"
    assert caught.value.line == 3
    assert isinstance(caught.value.__cause__, psycopg.Error)
    assert states(database, folder) == ["applied", "pending"]
    assert query(database, "select to_regclass('public.half')") == [(None,)]


@pytest.mark.parametrize("words", ["commit", "BEGIN", "-- so\nrollback", "start transaction"])
def test_a_file_cannot_end_its_own_transaction(
    database: str, folder: Path, query: Query, words: str
) -> None:
    (folder / "20260102000000_second_one.sql").write_text(
        f"create table public.half (id int);\n{words};\n"
    )
    with pytest.raises(MigrationError, match="one transaction"):
        migrate_up(database, folder)
    assert query(database, "select to_regclass('public.half')") == [(None,)]


def test_settings_of_one_file_do_not_reach_the_next(database: str, folder: Path) -> None:
    (folder / "20260101000001_dumped.sql").write_text(
        "set search_path = ''; set check_function_bodies = off;"
    )
    assert len(migrate_up(database, folder)) == 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("1_short.sql", "<14 digits>_name.sql"),
        ("20260105000000.sql", "<14 digits>_name.sql"),
        ("20260101000000_again.sql", "the same version"),
    ],
)
def test_a_misnamed_file_is_refused_before_anything_is_done(
    database: str, folder: Path, name: str, reason: str
) -> None:
    (folder / name).write_text("select 1;")
    with pytest.raises(MigrationError, match=reason):
        migrate_up(database, folder)
    (folder / name).unlink()
    assert states(database, folder) == ["pending", "pending"]


def test_a_missing_folder_is_an_error_and_an_empty_one_is_not(
    database: str, tmp_path: Path
) -> None:
    with pytest.raises(MigrationError, match="no such folder"):
        migrate_up(database, tmp_path / "nowhere")
    (tmp_path / "README.md").write_text("no migration")
    assert migrate_up(database, tmp_path) == []


def test_a_role_without_ddl_reads_the_status_once_it_may(
    database: str, folder: Path, query: Query
) -> None:
    query(database, "drop role if exists reader; create role reader login password 'r'")
    reader = with_login(database, "reader:r")
    assert states(reader, folder) == ["pending", "pending"]
    migrate_up(database, folder)
    with pytest.raises(PermissionDeniedError, match="select on its table schema_migrations"):
        migration_status(reader, folder)
    query(
        database,
        "grant usage on schema supabase_migrations to reader;"
        "grant select on supabase_migrations.schema_migrations to reader",
    )
    assert states(reader, folder) == ["applied", "applied"]
    assert migrate_up(reader, folder) == []
    (folder / "20260103000000_third.sql").write_text("create table public.third (id int);")
    with pytest.raises(PermissionDeniedError):
        migrate_up(reader, folder)
    query(database, "drop owned by reader; drop role reader")


def test_a_busy_table_is_not_waited_for_long(database: str, folder: Path, query: Query) -> None:
    migrate_up(database, folder)
    (folder / "20260103000000_third.sql").write_text(
        "set local lock_timeout = '50ms'; alter table public.cards add column extra int;"
    )
    with psycopg.connect(database) as reader:
        reader.execute("select * from public.cards")
        with pytest.raises(
            StoreUnavailableError, match=r"third\.sql: canceling statement due to lock timeout"
        ):
            migrate_up(database, folder)
    assert len(migrate_up(database, folder)) == 1


def test_postgrest_is_told_to_look_again(database: str, folder: Path) -> None:
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("listen pgrst")
        migrate_up(database, folder)
        heard = [notice.payload for notice in listener.notifies(timeout=5, stop_after=2)]
    assert heard == ["reload schema", "reload schema"]


def test_a_driver_error_never_escapes(database: str, folder: Path) -> None:
    with pytest.raises(PermissionDeniedError, match="password") as caught:
        migrate_up(with_login(database, "postgres:wrong"), folder)
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    with pytest.raises(StoreUnavailableError):
        migration_status(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres", folder)
    with pytest.raises(ValueError, match="malformed database URL"):
        migrate_up("postgresql://127.0.0.1/postgres?nonsense=1", folder)


def test_a_missing_database_is_unavailable_and_not_a_refused_login(
    database: str, folder: Path
) -> None:
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        migrate_up(f"{database}_missing", folder)


def test_a_checkout_migrates_from_its_own_folder() -> None:
    assert packaged_migrations() == Path(__file__).parents[2] / "supabase" / "migrations"


def test_databases_of_one_server_are_migrated_side_by_side(
    new_database: Callable[[], str], folder: Path
) -> None:
    urls = [new_database() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda url: migrate_up(url, folder), urls))
    assert [len(result) for result in results] == [2, 2, 2, 2]
