"""A planted drift of each kind is found in a live database, and its remedy says how to end it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.contracts.project import Project, relational

TABLE = "public.shop_order_current"
PROPERTIES: dict[str, Any] = {
    "user_id": {"type": "string"},
    "state": {"enum": ["open", "paid", "it's void"]},
    "grade": {"enum": [1, 2, 3]},
    "amount": {"type": "integer", "minimum": 1, "maximum": 100},
    "note": {"type": ["string", "null"]},
    "priority": {"type": "integer", "minimum": 0, "maximum": 9, "default": 5},
    "label": {"type": "string", "default": "none"},
    "code": {"type": "string", "minLength": 2, "maxLength": 8},
    "score": {"type": "number"},
    "at": {"type": "string", "format": "date-time"},
}
PLANTED: dict[str, tuple[str, str, str, str]] = {
    "a renamed column": (
        f"alter table {TABLE} rename column note to remark",
        "missing-column",
        "shop_order_current.note",
        f"alter table {TABLE} rename column remark to note",
    ),
    "a column nobody fills": (
        f"alter table {TABLE} add column extra text",
        "unfilled-column",
        "shop_order_current.extra",
        f"alter table {TABLE} drop column extra",
    ),
    "a narrowed enum": (
        f"""alter table {TABLE} drop constraint shop_order_current_state_check,
            add check (state = any (array['open', 'paid']))""",
        "narrowed-values",
        "shop_order_current.state",
        "add check (state in ('open', 'paid', 'it''s void'))",
    ),
    "a widened enum": (
        f"""alter table {TABLE} drop constraint shop_order_current_state_check,
            add check (state in ('open', 'paid', 'it''s void', 'lost'))""",
        "widened-values",
        "shop_order_current.state",
        "add check (state in ('open', 'paid', 'it''s void'))",
    ),
    "an enum no longer checked": (
        f"alter table {TABLE} drop constraint shop_order_current_state_check",
        "widened-values",
        "shop_order_current.state",
        "add check (state in ('open', 'paid', 'it''s void'))",
    ),
    "a widened enum of numbers": (
        f"""alter table {TABLE} drop constraint shop_order_current_grade_check,
            add check (grade in (1, 2, 3, 7))""",
        "widened-values",
        "shop_order_current.grade",
        "add check (grade in (1, 2, 3))",
    ),
    "a narrowed bound": (
        f"alter table {TABLE} add check (amount < 50)",
        "narrowed-values",
        "shop_order_current.amount",
        "add check (amount >= 1)",
    ),
    "a dropped bound": (
        f"alter table {TABLE} drop constraint shop_order_current_amount_check",
        "widened-values",
        "shop_order_current.amount",
        "add check (amount >= 1)",
    ),
    "a narrowed length": (
        f"alter table {TABLE} add check (char_length(code) < 8)",
        "narrowed-values",
        "shop_order_current.code",
        "add check (char_length(code) >= 2)",
    ),
    "a dropped length": (
        f"alter table {TABLE} drop constraint shop_order_current_code_check",
        "widened-values",
        "shop_order_current.code",
        "add check (char_length(code) >= 2)",
    ),
    "a length where there was none": (
        f"alter table {TABLE} add constraint short check (char_length(note) <= 280)",
        "narrowed-values",
        "shop_order_current.note",
        f"alter table {TABLE} drop constraint short",
    ),
    "an instant refused": (
        f"alter table {TABLE} add constraint late check (at > '1900-01-01')",
        "narrowed-values",
        "shop_order_current.at",
        f"alter table {TABLE} drop constraint late",
    ),
    "a bound where there was none": (
        f"alter table {TABLE} add constraint small check (score < 1e20)",
        "narrowed-values",
        "shop_order_current.score",
        f"alter table {TABLE} drop constraint small",
    ),
    "a changed type": (
        f"alter table {TABLE} alter column amount type bigint",
        "changed-type",
        "shop_order_current.amount",
        f"alter table {TABLE} alter column amount type integer using amount::integer",
    ),
    "a null refused": (
        f"alter table {TABLE} alter column note set not null",
        "changed-nullability",
        "shop_order_current.note",
        f"alter table {TABLE} alter column note drop not null",
    ),
    "a null accepted": (
        f"alter table {TABLE} alter column amount drop not null",
        "changed-nullability",
        "shop_order_current.amount",
        f"alter table {TABLE} alter column amount set not null",
    ),
    "a missing default": (
        f"alter table {TABLE} alter column priority drop default",
        "missing-default",
        "shop_order_current.priority",
        f"alter table {TABLE} alter column priority set default 5",
    ),
    "a missing standard default": (
        f"alter table {TABLE} alter column created_at drop default",
        "missing-default",
        "shop_order_current.created_at",
        f"alter table {TABLE} alter column created_at set default now()",
    ),
    "another default": (
        f"alter table {TABLE} alter column label set default 'some'",
        "missing-default",
        "shop_order_current.label",
        f"alter table {TABLE} alter column label set default 'none'",
    ),
    "a default too many": (
        f"alter table {TABLE} alter column amount set default 1",
        "unexpected-default",
        "shop_order_current.amount",
        f"alter table {TABLE} alter column amount drop default",
    ),
    "row security off": (
        f"alter table {TABLE} disable row level security",
        "row-security-off",
        "shop_order_current",
        f"alter table {TABLE} enable row level security",
    ),
    "a dropped policy": (
        f"drop policy owner_update on {TABLE}",
        "missing-policy",
        "shop_order_current",
        f"create policy owner_update on {TABLE} for update to authenticated using (user_id = ",
    ),
    "a weakened policy": (
        f"alter policy owner_select on {TABLE} using (true)",
        "changed-policy",
        "shop_order_current",
        f"drop policy owner_select on {TABLE}; create policy owner_select",
    ),
    "a policy for everyone": (
        f"alter policy owner_select on {TABLE} to public",
        "changed-policy",
        "shop_order_current",
        f"create policy owner_select on {TABLE} for select to authenticated",
    ),
    "a policy too many": (
        f"create policy everyone on {TABLE} for select to anon using (true)",
        "unexpected-policy",
        "shop_order_current",
        f"drop policy everyone on {TABLE}",
    ),
    "a grant too many": (
        f"grant select, truncate on {TABLE} to anon",
        "unexpected-grant",
        "shop_order_current",
        f"revoke select, truncate on table {TABLE} from anon",
    ),
    "a grant on one column": (
        f"grant select (note) on {TABLE} to anon",
        "unexpected-grant",
        "shop_order_current",
        f"revoke select on table {TABLE} from anon",
    ),
    "a missing grant": (
        f"revoke update on {TABLE} from authenticated",
        "missing-grant",
        "shop_order_current",
        f"grant update on table {TABLE} to authenticated",
    ),
    "a dropped table": (
        f"drop table {TABLE}",
        "missing-table",
        "contracts/shop/order/current.schema.json -> shop_order_current",
        "apply the migrations: `supabase db push`",
    ),
    "a table without a contract": (
        "create table public.stray (id integer)",
        "table-without-contract",
        "stray",
        "write its contract, drop the table, or name it in uncontracted.json",
    ),
}
# A change to a column can show in more than one way.
BESIDES = {"a renamed column": {"unfilled-column"}, "a weakened policy": set[str]()}
# Where the remedy is no single statement to run as it stands.
IN_WORDS = {"a dropped table", "a table without a contract"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("drift"))
    required = [name for name in PROPERTIES if name != "note"]
    schema = relational(PROPERTIES, *required, **{"x-owner": "user_id"})
    project.add("shop/order/current", schema)
    project.generate()
    return project


@pytest.fixture(scope="module")
def migrated(project: Project, new_database: Callable[[], str]) -> str:
    url = new_database()
    with psycopg.connect(url) as connection:
        project.apply(connection)
    return url


@pytest.fixture
def connection(migrated: str) -> Any:
    with psycopg.connect(migrated) as opened:
        yield opened


def _plant(connection: psycopg.Connection[Any], statement: str) -> None:
    connection.execute(statement.encode())
    connection.commit()


def test_without_drift_nothing_is_found(
    project: Project, connection: psycopg.Connection[Any]
) -> None:
    assert project.check(connection) == []


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_drift_is_found_and_its_remedy_ends_it(
    project: Project, new_database: Callable[[], str], kind: str
) -> None:
    statement, code, where, remedy = PLANTED[kind]
    with psycopg.connect(new_database()) as connection:
        project.apply(connection)
        _plant(connection, statement)
        findings = project.check(connection)
        (finding,) = [found for found in findings if found.code == code]
        assert finding.where == where
        assert remedy in finding.remedy
        assert {found.code for found in findings} - {code} == BESIDES.get(kind, set())
        if kind not in IN_WORDS:
            # What follows the statement are the other ways to end it, in words.
            _plant(connection, re.split(r" or |, add the", finding.remedy)[0].rstrip(","))
            assert project.check(connection) == []


def test_a_check_writes_nothing_and_leaves_the_connection_idle(
    project: Project, connection: psycopg.Connection[Any]
) -> None:
    project.check(connection)
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    connection.execute("create temporary table still_writable ()")


@pytest.mark.parametrize(
    "column",
    [
        "state text not null check (state in ('open', 'paid'))",
        "state text not null check (state = any (array['open', 'paid']))",
        "state varchar not null check (state = 'open' or state = 'paid')",
        "state shop.state not null",
        "state text not null check (state ~ '^(open|paid)$')",
    ],
)
def test_a_hand_written_migration_may_say_the_same_in_its_own_words(
    tmp_path: Path, connection: psycopg.Connection[Any], database_url: str, column: str
) -> None:
    project = _by_hand(tmp_path, column)
    with psycopg.connect(database_url) as fresh:
        project.apply(fresh)
        assert project.check(fresh) == []


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ("state shop.narrow not null", "narrowed-values"),
        ("state text not null check (state in ('open', 'paid', 'x'))", "widened-values"),
        ("state text not null", "widened-values"),
        ("state integer not null", "changed-type"),
        ("status text not null check (status in ('open', 'paid'))", "missing-column"),
    ],
)
def test_a_hand_written_migration_that_says_something_else_is_found(
    tmp_path: Path, database_url: str, column: str, code: str
) -> None:
    project = _by_hand(tmp_path, column)
    with psycopg.connect(database_url) as fresh:
        project.apply(fresh)
        assert code in {finding.code for finding in project.check(fresh)}


def _by_hand(folder: Path, column: str) -> Project:
    """A contract over two hand-written tables, with one column's name mapped."""
    project = Project(folder)
    items = {
        "type": "array",
        "x-table": {"name": "order_items", "filled_elsewhere": {"order_id": "the order's id"}},
        "items": {
            "type": "object",
            "properties": {"article": {"type": "string", "x-column": "article_name"}},
            "required": ["article"],
        },
    }
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "state": {"enum": ["open", "paid"]},
            "items": items,
            "unsaved": {"type": "boolean", "x-column": False},
        },
        "required": ["id", "state", "items", "unsaved"],
    }
    elsewhere = {"user_id": "the tenant"}
    project.add(
        "shop/order/session",
        schema,
        strategy="relational",
        managed="by-hand",
        table="orders",
        filled_elsewhere=elsewhere,
    )
    project.migrations.mkdir(parents=True)
    (project.migrations / "20250101000000_orders.sql").write_text(
        f"""
        create schema shop;
        create type shop.state as enum ('open', 'paid');
        create type shop.narrow as enum ('open');
        create table public.orders (id uuid primary key, user_id text not null, {column});
        CREATE TABLE IF NOT EXISTS "public"."order_items" (
          order_id uuid not null references public.orders (id), article_name text not null
        );
        alter table public.orders enable row level security;
        alter table public.order_items enable row level security;
        revoke all on public.orders, public.order_items from anon, authenticated, public;
        """
    )
    return project


def test_policies_and_grants_of_a_hand_written_table_must_match(
    tmp_path: Path, database_url: str
) -> None:
    project = _by_hand(tmp_path, "state shop.state not null")
    with psycopg.connect(database_url) as fresh:
        project.apply(fresh)
        _plant(fresh, "grant select on public.orders to authenticated")
        assert [finding.code for finding in project.check(fresh)] == ["missing-policy"]


def test_generating_leaves_hand_written_tables_alone(tmp_path: Path) -> None:
    assert _by_hand(tmp_path, "state text").generate() == []
