"""From the models to what a call carries: every value is checked here, before any I/O (G13)."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from lift_sys.backends.call import Encoded, WriteKey
from lift_sys.backends.errors import InvalidSessionError
from lift_sys.backends.instants import format_instant, parse_instant
from lift_sys.backends.json_values import (
    EMPTY_OBJECT,
    check_json,
    check_model,
    check_text,
    freeze,
)
from lift_sys.spec_sessions.models import (
    MAX_NAME_LENGTH,
    HoleResolution,
    IRDraft,
    PromptRevision,
    PromptSession,
    Source,
    Status,
)
from lift_sys.spec_sessions.records import Header, Items

MAX_ITEM_BYTES: Final = 16 * 2**20
"""How large one item or one metadata object may be, as JSON in UTF-8."""
LATEST: Final = 64
"""How many items of each kind, the last ones, the fingerprint of an update looks at."""
MAX_WRITE_BYTES: Final = 64 * 2**20
"""How large one write may be, as JSON in UTF-8."""

M = TypeVar("M", bound=BaseModel)
_NO_METADATA: Final[Encoded[dict[str, Any]]] = Encoded(EMPTY_OBJECT, b"{}")
_STATUSES: Final = get_args(Status)
_SOURCES: Final = get_args(Source)


def is_name(value: object) -> bool:
    """Return whether `value` can be a session id, a user id or an idempotency key."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH:
        return False
    try:
        check_text(value, "")
    except InvalidSessionError:
        return False
    return True


def check_name(value: object, field: str) -> None:
    """Raise ``InvalidSessionError`` unless `value` can be an id or a key."""
    if isinstance(value, str):
        check_text(value, field)
        if 0 < len(value) <= MAX_NAME_LENGTH:
            return
    raise InvalidSessionError(f"{field}: must be text of 1 to {MAX_NAME_LENGTH} characters")


def check_choice(value: object, choices: Sequence[str], field: str) -> None:
    """Raise ``InvalidSessionError`` unless `value` is one of `choices`."""
    if value not in choices:
        raise InvalidSessionError(f"{field}: {value!r} is none of {', '.join(choices)}")


def check_filter(status: object, source: object) -> None:
    """Raise ``InvalidSessionError`` unless each is None or something a list is narrowed by."""
    if status is not None:
        check_choice(status, _STATUSES, "status")
    if source is not None:
        check_choice(source, _SOURCES, "source")


def encode_header(session: PromptSession) -> Header:
    """Return what `session` says of itself, checked.

    Raises:
        InvalidSessionError: a field cannot be stored.
    """
    check_name(session.session_id, "session_id")
    check_choice(session.status, _STATUSES, "status")
    check_choice(session.source, _SOURCES, "source")
    return Header(
        session_id=session.session_id,
        status=session.status,
        source=session.source,
        metadata=_encode_metadata(session.metadata),
        created_at=_instant(session.created_at, "created_at"),
        updated_at=_instant(session.updated_at, "updated_at"),
        finalized_at=(
            None if session.finalized_at is None else _instant(session.finalized_at, "finalized_at")
        ),
    )


def encode_items(session: PromptSession, start: tuple[int, int, int] = (0, 0, 0)) -> Items:
    """Return the session's items of each kind from the given positions on, checked.

    Raises:
        InvalidSessionError: an item cannot be stored; names it by its position in the session.
    """
    revisions, drafts, resolutions = start
    return Items(
        revisions=_encode_all(session.revisions, revisions, PromptRevision, "revisions"),
        drafts=_encode_all(session.ir_drafts, drafts, IRDraft, "ir_drafts"),
        resolutions=_encode_all(
            session.pending_resolutions, resolutions, HoleResolution, "pending_resolutions"
        ),
    )


