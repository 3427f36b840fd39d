"""Which migrations are planned, under which names and in which order."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from lift_sys.contracts import ContractError, PlannedMigration, Workspace, decide, plan, write
from lift_sys.contracts.migrations import read_migrations
from lift_sys.contracts.naming import fit, identifier, literal, one_line, snake_case

MOMENT = datetime(2025, 10, 30, 14, 30, tzinfo=UTC)


def _plan(root: Path, moment: datetime = MOMENT) -> list[PlannedMigration]:
    contracts, refused = Workspace(root).load_all()
    assert refused == []
    return plan(contracts, root.parent / "migrations", clock=lambda: moment)


def test_a_file_is_named_by_time_and_table(root: Path, put: Any) -> None:
    put("match/dilemma/current")
    assert [m.path.name for m in _plan(root)] == ["20251030143000_match_dilemma_current.sql"]


def test_the_time_in_the_name_is_utc(root: Path, put: Any) -> None:
    put("match/dilemma/current")
    (migration,) = _plan(root, datetime(2025, 10, 30, 16, 30, tzinfo=timezone(timedelta(hours=2))))
    assert migration.path.name.startswith("20251030143000_")


def test_generating_twice_changes_nothing(root: Path, put: Any) -> None:
    put("match/dilemma/current")
    write(_plan(root))
    assert _plan(root, MOMENT + timedelta(days=1)) == []


def test_the_same_contracts_give_the_same_text(root: Path, put: Any) -> None:
    put("a/b/c", {"properties": {"x": {"enum": ["b", "a"]}}}, strategy="relational")
    assert [m.text for m in _plan(root)] == [m.text for m in _plan(root)]


def test_a_file_there_is_never_overwritten(root: Path, put: Any) -> None:
    put("a/b/c")
    planned = _plan(root)
    write(planned)
    with pytest.raises(FileExistsError):
        write(planned)


def test_a_new_migration_follows_the_newest_one(root: Path, put: Any) -> None:
    put("a/b/c")
    folder = root.parent / "migrations"
    folder.mkdir()
    (folder / "20260101000000_later.sql").write_text("select 1;")
    assert _plan(root)[0].path.name == "20260101000001_a_b_c.sql"


def test_tables_referred_to_come_first(root: Path, put: Any) -> None:
    reference = {"type": "string", "format": "uuid", "x-foreign-key": "z_z_z"}
    put("a/a/a", {"properties": {"z": reference}}, strategy="relational")
    put("z/z/z")
    assert [m.table.name for m in _plan(root)] == ["z_z_z", "a_a_a"]


def test_a_circle_of_foreign_keys_is_refused(root: Path, put: Any) -> None:
    for own, other in (("a", "b"), ("b", "a")):
        reference = {"type": "string", "format": "uuid", "x-foreign-key": f"{other}_x_x"}
        put(f"{own}/x/x", {"properties": {"other": reference}}, strategy="relational")
    with pytest.raises(ContractError, match="circle"):
        _plan(root)


def test_two_contracts_of_one_table_are_refused(root: Path, put: Any) -> None:
    put("a/b_c/d")
    put("a/b/c_d")
    with pytest.raises(ContractError, match="already that of contracts/a/b/c_d"):
        _plan(root)


def test_long_names_are_cut_without_colliding(root: Path, put: Any) -> None:
    for aspect in ("x", "y"):
        put(f"theme/domain/{'a' * 70}{aspect}")
    names = [m.table.name for m in _plan(root)]
    assert [len(name) for name in names] == [63, 63]
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("statement", "known"),
    [
        ("create table public.a_b_c (id int)", True),
        ('CREATE TABLE IF NOT EXISTS "public"."a_b_c" (id int)', True),
        ("create unlogged table a_b_c ()", True),
        ("create /* here */ table\n a_b_c ()", True),
        ("create table old (); alter table old rename to a_b_c", True),
        ("create table a_b_c (); drop table if exists public.a_b_c cascade", False),
        ("create table a_b_c (); drop table x, a_b_c", False),
        ("create table a_b_c (); alter table a_b_c rename to other", False),
        ("-- create table a_b_c ()", False),
        ("/* create table a_b_c () */ select 1", False),
        ("select 'create table a_b_c ()'", False),
        ("select E'it\\'s create table a_b_c ()'", False),
        ("do $body$ begin create table a_b_c (); end $body$", False),
        ("create table private.a_b_c ()", False),
        ("create temporary table a_b_c ()", False),
        ('create table "A_B_C" ()', False),
        ("create table A_B_C ()", True),
    ],
)
def test_a_migration_counts_by_what_it_creates(
    root: Path, put: Any, statement: str, known: bool
) -> None:
    put("a/b/c")
    folder = root.parent / "migrations"
    folder.mkdir()
    (folder / "20250101000000_by_hand.sql").write_text(statement)
    assert (_plan(root) == []) is known


def test_a_file_that_is_no_migration_does_not_count(root: Path, put: Any) -> None:
    put("a/b/c")
    folder = root.parent / "migrations"
    folder.mkdir()
    (folder / "notes.sql").write_text("create table a_b_c ()")
    assert len(_plan(root)) == 1


def test_markers_are_found_with_file_and_line(root: Path, put: Any) -> None:
    put("a/b/c", {"properties": {"x": {"type": ["string", "integer"]}}}, strategy="relational")
    write(_plan(root))
    found = read_migrations(root.parent / "migrations").markers
    topics = ["foreign-keys", "indexes", "row-security", "updated-at", "unmapped-type"]
    assert [marker.topic for marker in found] == topics
    text = (root.parent / "migrations" / found[0].file).read_text()
    assert text.split("\n")[found[0].line - 1].startswith("-- REVIEW(foreign-keys): ")


@pytest.mark.parametrize(
    ("persistence", "direction", "pattern"),
    [
        ({}, "produced", "blob"),
        ({"strategy": "jsonb"}, "produced", "blob"),
        ({"strategy": "relational"}, "produced", "columns"),
        ({"strategy": "none"}, "produced", None),
        ({"strategy": "jsonb"}, "consumed", None),
        ({"purpose": "event_log"}, "produced", "event_log"),
        ({"purpose": "cache"}, "produced", "cache"),
        ({"purpose": "queue"}, "produced", "queue"),
        ({"purpose": "other", "access": "read"}, "produced", "columns"),
        ({"purpose": "other", "access": "write"}, "produced", "blob"),
        ({"purpose": "other", "strategy": "jsonb"}, "produced", "blob"),
        ({"managed": "by-hand"}, "produced", "by-hand"),
    ],
)
def test_the_decision_follows_the_metadata(
    load: Any, persistence: dict[str, str], direction: str, pattern: str | None
) -> None:
    metadata = {"persistence": persistence, "direction": direction}
    decision = decide(load({"x-artifact-metadata": metadata}))
    assert decision.pattern == pattern
    assert all(decision.reasons)


def test_metadata_may_name_domain_and_resource(root: Path, put: Any) -> None:
    put("match/x/y", {"x-artifact-metadata": {"domain": "dilemma", "resource": "current"}})
    assert [m.table.name for m in _plan(root)] == ["match_dilemma_current"]


def test_without_a_path_the_id_names_the_table(root: Path, put: Any) -> None:
    put("loose", {"$id": "match:dilemma:current"})
    assert [m.table.name for m in _plan(root)] == ["match_dilemma_current"]


def test_with_neither_a_contract_is_refused(root: Path, put: Any) -> None:
    put("loose", {"$id": "loose"})
    with pytest.raises(ContractError, match="neither path nor"):
        _plan(root)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fooBar", "foo_bar"),
        ("HTTPServer", "http_server"),
        ("foo-bar.baz", "foo_bar_baz"),
        ("  spaced  ", "spaced"),
        ("Straße", "straße"),
        ("寿司", "寿司"),
        ("v2", "v2"),
        ("🍣", ""),
    ],
)
def test_names_become_snake_case(text: str, name: str) -> None:
    assert snake_case(text) == name


def test_a_name_is_cut_between_characters() -> None:
    name = fit("寿" * 40)
    assert len(name.encode()) <= 63
    assert name.startswith("寿寿")


def test_text_is_quoted_where_it_must_be() -> None:
    assert [identifier(n) for n in ("plain", "select", "Up", 'q"', "1a")] == [
        "plain",
        '"select"',
        '"Up"',
        '"q"""',
        '"1a"',
    ]
    assert literal("it's \\") == "'it''s \\'"
    assert one_line("a\r\nb\u2028c\x00") == "a  b c"
