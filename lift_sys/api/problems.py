"""Errors as problem details (RFC 9457): one table from what went wrong to what is answered."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from lift_sys.auth import NotLocalError, NotSignedInError
from lift_sys.backends import errors
from lift_sys.ir.source import LiftError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 1
"""How many seconds a client is asked to wait when the store is unavailable."""


class PreconditionError(Exception):
    """The session is not at the version that ``If-Match`` names.

    Attributes:
        current_version: the version it is at.
    """

    def __init__(self, current_version: int) -> None:
        super().__init__(f"the session is at version {current_version}; get it and change it again")
        self.current_version = current_version


class OpenHolesError(Exception):
    """A session with open holes is not made final unless that is asked for."""


class Problem(BaseModel):
    """What went wrong with a request, as RFC 9457 has it."""

    type: str = Field(description="Which kind of problem: stable, for programs.")
    title: str = Field(description="The kind, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="This problem, and the remedy.")
    errors: list[dict[str, Any]] | None = Field(None, description="The fields that are wrong.")
    current_version: int | None = Field(None, description="The version that the session is at.")


@dataclass(frozen=True, slots=True)
class _Kind:
    status: HTTPStatus
    title: str


_KINDS: Final[dict[type[Exception], tuple[str, _Kind]]] = {
    PreconditionError: (
        "version-mismatch",
        _Kind(HTTPStatus.PRECONDITION_FAILED, "The session has changed"),
    ),
    OpenHolesError: ("open-holes", _Kind(HTTPStatus.CONFLICT, "Holes are open")),
    NotSignedInError: ("not-signed-in", _Kind(HTTPStatus.UNAUTHORIZED, "Not signed in")),
    NotLocalError: ("not-local", _Kind(HTTPStatus.FORBIDDEN, "Only this machine is answered")),
    LiftError: (
        "source-not-lifted",
        _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The source cannot be lifted"),
    ),
    errors.SessionNotFoundError: (
        "session-not-found",
        _Kind(HTTPStatus.NOT_FOUND, "No such session"),
    ),
    errors.SessionExistsError: ("session-exists", _Kind(HTTPStatus.CONFLICT, "The id is taken")),
    errors.SessionConflictError: (
        "session-conflict",
        _Kind(HTTPStatus.CONFLICT, "Another write came first"),
    ),
    errors.HistoryRewriteError: (
        "history-rewrite",
        _Kind(HTTPStatus.CONFLICT, "History can only grow"),
    ),
    errors.IdempotencyKeyReusedError: (
        "idempotency-key-reused",
        _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The idempotency key belongs to another request"),
    ),
    errors.InvalidSessionError: (
        "invalid-value",
        _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "A value cannot be stored"),
    ),
    errors.PermissionDeniedError: (
        "permission-denied",
        _Kind(HTTPStatus.FORBIDDEN, "Permission denied"),
    ),
    errors.OutcomeUnknownError: (
        "outcome-unknown",
        _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "The write may have happened"),
    ),
    errors.SchemaOutdatedError: (
        "schema-outdated",
        _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "The database lacks this release's schema"),
    ),
    errors.SessionStoreError: (
        "store-unavailable",
        _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "The store is unavailable"),
    ),
}


def add_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every error with problem details."""
    for kind in _KINDS:
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(ValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_unexpected)


def problem_response(status: int, slug: str, title: str, detail: str, **more: Any) -> JSONResponse:
    """Return problem details as a response."""
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    problem = Problem(type=f"/problems/{slug}", title=title, status=status, detail=detail, **more)
    return JSONResponse(
        problem.model_dump(exclude_none=True), status, headers, media_type=MEDIA_TYPE
    )


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how an operation's description names the problems of these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def _answer(_: Request, error: Exception) -> JSONResponse:
    slug, kind = next(_KINDS[c] for c in type(error).__mro__ if c in _KINDS)
    more = {}
    version = getattr(error, "current_version", None)
    if version is not None:
        more["current_version"] = version
    return problem_response(kind.status, slug, kind.title, str(error), **more)


def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101  # registered so
    found = [
        {"field": ".".join(map(str, each["loc"])), "message": each["msg"]}
        for each in error.errors()
    ]
    detail = "; ".join(f"{each['field']}: {each['message']}" for each in found[:5])
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid-request",
        "The request is not understood",
        detail,
        errors=found,
    )


def _answer_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered so
    status = HTTPStatus(error.status_code)
    slug = status.phrase.lower().replace(" ", "-")
    response = problem_response(status, slug, status.phrase, str(error.detail))
    response.headers.update(error.headers or {})
    return response


def _answer_unexpected(_: Request, __: Exception) -> JSONResponse:
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "unexpected",
        "An unexpected error",
        "The server's log says more.",
    )
