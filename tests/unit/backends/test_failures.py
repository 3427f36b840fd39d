"""Every failure of the drivers means one error of ours, and is tried again or not."""

import inspect
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import errors

from lift_sys.backends import remote
from lift_sys.backends.call import Call
from lift_sys.backends.errors import (
    OutcomeUnknownError,
    PermissionDeniedError,
    SchemaOutdatedError,
    SessionConflictError,
    SessionStoreError,
    StoreClosedError,
    StoreUnavailableError,
)
from lift_sys.backends.postgres import _Settings as PostgresSettings
from lift_sys.backends.remote import Unanswered, persist, refused
from lift_sys.backends.supabase import _Settings as SupabaseSettings
from lift_sys.spec_sessions import records
from lift_sys.spec_sessions.functions import FUNCTIONS

POSTGRES = PostgresSettings("postgresql://host/db", FUNCTIONS, "public", 1.0, row_security=True)
SUPABASE = SupabaseSettings("https://project.example", "key", FUNCTIONS, "public", 1.0)

CERTAIN, DOUBTFUL = "again, nothing happened", "again, may have happened"
DENIED, OUTDATED, NOW = PermissionDeniedError, SchemaOutdatedError, StoreUnavailableError

CODES: dict[str, object] = {
    # What another attempt may not meet: the statement was rolled back.
    "40001": CERTAIN,
    "40P01": CERTAIN,
    "53000": CERTAIN,
    "53100": CERTAIN,
    "53200": CERTAIN,
    "53300": CERTAIN,
    "55P03": CERTAIN,
    "57P03": CERTAIN,
    # The connection ended, nobody knows when.
    "08000": DOUBTFUL,
    "08001": DOUBTFUL,
    "08003": DOUBTFUL,
    "08006": DOUBTFUL,
    "08P01": DOUBTFUL,
    "57P01": DOUBTFUL,
    "57P02": DOUBTFUL,
    "57P04": DOUBTFUL,
    "57P05": DOUBTFUL,
    # What no attempt can change.
    "22023": OUTDATED,
    "23514": OUTDATED,
    "3F000": OUTDATED,
    "42703": OUTDATED,
    "42725": OUTDATED,
    "42804": OUTDATED,
    "42883": OUTDATED,
    "42P01": OUTDATED,
    "28000": DENIED,
    "28P01": DENIED,
    "42501": DENIED,
    "22P02": NOW,
    "22P05": NOW,
    "23502": NOW,
    "23503": NOW,
    "23505": NOW,
    "25006": NOW,
    "3D000": NOW,
    "53400": NOW,
    "57014": NOW,
    "P0001": NOW,
    "XX000": NOW,
}


def end(meaning: object) -> object:
    """What the tables say of a meaning."""
    if isinstance(meaning, Unanswered):
        return DOUBTFUL if meaning.may_have_happened else CERTAIN
    return type(meaning)


@pytest.mark.parametrize(("code", "expected"), CODES.items())
def test_a_sqlstate_means_the_same_on_both(code: str, expected: object) -> None:
    assert end(POSTGRES.meaning(errors.lookup(code)("said"))) == expected
    body = {"code": code, "message": "said", "details": None}
    assert end(SUPABASE._refusal(httpx.Response(400, json=body))) == expected


def _classes(base: type[Exception], *modules: Any) -> list[type[Any]]:
    found = {
        member
        for module in modules
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, base)
    }
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", _classes(psycopg.Error, errors, psycopg))
def test_every_exception_of_psycopg_has_a_meaning(kind: type[psycopg.Error]) -> None:
    meaning = POSTGRES.meaning(kind("said"))
    assert isinstance(meaning, Unanswered | SessionStoreError)
    if kind.sqlstate is not None:
        assert end(meaning) == CODES.get(kind.sqlstate, end(meaning))
    elif issubclass(kind, psycopg.OperationalError | psycopg.InterfaceError):
        assert end(meaning) == DOUBTFUL
    else:
        assert end(meaning) == NOW


