"""The commands: what they print, what they write, and the code they end with."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lift_sys.contracts.cli import app

PIPED = {"COLUMNS": None}
"""What a pipe says of its width; a test runner may have set one for its own output."""

COLUMNS = {"properties": {"order": {"type": "integer"}, "n": {"type": "string"}}}


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in the folder that holds supabase/."""
    monkeypatch.chdir(root.parent.parent)
    monkeypatch.delenv("LIFT_SYS_DATABASE_URL", raising=False)

    def run(*arguments: str) -> Result:
        result = CliRunner(env=PIPED).invoke(app, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def _json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_generate_writes_what_is_missing_once(run: Any, put: Any) -> None:
    put("a/b/c")
    first, second = run("generate", "--json"), run("generate", "--json")
    (written,) = _json(first)
    assert Path(written["path"]).is_file()
    assert (written["table"], written["review"], written["written"]) == ("a_b_c", [], True)
    assert (_json(second), second.exit_code) == ([], 0)


def test_a_dry_run_shows_the_sql_and_writes_nothing(run: Any, put: Any, root: Path) -> None:
    put("a/b/c")
    result = run("generate", "--dry-run")
    assert "create table public.a_b_c (" in result.stdout
    assert not (root.parent / "migrations").exists()


def test_one_contract_can_be_generated_alone(run: Any, put: Any) -> None:
    put("a/b/d")
    path = put("a/b/c")
    assert [m["table"] for m in _json(run("generate", "--contract", str(path), "--json"))] == [
        "a_b_c"
    ]


def test_one_contract_cannot_take_anothers_table(run: Any, put: Any) -> None:
    put("a/b_c/d")
    result = run("generate", "--contract", str(put("a/b/c_d")))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "already that of" in result.stderr


def test_a_refused_contract_is_one_clear_line(run: Any, put: Any) -> None:
    put("a/b/c", {"version": "one"})
    result = run("generate")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: contracts/a/b/c.schema.json#/version: 'one' is no version such as 1.0.0\n"
    )


def test_explain_says_why(run: Any, put: Any) -> None:
    put("a/b/c", COLUMNS, strategy="relational")
    put("a/b/d", strategy="none")
    result = run("explain")
    assert result.exit_code == 0
    for said in ("columns table", "no table", "strategy none", "an integer becomes integer"):
        assert said in result.stdout
    kept, left = _json(run("explain", "--json"))
    assert [c["name"] for c in kept["tables"][0]["columns"]][:3] == ["id", "order", "n"]
    assert left["tables"] == []


def test_explain_prints_what_looks_like_markup_as_it_is(run: Any, put: Any) -> None:
    put("a/b/c", {"properties": {"x": {"enum": ["[red]", "[/]"]}}}, strategy="relational")
    assert "[red]" in run("explain").stdout


def test_check_ends_with_1_if_something_is_wrong(run: Any, put: Any) -> None:
    put("a/b/c")
    result = run("check", "--json")
    assert result.exit_code == 1
    assert [(f["code"], f["severity"]) for f in _json(result)] == [("missing-migration", "error")]
    assert "lift-sys contracts generate" in run("check").stdout


def test_check_ends_with_0_if_all_is_well(run: Any, put: Any) -> None:
    put("a/b/c")
    run("generate")
    result = run("check")
    assert (result.exit_code, result.stdout) == (0, "contracts, migrations and database agree\n")


def test_check_finds_what_was_not_reviewed_or_mapped(run: Any, put: Any) -> None:
    properties = {"n": {"type": ["string", "number"]}, "i": {"type": "integer"}}
    put("a/b/c", {"properties": properties, "x-index": False}, strategy="relational")
    run("generate")
    codes = [finding["code"] for finding in _json(run("check", "--json"))]
    assert codes == ["unreviewed-marker"] * 4 + ["unmapped-type", "loose-type"]


def test_notes_alone_do_not_fail_a_check(run: Any, put: Any) -> None:
    settled = dict.fromkeys(["x-foreign-key", "x-index", "x-owner", "x-updated-at"], False)
    put("a/b/c", {**COLUMNS, **settled}, strategy="relational")
    run("generate")
    result = run("check", "--json")
    assert (result.exit_code, [f["code"] for f in _json(result)]) == (0, ["loose-type"])


