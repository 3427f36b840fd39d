"""The lifter: Python source to representations, with a hole wherever the source is silent.

It works on the syntax tree alone and never imports or runs the code. The same source always
gives the same representations.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from lift_sys.ir.models import (
    Assertion,
    Effect,
    Intent,
    IntermediateRepresentation,
    Parameter,
    ParameterKind,
    Provenance,
    Signature,
    TypedHole,
)
from lift_sys.ir.source import FunctionNode, ModuleSource, docstring_node, dotted_name

_MAX_CONDITIONS: Final = 3
"""An effect names no condition rather than more than these."""

_INTENT_HOLE: Final = TypedHole(
    identifier="intent", kind="intent", type_hint="str", description="What is the function for?"
)
_RETURN_HOLE: Final = TypedHole(
    identifier="return.type",
    kind="signature",
    type_hint="type",
    description="What type does the function return?",
)
_IMPLEMENTATION_HOLE: Final = TypedHole(
    identifier="implementation",
    kind="implementation",
    type_hint="code",
    description="How does the function do what it is for?",
)

_BLOCKS: Final[dict[type[ast.AST], tuple[str, ...]]] = {
    ast.For: ("body", "orelse"),
    ast.AsyncFor: ("body", "orelse"),
    ast.While: ("body", "orelse"),
    ast.With: ("body",),
    ast.AsyncWith: ("body",),
    ast.Try: ("body", "handlers", "orelse", "finalbody"),
    ast.TryStar: ("body", "handlers", "orelse", "finalbody"),
    ast.ExceptHandler: ("body",),
    ast.Match: ("cases",),
    ast.match_case: ("body",),
}
"""Where a node keeps the statements inside it, in source order."""

_PARAGRAPH_BREAK: Final = re.compile(r"\n[^\S\n]*\n")


@dataclass(frozen=True, slots=True)
class LiftedFunction:
    """A function of a source, with its representation.

    Attributes:
        ir: the representation.
        source: the function's own text, decorators first, dedented, lines ending in ``\\n``, the
            last one without.
        qualified_name: as in ``__qualname__``: ``Class.method``, ``outer.<locals>.inner``.
        line: the line of its ``def``, from 1.
    """

    ir: IntermediateRepresentation
    source: str
    qualified_name: str
    line: int


@dataclass(frozen=True, slots=True)
class _Condition:
    """The innermost ``if`` around a statement: its test, and the answer that leads there."""

    test: ast.expr
    answer: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """A function in the tree, with what its own body raises and asserts, in source order."""

    node: FunctionNode
    qualified_name: str
    is_method: bool
    raises: list[tuple[ast.expr, _Condition | None]] = field(default_factory=list)
    asserts: list[ast.Assert] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a statement stands: before its name, around it, and whether a class is next."""

    prefix: str
    function: _Found | None
    in_class: bool


def lift(source: str, *, path: str | None = None) -> list[IntermediateRepresentation]:
    """Return one representation for each function and method in `source`, in source order.

    Functions in functions and in classes count, and each function of an overloaded set; lambdas
    do not. Holes stand where the source is silent: ``intent`` for a missing docstring,
    ``<parameter>.type`` and ``return.type`` for missing annotations, ``implementation`` for a
    body that is only a placeholder. Receivers, and the return of ``__init__``, need none.

    Args:
        source: the text of a module.
        path: where it comes from, for the provenance and for errors.

    Raises:
        LiftError: the source does not parse; it names `path` and the line.
    """
    return [lifted.ir for lifted in lift_functions(source, path=path)]


def lift_functions(source: str, *, path: str | None = None) -> list[LiftedFunction]:
    """Return what ``lift`` returns, each representation with the text of its function.

    Args:
        source: the text of a module.
        path: where it comes from, for the provenance and for errors.

    Raises:
        LiftError: the source does not parse; it names `path` and the line.
    """
    module = ModuleSource(source, path)
    return [
        LiftedFunction(
            ir=_representation(found, module, path),
            source=module.definition(found.node),
            qualified_name=found.qualified_name,
            line=found.node.lineno,
        )
        for found in _functions(module.tree)
    ]


