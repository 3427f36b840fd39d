"""Errors as problem details (RFC 9457): one table from what went wrong to what is answered."""

from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path

from lift_sys.auth import KeysUnavailableError, NotLocalError, NotSignedInError
from lift_sys.backends import errors
from lift_sys.ir.source import LiftError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 1
"""How many seconds a client is asked to wait when the store is unavailable."""
MAX_FIELDS: Final = 20
"""How many wrong fields an answer names."""


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


class Kind(NamedTuple):
    """A kind of problem: the last part of its type, its HTTP status, and its title."""

    slug: str
    status: int
    title: str


KINDS: Final[dict[type[Exception], Kind]] = {
    NotSignedInError: Kind("not-signed-in", 401, "Not signed in"),
    NotLocalError: Kind("not-local", 403, "Only this machine is answered"),
    KeysUnavailableError: Kind("sign-in-unavailable", 503, "Nobody can sign in now"),
    PreconditionError: Kind("version-mismatch", 412, "The session has changed"),
    OpenHolesError: Kind("open-holes", 409, "Holes are open"),
    LiftError: Kind("source-not-lifted", 422, "The source cannot be lifted"),
    errors.SessionNotFoundError: Kind("session-not-found", 404, "No such session"),
    errors.SessionExistsError: Kind("session-exists", 409, "The id is taken"),
    errors.SessionConflictError: Kind("session-conflict", 409, "Another write came first"),
    errors.HistoryRewriteError: Kind("history-rewrite", 409, "History can only grow"),
    errors.IdempotencyKeyReusedError: Kind(
        "idempotency-key-reused", 422, "The idempotency key belongs to another request"
    ),
    errors.InvalidSessionError: Kind("invalid-value", 422, "A value cannot be stored"),
    errors.UserRequiredError: Kind("user-required", 401, "No user is named"),
    errors.PermissionDeniedError: Kind("permission-denied", 403, "Permission denied"),
    errors.OutcomeUnknownError: Kind("outcome-unknown", 503, "The write may have happened"),
    errors.SchemaOutdatedError: Kind("schema-outdated", 503, "The database lacks this schema"),
    errors.StoreUnavailableError: Kind("store-unavailable", 503, "The store is unavailable"),
    errors.StoreClosedError: Kind("store-closed", 503, "The server is shutting down"),
    ClientDisconnect: Kind("disconnected", 400, "The request was not sent to its end"),
    errors.SessionStoreError: Kind("store-failed", 500, "The store failed"),
}
"""Which error is answered how; an error that is not listed is answered as its base is."""

INVALID: Final = Kind("invalid-request", 422, "The request is not understood")
UNEXPECTED: Final = Kind("unexpected", 500, "An unexpected error")
HTTP_KINDS: Final[dict[int, Kind]] = {
    400: Kind("bad-request", 400, "Bad request"),
    404: Kind("not-found", 404, "Nothing is here"),
    405: Kind("method-not-allowed", 405, "The method is not allowed here"),
    413: Kind("too-large", 413, "The request is too large"),
    415: Kind("unsupported-media-type", 415, "The body has to be JSON"),
}
"""What the framework refuses by itself, by status."""


class WrongField(BaseModel):
    """One thing that is wrong with a request."""

    field: str = Field(description="Where, such as `body.metadata`.")
    message: str = Field(description="What is wrong there.")


class Problem(BaseModel):
    """What went wrong with a request, as RFC 9457 has it."""

    type: str = Field(
        description="Which kind of problem: stable, for programs.",
        json_schema_extra={
            "enum": [
                f"/problems/{kind.slug}"
                for kind in (*KINDS.values(), INVALID, UNEXPECTED, *HTTP_KINDS.values())
            ]
        },
    )
    title: str = Field(description="The kind, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="This problem, and the remedy.")
    errors: list[WrongField] | None = Field(None, description="The fields that are wrong.")
    current_version: int | None = Field(None, description="The version that the session is at.")


def add_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every error with problem details."""
    for error in KINDS:
        app.add_exception_handler(error, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_unexpected)


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


def _response(kind: Kind, detail: str, **more: Any) -> JSONResponse:
    headers = {}
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER)
    if kind.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    problem = Problem(
        type=f"/problems/{kind.slug}", title=kind.title, status=kind.status, detail=detail, **more
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True), kind.status, headers, media_type=MEDIA_TYPE
    )


def _answer(_: Request, error: Exception) -> JSONResponse:
    kind = next(KINDS[base] for base in type(error).__mro__ if base in KINDS)
    return _response(kind, str(error), current_version=getattr(error, "current_version", None))


def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered so
    found = [
        WrongField(field=".".join(map(str, each["loc"])), message=_message(each))
        for each in error.errors()[:MAX_FIELDS]
    ]
    detail = "; ".join(f"{each.field}: {each.message}" for each in found[:5])
    return _response(INVALID, detail, errors=found)


def _message(error: dict[str, Any]) -> str:
    reason = error.get("ctx", {}).get("error")
    return f"{error['msg']}: {reason}" if error["type"] == "json_invalid" else str(error["msg"])


def _answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered so
    status = error.status_code
    kind = HTTP_KINDS.get(status, Kind(f"http-{status}", status, HTTPStatus(status).phrase))
    response = _response(kind, str(error.detail))
    response.headers.update(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := _allowed(request)):
        response.headers["Allow"] = allowed
    return response


def _allowed(request: Request) -> str:
    """Return the methods that the place has: the framework knows those of one route only."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    paths = request.app.openapi()["paths"]
    matching = (paths[template] for template in paths if compile_path(template)[0].match(path))
    # A path that is written out comes before one with parameters (OpenAPI 3.1, 4.8.8).
    methods = {method.upper() for method in paths.get(path) or next(matching, ())}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _answer_unexpected(_: Request, __: Exception) -> JSONResponse:
    return _response(UNEXPECTED, "The server's log says more.")
