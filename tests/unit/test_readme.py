"""The README is true: each of its blocks is run, and the gate runs its first two commands.

Blocks about the server are run in ``tests/integration/api``, the one about a store of one's own in
``tests/contract``.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lift_sys.local import LocalSupabase
from lift_sys.local.binaries import postgrest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)( \w+)?\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
HERE = [(kind, text) for kind, label, text in BLOCKS if not label]
ON_SUPABASE = [(kind, text) for kind, label, text in BLOCKS if label == " supabase"]
GATE = [text.strip() for _, label, text in BLOCKS if label == " gate"]


def run(kind: str, text: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    commands = {
        "sh": ["bash", "-euo", "pipefail", "-c", text],
        "python": [sys.executable, "-W", "error", "-c", text],
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        commands[kind],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("kind", "text"), HERE, ids=[text[:30] for _, text in HERE])
def test_every_block_runs_in_an_empty_folder(kind: str, text: str, tmp_path: Path) -> None:
    done = run(kind, text, tmp_path, LIFT_SYS_POSTGREST=str(postgrest()))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def project() -> Iterator[dict[str, str]]:
    with LocalSupabase() as stack:
        yield {**stack.environment(), "USER_TOKEN": stack.jwt("ann")}


@pytest.mark.parametrize(("kind", "text"), ON_SUPABASE, ids=[text[:30] for _, text in ON_SUPABASE])
def test_every_block_about_supabase_runs_on_one(
    kind: str, text: str, tmp_path: Path, project: dict[str, str]
) -> None:
    done = run(kind, text, tmp_path, **project)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_block_is_of_a_kind_that_is_not_run() -> None:
    assert {kind for kind, _ in HERE + ON_SUPABASE} == {"sh", "python"}
    elsewhere = {label for _, label, _ in BLOCKS} - {"", " gate", " supabase"}
    assert elsewhere == {" serve", " walk", " fastapi", " modal", " adopt"}
    assert README.count("```") == 2 * len(BLOCKS)


def test_the_gate_runs_the_first_two_commands_as_written() -> None:
    gate = (ROOT / ".ci" / "run").read_text().splitlines()
    assert len(GATE) == 2
    for command in GATE:
        assert any(line.removesuffix(' "$@"') == command for line in gate)


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    listed = set(map(int, re.findall(r"^\| (\d+) \|", README, re.MULTILINE)))
    assert listed == set(range(9)) | {130}
