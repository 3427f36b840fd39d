"""Sessions from code: stable ids, and only text that every store keeps."""

from pathlib import Path

import pytest

from lift_sys.backends.json_values import check_model
from lift_sys.commands.lifting import lift_files
from lift_sys.ir import lift_functions
from lift_sys.spec_sessions import InMemorySessionStore, PromptSession
from lift_sys.spec_sessions.lifting import sessions_from

SOURCE = '''
def f(a):
    """Return a."""
    return a

class C:
    def f(self) -> None:
        pass
'''


def sessions(source: str, path: str = "a.py") -> list[PromptSession]:
    return list(sessions_from(lift_functions(source, path=path)))


def ids(source: str, path: str = "a.py") -> list[str]:
    return [session.session_id for session in sessions(source, path)]


def test_a_function_becomes_a_session_with_its_source_and_its_first_draft() -> None:
    first, second = sessions(SOURCE)
    assert (first.source, first.status, first.version) == ("code", "active", 0)
    assert first.original_input.startswith("def f(a):")
    assert first.metadata == {"path": "a.py", "function": "f", "line": 2}
    assert second.metadata == {"path": "a.py", "function": "C.f", "line": 7}
    assert [d.version for d in first.ir_drafts] == [1]


def test_the_first_draft_is_incomplete_where_it_has_holes_and_says_which() -> None:
    [open_] = sessions("def f(a): return a")
    [closed] = sessions('def f(a: int) -> int:\n    """Return it."""\n    return a')
    assert open_.ir_drafts[0].validation_status == "incomplete"
    assert list(open_.ir_drafts[0].ambiguities) == open_.get_unresolved_holes() != []
    assert closed.ir_drafts[0].validation_status == "valid"


def test_the_same_code_has_the_same_ids_wherever_it_moves_in_the_file() -> None:
    assert ids(SOURCE) == ids("\n\n" + SOURCE)
    assert set(ids(SOURCE)).isdisjoint(ids(SOURCE, "b.py"))
    assert ids(SOURCE)[0] != ids(SOURCE.replace("Return a.", "Return b."))[0]


def test_duplicates_in_a_file_have_ids_of_their_own() -> None:
    once = "def f(): pass\n"
    assert len(set(ids(once * 3))) == 3
    assert ids(once * 3)[:2] == ids(once * 2)


@pytest.mark.parametrize("escape", ["\\0", "\\ud800", "\\udfff\\ud800", "\\N{NULL}"])
def test_what_no_store_keeps_in_a_docstring_is_replaced(escape: str) -> None:
    [session] = sessions(f'def f():\n    "before {escape} after \\U0001f600"\n')
    check_model(session.ir_drafts[0], "draft")
    summary = session.ir_drafts[0].ir.intent.summary
    assert summary.startswith("before \N{REPLACEMENT CHARACTER}")
    assert summary.endswith("after \N{GRINNING FACE}")
    with InMemorySessionStore() as store:
        store.create(session)


def test_a_path_that_is_no_utf_8_is_kept_as_escapes(tmp_path: Path) -> None:
    names = [b"caf\xe9.py", b"caf\xea.py"]
    files = [tmp_path / name.decode("utf-8", "surrogateescape") for name in names]
    for file in files:
        file.write_text("def f(): pass\n")
    with InMemorySessionStore() as store:
        assert lift_files(store, files).stored == 2
        paths = {session.metadata["path"] for session in store.list_all()}
        assert paths == {f"{tmp_path}/caf\\udce9.py", f"{tmp_path}/caf\\udcea.py"}
        assert lift_files(store, files).present == 2


def test_functions_too_large_for_one_write_are_written_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lift_sys.spec_sessions.encoding.MAX_WRITE_BYTES", 6_000)
    monkeypatch.setattr("lift_sys.spec_sessions.encoding.MAX_ITEM_BYTES", 3_000)
    file = tmp_path / "a.py"
    file.write_text("".join(f"def f{n}(a):\n    return 'x'\n" for n in range(30)))
    huge = tmp_path / "b.py"
    huge.write_text("def small(): pass\ndef huge():\n    return '" + "x" * 5_000 + "'\n")
    with InMemorySessionStore() as store:
        report = lift_files(store, [file, huge])
        assert (report.stored, report.present, len(report.refused)) == (31, 0, 1)
        assert str(report.refused[0]).startswith(f"{huge}, huge: revisions[0]: ")
        again = lift_files(store, [file, huge])
        assert (again.stored, again.present, len(again.refused)) == (0, 31, 1)


def test_a_file_that_cannot_be_lifted_is_reported_and_passed_over(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.py", tmp_path / "good.py"
    bad.write_text("def f(:\n")
    good.write_text("def f(): pass\n")
    with InMemorySessionStore() as store:
        report = lift_files(store, [bad, good, tmp_path / "gone.py"])
        assert (report.files, report.stored) == (1, 1)
        assert [failure.path for failure in report.failures] == [
            str(bad),
            str(tmp_path / "gone.py"),
        ]