NEVER_LEFT = {httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout}


@pytest.mark.parametrize("kind", _classes(httpx.HTTPError, httpx))
def test_every_exception_of_httpx_has_a_meaning(kind: type[httpx.HTTPError]) -> None:
    meaning = SUPABASE.unanswered(kind.__new__(kind))
    assert end(meaning) == (CERTAIN if kind in NEVER_LEFT else DOUBTFUL)
    assert kind.__name__ in str(meaning)


REST: dict[str, tuple[int, object]] = {
    "PGRST000": (503, CERTAIN),
    "PGRST001": (503, DOUBTFUL),
    "PGRST002": (503, CERTAIN),
    "PGRST003": (504, CERTAIN),
    "PGRST106": (406, OUTDATED),
    "PGRST202": (404, OUTDATED),
    "PGRST203": (300, OUTDATED),
    "PGRST205": (404, OUTDATED),
    "PGRST300": (500, DENIED),
    "PGRST301": (401, DENIED),
    "PGRST302": (401, DENIED),
    "PGRST303": (401, DENIED),
    "42501": (403, DENIED),
    "57014": (500, NOW),
    "": (400, DOUBTFUL),
}


@pytest.mark.parametrize(("code", "status", "expected"), [(c, *end) for c, end in REST.items()])
def test_a_code_of_postgrest(code: str, status: int, expected: object) -> None:
    body = {"code": code, "message": "said", "details": None}
    assert end(SUPABASE._refusal(httpx.Response(status, json=body))) == expected


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (408, {}, DOUBTFUL),
        (425, {}, DOUBTFUL),
        (429, {}, CERTAIN),
        (500, {}, DOUBTFUL),
        (502, {}, DOUBTFUL),
        (503, {}, DOUBTFUL),
        (503, {"retry-after": "1"}, CERTAIN),
        (504, {}, DOUBTFUL),
        (521, {}, DOUBTFUL),
        (301, {}, NOW),
        (400, {}, NOW),
        (401, {}, DENIED),
        (403, {}, DENIED),
        (404, {}, NOW),
        (413, {}, NOW),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code": null, "message": null}', b"[1]"])
def test_a_status_without_a_code(
    status: int, headers: dict[str, str], expected: object, body: bytes
) -> None:
    meaning = SUPABASE._refusal(httpx.Response(status, content=body, headers=headers))
    assert end(meaning) == expected
    assert str(status) in str(meaning)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('FATAL:  password authentication failed for user "ann"', DENIED),
        ("fe_sendauth: no password supplied", DENIED),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4"', DENIED),
        ('FATAL:  permission denied for database "db"', DENIED),
        ('FATAL:  role "ann" is not permitted to log in', DENIED),
        ('FATAL:  role "ann" does not exist', DENIED),
        ('FATAL:  database "db" does not exist', NOW),
        ("FATAL:  the database system is starting up", CERTAIN),
        ("FATAL:  sorry, too many clients already", CERTAIN),
        ("connection failed: Connection refused", CERTAIN),
        ("connection timeout expired", CERTAIN),
        ("could not translate host name", CERTAIN),
    ],
)
def test_a_connection_that_cannot_be_made(line: str, expected: object) -> None:
    assert end(POSTGRES.unreached(psycopg.OperationalError(line + "\nand more"))) == expected


def test_a_refusal_of_the_function_keeps_what_it_said() -> None:
    detail = '{"session_id": "s", "expected_version": 2, "current_version": 5}'
    error = refused(FUNCTIONS, "PT409", "session_conflict", detail)
    assert isinstance(error, SessionConflictError)
    assert (error.expected_version, error.current_version) == (2, 5)


@pytest.mark.parametrize("detail", [None, "", "[]", "{}", "no JSON", '{"session_id": 1}'])
def test_a_refusal_of_another_release(detail: str | None) -> None:
    assert type(refused(FUNCTIONS, "PT409", "session_conflict", detail)) is SchemaOutdatedError
    assert type(refused(FUNCTIONS, "PT409", "unheard_of", detail)) is SchemaOutdatedError