def check_write_size(headers: Sequence[Header], items: Sequence[Items]) -> None:
    """Raise ``InvalidSessionError`` where one write would be too large."""
    size = 0
    for header in headers:
        size += len(header.metadata.json)
    for some in items:
        for kind in (some.revisions, some.drafts, some.resolutions):
            for item in kind:
                size += len(item.json)
    if size > MAX_WRITE_BYTES:
        raise InvalidSessionError(
            f"sessions: {size} bytes in one write, {MAX_WRITE_BYTES} are allowed; write in parts"
        )


def latest(session: PromptSession) -> list[object]:
    """Return what tells a session's items from others at a cost that does not grow with them (G18).

    That is how many items of each kind there are, and the last ``LATEST`` of each as JSON. Call it
    after ``encode_items``, which refuses what is no JSON.
    """
    parts: list[object] = []
    for kind in (session.revisions, session.ir_drafts, session.pending_resolutions):
        parts.append(len(kind))
        parts += (item.__pydantic_serializer__.to_json(item) for item in kind[-LATEST:])
    return parts


def write_key(key: str | WriteKey, parts: Sequence[object]) -> WriteKey:
    """Return what tells a repetition of the write by.

    Args:
        key: the caller's idempotency key, with a fingerprint of the caller's own or without.
        parts: what is written: headers, items and plain values.

    Raises:
        InvalidSessionError: the key is no text of 1 to 255 characters.
    """
    check_name(key.key if isinstance(key, WriteKey) else key, "idempotency_key")
    if isinstance(key, WriteKey):
        return key
    digest = hashlib.sha256()
    for part in parts:
        _add(digest, part)
    return WriteKey(key, digest.hexdigest())


def _add(digest: "hashlib._Hash", part: object) -> None:
    if isinstance(part, Header):
        fixed = (part.session_id, part.status, part.source, part.metadata.json)
        instants = (part.created_at, part.updated_at, part.finalized_at)
        for value in (*fixed, *(i and format_instant(i) for i in instants)):
            _add(digest, value)
    elif isinstance(part, Items):
        for kind in (part.revisions, part.drafts, part.resolutions):
            _add(digest, len(kind))
            for item in kind:
                _add(digest, item.json)
    else:
        encoded = part if isinstance(part, bytes) else to_json(part)
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)


def _encode_metadata(metadata: object) -> Encoded[dict[str, Any]]:
    if not isinstance(metadata, dict):
        raise InvalidSessionError("metadata: must be a JSON object (a dict)")
    if type(metadata) is dict and not metadata:
        return _NO_METADATA  # as most sessions have none
    check_json(metadata, "metadata")
    encoded = to_json(metadata)
    _check_size(encoded, "metadata")
    return Encoded(freeze(from_json(encoded)), encoded)


def _encode_all(items: list[M], start: int, model: type[M], field: str) -> list[Encoded[M]]:
    if start == len(items):
        return []
    return [
        _encode_item(item, model, f"{field}[{number}]")
        for number, item in enumerate(items[start:], start)
    ]


def _encode_item(item: M, model: type[M], field: str) -> Encoded[M]:
    if type(item) is not model:
        raise InvalidSessionError(f"{field}: must be a {model.__name__}, not {type(item).__name__}")
    check_model(item, field)
    try:
        encoded = item.__pydantic_serializer__.to_json(item, warnings="none")
        value: M = model.__pydantic_validator__.validate_json(encoded)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join((field, *map(str, first["loc"])))
        raise InvalidSessionError(f"{where}: {first['msg']}") from error
    except PydanticSerializationError as error:
        raise InvalidSessionError(f"{field}: {error}") from error
    _check_size(encoded, field)
    return Encoded(value, encoded)


def _check_size(encoded: bytes, field: str) -> None:
    if len(encoded) > MAX_ITEM_BYTES:
        raise InvalidSessionError(
            f"{field}: {len(encoded)} bytes as JSON, {MAX_ITEM_BYTES} are allowed; "
            "keep large content elsewhere and store a reference"
        )


def _instant(value: object, field: str) -> datetime:
    try:
        return parse_instant(value)
    except ValueError as error:
        raise InvalidSessionError(f"{field}: {error}") from error
