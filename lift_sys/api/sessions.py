"""The endpoints under ``/sessions``."""

import hashlib
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel

from lift_sys.api.problems import OpenHolesError, PreconditionError, described
from lift_sys.api.schemas import (
    Finalization,
    Lifted,
    LiftRequest,
    NewDraft,
    NewResolution,
    NewRevision,
    NewSession,
    Processed,
    SessionState,
)
from lift_sys.auth import CurrentUser, get_current_user
from lift_sys.backends.call import WriteKey
from lift_sys.backends.errors import InvalidSessionError, SessionConflictError, SessionExistsError
from lift_sys.backends.instants import now
from lift_sys.ir.lifter import lift_functions
from lift_sys.spec_sessions import rules
from lift_sys.spec_sessions.changing import change_async
from lift_sys.spec_sessions.lifting import sessions_from
from lift_sys.spec_sessions.models import (
    HoleResolution,
    IRDraft,
    PromptRevision,
    PromptSession,
    ResolutionType,
    SessionPage,
    Source,
    Status,
)
from lift_sys.spec_sessions.refine import ANSWER_TO, refine
from lift_sys.spec_sessions.store import AsyncSessionStore

T = TypeVar("T")

router = APIRouter(prefix="/sessions", tags=["sessions"])

_VERSION_TAG: Final = re.compile(r'(?:W/)?"?(\d{1,10})"?')
_COMMON: Final = (401, 403, 422, 503)


async def get_store(
    request: Request, user: Annotated[CurrentUser, Depends(get_current_user)]
) -> AsyncSessionStore:
    """Return the store of the signed-in user: a FastAPI dependency."""
    store: AsyncSessionStore = request.app.state.store
    return store.for_user(user.user_id, access_token=user.access_token)


StoreOfUser = Annotated[AsyncSessionStore, Depends(get_store)]
SessionId = Annotated[str, Path(description="The session.")]
IfMatch = Annotated[
    str | None, Header(description='Only where the session is at this version, such as "3".')
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Tells a repetition of this request, for a day: it is not done again.",
    ),
]


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=described(*_COMMON, 409, 413),
    summary="Start a session",
)
async def create_session(
    store: StoreOfUser,
    request: Request,
    response: Response,
    body: NewSession,
    idempotency_key: Key = None,
) -> SessionState:
    """Start a session and say where it is."""
    draft = None if body.ir is None else IRDraft(version=1, ir=body.ir)
    session = PromptSession.create_new(body.source, body.original_input, draft, body.metadata)
    session_id = await store.create(
        session, idempotency_key=_write_key(request, idempotency_key, body)
    )
    if session_id != session.session_id:  # a repetition: the first one made the session
        session = await _required(store, session_id)
    response.headers["Location"] = str(request.url_for("read_session", session_id=session_id).path)
    return _state(session, response)


