"""Sessions from code: one for each function that was lifted. No I/O."""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import PydanticSerializationError

from lift_sys.ir.lifter import LiftedFunction
from lift_sys.ir.models import IntermediateRepresentation
from lift_sys.spec_sessions.models import IRDraft, PromptSession

_NAMESPACE = uuid.UUID("0d6f0f5c-5d53-5e0f-9a43-6f4f0f8f7c11")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def sessions_from(functions: Iterable[LiftedFunction]) -> Iterator[PromptSession]:
    """Yield a session for each of the functions of one file, in their order.

    The session starts from the function's source, with the lifted representation as its first
    draft. Its id follows from the path, the name and the source, so that lifting the same code
    again gives the same ids. Escapes in a docstring may stand for what no store keeps (U+0000,
    lone surrogates): U+FFFD replaces them. Bytes of a path that are no UTF-8 become escapes.

    Args:
        functions: what ``lift_file`` or ``lift_functions`` returned for one file.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for function in functions:
        same = (function.qualified_name, function.source)
        seen[same] += 1
        path = _named(function.ir.metadata.source_path or "")
        session = PromptSession.create_new(
            source="code",
            original_input=function.source,
            metadata={"path": path, "function": function.qualified_name, "line": function.line},
        )
        session.ir_drafts.append(_draft(_storable(function.ir)))
        name = "\0".join((path, *same, str(seen[same])))
        session.session_id = str(uuid.uuid5(_NAMESPACE, name))
        yield session


def _named(path: str) -> str:
    # A file name is bytes; those that are no UTF-8 stand in the text as lone surrogates.
    return path.encode("utf-8", "backslashreplace").decode()


def _draft(ir: IntermediateRepresentation) -> IRDraft:
    holes = [hole.identifier for hole in ir.typed_holes()]
    return IRDraft(
        version=1,
        ir=ir,
        validation_status="incomplete" if holes else "valid",
        ambiguities=holes,
    )


def _storable(ir: IntermediateRepresentation) -> IntermediateRepresentation:
    try:
        storable = "\\u0000" not in ir.to_json()
    except PydanticSerializationError:  # a lone surrogate
        storable = False
    return ir if storable else IntermediateRepresentation.from_dict(_replaced(ir.to_dict()))


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return (
            value.replace("\0", _REPLACEMENT)
            .encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
        )
    if isinstance(value, dict):
        return {key: _replaced(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_replaced(member) for member in value]
    return value
