"""The project's own contract: models, files and the migrated database agree, both ways."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from itertools import count, product
from pathlib import Path
from typing import get_args

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from typer.testing import CliRunner

from lift_sys.backends.migrations import migrate_up, packaged_migrations
from lift_sys.contracts import Finding, Workspace, check
from lift_sys.contracts.cli import app
from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import (
    HoleResolution,
    IRDraft,
    PostgresSessionStore,
    PromptRevision,
    PromptSession,
)
from lift_sys.spec_sessions.models import MAX_NAME_LENGTH, Source, Status
from tests.integration.contracts.effort import examples
from tests.integration.contracts.model_values import values_of

PIPED = {"COLUMNS": None}
"""What a pipe says of its width; a test runner may have set one for its own output."""

REPOSITORY = Path(__file__).parents[3]
CONTRACTS = REPOSITORY / "supabase" / "contracts"
MODELS: dict[str, type[BaseModel]] = {
    "sessions": PromptSession,
    "session_revisions": PromptRevision,
    "session_drafts": IRDraft,
    "hole_resolutions": HoleResolution,
}


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalSupabase]:
    with LocalSupabase() as stack:
        yield stack


@pytest.fixture(scope="module")
def store(stack: LocalSupabase) -> Iterator[PostgresSessionStore]:
    with PostgresSessionStore(stack.authenticator_url, f"user-{uuid.uuid4()}") as store:
        yield store


@pytest.fixture(scope="module")
def scratch(stack: LocalSupabase) -> Callable[[], str]:
    """Make one more migrated database on the stack's server, and return its address."""
    folder = stack.database_url.rpartition("/")[0]
    numbers = count()

    def make() -> str:
        name = f"scratch_{next(numbers)}"
        _execute_alone(stack.database_url, f"create database {name} template migrated")
        return f"{folder}/{name}"

    _execute_alone(stack.database_url, "create database migrated")
    migrate_up(f"{folder}/migrated", packaged_migrations())
    return make


