"""The endpoints under ``/sessions``."""

from http import HTTPStatus
from typing import Annotated, Final

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response

from lift_sys.api.dependencies import StoreOfUser
from lift_sys.api.problems import OpenHolesError, PreconditionError, described
from lift_sys.api.requests import JsonRoute
from lift_sys.api.schemas import (
    Finalization,
    Lifted,
    LiftRequest,
    NewDraft,
    NewResolution,
    NewRevision,
    NewSession,
    Written,
)
from lift_sys.api.writes import (
    IfMatch,
    KeyOfRequest,
    SessionId,
    WriteOf,
    locate,
    names,
    required,
    tag,
)
from lift_sys.backends.call import WriteKey
from lift_sys.backends.errors import InvalidSessionError, SessionExistsError
from lift_sys.backends.instants import now
from lift_sys.ir.lifter import lift_functions
from lift_sys.spec_sessions.changing import ATTEMPTS
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

router = APIRouter(prefix="/sessions", tags=["sessions"], route_class=JsonRoute)

_COMMON: Final = (401, 403, 422, 500, 503)
_WITH_BODY: Final = (400, 413, 415)
_TAGGED: Final = {"ETag": {"description": "The version.", "schema": {"type": "string"}}}
_LOCATED: Final = {
    "Location": {"description": "Where the session is.", "schema": {"type": "string"}}
}


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses={
        **described(*_COMMON, *_WITH_BODY),
        201: {"headers": {**_LOCATED, **_TAGGED}},
    },
    summary="Start a session",
)
async def create_session(
    store: StoreOfUser, request: Request, response: Response, key: KeyOfRequest, body: NewSession
) -> Written:
    """Start a session and say where it is."""
    draft = None if body.ir is None else IRDraft(version=1, ir=body.ir)
    session = PromptSession.create_new(body.source, body.original_input, draft, body.metadata)
    session_id = await store.create(session, idempotency_key=key)
    locate(request, response, session_id)
    response.headers["ETag"] = tag(1)
    return Written(session_id=session_id, version=1)


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
    responses=described(*_COMMON, *_WITH_BODY, 409),
    summary="Lift Python source",
)
async def lift_source(store: StoreOfUser, key: KeyOfRequest, body: LiftRequest) -> Lifted:
    """Start a session for each function of a source that has none yet."""
    functions = await anyio.to_thread.run_sync(lambda: lift_functions(body.code, path=body.path))
    sessions = list(sessions_from(functions))
    new = await _create_missing(store, sessions, key)
    return Lifted(session_ids=[session.session_id for session in sessions], new=new)


async def _create_missing(
    store: AsyncSessionStore, sessions: list[PromptSession], key: WriteKey | None
) -> int:
    """Store those of `sessions` that are not there, in one write; return how many they are."""
    missing, attempt = sessions, 1
    while True:
        try:
            return len(await store.create_many(missing, idempotency_key=key))
        except SessionExistsError:
            if attempt == ATTEMPTS:
                raise
        attempt += 1
        missing = [s for s in sessions if await store.get(s.session_id) is None]


@router.get(
    "/{session_id}",
    response_model=PromptSession,
    responses={
        **described(*_COMMON, 404),
        200: {"headers": _TAGGED},
        304: {"description": "Still at the version in If-None-Match", "headers": _TAGGED},
    },
    summary="Read a session",
)
async def read_session(
    store: StoreOfUser,
    session_id: SessionId,
    if_none_match: Annotated[
        str | None, Header(description="A version that needs no answer.", examples=['"3"'])
    ] = None,
) -> Response:
    """Return a session with its whole history; its version is the ``ETag``."""
    session = await required(store, session_id)
    headers = {"ETag": tag(session.version)}
    if if_none_match is not None and names(if_none_match, session.version, weakly=True):
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
    """Remove a session and everything of it; that it is gone already is fine.

    The version is compared first and the session removed then, in two steps.
    """
    if if_match is not None:
        session = await store.get(session_id)
        if session is not None and not names(if_match, session.version):
            raise PreconditionError(session.version)
    await store.delete(session_id)


_APPENDED: Final = {
    **described(*_COMMON, *_WITH_BODY, 404, 409, 412),
    201: {"headers": {**_LOCATED, **_TAGGED}},
}
_CHANGED: Final = {**described(*_COMMON, 404, 409, 412), 200: {"headers": _TAGGED}}


@router.post(
    "/{session_id}/revisions",
    status_code=HTTPStatus.CREATED,
    responses=_APPENDED,
    summary="Append a revision",
)
async def add_revision(write: WriteOf, body: NewRevision) -> Written:
    """Append an input of the user."""
    revision = PromptRevision(timestamp=now(), **dict(body))
    return await write.append(lambda session: session.add_revision(revision))


@router.post(
    "/{session_id}/drafts",
    status_code=HTTPStatus.CREATED,
    responses=_APPENDED,
    summary="Append a draft",
)
async def add_draft(write: WriteOf, body: NewDraft) -> Written:
    """Append a draft, which becomes the current one."""

    def edit(session: PromptSession) -> None:
        number = session.current_draft.version + 1 if session.current_draft else 1
        session.add_draft(IRDraft(version=number, **dict(body)))

    return await write.append(edit)


@router.post(
    "/{session_id}/resolutions",
    status_code=HTTPStatus.CREATED,
    responses=_APPENDED,
    summary="Answer a hole",
)
async def add_resolution(write: WriteOf, body: NewResolution) -> Written:
    """Append an answer; ``process`` puts the answers into the next draft."""

    def edit(session: PromptSession) -> None:
        kind = body.resolution_type or _fitting(session, body.hole_id)
        session.add_resolution(HoleResolution(**{**dict(body), "resolution_type": kind}))

    return await write.append(edit)


@router.post("/{session_id}/process", responses=_CHANGED, summary="Apply the answers")
async def process_session(write: WriteOf) -> Written:
    """Apply the pending resolutions to the current draft, which makes the next one.

    Where none applies nothing is written, and the answer has the version that is there.
    """
    return await write.apply(lambda session: refine(session).draft is not None)


@router.post(
    "/{session_id}/finalize",
    responses={**_CHANGED, **described(*_WITH_BODY)},
    summary="Make a session final",
)
async def finalize_session(write: WriteOf, body: Finalization | None = None) -> Written:
    """Make a session final; open holes are in the way unless ``force`` is set."""

    def edit(session: PromptSession) -> bool:
        if session.status == "finalized":
            return False
        holes = session.get_unresolved_holes()
        if holes and not (body and body.force):
            raise OpenHolesError(f"open holes: {', '.join(holes)}; resolve them, or set force")
        session.finalize()
        return True

    return await write.apply(edit)


@router.post("/{session_id}/abandon", responses=_CHANGED, summary="Give a session up")
async def abandon_session(write: WriteOf) -> Written:
    """Give a session up; it stays readable."""

    def edit(session: PromptSession) -> bool:
        before = session.status
        session.abandon()
        return session.status != before

    return await write.apply(edit)


def _fitting(session: PromptSession, hole_id: str) -> ResolutionType:
    """Return the type of answer that a hole takes, also one that is answered already."""
    for draft in reversed(session.ir_drafts):
        for hole in draft.ir.typed_holes():
            if hole.identifier == hole_id:
                return ANSWER_TO[hole.kind]
    raise InvalidSessionError("resolution_type: no draft has that hole; say what is answered")
