"""The text of a Python module: parsed once, then sliced by lines into functions and expressions.

Slicing by lines keeps the cost linear; ``ast.get_source_segment`` splits the whole text each time.
"""

import ast
import threading
import warnings
from collections.abc import Iterator
from typing import Final

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_SHORT_SPAN: Final = 100
"""What is no longer than this nests no deeper either, one level taking at least a character."""
_UNPARSE_DEPTH: Final = 100
"""Deeper expressions are quoted, as ``ast.unparse`` takes several stack frames a level."""

# The filters of ``warnings`` are shared by all threads; parsing holds the interpreter anyway.
_WARNING_FILTERS = threading.Lock()


class LiftError(ValueError):
    """A source cannot be lifted: it cannot be read, decoded or parsed.

    Attributes:
        reason: what is wrong, without the place.
        path: the file, as it was given; None for a source without one.
        line: the line at fault, from 1; None where it is not known.
    """

    def __init__(self, reason: str, path: str | None = None, line: int | None = None) -> None:
        super().__init__(reason, path, line)
        self.reason = reason
        self.path = path
        self.line = line

    def __str__(self) -> str:
        place = "<source>" if self.path is None else self.path
        return f"{place}: {self.reason}" if not self.line else f"{place}:{self.line}: {self.reason}"


class ModuleSource:
    """The text of one module, its syntax tree, and the text behind any node of it.

    Args:
        text: the source; a byte order mark is dropped, any line ending counts as one.
        path: names the source in errors.

    Raises:
        LiftError: the text does not parse.
    """

    __slots__ = ("_lines", "tree")

    def __init__(self, text: str, path: str | None) -> None:
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        self.tree = _parse(text, path)
        self._lines = text.split("\n")

    def expression(self, node: ast.expr) -> str:
        """Return `node` as source text: unparsed, or as written where it cannot be unparsed."""
        dotted = dotted_name(node)
        if dotted is not None:
            return dotted
        if _is_deep(node):
            return self._quote(node)
        try:
            return ast.unparse(node)
        except ValueError:
            # An integer of too many digits for decimal, or quotes that an f-string cannot nest.
            return self._quote(node)

    def is_short(self, node: ast.expr) -> bool:
        """Say whether `node` stands on one line and reads at a glance."""
        return node.end_lineno == node.lineno and _span(node) <= _SHORT_SPAN

    def definition(self, node: FunctionNode) -> str:
        """Return the lines of a function, decorators first, with its own indentation taken off.

        The text parses to the same function: strings over several lines are left alone, except
        for the docstring, whose indentation Python takes for layout as well.
        """
        start = self._first_line(node)
        lines = self._lines[start - 1 : node.end_lineno]
        prefix, code = _indentation(lines[0])
        if not prefix:
            return "\n".join([code, *lines[1:]])
        inside_strings = self._lines_inside_strings(node, lines, prefix)
        return "\n".join(
            line if number in inside_strings else _outdent(line, prefix)
            for number, line in enumerate(lines, start)
        )

    def _first_line(self, node: FunctionNode) -> int:
        if not node.decorator_list:
            return node.lineno
        line = node.decorator_list[0].lineno
        # The expression of a parenthesized decorator may begin on a line below its "@".
        while line > 1 and not self._lines[line - 1].lstrip(" \t\f").startswith("@"):
            line -= 1
        return line

    def _lines_inside_strings(
        self, node: FunctionNode, lines: list[str], prefix: str
    ) -> frozenset[int] | set[int]:
        """Return the numbers of the lines that begin inside a string and must stay as they are."""
        docstring = docstring_node(node)
        span = _continuation(docstring) if docstring else range(0)
        documented = self._lines[docstring.lineno - 1 : docstring.end_lineno] if docstring else []
        is_layout = docstring is None or _is_layout(docstring.value, documented, prefix)
        if _string_marks(lines) == _string_marks(documented):
            # Nothing but the docstring can span lines: no need to look at every node.
            return frozenset() if is_layout else frozenset(span)
        inside = {number for string in _strings(node) for number in _continuation(string)}
        return inside - set(span) if is_layout else inside

    def _quote(self, node: ast.expr) -> str:
        lines = self._lines[node.lineno - 1 : node.end_lineno]
        # Offsets count bytes of UTF-8. The end is cut first: both may lie on one line.
        lines[-1] = lines[-1].encode()[: node.end_col_offset].decode()
        lines[0] = lines[0].encode()[node.col_offset :].decode()
        return "\n".join(lines)


