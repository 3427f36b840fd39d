"""Five hundred contracts at once: names, order, and that a second run changes nothing."""

import random
import re
import time
from typing import Any

import psycopg
import pytest

from tests.integration.contracts.project import Project, relational

COUNT = 500
KINDS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "maxLength": 20, "pattern": "^[a-z]+$"},
    {"type": "string", "format": "date-time"},
    {"type": "integer", "minimum": 0, "maximum": 10},
    {"type": ["number", "null"], "default": 0.5},
    {"enum": ["a", "b", "it's"]},
    {"type": "object", "x-postgres-type": "jsonb"},
    {"$ref": "#/$defs/word"},
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("many"))
    choose = random.Random(500)
    for number in range(COUNT):
        place = f"theme{number % 7}/domain{number % 31}/aspect{'Long' * (number % 20)}{number}"
        purposes = ["contract", "contract", "contract", "event_log", "cache", "queue"]
        purpose = purposes[number % 6]
        properties = {
            f"field_{index}": choose.choice(KINDS) for index in range(choose.randint(1, 12))
        }
        more: dict[str, Any] = {"$defs": {"word": {"type": "string", "minLength": 1}}}
        if purpose == "contract" and number % 2:
            project.add(place, relational(properties, "field_0", **more))
        else:
            project.add(place, {"properties": properties, **more}, purpose=purpose)
    return project


def test_five_hundred_contracts(
    project: Project, connection: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.perf_counter()
    planned = project.generate()
    generated = time.perf_counter()
    again = project.generate()
    repeated = time.perf_counter()
    project.apply(connection)
    applied = time.perf_counter()
    findings = project.check(connection)
    checked = time.perf_counter()
    with capsys.disabled():
        print(  # noqa: T201 - a measure to read, not to hold anyone to
            f"\n{COUNT} contracts: generated in {generated - started:.2f} s, "
            f"again in {repeated - generated:.2f} s, applied in {applied - repeated:.2f} s, "
            f"checked in {checked - applied:.2f} s"
        )
    names = [migration.path.name for migration in planned]
    assert len(set(names)) == len({name[:14] for name in names}) == COUNT
    assert all(re.fullmatch(r"\d{14}_[a-z][a-z0-9_]{0,62}\.sql", name) for name in names)
    assert again == []
    assert [finding for finding in findings if finding.severity == "error"] == []