@router.get("", responses=described(*_COMMON), summary="List sessions")
async def list_sessions(
    store: StoreOfUser,
    status: Annotated[Status | None, Query(description="Only of this status.")] = None,
    source: Annotated[Source | None, Query(description="Only from this source.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 50,
    cursor: Annotated[str | None, Query(description="The next_cursor of the page before.")] = None,
) -> SessionPage:
    """Return one page of the user's sessions, latest first."""
    return await store.list_page(status=status, source=source, limit=limit, cursor=cursor)


@router.post(
    "/lift",
    status_code=HTTPStatus.CREATED,
    responses=described(*_COMMON, 409, 413),
    summary="Lift Python source",
)
async def lift_source(store: StoreOfUser, body: LiftRequest) -> Lifted:
    """Start a session for each function of a source that has none yet."""
    sessions = list(sessions_from(lift_functions(body.code, path=body.path)))
    ids = [session.session_id for session in sessions]
    try:
        await store.create_many(sessions)
        return Lifted(session_ids=ids, new=len(ids))
    except SessionExistsError:
        new = 0
        for session in sessions:
            try:
                await store.create(session)
                new += 1
            except SessionExistsError:
                continue
        return Lifted(session_ids=ids, new=new)


@router.get(
    "/{session_id}",
    response_model=PromptSession,
    responses={
        **described(*_COMMON, 404),
        304: {"description": "Still at the version in If-None-Match"},
    },
    summary="Read a session",
)
async def read_session(
    store: StoreOfUser,
    session_id: SessionId,
    if_none_match: Annotated[
        str | None, Header(description='A version, such as "3", that needs no answer.')
    ] = None,
) -> Response:
    """Return a session with its whole history; its version is the ``ETag``."""
    session = await _required(store, session_id)
    headers = {"ETag": _tag(session.version)}
    if if_none_match is not None and _names(if_none_match, session.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    content = session.__pydantic_serializer__.to_json(session)
    return Response(content, headers=headers, media_type="application/json")


@router.delete(
    "/{session_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=described(*_COMMON, 412),
    summary="Delete a session",
)
async def delete_session(
    store: StoreOfUser, session_id: SessionId, if_match: IfMatch = None
) -> None:
    """Remove a session and everything of it; that it is gone already is fine."""
    if if_match is not None:
        session = await store.get(session_id)
        if session is not None:
            _require_version(session, if_match)
    await store.delete(session_id)


@router.post(
    "/{session_id}/revisions",
    status_code=HTTPStatus.CREATED,
    responses=described(*_COMMON, 404, 409, 412, 413),
    summary="Append a revision",
)
async def add_revision(
    store: StoreOfUser,
    request: Request,
    response: Response,
    session_id: SessionId,
    body: NewRevision,
    if_match: IfMatch = None,
    idempotency_key: Key = None,
) -> SessionState:
    """Append an input of the user."""
    revision = PromptRevision(timestamp=now(), **dict(body))
    key = _write_key(request, idempotency_key, body)
    session, _ = await _change(store, session_id, lambda s: s.add_revision(revision), if_match, key)
    return _state(session, response)


@router.post(
    "/{session_id}/drafts",
    status_code=HTTPStatus.CREATED,
    responses=described(*_COMMON, 404, 409, 412, 413),
    summary="Append a draft",
)
async def add_draft(
    store: StoreOfUser,
    request: Request,
    response: Response,
    session_id: SessionId,
    body: NewDraft,
    if_match: IfMatch = None,
    idempotency_key: Key = None,
) -> SessionState:
    """Append a draft, which becomes the current one."""

    def edit(session: PromptSession) -> None:
        number = session.current_draft.version + 1 if session.current_draft else 1
        session.add_draft(IRDraft(version=number, **dict(body)))

    key = _write_key(request, idempotency_key, body)
    session, _ = await _change(store, session_id, edit, if_match, key)
    return _state(session, response)


@router.post(
    "/{session_id}/resolutions",
    status_code=HTTPStatus.CREATED,
    responses=described(*_COMMON, 404, 409, 412, 413),
    summary="Answer a hole",
)
async def add_resolution(
    store: StoreOfUser,
    request: Request,
    response: Response,
    session_id: SessionId,
    body: NewResolution,
    if_match: IfMatch = None,
    idempotency_key: Key = None,
) -> SessionState:
    """Append an answer; ``process`` puts the answers into the next draft."""

    def edit(session: PromptSession) -> None:
        kind = body.resolution_type or _fitting(session, body.hole_id)
        answer = {**dict(body), "resolution_type": kind}
        session.add_resolution(HoleResolution(**answer))

    key = _write_key(request, idempotency_key, body)
    session, _ = await _change(store, session_id, edit, if_match, key)
    return _state(session, response)


@router.post(
    "/{session_id}/process",
    responses=described(*_COMMON, 404, 409, 412),
    summary="Apply the answers",
)
async def process_session(
    store: StoreOfUser,
    request: Request,
    response: Response,
    session_id: SessionId,
    if_match: IfMatch = None,
    idempotency_key: Key = None,
) -> Processed:
    """Apply the pending resolutions to the current draft."""
    key = _write_key(request, idempotency_key, None)
    session, done = await _change(
        store, session_id, refine, if_match, key, when=lambda done: done.draft is not None
    )
    return Processed(
        session=_state(session, response),
        draft=done.draft,
        applied=done.applied,
        unknown=done.unknown,
    )


@router.post(
    "/{session_id}/finalize",
    responses=described(*_COMMON, 404, 409, 412),
    summary="Make a session final",
)
async def finalize_session(
    store: StoreOfUser,
    request: Request,
    response: Response,
    session_id: SessionId,
    body: Finalization | None = None,
    if_match: IfMatch = None,
    idempotency_key: Key = None,
) -> SessionState:
    """Make a session final; open holes are in the way unless ``force`` is set."""

    def edit(session: PromptSession) -> None:
        holes = session.get_unresolved_holes()
        if holes and not (body and body.force):
            raise OpenHolesError(f"open holes: {', '.join(holes)}; resolve them, or set force")
        session.finalize()

    key = _write_key(request, idempotency_key, body)
    session, _ = await _change(store, session_id, edit, if_match, key)
    return _state(session, response)


@router.post(
    "/{session_id}/abandon",
    responses=described(*_COMMON, 404, 409, 412),
    summary="Give a session up",
)
async def abandon_session(
    store: StoreOfUser,
    request: Request,
    response: Response,
    session_id: SessionId,
    if_match: IfMatch = None,
    idempotency_key: Key = None,
) -> SessionState:
    """Give a session up; it stays readable."""
    key = _write_key(request, idempotency_key, None)
    session, _ = await _change(store, session_id, PromptSession.abandon, if_match, key)
    return _state(session, response)


async def _change(
    store: AsyncSessionStore,
    session_id: str,
    edit: Callable[[PromptSession], T],
    if_match: str | None,
    key: WriteKey | None,
    when: Callable[[T], bool] = lambda _: True,
) -> tuple[PromptSession, T]:
    """Change a session, only at the version that ``If-Match`` names where it names one."""
    if if_match is None:
        session, result = await change_async(
            store, session_id, edit, when=when, idempotency_key=key
        )
    else:
        session = await _required(store, session_id)
        if not _names(if_match, session.version):
            tag = _VERSION_TAG.fullmatch(if_match.strip())
            if key is None or tag is None:
                raise PreconditionError(session.version)
            # It may be our own write that changed the version: the store knows the key, and
            # refuses the version if it does not.
            session.version = int(tag[1])
        result = edit(session)
        try:
            if when(result):
                await store.update(session, idempotency_key=key)
        except SessionConflictError as error:
            raise PreconditionError(error.current_version) from error
    if key is not None:  # a repetition changed nothing: answer with what is stored
        session = await _required(store, session_id)
    return session, result


async def _required(store: AsyncSessionStore, session_id: str) -> PromptSession:
    session = await store.get(session_id)
    if session is None:
        raise rules.not_found(session_id)
    return session


def _write_key(request: Request, key: str | None, body: BaseModel | None) -> WriteKey | None:
    """Return the key of a write: what is repeated is the request, whatever is made of it."""
    if key is None:
        return None
    content = b"" if body is None else body.model_dump_json().encode()
    parts = (request.method.encode(), request.url.path.encode(), content)
    return WriteKey(key, hashlib.sha256(b"\0".join(parts)).hexdigest())


def _fitting(session: PromptSession, hole_id: str) -> ResolutionType:
    """Return the type of answer that a hole takes, also one that is answered already."""
    for draft in reversed(session.ir_drafts):
        for hole in draft.ir.typed_holes():
            if hole.identifier == hole_id:
                return ANSWER_TO[hole.kind]
    raise InvalidSessionError("resolution_type: no draft has that hole; say what is answered")


def _state(session: PromptSession, response: Response) -> SessionState:
    response.headers["ETag"] = _tag(session.version)
    return SessionState.of(session)


def _tag(version: int) -> str:
    return f'"{version}"'


def _names(header: str, version: int) -> bool:
    """Return whether ``If-Match`` or ``If-None-Match`` names the version."""
    tags = [part.strip() for part in header.split(",")]
    matches = (_VERSION_TAG.fullmatch(tag) for tag in tags)
    return "*" in tags or any(match and int(match[1]) == version for match in matches)


def _require_version(session: PromptSession, if_match: str) -> None:
    if not _names(if_match, session.version):
        raise PreconditionError(session.version)