READ: Call[Any] = Call("get", records.GetSession("s"), records.SNAPSHOT.validate_json, writes=False)
WRITE: Call[Any] = Call(
    "delete", records.DeleteSession("s"), records.NOTHING.validate_json, writes=True
)


def attempts(*ends: BaseException | str) -> Iterator[Any]:
    """One end after the other, the last again and again."""
    yield from ends
    while True:
        yield ends[-1]


def tried(call: Call[Any], *ends: BaseException | str, budget: float = 0.1) -> Any:
    left = attempts(*ends)

    def attempt(seconds: float) -> Any:
        assert 0 < seconds <= remote.ATTEMPT
        end = next(left)
        if isinstance(end, BaseException):
            raise end
        return end

    return persist(attempt, call, budget)


def unanswered(may_have_happened: bool = False, pause: float = 0.0) -> Unanswered:
    return Unanswered("said", may_have_happened=may_have_happened, pause=pause)


def test_an_answer_ends_it() -> None:
    assert tried(WRITE, unanswered(), unanswered(True), "answer", budget=30) == "answer"


@pytest.mark.parametrize(
    ("call", "ends", "expected"),
    [
        (WRITE, [unanswered()], StoreUnavailableError),
        (WRITE, [unanswered(True)], OutcomeUnknownError),
        (WRITE, [unanswered(True), unanswered()], OutcomeUnknownError),
        (READ, [unanswered(True)], StoreUnavailableError),
        (WRITE, [StoreClosedError("closed")], StoreClosedError),
        (WRITE, [unanswered(), StoreClosedError("closed")], StoreClosedError),
        (WRITE, [unanswered(True), StoreClosedError("closed")], OutcomeUnknownError),
        (WRITE, [unanswered(True), PermissionDeniedError("denied")], OutcomeUnknownError),
        (WRITE, [unanswered(True), SchemaOutdatedError("old")], OutcomeUnknownError),
        (WRITE, [unanswered(True), StoreUnavailableError("slow")], OutcomeUnknownError),
        (READ, [unanswered(True), PermissionDeniedError("denied")], PermissionDeniedError),
    ],
)
def test_what_is_said_in_the_end(
    call: Call[Any], ends: list[BaseException], expected: type[Exception]
) -> None:
    with pytest.raises(expected) as raised:
        tried(call, *ends)
    assert type(raised.value) is expected


def test_a_function_that_refuses_has_looked_for_the_write_first() -> None:
    conflict = SessionConflictError("other", expected_version=1, current_version=2)
    with pytest.raises(SessionConflictError) as raised:
        tried(WRITE, unanswered(True), conflict, budget=30)
    assert raised.value is conflict


def test_a_bug_is_not_tried_again() -> None:
    with pytest.raises(ZeroDivisionError):
        tried(WRITE, ZeroDivisionError(), "answer")


def test_pauses_are_jittered_in_full_and_grow_to_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[list[float]] = []

    def sleep(seconds: float) -> None:
        pauses[-1].append(seconds)

    monkeypatch.setattr("tenacity.nap.time.sleep", sleep)
    for _ in range(200):
        pauses.append([])
        assert tried(WRITE, *[unanswered()] * 12, "answer", budget=1e6) == "answer"
    for number, column in enumerate(zip(*pauses, strict=True)):
        longest = min(2.0, 0.02 * 2**number)
        assert all(0 <= pause <= longest for pause in column)
        assert max(column) > longest * 0.8
        assert min(column) < longest * 0.2


def test_a_server_that_asks_to_wait_is_obeyed_within_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    assert tried(WRITE, unanswered(pause=7), "answer", budget=30) == "answer"
    assert pauses == [7]
    with pytest.raises(StoreUnavailableError, match="attempts: 1 in"):
        tried(WRITE, unanswered(pause=31), "answer", budget=30)
    assert pauses == [7]
