"""The report by guarantee, and the backends that must not be missing."""

import os
import subprocess
import sys
from pathlib import Path

PASSING = """
import pytest
from lift_sys.testing import guarantee

class TestOne:
    backend = "one"

    @guarantee("G1")
    @guarantee("G2")
    def test_kept(self):
        pass

    @guarantee("G2")
    def test_not_for_this_one(self):
        pytest.skip("it has no such thing")

class TestTwo:
    backend = "two-async"

    @guarantee("G1")
    def test_away(self, server):
        pass

    @pytest.fixture
    def server(self):
        pytest.skip("no server here")
"""
FAILING = """
from lift_sys.testing import guarantee

@guarantee("G3")
def test_broken():
    assert False
"""


def _run(folder: Path, source: str, *options: str) -> tuple[int, list[str]]:
    """Run pytest on a file of its own; return its exit status and its lines without margins."""
    (folder / "test_it.py").write_text(source)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.returncode, [" ".join(line.split()) for line in run.stdout.splitlines()]


def test_the_report_shows_each_guarantee_for_each_backend(tmp_path: Path) -> None:
    status, lines = _run(tmp_path, PASSING)
    assert status == 0
    assert "one two-async" in lines
    assert "G1 round trip passed 1 not applicable 1" in lines
    assert "G2 values, not references passed 1, 1 n/a no test" in lines
    assert "G3 absence no test no test" in lines
    assert "G2 on one: it has no such thing" in lines


def test_the_report_shows_what_failed(tmp_path: Path) -> None:
    status, lines = _run(tmp_path, FAILING)
    assert status == 1
    assert "G3 absence FAILED 1" in lines


def test_a_run_without_contract_tests_has_no_report(tmp_path: Path) -> None:
    status, lines = _run(tmp_path, "def test_nothing():\n    pass\n")
    assert status == 0
    assert not any("guarantees" in line for line in lines)


def test_a_required_backend_must_not_be_skipped(tmp_path: Path) -> None:
    status, lines = _run(tmp_path, PASSING, "--require-backends=two")
    assert status == 1
    assert any("two-async is required, but its harness skipped: no server here" in x for x in lines)


def test_a_required_backend_that_is_there_may_lack_what_does_not_apply(tmp_path: Path) -> None:
    status, _ = _run(tmp_path, PASSING, "--require-backends=one")
    assert status == 0


def test_a_required_backend_without_tests_fails_the_run(tmp_path: Path) -> None:
    status, lines = _run(tmp_path, PASSING, "--require-backends=one,three")
    assert status == 1
    assert "ERROR: three is required, and no contract test ran for it" in lines