def _functions(tree: ast.Module) -> list[_Found]:
    """Return every function of the tree in source order.

    Only statements are visited, as neither a function nor a raise nor an assert is in an
    expression. A chain of ``elif`` nests without bound, so the walk keeps its own stack.
    """
    functions: list[_Found] = []
    stack: list[tuple[ast.AST, _Scope, _Condition | None]] = []

    def push(block: Sequence[ast.AST], scope: _Scope, condition: _Condition | None) -> None:
        stack.extend((node, scope, condition) for node in reversed(block))

    push(tree.body, _Scope(prefix="", function=None, in_class=False), None)
    while stack:
        node, scope, condition = stack.pop()
        if isinstance(node, FunctionNode):
            found = _Found(node, scope.prefix + node.name, is_method=scope.in_class)
            functions.append(found)
            push(node.body, _Scope(f"{found.qualified_name}.<locals>.", found, False), None)
        elif isinstance(node, ast.ClassDef):
            push(node.body, _Scope(f"{scope.prefix}{node.name}.", scope.function, True), condition)
        elif isinstance(node, ast.If):
            push(node.orelse, scope, _Condition(node.test, answer=False))
            push(node.body, scope, _Condition(node.test, answer=True))
        elif isinstance(node, ast.Raise | ast.Assert):
            _note(node, scope.function, condition)
        else:
            for block in reversed(_BLOCKS.get(type(node), ())):
                push(getattr(node, block), scope, condition)
    return functions


def _note(
    node: ast.Raise | ast.Assert, function: _Found | None, condition: _Condition | None
) -> None:
    if function is None:
        return
    if isinstance(node, ast.Assert):
        function.asserts.append(node)
    elif node.exc is not None:
        function.raises.append((node.exc, condition))


def _representation(
    found: _Found, module: ModuleSource, path: str | None
) -> IntermediateRepresentation:
    is_placeholder = _is_placeholder(found.node)
    return IntermediateRepresentation(
        intent=_intent(found.node),
        signature=_signature(found, module),
        effects=() if is_placeholder else tuple(_effects(found, module)),
        assertions=tuple(_assertion(node, module) for node in found.asserts),
        holes=(_IMPLEMENTATION_HOLE,) if is_placeholder else (),
        metadata=Provenance(
            source_path=path,
            language="python",
            origin="lift",
            line=found.node.lineno,
            qualified_name=found.qualified_name,
        ),
    )


def _intent(node: FunctionNode) -> Intent:
    docstring = (ast.get_docstring(node) or "").strip()
    if not docstring:
        return Intent(holes=(_INTENT_HOLE,))
    summary, *rest = _PARAGRAPH_BREAK.split(docstring, maxsplit=1)
    rationale = rest[0].strip("\n") if rest else None
    # A summary is one sentence, wrapped only to fit the page; the rest may be laid out.
    return Intent(summary=" ".join(summary.split()), rationale=rationale)


def _signature(found: _Found, module: ModuleSource) -> Signature:
    node = found.node
    has_receiver = found.is_method and not _is_decorated(
        node, "staticmethod", "abstractstaticmethod"
    )
    parameters: list[Parameter] = []
    holes: list[TypedHole] = []
    for index, (argument, kind, default_node) in enumerate(_arguments(node.args)):
        default = None if default_node is None else module.expression(default_node)
        type_hint = _type_hint(argument.annotation, module)
        name = argument.arg
        parameters.append(Parameter(name=name, type_hint=type_hint, default=default, kind=kind))
        is_receiver = has_receiver and index == 0 and kind.startswith("positional")
        if type_hint is None and not is_receiver:
            holes.append(_parameter_hole(name, default))
    returns = _type_hint(node.returns, module)
    if returns is None and found.is_method and node.name == "__init__":
        returns = "None"
    if returns is None:
        holes.append(_RETURN_HOLE)
    return Signature(
        name=node.name, parameters=tuple(parameters), returns=returns, holes=tuple(holes)
    )


def _arguments(
    arguments: ast.arguments,
) -> Iterator[tuple[ast.arg, ParameterKind, ast.expr | None]]:
    """Yield each parameter in its order, with its kind and its default."""
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    for index, argument in enumerate(positional):
        default = arguments.defaults[index - required] if index >= required else None
        if index < len(arguments.posonlyargs):
            yield argument, "positional_only", default
        else:
            yield argument, "positional_or_keyword", default
    if arguments.vararg:
        yield arguments.vararg, "var_positional", None
    for argument, keyword_default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield argument, "keyword_only", keyword_default
    if arguments.kwarg:
        yield arguments.kwarg, "var_keyword", None


