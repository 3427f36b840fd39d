"""Files are found in one order, read in the encoding they declare, and refused clearly."""

import os
from pathlib import Path

import pytest

from lift_sys.ir import LiftError, lift_file, python_files


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")


def found(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in python_files([root])]


def test_a_folder_gives_its_own_files_first_then_its_folders_by_name(tmp_path: Path):
    make(
        tmp_path, "b.py", "a.py", "b/z.py", "b/a.py", "a/c/d.py", "a/x.py", "Z.py", "c.pyi", "d.txt"
    )
    assert found(tmp_path) == ["Z.py", "a.py", "b.py", "a/x.py", "a/c/d.py", "b/a.py", "b/z.py"]


def test_hidden_folders_caches_and_environments_are_left_out(tmp_path: Path):
    make(tmp_path, ".git/a.py", "__pycache__/a.py", "env/pyvenv.cfg", "env/a.py", "env/lib/b.py",
         "pkg/.venv/a.py", "pkg/a.py", ".hidden.py")  # fmt: skip
    assert found(tmp_path) == [".hidden.py", "pkg/a.py"]


def test_installed_packages_are_left_out_unless_given_by_name(tmp_path: Path):
    make(tmp_path, "os.py", "site-packages/x/a.py", "lib/dist-packages/b.py", "lib/c.py")
    assert found(tmp_path) == ["os.py", "lib/c.py"]
    assert found(tmp_path / "site-packages") == ["x/a.py"]


def test_a_folder_given_by_name_is_walked_whatever_it_is(tmp_path: Path):
    make(tmp_path, ".hidden/a.py", ".hidden/pyvenv.cfg")
    assert [path.name for path in python_files([tmp_path / ".hidden"])] == ["a.py"]


def test_files_are_given_as_they_are_in_the_order_of_the_paths(tmp_path: Path):
    make(tmp_path, "script", "pkg/a.py", ".hidden/b.py")
    paths = [tmp_path / "script", tmp_path / "pkg", tmp_path / ".hidden/b.py", tmp_path / "script"]
    assert list(python_files(paths)) == [
        tmp_path / "script", tmp_path / "pkg/a.py", tmp_path / ".hidden/b.py", tmp_path / "script",
    ]  # fmt: skip


def test_links_neither_lead_in_circles_nor_nowhere(tmp_path: Path):
    make(tmp_path, "pkg/a.py")
    (tmp_path / "pkg/loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "pkg/broken.py").symlink_to(tmp_path / "missing")
    (tmp_path / "pkg/linked.py").symlink_to(tmp_path / "pkg/a.py")
    (tmp_path / "entry").symlink_to(tmp_path / "pkg", target_is_directory=True)
    assert found(tmp_path) == ["pkg/a.py", "pkg/linked.py"]
    assert found(tmp_path / "entry") == ["a.py", "linked.py"]


def test_a_folder_or_a_pipe_named_like_a_file_is_none(tmp_path: Path):
    make(tmp_path, "x.py/a.py")
    os.mkfifo(tmp_path / "pipe.py")
    assert found(tmp_path) == ["x.py/a.py"]


def test_a_missing_path_is_named(tmp_path: Path):
    make(tmp_path, "a.py")
    files = python_files([tmp_path / "a.py", tmp_path / "missing"])
    assert next(files) == tmp_path / "a.py"
    with pytest.raises(LiftError, match=r"missing: no such file or folder$"):
        next(files)


def test_a_folder_that_goes_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, "pkg/a.py")

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(LiftError, match="Permission denied") as raised:
        list(python_files([tmp_path]))
    assert raised.value.path == str(tmp_path)


ENCODED = "# -*- coding: {} -*-\ndef f():\n    '''{}'''\n"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "é漢👩"),
        ("latin-1", "é"),
        ("iso-8859-15", "€"),
        ("cp1251", "Ж"),
        ("shift_jis", "漢字"),
        ("euc-kr", "한국"),
        ("utf-8-sig", "é漢"),
    ],
)
def test_a_file_is_read_in_the_encoding_it_declares(tmp_path: Path, encoding: str, text: str):
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    path = tmp_path / "a.py"
    path.write_bytes(ENCODED.format(declared, text).encode(encoding))
    (found_function,) = lift_file(path)
    assert found_function.ir.intent.summary == text
    assert found_function.ir.metadata.source_path == str(path)
    assert found_function.source == f"def f():\n    '''{text}'''"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"x = 1\n\n\n\ny = '\xff'\n", 5),
        (b"\xff\xfe\x00", None),
        (b"# coding: no-such-codec\n", None),
        (b"# coding: hex\n", None),
        (b"# coding: rot13\n", None),
        (b"# coding: ascii\n\n\nx = '\xc3\xa9'\n", 4),
        (b"# coding: utf-16\nx\n", None),
        (b"\xef\xbb\xbf# coding: latin-1\n", None),
        (b"# coding: latin-1\n'\xff'\n\x00", 3),
        (b"def\n", 1),
    ],
)
def test_a_file_that_is_no_text_or_no_python_is_refused(
    tmp_path: Path, data: bytes, line: int | None
):
    path = tmp_path / "bad.py"
    path.write_bytes(data)
    with pytest.raises(LiftError) as raised:
        lift_file(path)
    assert raised.value.path == str(path)
    assert str(raised.value).startswith(str(path))
    if line is not None:
        assert raised.value.line == line


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str):
    with pytest.raises(LiftError) as raised:
        lift_file(tmp_path / name)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.path == str(tmp_path / name)


def test_an_empty_file_has_no_functions(tmp_path: Path):
    make(tmp_path, "a.py")
    assert lift_file(tmp_path / "a.py") == []
