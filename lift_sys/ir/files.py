"""Source files: found in a reproducible order, read in the encoding they declare, and lifted."""

import io
import os
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from lift_sys.ir.lifter import LiftedFunction, lift_functions
from lift_sys.ir.source import LiftError

_NO_SOURCE: Final = {"__pycache__", "site-packages", "dist-packages"}
"""Names of folders that hold nothing of the project they stand in."""


def lift_file(path: Path) -> list[LiftedFunction]:
    """Return what ``lift_functions`` returns for the file at `path`.

    The encoding is the one the file declares (PEP 263), UTF-8 otherwise.

    Raises:
        LiftError: the file cannot be read, decoded or parsed.
    """
    return lift_functions(_read(path), path=str(path))


def python_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files among `paths` as given, and for folders the ``*.py`` files in them.

    The paths keep their order. In a folder its own files come first, then those of each folder
    in it, both by name. Left out are hidden folders, ``__pycache__``, virtual environments, folders
    of installed packages (the standard library's holds one) and links to folders, which could lead
    in circles; a folder given by name is always walked.

    Raises:
        LiftError: when it comes to a path that does not exist, or a folder that cannot be read.
    """
    for path in paths:
        if path.is_dir():
            yield from _walk(path)
        elif path.exists():
            yield path
        else:
            raise LiftError("no such file or folder", str(path))


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, onerror=_refuse):
        if "pyvenv.cfg" in files and Path(folder) != root:
            folders.clear()
            continue
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in _NO_SOURCE)
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(".py") and path.is_file():
                yield path


def _refuse(error: OSError) -> None:
    raise LiftError(error.strerror or str(error), error.filename) from error


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LiftError(error.strerror or str(error), str(path)) from error
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LiftError(f"is not valid {error.encoding}", str(path), line) from error
    except (SyntaxError, LookupError, ValueError) as error:
        # A declared encoding that is unknown, is none for text, or has no place for errors.
        raise LiftError(str(error), str(path)) from error
