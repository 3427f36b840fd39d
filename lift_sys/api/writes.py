"""A write to a stored session, as a request asks for it: fenced, and told from its repetition.

A repetition is answered with what the first request was answered, whatever happened since: others
may have moved the session on, made it final or deleted it. So an answer says only what the store
remembers of a write: its session and its version.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Depends, Header, Path, Request, Response

from lift_sys.api.dependencies import StoreOfUser
from lift_sys.api.problems import OpenHolesError, PreconditionError
from lift_sys.api.schemas import Written
from lift_sys.backends.call import WriteKey
from lift_sys.backends.errors import (
    HistoryRewriteError,
    InvalidSessionError,
    SessionConflictError,
    SessionNotFoundError,
)
from lift_sys.spec_sessions import rules
from lift_sys.spec_sessions.changing import change_async, written_before
from lift_sys.spec_sessions.models import MAX_NAME_LENGTH, PromptSession
from lift_sys.spec_sessions.store import AsyncSessionStore

Edit = Callable[[PromptSession], bool]
"""Changes a session, and says whether there is anything to store."""

SessionId = Annotated[str, Path(description="The session.")]
IfMatch = Annotated[
    str | None, Header(description="Only where the session is at this version.", examples=['"3"'])
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description=(
            "Tells a repetition of this request, for a day: it is not done again, and answered "
            "as the first time."
        ),
    ),
]

_TAG: Final = re.compile(r'(W/)?"([0-9]{1,10})"')
_OVERTAKEN: Final = (
    SessionNotFoundError,
    SessionConflictError,
    HistoryRewriteError,
    InvalidSessionError,
    PreconditionError,
    OpenHolesError,
)
"""What may be in the way of a request only because it was carried out before."""


async def key_of(request: Request, idempotency_key: IdempotencyKey = None) -> WriteKey | None:
    """Return the key of a write: a FastAPI dependency.

    What is repeated is the request: the operation, the session and the body as it was sent.
    ``If-Match`` is no part of it, so that a client may read the session anew before it repeats.
    """
    if idempotency_key is None:
        return None
    place = f"{request.scope['endpoint'].__name__} {request.path_params.get('session_id', '')}\0"
    return WriteKey(
        idempotency_key, hashlib.sha256(place.encode() + await request.body()).hexdigest()
    )


KeyOfRequest = Annotated[WriteKey | None, Depends(key_of)]


class SessionWrite:
    """A request's write to the session in its path: a FastAPI dependency."""

    def __init__(
        self,
        request: Request,
        response: Response,
        store: StoreOfUser,
        key: KeyOfRequest,
        session_id: SessionId,
        if_match: IfMatch = None,
    ) -> None:
        self._request = request
        self._response = response
        self._store = store
        self._key = key
        self._session_id = session_id
        self._if_match = if_match

    async def append(self, edit: Callable[[PromptSession], None]) -> Written:
        """Store what `edit` appends. Raises what ``apply`` does."""

        def appended(session: PromptSession) -> bool:
            edit(session)
            return True

        written = await self.apply(appended)
        locate(self._request, self._response, self._session_id)
        return written

    async def apply(self, edit: Edit) -> Written:
        """Store what `edit` changes, on what others stored meanwhile, or not at all.

        Raises:
            PreconditionError: ``If-Match`` names another version than the session is at.
            SessionStoreError: the store refuses or fails.
        """
        try:
            version, is_new = await self._attempt(edit)
        except _OVERTAKEN:
            before = await self._before()
            if before is None:
                raise
            version = before
        else:
            version = version if is_new else await self._before() or version
        self._response.headers["ETag"] = tag(version)
        return Written(session_id=self._session_id, version=version)

    async def _attempt(self, edit: Edit) -> tuple[int, bool]:
        """Return the version that the session is at then, and whether anything was stored."""
        if self._if_match is None:
            session, is_new = await change_async(
                self._store, self._session_id, edit, when=bool, idempotency_key=self._key
            )
            return session.version, is_new
        session = await required(self._store, self._session_id)
        if not names(self._if_match, session.version):
            raise PreconditionError(session.version)
        is_new = edit(session)
        if is_new:
            try:
                await self._store.update(session, idempotency_key=self._key)
            except SessionConflictError as error:
                raise PreconditionError(error.current_version) from error
        return session.version, is_new

    async def _before(self) -> int | None:
        if self._key is None:
            return None
        return await written_before(self._store, self._session_id, self._key)


WriteOf = Annotated[SessionWrite, Depends(SessionWrite)]
"""The type of an endpoint's parameter that is the request's write."""


async def required(store: AsyncSessionStore, session_id: str) -> PromptSession:
    """Return the session with that id.

    Raises:
        SessionNotFoundError: there is none.
    """
    session = await store.get(session_id)
    if session is None:
        raise rules.not_found(session_id)
    return session


def locate(request: Request, response: Response, session_id: str) -> None:
    """Say in the headers of `response` where the session is."""
    url = request.url_for("read_session", session_id=quote(session_id, safe=""))
    response.headers["Location"] = url.path


def tag(version: int) -> str:
    """Return the entity tag of a session at that version."""
    return f'"{version}"'


def names(header: str, version: int, *, weakly: bool = False) -> bool:
    """Return whether ``If-Match``, or weakly ``If-None-Match``, names the version (RFC 9110, 13.1).

    Args:
        header: ``*`` or entity tags.
        version: the session's.
        weakly: whether tags that are marked as weak count.
    """
    if header.strip() == "*":
        return True
    found = (_TAG.fullmatch(part.strip()) for part in header.split(","))
    return any(
        match is not None and int(match[2]) == version and (weakly or not match[1])
        for match in found
    )