def test_check_finds_tables_without_a_contract(run: Any, put: Any, root: Path) -> None:
    put("a/b/c")
    run("generate")
    (root.parent / "migrations" / "20250101000000_x.sql").write_text("create table stray ();")
    result = run("check", "--json")
    assert [(f["code"], f["where"]) for f in _json(result)] == [("table-without-contract", "stray")]
    assert run("check", "--allow-table", "stray").exit_code == 0


def test_a_table_may_be_excepted_with_a_reason(run: Any, root: Path) -> None:
    (root.parent / "migrations").mkdir()
    migration = root.parent / "migrations" / "20250101000000_x.sql"
    migration.write_text("create table inner_one.notes (); create table stray ();")
    found = {"inner_one.notes", "stray"}
    assert {finding["where"] for finding in _json(run("check", "--json"))} == found
    (root / "uncontracted.json").write_text(json.dumps(dict.fromkeys(found, "it is a scratch pad")))
    assert run("check").exit_code == 0
    migration.write_text("create table stray ();")
    codes = [(f["code"], f["where"]) for f in _json(run("check", "--json"))]
    assert codes == [("needless-exception", "inner_one.notes")]


@pytest.mark.parametrize(("text", "place"), [("[]", ""), ('{"a": " "}', "#/a"), ("{", "")])
def test_an_exception_without_a_reason_is_refused(
    run: Any, root: Path, text: str, place: str
) -> None:
    (root / "uncontracted.json").write_text(text)
    (finding,) = _json(run("check", "--json"))
    assert (finding["code"], finding["where"]) == ("refused-contract", f"uncontracted.json{place}")


def test_check_goes_on_past_a_refused_contract(run: Any, put: Any) -> None:
    put("a/b/c", {"type": "nonsense"})
    put("a/b/d")
    codes = [finding["code"] for finding in _json(run("check", "--json"))]
    assert codes == ["refused-contract", "missing-migration"]


def test_an_unreachable_database_is_one_line_without_the_password(run: Any, put: Any) -> None:
    put("a/b/c")
    result = run("check", "--database-url", "postgresql://me:secret@127.0.0.1:1/x")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "secret" not in result.stderr


def test_a_missing_folder_is_one_line(run: Any) -> None:
    result = run("check", "--root", "nowhere")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: there is no folder nowhere; say --root\n",
    )


def test_diff_refuses_a_version_that_says_too_little(run: Any, put: Any) -> None:
    old = put("a/b/c", COLUMNS)
    new = put("next", {"$id": "a:b:c", "version": "1.0.1"})
    result = run("diff", str(old), str(new))
    assert result.exit_code == 1
    assert "version 1.0.1 is too small: it takes 1.1.0" in result.stdout
    found = _json(run("diff", str(old), str(new), "--json"))
    assert (found["bump"], found["enough"], found["migration"]) == ("minor", False, False)


def test_diff_accepts_one_that_says_enough(run: Any, put: Any, tmp_path: Path) -> None:
    old = put("a/b/c")
    outside = tmp_path / "elsewhere.json"
    outside.write_text(json.dumps({"$id": "a:b:c", "version": "1.1.0", **COLUMNS}))
    assert run("diff", str(old), str(outside)).exit_code == 0


def test_export_writes_a_contract_and_checks_it(run: Any, root: Path) -> None:
    model = "lift_sys.contracts.contract:Persistence"
    arguments = ("export", model, "tools/contracts/persistence", "--version", "1.0.0")
    assert run(*arguments, "--check").exit_code == 1
    assert run(*arguments).exit_code == 0
    assert run(*arguments, "--check").exit_code == 0
    assert (root / "tools" / "contracts" / "persistence.schema.json").is_file()
    assert run("generate").exit_code == 0


def test_export_brings_every_exported_contract_up_to_date(run: Any, put: Any, root: Path) -> None:
    put("a/b/c")
    run("export", "lift_sys.contracts.contract:Persistence", "tools/contracts/persistence")
    path = root / "tools" / "contracts" / "persistence.schema.json"
    exported = path.read_text()
    path.write_text(exported.replace('"access"', '"excess"'))
    assert run("export", "--check").exit_code == 1
    assert run("export").stdout == f"wrote {path.relative_to(root.parent.parent)}\n"
    assert run("export", "--check").exit_code == 0


def test_export_needs_a_place(run: Any) -> None:
    result = run("export", "lift_sys.contracts.contract:Persistence")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_export_of_nothing_is_one_line(run: Any) -> None:
    result = run("export", "no_such_module:X", "a/b/c", "--version", "1.0.0")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", ["export", "generate", "explain", "check", "diff"])
def test_every_command_has_help(run: Any, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout) > 200