def dotted_name(node: ast.expr) -> str | None:
    """Return a name or a chain of attributes of one, such as ``a.b.c``; None for all else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    parts.append(node.id)
    return ".".join(reversed(parts))


def docstring_node(node: FunctionNode) -> ast.Constant | None:
    """Return the node of the docstring, if there is one; its value is a ``str``."""
    match node.body[0]:
        case ast.Expr(value=ast.Constant(value=str()) as docstring):
            return docstring
    return None


def _parse(text: str, path: str | None) -> ast.Module:
    null = text.find("\x00")
    if null >= 0:
        raise LiftError("holds a null byte", path, text.count("\n", 0, null) + 1)
    with _WARNING_FILTERS, warnings.catch_warnings():
        # What the parser thinks of the code lifted is no concern of the caller's.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except SyntaxError as error:
            raise LiftError(error.msg, path, error.lineno) from error
        except UnicodeEncodeError as error:
            line = text.count("\n", 0, error.start) + 1
            raise LiftError("holds a lone surrogate", path, line) from error
        except (RecursionError, MemoryError) as error:
            raise LiftError("nests too deeply to be parsed", path) from error


def _span(node: ast.expr) -> int:
    return (node.end_col_offset or 0) - node.col_offset


def _is_deep(node: ast.expr) -> bool:
    """Say whether `node` nests too deeply to unparse, whatever stack the caller has left."""
    if node.end_lineno == node.lineno and _span(node) <= _SHORT_SPAN:
        return False
    level: list[ast.AST] = [node]
    for _ in range(_UNPARSE_DEPTH):
        level = [child for parent in level for child in ast.iter_child_nodes(parent)]
        if not level:
            return False
    return True


def _string_marks(lines: list[str]) -> int:
    """Count what a string needs to span lines: triple quotes, and a backslash ending a line."""
    text = "\n".join(lines)
    return text.count('"""') + text.count("'''") + text.count("\\\n")


def _strings(node: ast.AST) -> Iterator[ast.expr]:
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, ast.JoinedStr):
            # What is inside has no reliable position on Python 3.11, and need not be looked at.
            yield current
        elif isinstance(current, ast.Constant):
            if isinstance(current.value, str | bytes):
                yield current
        else:
            pending.extend(ast.iter_child_nodes(current))


def _continuation(node: ast.expr) -> range:
    """Return the numbers of the lines of `node` after its first."""
    return range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)


def _is_layout(docstring: object, lines: list[str], prefix: str) -> bool:
    """Say whether `prefix` on the later lines of a docstring is layout, which Python strips too.

    It is not where the text and its value break lines at different places, or a line has less.
    """
    rest = str(docstring).split("\n")[1:]
    # A backslash after the opening quotes joins the first two lines, and does no harm.
    joined = lines[0].endswith(('"""\\', "'''\\"))
    if len(rest) != len(lines) - 1 - joined:
        return False
    return all(line.startswith(prefix) or not line.strip() for line in rest)


def _indentation(line: str) -> tuple[str, str]:
    """Return the indentation that counts, which a form feed starts anew, and what follows it."""
    code = line.lstrip(" \t\f")
    return line.removesuffix(code).rpartition("\f")[2], code


def _outdent(line: str, prefix: str) -> str:
    if "\f" in line:
        line = "".join(_indentation(line))
    return line.removeprefix(prefix)
