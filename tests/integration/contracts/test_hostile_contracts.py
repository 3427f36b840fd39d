"""Contracts that mean harm, or would do it by accident: the SQL does what the contract says."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from lift_sys.contracts import naming
from tests.integration.contracts.project import Project, relational

INJECTION = "'); drop table public.precious; --\n*/ $$ \\' \"; drop table public.precious; -- \r x"
SCRIPTS = "žluťoučký 寿司 🍣 עברית \u2028 \u00a0"
LONG = "n" * 80


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("hostile"))
    properties = {
        "enum": {"enum": [INJECTION, SCRIPTS, "", "it's", "\\"]},
        "const": {"const": INJECTION},
        "default": {"type": "string", "default": INJECTION},
        "document": {"type": "object", "default": {INJECTION: [SCRIPTS]}},
        "listed": {"enum": [{INJECTION: 1}, [SCRIPTS]]},
        'quo"ted': {"type": "string", "x-column": 'quo"ted; drop table public.precious; --'},
        "select": {"type": "string"},
        "user": {"type": "boolean", "default": True},
        "42": {"type": "string"},
        "寿司": {"type": "string"},
        LONG + "a": {"type": "string"},
        LONG + "b": {"type": "string"},
        "pattern": {"type": "string", "pattern": "^[';\"$-]*'--$"},
        "huge": {"enum": [f"value {number} of '{SCRIPTS}'" for number in range(2_000)]},
    }
    schema = relational(properties, "enum", "const", title=INJECTION, description=INJECTION)
    schema["x-index"] = [["select", "user desc"], [LONG + "a"], [LONG + "b"]]
    project.add(f"theme/Weird-Domain/{'l' * 90}", schema | {"$id": INJECTION})
    blob: dict[str, Any] = {
        "$id": SCRIPTS,
        "title": SCRIPTS,
        "x-owner": "it's",
        "required": ["it's"],
    }
    blob["properties"] = {"it's": {"type": "string"}}
    blob["x-index"] = [["it's desc"]]
    project.add("group/order/table", blob)
    project.generate()
    return project


@pytest.fixture(scope="module")
def pushed(
    project: Project, new_database: Callable[[], str], push: Callable[[Path, str], None]
) -> str:
    url = new_database()
    with psycopg.connect(url) as connection:
        connection.execute("create table public.precious ()")
    push(project.folder, url)
    return url


def test_nothing_a_contract_says_is_run_as_sql(project: Project, pushed: str) -> None:
    with psycopg.connect(pushed) as connection:
        found = [finding.code for finding in project.check(connection)]
    assert set(found) == {"unreviewed-marker", "table-without-contract"}


def test_the_values_stand_there_as_the_contract_has_them(pushed: str, project: Project) -> None:
    (table,) = [m.table.name for m in _planned(project) if m.table.pattern == "columns"]
    with psycopg.connect(pushed) as connection:
        statement = f'insert into public.{table} ("enum", const) values (%s, %s) returning *'
        cursor = connection.execute(statement.encode(), (SCRIPTS, INJECTION))
        assert cursor.description is not None
        row = cursor.fetchone()
        assert row is not None
        values: dict[str, Any] = dict(
            zip([column.name for column in cursor.description], row, strict=True)
        )
        comment = connection.execute(
            "select obj_description(%s::regclass)", (f"public.{table}",)
        ).fetchone()
    assert (values["enum"], values["const"]) == (SCRIPTS, INJECTION)
    assert values['"default"'.strip('"')] == INJECTION
    assert values["document"] == {INJECTION: [SCRIPTS]}
    assert comment == (f"{INJECTION} (contract {INJECTION})",)


def test_each_name_fits_and_none_is_lost(project: Project) -> None:
    (table,) = [m.table for m in _planned(project) if m.table.pattern == "columns"]
    names = [table.name, *(c.name for c in table.columns), *(i.name for i in table.indexes)]
    assert all(len(name.encode()) <= 63 for name in names)
    assert len(set(names)) == len(names)


def test_squawk_has_nothing_to_say(
    project: Project, squawk: Callable[[Path], CompletedProcess[str]]
) -> None:
    done = squawk(project.migrations)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_reserved_word_of_postgres_is_quoted(connection: psycopg.Connection[Any]) -> None:
    rows = connection.execute("select word from pg_get_keywords() where catcode in ('R', 'T')")
    assert {row[0] for row in rows} <= naming.RESERVED


def _planned(project: Project) -> list[Any]:
    from lift_sys.contracts import plan

    contracts, _ = project.workspace().load_all()
    return plan(contracts, project.folder / "elsewhere")
