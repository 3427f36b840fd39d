"""What a generated table does once it stands: owners, triggers and logs."""

from typing import Any

import psycopg
import pytest

from tests.integration.contracts.project import Project, relational


def _as_user(connection: psycopg.Connection[Any], user: str) -> None:
    connection.execute("set local role authenticated")
    claims = (
        "select set_config('request.jwt.claims', json_build_object('sub', %s::text)::text, true)"
    )
    connection.execute(claims, (user,))


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(f"select count(*) from public.{table}".encode()).fetchone()
    assert row is not None
    count: int = row[0]
    return count


@pytest.fixture
def migrated(tmp_path: Any, connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    project = Project(tmp_path)
    owner = {"x-owner": "user_id"}
    text = {"user_id": {"type": "string"}, "name": {"type": "string"}}
    by_uuid = {"user_id": {"type": "string", "format": "uuid"}}
    project.add("own/by/column", relational(text, "user_id", **owner))
    project.add("own/by/uuid", relational(by_uuid, "user_id", **owner))
    blob = {"properties": text, "required": ["user_id"], **owner}
    project.add("own/by/document", blob)
    project.add("own/of/nobody", {})
    project.add("log/of/events", {}, purpose="event_log")
    parent = {"name": {"type": "string", "x-index": "unique"}}
    project.add("a/family/zz_parent", relational(parent, "name"))
    child = {
        "parent": {
            "type": "string",
            "format": "uuid",
            "x-foreign-key": {"table": "a_family_zz_parent", "on_delete": "cascade"},
        }
    }
    project.add("a/family/child", relational(child, "parent"))
    project.generate()
    project.apply(connection)
    assert project.check(connection) == []
    return connection


USER = "6f1f8f0e-0000-4000-8000-000000000001"
INSERTS = {
    "own_by_column": "insert into public.own_by_column (user_id) values (%s)",
    "own_by_uuid": "insert into public.own_by_uuid (user_id) values (%s)",
    "own_by_document": (
        "insert into public.own_by_document (data) values (jsonb_build_object('user_id', %s::text))"
    ),
}


@pytest.mark.parametrize("table", INSERTS)
def test_an_owner_sees_and_writes_own_rows_only(
    migrated: psycopg.Connection[Any], table: str
) -> None:
    other = USER.replace("1", "2")
    with migrated.transaction():
        migrated.execute(INSERTS[table].encode(), (other,))
        _as_user(migrated, USER)
        migrated.execute(INSERTS[table].encode(), (USER,))
        assert _count(migrated, table) == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege), migrated.transaction():
            migrated.execute(INSERTS[table].encode(), (other,))
        assert migrated.execute(f"delete from public.{table}".encode()).rowcount == 1


def test_a_table_without_an_owner_is_closed_to_users(migrated: psycopg.Connection[Any]) -> None:
    with migrated.transaction(force_rollback=True):
        _as_user(migrated, USER)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), migrated.transaction():
            _count(migrated, "own_of_nobody")


def test_an_update_moves_updated_at(migrated: psycopg.Connection[Any]) -> None:
    migrated.execute("insert into public.own_by_document (data) values ('{}')")
    migrated.commit()
    migrated.execute("""update public.own_by_document set data = '{"a": 1}'""")
    query = "select updated_at > created_at from public.own_by_document"
    assert migrated.execute(query).fetchone() == (True,)


def test_an_event_log_only_grows(migrated: psycopg.Connection[Any]) -> None:
    with migrated.transaction(force_rollback=True):
        migrated.execute("set local role service_role")
        migrated.execute(
            "insert into public.log_of_events (aggregate_id, event_type, event_data, timestamp)"
            " values (1, 'a', '{}', now())"
        )
        for statement in (
            "update public.log_of_events set event_type = 'b'",
            "delete from public.log_of_events",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), migrated.transaction():
                migrated.execute(statement.encode())


def test_a_foreign_key_holds_and_a_unique_index_too(migrated: psycopg.Connection[Any]) -> None:
    with migrated.transaction(force_rollback=True):
        migrated.execute("insert into public.a_family_zz_parent (name) values ('x')")
        migrated.execute(
            "insert into public.a_family_child (parent) select id from public.a_family_zz_parent"
        )
        with pytest.raises(psycopg.errors.UniqueViolation), migrated.transaction():
            migrated.execute("insert into public.a_family_zz_parent (name) values ('x')")
        migrated.execute("delete from public.a_family_zz_parent")
        assert _count(migrated, "a_family_child") == 0