def _parameter_hole(name: str, default: str | None) -> TypedHole:
    identifier, description = f"{name}.type", f"What type is the parameter {name}?"
    if default is None:
        return TypedHole(
            identifier=identifier, kind="signature", type_hint="type", description=description
        )
    return TypedHole(
        identifier=identifier,
        kind="signature",
        type_hint="type",
        description=description,
        constraints={"default": default},
    )


def _type_hint(annotation: ast.expr | None, module: ModuleSource) -> str | None:
    if annotation is None:
        return None
    match annotation:
        case ast.Constant(value=str(forward_reference)) if forward_reference.strip():
            return forward_reference.strip()
    return module.expression(annotation)


def _effects(found: _Found, module: ModuleSource) -> Iterator[Effect]:
    """Yield one effect for each distinct exception, in the order of their first raise."""
    conditions: dict[str, list[_Condition | None]] = {}
    for raised, condition in found.raises:
        exception = _exception(raised, found.node, module)
        if exception is not None:
            conditions.setdefault(exception, []).append(condition)
    for exception, ways in conditions.items():
        text = _conditions_text(ways, module)
        yield Effect(description=f"Raises {exception} {text}" if text else f"Raises {exception}")


def _exception(raised: ast.expr, node: FunctionNode, module: ModuleSource) -> str | None:
    """Return what names the exception; None where the source names only a value raised again."""
    while isinstance(raised, ast.Call):
        called = raised.func
        if not (isinstance(called, ast.Attribute) and called.attr == "with_traceback"):
            return module.expression(called)
        raised = called.value
    name = dotted_name(raised)
    if name is None:
        return None
    root, last = name.split(".")[0], name.split(".")[-1]
    if last.lstrip("_")[:1].isupper() or root not in _local_names(node):
        return name
    return None


def _local_names(node: FunctionNode) -> set[str]:
    names: set[str] = set()
    for inner in ast.walk(node):
        match inner:
            case ast.arg(arg=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.ExceptHandler(name=str(name)):
                names.add(name)
            case _:
                pass
    return names


def _conditions_text(ways: list[_Condition | None], module: ModuleSource) -> str:
    """Return the conditions as a phrase; "" unless every way has one and all are simple."""
    phrases: dict[str, None] = {}
    for way in ways:
        if way is None or not module.is_short(way.test):
            return ""
        phrases[f"{'if' if way.answer else 'unless'} {module.expression(way.test)}"] = None
    return ", or ".join(phrases) if len(phrases) <= _MAX_CONDITIONS else ""


def _assertion(node: ast.Assert, module: ModuleSource) -> Assertion:
    predicate = module.expression(node.test)
    match node.msg:
        case None:
            return Assertion(predicate=predicate)
        case ast.Constant(value=str(message)):
            return Assertion(predicate=predicate, rationale=message)
        case message_node:
            return Assertion(predicate=predicate, rationale=module.expression(message_node))


def _is_placeholder(node: FunctionNode) -> bool:
    """Say whether the body stands for one that is still to be written.

    That is ``...`` or ``raise NotImplementedError`` alone, and a body that does nothing, unless
    a docstring says what for and nothing is to be returned. An overload has its body elsewhere.
    """
    body = node.body[1:] if docstring_node(node) else node.body
    if len(body) == 1 and isinstance(body[0], ast.Raise):
        return _raises_not_implemented(body[0])
    idle = [statement for statement in body if not isinstance(statement, ast.Pass)]
    if not all(_is_ellipsis(statement) for statement in idle):
        return False
    if _is_decorated(node, "overload"):
        return False
    return bool(idle) or not (docstring_node(node) and _returns_nothing(node))


def _raises_not_implemented(node: ast.Raise) -> bool:
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _is_ellipsis(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=value)):
            return value is ...
    return False


def _returns_nothing(node: FunctionNode) -> bool:
    match node.returns:
        case ast.Constant(value=None):
            return True
        case None:
            return node.name == "__init__"
    return False


def _is_decorated(node: FunctionNode, *names: str) -> bool:
    """Say whether a decorator has one of these names, with or without the module's in front."""
    for decorator in node.decorator_list:
        dotted = dotted_name(decorator)
        if dotted is not None and dotted.rpartition(".")[2] in names:
            return True
    return False
