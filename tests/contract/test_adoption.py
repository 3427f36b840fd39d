"""A third party adopts the suite as the documentation says, without our tests folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lift_sys.testing

README = Path(__file__).parents[2] / "README.md"
STORE = """
import lift_sys.spec_sessions

class MyStore(lift_sys.spec_sessions.SQLiteSessionStore):
    pass
"""


def _blocks() -> dict[str, str]:
    """Return what the documentation shows of a contract test, by where it stands."""
    shown = {
        "docstring": re.findall(r"::\n\n((?:    .*\n|\n)+)", lift_sys.testing.__doc__ or ""),
        "readme": re.findall(r"```python adopt\n(.*?)```", README.read_text(), re.DOTALL),
    }
    return {
        where: re.sub(r"^    (?=from|import|class|    )", "", block, flags=re.MULTILINE)
        if where == "docstring"
        else block
        for where, blocks in shown.items()
        for block in blocks
        if "SessionStoreContract" in block
    }


@pytest.mark.parametrize("where", _blocks())
def test_the_block_in_the_documentation_runs_the_suite(where: str, tmp_path: Path) -> None:
    block = _blocks()[where]
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) <= 10
    (tmp_path / "my_package.py").write_text(STORE)
    (tmp_path / "test_mine.py").write_text(block)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "test_mine.py",
            "-k",
            "absence or comes_back or gone",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"G1 +round trip +passed \d+", run.stdout)
