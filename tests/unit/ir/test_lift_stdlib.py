"""The whole standard library of the running Python lifts, whatever its own tests contain."""

import ast
import sysconfig
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from lift_sys.ir import (
    IntermediateRepresentation,
    LiftedFunction,
    LiftError,
    lift_file,
    python_files,
)

STDLIB = Path(sysconfig.get_path("stdlib"))
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[Path]:
    """Yield every file of the standard library, its tests included."""
    for path in python_files([STDLIB]):
        if "site-packages" not in path.relative_to(STDLIB).parts:
            yield path


def compiles(path: Path) -> bool:
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return False
    return True


def lift_or_refuse(path: Path) -> list[LiftedFunction] | LiftError:
    try:
        return lift_file(path)
    except LiftError as error:
        return error


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_every_function_lifts_and_every_refusal_is_deserved():
    functions = 0
    for path in modules():
        found = lift_or_refuse(path)
        if isinstance(found, LiftError):
            assert str(found).startswith(str(path))
            assert not compiles(path)
            continue
        functions += len(found)
        for lifted in found:
            holes = [hole.identifier for hole in lifted.ir.typed_holes()]
            assert len(holes) == len(set(holes))
            assert lifted.source.startswith(("def", "async", "@"))
    assert functions > 10_000


def outer_functions(path: Path) -> Iterator[tuple[LiftedFunction, FunctionNode]]:
    """Yield each lifted function that is in no other one, with its node in the file's tree."""
    tree = ast.parse(path.read_bytes())
    nodes = {n.lineno: n for n in ast.walk(tree) if isinstance(n, FunctionNode)}
    found = lift_file(path)
    assert [lifted.line for lifted in found] == sorted(nodes)
    for lifted in found:
        if "<locals>" not in lifted.qualified_name:
            yield lifted, nodes[lifted.line]


def without_layout(function: ast.AST) -> str:
    """Return the tree as text, docstrings without the indentation that the source gives them."""
    for node in ast.walk(function):
        if isinstance(node, FunctionNode):
            match node.body[0]:
                case ast.Expr(value=ast.Constant(value=str()) as docstring):
                    docstring.value = (ast.get_docstring(node) or "").strip()
    return ast.dump(function)


# One of each style of code; modules() in their place runs all, in a minute or two.
STYLES = ["ast.py", "argparse.py", "pdb.py", "typing.py", "unittest/mock.py", "idlelib/iomenu.py"]


@pytest.mark.parametrize("module", STYLES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_the_text_of_a_function_parses_to_the_same_function(module: str):
    path = STDLIB / module
    if not path.exists():
        pytest.skip(f"this Python comes without {module}")
    for lifted, node in outer_functions(path):
        (again,) = ast.parse(lifted.source).body
        assert without_layout(again) == without_layout(node), lifted.qualified_name


def test_what_is_lifted_from_a_module_makes_the_round_trip():
    for lifted in lift_file(STDLIB / "argparse.py"):
        assert IntermediateRepresentation.from_json(lifted.ir.to_json()) == lifted.ir
        assert IntermediateRepresentation.from_dict(lifted.ir.to_dict()) == lifted.ir


def test_nothing_is_kept_from_one_file_to_the_next():
    lift_file(STDLIB / "argparse.py")
    tracemalloc.start()
    try:
        for _ in range(5):
            lift_file(STDLIB / "argparse.py")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000
