"""A generated column accepts exactly the values that its contract accepts."""

import tempfile
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from psycopg.types.json import Jsonb

from tests.integration.contracts.effort import examples
from tests.integration.contracts.project import Project, relational

TABLE = "public.both_directions_tried"
SMALL = st.integers(-50, 50)
PLAIN_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
) | st.sampled_from(["", "a", "ab", "a b", "12", "a\n", "Ab_1", "é"])
LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
PATTERNS = ["^[a-z]+$", r"^\w*$", r"\d", r"^\s|\s$", "b$", r"^[^\d\s]{1,3}$", "."]


@st.composite
def _numbers(draw: st.DrawFn) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    kind = draw(st.sampled_from(["integer", "number"]))
    rules: dict[str, Any] = draw(st.dictionaries(st.sampled_from(LIMITS), SMALL, max_size=2))
    if draw(st.booleans()):
        rules["multipleOf"] = draw(st.sampled_from([2, 3, 5]))
    values = SMALL if kind == "integer" else SMALL | SMALL.map(lambda n: n / 4)
    return {"type": kind, **rules}, values


@st.composite
def _strings(draw: st.DrawFn) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    lengths = st.sampled_from(["minLength", "maxLength"])
    rules: dict[str, Any] = draw(st.dictionaries(lengths, st.integers(0, 4)))
    if draw(st.booleans()):
        # The judge here takes patterns in Python's dialect, which differs beyond ASCII.
        rules["pattern"] = draw(st.sampled_from(PATTERNS))
        return {"type": "string", **rules}, PLAIN_TEXT
    return {"type": "string", **rules}, TEXT


@st.composite
def _lists(draw: st.DrawFn) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    kinds = [SMALL, TEXT, st.booleans(), SMALL.map(lambda n: n / 4)]
    of_one_kind = st.sampled_from(kinds).flatmap(lambda kind: st.lists(kind, min_size=1))
    values = draw(of_one_kind)
    return {"enum": values}, st.sampled_from(values) | st.sampled_from(values).map(_another)


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1


OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "object": st.sampled_from([{}, {"a": [None]}, [], [{}]]),
    "array": st.sampled_from([[], [1], {}, {"a": []}]),
}


@st.composite
def _others(draw: st.DrawFn) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    kind = draw(st.sampled_from(list(OTHERS)))
    return {"type": kind}, OTHERS[kind]


@st.composite
def _cases(draw: st.DrawFn) -> tuple[dict[str, Any], bool, list[Any]]:
    """Draw a property, whether it is required, and values of its JSON type or null to try."""
    schema, values = draw(st.one_of(_numbers(), _strings(), _lists(), _others()))
    if draw(st.booleans()):
        schema = {"anyOf": [schema, {"type": "null"}]}
    return schema, draw(st.booleans()), draw(st.lists(values | st.none(), min_size=1, max_size=8))


@given(_cases())
@settings(
    max_examples=examples(50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_column_accepts_what_its_contract_accepts(
    connection: psycopg.Connection[Any], case: tuple[dict[str, Any], bool, list[Any]]
) -> None:
    schema, required, values = case
    contract = relational({"x": schema}, *(["x"] if required else []))
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        path = project.add("both/directions/tried", contract)
        if not _has_values(project, path):
            return
        (migration,) = project.plan()
    validator = Draft202012Validator(contract)
    try:
        connection.execute(migration.text.encode())
        for value in values:
            # In a column, null is also how a property that is left out is kept.
            document = {} if value is None and not required else {"x": value}
            wanted = validator.is_valid(document)
            assert _accepts(connection, value) is wanted, (schema, value, migration.text)
    finally:
        connection.rollback()


def _has_values(project: Project, path: Path) -> bool:
    from lift_sys.contracts import ContractError, tables_for

    try:
        return bool(tables_for(project.workspace().load(path)))
    except ContractError:
        return False


def _accepts(connection: psycopg.Connection[Any], value: Any) -> bool:
    statement = (
        f"insert into {TABLE} (x) select x from jsonb_populate_record(null::{TABLE}, %s)"
    ).encode()
    try:
        with connection.transaction():
            connection.execute(statement, (Jsonb({"x": value}),))
    except psycopg.errors.IntegrityError:
        return False
    return True
