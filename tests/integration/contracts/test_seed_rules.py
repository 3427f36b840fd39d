"""Every type and every table pattern: the SQL expected, and that the Supabase CLI applies it."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from tests.integration.contracts.project import Project, relational

UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

# name of the case: (schema of the property, the column expected); the property is required.
TYPES: dict[str, tuple[Any, str]] = {
    "plain_string": ({"type": "string"}, "text not null"),
    "uuid_pattern": ({"type": "string", "pattern": UUID}, "uuid not null"),
    "uuid_format": ({"type": "string", "format": "uuid"}, "uuid not null"),
    "date_time": ({"type": "string", "format": "date-time"}, "timestamptz not null"),
    "date": ({"type": "string", "format": "date"}, "date not null"),
    "time": ({"type": "string", "format": "time"}, "time not null"),
    "email": ({"type": "string", "format": "email"}, "text not null"),
    "uri": ({"type": "string", "format": "uri"}, "text not null"),
    "integer": ({"type": "integer"}, "integer not null"),
    "int64": ({"type": "integer", "format": "int64"}, "bigint not null"),
    "number": ({"type": "number"}, "numeric not null"),
    "boolean": ({"type": "boolean"}, "boolean not null"),
    "object": ({"type": "object"}, "jsonb not null check (jsonb_typeof(object) = 'object')"),
    "list": ({"type": "array"}, "jsonb not null check (jsonb_typeof(list) = 'array')"),
    "enum": ({"enum": ["val1", "val2"]}, "text not null check (enum in ('val1', 'val2'))"),
    "const": ({"const": "only"}, "text not null check (const = 'only')"),
    "const_integer": ({"const": 5}, "integer not null check (const_integer = 5)"),
    "const_number": ({"const": 1.5}, "numeric not null check (const_number = 1.5)"),
    "const_boolean": ({"const": True}, "boolean not null check (const_boolean = true)"),
    "const_null": ({"const": None}, "text check (const_null is null)"),
    "const_object": (
        {"const": {"b": [1], "a": None}},
        """jsonb not null check (const_object = '{"a": null, "b": [1]}'::jsonb)""",
    ),
    "const_array": ({"const": [1]}, "jsonb not null check (const_array = '[1]'::jsonb)"),
    "enum_of_integers": (
        {"type": "integer", "enum": [1, 2**40]},
        "bigint not null check (enum_of_integers in (1, 1099511627776))",
    ),
    "enum_of_all": (
        {"enum": ["a", 1, False]},
        """jsonb not null check (enum_of_all in ('"a"'::jsonb, '1'::jsonb, 'false'::jsonb))""",
    ),
    "enum_with_null": ({"enum": ["a", None]}, "text check (enum_with_null = 'a')"),
    "nullable_by_type": ({"type": ["string", "null"]}, "text"),
    "nullable_by_any_of": ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer"),
    "nullable_by_keyword": ({"type": "string", "nullable": True}, "text"),
    "of_reference": (
        {"$ref": "#/$defs/word"},
        "text not null check (char_length(of_reference) <= 9)",
    ),
    "of_all": (
        {"allOf": [{"$ref": "#/$defs/word"}, {"minLength": 2}]},
        "text not null check (char_length(of_all) >= 2) check (char_length(of_all) <= 9)",
    ),
    "of_pattern": (
        {"type": "string", "pattern": r"^\d{2}$"},
        "text not null check (of_pattern ~ '^[0-9]{2}$')",
    ),
    "bounded": (
        {"type": "integer", "minimum": 0, "exclusiveMaximum": 10},
        "integer not null check (bounded >= 0) check (bounded < 10)",
    ),
    "bounded_old_style": (
        {"type": "number", "minimum": 0, "exclusiveMinimum": 0.5, "multipleOf": 0.25},
        "numeric not null check (bounded_old_style > 0.5) check (mod(bounded_old_style, 0.25) = 0)",
    ),
    "wide": (
        {"type": "integer", "minimum": 0, "maximum": 2**40},
        "bigint not null check (wide >= 0) check (wide <= 1099511627776)",
    ),
    "huge": (
        {"type": "integer", "maximum": 10**30},
        f"numeric not null check (huge = trunc(huge)) check (huge <= {10**30})",
    ),
    "default_text": ({"type": "string", "default": "it's"}, "text not null default 'it''s'"),
    "default_integer": ({"type": "integer", "default": -1}, "integer not null default -1"),
    "default_number": ({"type": "number", "default": 0.5}, "numeric not null default 0.5"),
    "default_boolean": ({"type": "boolean", "default": False}, "boolean not null default false"),
    "default_object": (
        {"type": "object", "default": {}},
        "jsonb not null default '{}'::jsonb check (jsonb_typeof(default_object) = 'object')",
    ),
    "default_array": (
        {"type": "array", "default": ["a"]},
        """jsonb not null default '["a"]'::jsonb check (jsonb_typeof(default_array) = 'array')""",
    ),
    "default_date": (
        {"type": "string", "format": "date", "default": "2025-10-30"},
        "date not null default '2025-10-30'",
    ),
    "default_of_enum": (
        {"enum": ["a", "b"], "default": "b"},
        "text not null default 'b' check (default_of_enum in ('a', 'b'))",
    ),
    "of_postgres": ({"type": "number", "x-postgres-type": "numeric(9,2)"}, "numeric(9,2) not null"),
    "any_value": (True, "jsonb"),
    "several_types": ({"type": ["string", "integer"]}, "jsonb not null"),
}
OPTIONAL: dict[str, tuple[Any, str]] = {
    "left_out": ({"type": "string"}, "text"),
    "left_out_with_default": ({"type": "string", "default": ""}, "text not null default ''"),
}
TEMPLATES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "match/dilemma/current": (
        {"strategy": "jsonb"},
        {},
        [
            "create table public.match_dilemma_current (",
            "id uuid primary key default gen_random_uuid(),",
            "data jsonb not null,",
            "created_at timestamptz not null default now(),",
            "updated_at timestamptz not null default now()",
            (
                "create index idx_match_dilemma_current_data on public.match_dilemma_current"
                " using gin (data);"
            ),
        ],
    ),
    "match/dilemma/paired": ({}, {}, ["data jsonb not null,"]),
    "domain/impact/events": (
        {"purpose": "event_log"},
        {},
        [
            "id bigint generated always as identity primary key,",
            "aggregate_id bigint not null,",
            "event_type text not null check (char_length(event_type) <= 50),",
            "event_data jsonb not null,",
            "timestamp timestamptz not null,",
            "created_at timestamptz not null default now()",
            (
                "create index idx_domain_impact_events_aggregate on public.domain_impact_events"
                " (aggregate_id, timestamp desc);"
            ),
            "grant select, insert on table public.domain_impact_events to service_role;",
        ],
    ),
    "domain/cell/events": (
        {"purpose": "event_log", "key": "match_id"},
        {
            "properties": {
                "match_id": {"type": "integer", "format": "int64"},
                "cell_id": {"type": "string", "pattern": "^[adfes][COPFI]$", "maxLength": 2},
                "delta": {"type": "number", "minimum": 0, "x-postgres-type": "numeric(10, 2)"},
                "timestamp": {"type": "string", "format": "date-time"},
                "event_metadata": {"type": "object", "default": {}},
            },
            "required": ["match_id", "cell_id", "delta", "timestamp"],
        },
        [
            "match_id bigint not null,",
            (
                "cell_id text not null check (char_length(cell_id) <= 2)"
                " check (cell_id ~ '^[adfes][COPFI]$'),"
            ),
            "delta numeric(10, 2) not null",
            "event_metadata jsonb not null default '{}'::jsonb",
            "public.domain_cell_events (match_id, timestamp desc);",
        ],
    ),
    "preload/card/cache": (
        {"purpose": "cache"},
        {},
        [
            "lookup_key uuid not null,",
            "cached_data jsonb not null,",
            "expires_at timestamptz,",
            "create index idx_preload_card_cache_lookup on public.preload_card_cache (lookup_key);",
        ],
    ),
    "work/background/jobs": (
        {"purpose": "queue", "table": "background_jobs"},
        {},
        [
            "create table public.background_jobs (",
            "job_type text not null check (char_length(job_type) <= 50),",
            "status text not null check (status in ('pending', 'running', 'completed', 'failed')),",
            "priority integer not null default 0,",
            "scheduled_at timestamptz not null,",
            "job_data jsonb not null,",
            (
                "create index idx_background_jobs_queue on public.background_jobs"
                " (status, priority desc, scheduled_at) where status in ('pending', 'running');"
            ),
        ],
    ),
    "other/mostly/read": (
        {"purpose": "other", "access": "read"},
        {"properties": {"name": {"type": "string"}}},
        ["  name text,"],
    ),
    "other/mostly/write": ({"purpose": "other", "access": "write"}, {}, ["data jsonb not null,"]),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("seed"))
    properties = {name: schema for name, (schema, _) in {**TYPES, **OPTIONAL}.items()}
    defs = {"word": {"type": "string", "maxLength": 9}}
    project.add("all/types/mapped", relational(properties, *TYPES, **{"$defs": defs}))
    for place, (persistence, schema, _) in TEMPLATES.items():
        project.add(place, schema, **persistence)
    project.generate()
    return project


@pytest.fixture(scope="module")
def pushed(
    project: Project, new_database: Callable[[], str], push: Callable[[Path, str], None]
) -> str:
    """A database to which the Supabase CLI has applied every migration of the project."""
    url = new_database()
    push(project.folder, url)
    return url


def _sql(project: Project, table: str) -> str:
    (path,) = project.migrations.glob(f"*_{table}.sql")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*TYPES, *OPTIONAL])
def test_a_property_becomes_the_column_expected(project: Project, name: str) -> None:
    _, column = {**TYPES, **OPTIONAL}[name]
    lines = [line.strip().rstrip(",") for line in _sql(project, "all_types_mapped").splitlines()]
    assert f"{name} {column}" in lines


@pytest.mark.parametrize("place", TEMPLATES)
def test_a_purpose_becomes_the_table_expected(project: Project, place: str) -> None:
    persistence, _, expected = TEMPLATES[place]
    text = _sql(project, persistence.get("table", place.replace("/", "_")))
    assert [line for line in expected if line not in text] == []


@pytest.mark.parametrize("place", [p for p in TEMPLATES if p != "other/mostly/read"])
def test_nothing_is_left_to_a_reviewer_but_columns(project: Project, place: str) -> None:
    persistence, _, _ = TEMPLATES[place]
    assert "REVIEW" not in _sql(project, persistence.get("table", place.replace("/", "_")))


def test_an_event_log_has_no_updated_at(project: Project) -> None:
    assert "updated_at" not in _sql(project, "domain_impact_events")


def test_what_the_contract_leaves_open_is_marked(project: Project) -> None:
    text = _sql(project, "other_mostly_read")
    topics = ["foreign-keys", "indexes", "row-security", "updated-at"]
    assert [topic for topic in topics if f"-- REVIEW({topic}): " not in text] == []


def test_the_supabase_cli_applies_it_and_no_drift_is_left(project: Project, pushed: str) -> None:
    with psycopg.connect(pushed) as connection:
        found = {finding.code for finding in project.check(connection)}
    assert found == {"unreviewed-marker", "unmapped-type", "loose-type"}


def test_the_cli_records_each_file(project: Project, pushed: str) -> None:
    with psycopg.connect(pushed) as connection:
        query = "select version || '_' || name || '.sql' from supabase_migrations.schema_migrations"
        recorded = {row[0] for row in connection.execute(query)}
    assert recorded == {path.name for path in project.migrations.iterdir()}


def test_squawk_has_nothing_to_say(
    project: Project, squawk: Callable[[Path], CompletedProcess[str]]
) -> None:
    done = squawk(project.migrations)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("created_at timestamptz", "created_at timestamp", "prefer-timestamp-tz"),
        ("event_type text", "event_type varchar(50)", "prefer-text-field"),
        ("bigint generated always as identity", "serial", "prefer-identity"),
        ("set local lock_timeout = '5s';", "", "require-lock-timeout"),
    ],
)
def test_squawk_would_say_so(
    project: Project,
    squawk: Callable[[Path], CompletedProcess[str]],
    tmp_path: Path,
    before: str,
    after: str,
    rule: str,
) -> None:
    text = _sql(project, "domain_impact_events")
    assert before in text
    (tmp_path / "20250101000000_planted.sql").write_text(text.replace(before, after))
    done = squawk(tmp_path)
    assert done.returncode != 0
    assert rule in done.stdout