def _execute_alone(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _check(url: str) -> list[Finding]:
    with psycopg.connect(url) as connection:
        return check(Workspace(CONTRACTS), packaged_migrations(), connection=connection)


def _run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.chdir(REPOSITORY)
    result = CliRunner(env=PIPED).invoke(app, arguments)
    return result.exit_code, result.output


class TestFiles:
    def test_are_what_the_models_say(self, monkeypatch: pytest.MonkeyPatch) -> None:
        code, output = _run("export", "--check", monkeypatch=monkeypatch)
        assert (code, output.count("is up to date")) == (0, 1)

    def test_hold_every_model_down_to_the_holes(self) -> None:
        path = CONTRACTS / "sessions" / "prompt_session" / "current.schema.json"
        contract = json.loads(path.read_text())
        exported = {contract["title"], *contract["$defs"]}
        assert exported >= {model.__name__ for model in MODELS.values()} | {
            "IntermediateRepresentation",
            "TypedHole",
        }


class TestTheMigratedDatabase:
    def test_agrees_with_the_contracts(
        self, stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, output = _run("check", "--database-url", stack.database_url, monkeypatch=monkeypatch)
        assert (code, output) == (0, "contracts, migrations and database agree\n")

    @pytest.mark.parametrize("table", MODELS)
    def test_lists_the_values_that_the_model_lists(self, stack: LocalSupabase, table: str) -> None:
        literals = [
            set(get_args(field.annotation))
            for field in MODELS[table].model_fields.values()
            if all(isinstance(value, str) for value in get_args(field.annotation) or [None])
        ]
        with psycopg.connect(stack.database_url) as connection:
            checks = connection.execute(
                "select pg_get_constraintdef(oid) from pg_constraint"
                " where conrelid = %s::regclass and contype = 'c' and conname like '%%_known'",
                (f"public.{table}",),
            ).fetchall()
        listed = [set(re.findall(r"'([^']*)'", text)) for (text,) in checks]
        assert sorted(listed, key=sorted) == sorted(literals, key=sorted)

    def test_has_no_column_that_a_full_session_leaves_empty(
        self, stack: LocalSupabase, store: PostgresSessionStore
    ) -> None:
        session = _full_session()
        store.create(session)
        with psycopg.connect(stack.database_url) as connection:
            for table in MODELS:
                key = "id" if table == "sessions" else "session_id"
                query = f"select * from public.{table} where {key} = %s"
                cursor = connection.execute(query.encode(), (session.session_id,))
                (row,) = cursor.fetchall()
                empty = [
                    column.name
                    for column, value in zip(cursor.description or (), row, strict=True)
                    if value is None
                ]
                assert empty == [], table

    def test_finds_sessions_of_every_status_and_source(self, store: PostgresSessionStore) -> None:
        mine = store.for_user(f"user-{uuid.uuid4()}")
        kinds = list(product(get_args(Status), get_args(Source)))
        for status, source in kinds:
            mine.create(PromptSession(status=status, source=source))
        listed = {(item.status, item.source) for item in mine.list_page().items}
        assert listed == set(kinds)
        for status, source in kinds:
            (found,) = mine.list_page(status=status, source=source).items
            assert (found.status, found.source) == (status, source)


def _full_session() -> PromptSession:
    """A session that says something in every field that may be left out."""
    started = PromptSession.create_new(original_input="Sort by two keys")
    return PromptSession(
        revisions=[started.revisions[0].model_copy(update={"target_hole": "order"})],
        ir_drafts=[IRDraft(version=1, ir={})],
        pending_resolutions=[
            HoleResolution(hole_id="order", resolution_text="up", resolution_type="add_constraint")
        ],
        finalized_at=started.created_at,
    )


NEW = values_of(PromptSession, version=st.just(0))


class TestEveryValueThatTheModelsAccept:
    # Shrinking a failure may take Hypothesis five minutes; cut short, it would not be shown.
    @pytest.mark.timeout(400)
    @given(NEW, NEW)
    @settings(
        max_examples=examples(40),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def test_is_stored_and_comes_back_equal(
        self, store: PostgresSessionStore, session: PromptSession, later: PromptSession
    ) -> None:
        session.session_id = f"{session.session_id}{uuid.uuid4()}"
        store.create(session)
        assert _written(store.get(session.session_id)) == _written(session)
        for name in ("revisions", "ir_drafts", "pending_resolutions"):
            getattr(session, name).extend(getattr(later, name))
        for name in ("status", "source", "metadata", "updated_at", "finalized_at"):
            setattr(session, name, getattr(later, name))
        store.update(session)
        assert _written(store.get(session.session_id)) == _written(session)

    @pytest.mark.parametrize("character", ["x", "\N{PILE OF POO}"])
    def test_includes_the_longest_id(self, store: PostgresSessionStore, character: str) -> None:
        session = PromptSession(session_id=character * MAX_NAME_LENGTH)
        store.create(session)
        assert store.get(session.session_id) == session


def _written(session: PromptSession | None) -> str:
    """Tell 1 from 1.0 and 0.0 from -0.0, which are equal in Python."""
    assert session is not None
    return json.dumps(session.to_dict())


class TestAPlantedDrift:
    @pytest.mark.parametrize(
        ("table", "column"),
        [
            ("sessions", "status"),
            ("sessions", "source"),
            ("session_revisions", "revision_type"),
            ("session_drafts", "validation_status"),
            ("hole_resolutions", "resolution_type"),
        ],
    )
    def test_of_a_value_less_is_reported_and_its_remedy_ends_it(
        self, scratch: Callable[[], str], table: str, column: str
    ) -> None:
        url = scratch()
        *kept, lost = get_args(MODELS[table].model_fields[column].annotation)
        listed = ", ".join(map(repr, kept))
        _drop_check(url, table, column)
        _execute(url, f"alter table public.{table} add check ({column} in ({listed}))")
        (finding,) = _check(url)
        assert (finding.code, finding.where) == ("narrowed-values", f"{table}.{column}")
        assert lost in finding.message
        _execute(url, finding.remedy)
        assert _check(url) == []

    @pytest.mark.parametrize(
        ("statement", "code", "where", "remedy"),
        [
            (
                "alter table public.sessions rename column source to origin",
                "missing-column",
                "sessions.source",
                "alter table public.sessions rename column origin to source",
            ),
            (
                "alter table public.session_drafts add column solver text not null",
                "unfilled-column",
                "session_drafts.solver",
                "alter table public.session_drafts drop column solver",
            ),
            (
                "alter table public.session_revisions alter column target_hole set not null",
                "changed-nullability",
                "session_revisions.target_hole",
                "alter table public.session_revisions alter column target_hole drop not null",
            ),
            (
                "alter table public.sessions add constraint short check (char_length(id) < 37)",
                "narrowed-values",
                "sessions.id",
                "drop constraint short, add check (char_length(id) >= 1)",
            ),
            (
                "alter table public.hole_resolutions disable row level security",
                "row-security-off",
                "hole_resolutions",
                "alter table public.hole_resolutions enable row level security",
            ),
        ],
        ids=["renamed column", "column nobody fills", "null refused", "short", "row security off"],
    )
    def test_of_another_kind_is_reported_and_its_remedy_ends_it(
        self, scratch: Callable[[], str], statement: str, code: str, where: str, remedy: str
    ) -> None:
        url = scratch()
        _execute(url, statement)
        (finding,) = [finding for finding in _check(url) if finding.code == code]
        assert finding.where == where
        assert remedy in finding.remedy
        # What follows the statement are the other ways to end it, in words.
        _execute(url, re.split(r" or |, add the", finding.remedy)[0])
        assert _check(url) == []

    @pytest.mark.parametrize(
        ("statement", "code"),
        [
            ('drop policy "users delete their own sessions" on public.sessions', "missing-policy"),
            (
                'alter policy "users read their own sessions" on public.sessions using (true)',
                "changed-policy",
            ),
            (
                """alter policy "users read their own sessions" on public.sessions
                   using (user_id = (select auth.jwt() ->> 'sub') or status = 'finalized')""",
                "changed-policy",
            ),
            (
                "create policy anyone on public.sessions for insert to anon with check (true)",
                "changed-policy",
            ),
        ],
        ids=["dropped", "open to all", "open to some", "added"],
    )
    def test_of_a_policy_is_reported(
        self, scratch: Callable[[], str], statement: str, code: str
    ) -> None:
        url = scratch()
        _execute(url, statement)
        assert [(f.code, f.where) for f in _check(url)] == [(code, "sessions")]


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def _drop_check(url: str, table: str, column: str) -> None:
    with psycopg.connect(url) as connection:
        (name,) = connection.execute(
            "select conname from pg_constraint where conrelid = %s::regclass and contype = 'c'"
            " and conkey = array[(select attnum from pg_attribute"
            " where attrelid = conrelid and attname = %s)]",
            (f"public.{table}", column),
        ).fetchall()
        connection.execute(f"alter table public.{table} drop constraint {name[0]}".encode())
