"""Every error has one answer: its kind, its status, and problem details."""

import inspect
from http import HTTPStatus

import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient

from lift_sys import auth
from lift_sys.api import problems
from lift_sys.api.problems import HTTP_KINDS, INVALID, KINDS, UNEXPECTED, add_problem_handlers
from lift_sys.backends import errors
from lift_sys.ir.source import LiftError

OURS = [
    error
    for module in (errors, auth, problems)
    for _, error in inspect.getmembers(module, inspect.isclass)
    if issubclass(error, Exception) and error.__module__ == module.__name__
]
SLUGS = {
    "bad-request",
    "disconnected",
    "history-rewrite",
    "idempotency-key-reused",
    "invalid-request",
    "invalid-value",
    "method-not-allowed",
    "not-found",
    "not-local",
    "not-signed-in",
    "open-holes",
    "outcome-unknown",
    "permission-denied",
    "schema-outdated",
    "session-conflict",
    "session-exists",
    "session-not-found",
    "sign-in-unavailable",
    "source-not-lifted",
    "store-closed",
    "store-failed",
    "store-unavailable",
    "too-large",
    "unexpected",
    "unsupported-media-type",
    "user-required",
    "version-mismatch",
}


def made(error: type[Exception]) -> Exception:
    if error is errors.SessionConflictError:
        return errors.SessionConflictError("m", expected_version=1, current_version=7)
    return error(7) if error is problems.PreconditionError else error("what is wrong")


def answered(error: Exception) -> TestClient:
    app = FastAPI()
    add_problem_handlers(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    "error", [*OURS, LiftError, ClientDisconnect], ids=lambda error: error.__name__
)
def test_each_error_is_in_the_table_and_answered_by_it(error):
    kind = KINDS[error]
    answer = answered(made(error)).get("/")
    assert answer.status_code == kind.status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"/problems/{kind.slug}"
    assert problem["title"] == kind.title
    assert problem["status"] == kind.status
    assert problem["detail"]


def test_an_error_that_is_not_listed_is_answered_as_its_base():
    class LaterError(errors.SessionConflictError):
        pass

    answer = answered(LaterError("m", expected_version=1, current_version=7)).get("/").json()
    assert (answer["type"], answer["current_version"]) == ("/problems/session-conflict", 7)


def test_an_error_of_nobody_is_answered_without_its_text():
    answer = answered(ZeroDivisionError("secret")).get("/")
    assert answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert answer.json()["type"] == "/problems/unexpected"
    assert "secret" not in answer.text


def test_the_types_are_stable_and_told_apart():
    kinds = [*KINDS.values(), INVALID, UNEXPECTED, *HTTP_KINDS.values()]
    assert {kind.slug for kind in kinds} == SLUGS
    assert len(kinds) == len(SLUGS)


def test_a_client_is_told_when_to_come_back_and_how_to_sign_in():
    unavailable = answered(errors.StoreUnavailableError("m")).get("/")
    assert int(unavailable.headers["retry-after"]) > 0
    assert answered(auth.NotSignedInError("m")).get("/").headers["www-authenticate"] == "Bearer"
