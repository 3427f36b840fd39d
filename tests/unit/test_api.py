"""What the packages export, and what importing and constructing costs."""

import subprocess
import sys

import lift_sys.ir
import lift_sys.spec_sessions

ERRORS = {
    "HistoryRewriteError",
    "IdempotencyKeyReusedError",
    "InvalidSessionError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "SchemaOutdatedError",
    "SessionConflictError",
    "SessionExistsError",
    "SessionNotFoundError",
    "SessionStoreError",
    "StoreClosedError",
    "StoreUnavailableError",
    "UserRequiredError",
}
MODELS = {
    "HoleResolution",
    "IRDraft",
    "PromptRevision",
    "PromptSession",
    "SessionPage",
    "SessionSummary",
}
STORES = {
    "AsyncInMemorySessionStore",
    "AsyncPostgresSessionStore",
    "AsyncSQLiteSessionStore",
    "AsyncSessionStore",
    "AsyncSupabaseSessionStore",
    "InMemorySessionStore",
    "PostgresSessionStore",
    "SQLiteSessionStore",
    "SessionStore",
    "SupabaseSessionStore",
    "open_async_store",
    "open_store",
}
OPERATIONS = {"Refinement", "change", "change_async", "process", "process_async", "refine"}
IR = {
    "Assertion",
    "Effect",
    "HoleKind",
    "Intent",
    "IntermediateRepresentation",
    "LiftError",
    "LiftedFunction",
    "Parameter",
    "ParameterKind",
    "Provenance",
    "Signature",
    "TypedHole",
    "lift",
    "lift_file",
    "lift_functions",
    "python_files",
}


def test_the_public_names_are_these() -> None:
    sessions = ERRORS | MODELS | STORES | OPERATIONS
    for package, names in ((lift_sys.spec_sessions, sessions), (lift_sys.ir, IR)):
        assert set(package.__all__) == names
        for name in names:
            assert getattr(package, name).__doc__ or name.endswith("Kind")


def test_every_error_is_a_session_store_error_and_some_are_more() -> None:
    exported = {name: getattr(lift_sys.spec_sessions, name) for name in ERRORS}
    base = lift_sys.spec_sessions.SessionStoreError
    assert all(issubclass(error, base) for error in exported.values())
    assert issubclass(exported["SessionNotFoundError"], KeyError)
    assert issubclass(exported["InvalidSessionError"], ValueError)
    assert issubclass(exported["UserRequiredError"], ValueError)
    assert str(exported["SessionNotFoundError"]("a sentence")) == "a sentence"


def test_importing_and_constructing_opens_nothing_and_warns_of_nothing() -> None:
    program = """
import sys, threading
def refuse(event, _):
    if event.startswith(("sqlite3.connect", "socket.", "subprocess.", "os.mkdir")):
        raise AssertionError(event)
sys.addaudithook(refuse)
from lift_sys.spec_sessions import open_async_store, open_store
for opener in (open_store, open_async_store):
    opener("memory://"), opener("sqlite:///nowhere/x.db")
assert threading.active_count() == 1
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
