"""Spec sessions: the models, the store protocols and the stores."""

from lift_sys.backends.errors import (
    HistoryRewriteError,
    IdempotencyKeyReusedError,
    InvalidSessionError,
    OutcomeUnknownError,
    PermissionDeniedError,
    SchemaOutdatedError,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
    SessionStoreError,
    StoreClosedError,
    StoreUnavailableError,
    UserRequiredError,
)
from lift_sys.spec_sessions.models import (
    HoleResolution,
    IRDraft,
    PromptRevision,
    PromptSession,
    SessionPage,
    SessionSummary,
)
from lift_sys.spec_sessions.opening import open_async_store, open_store
from lift_sys.spec_sessions.store import AsyncSessionStore, SessionStore
from lift_sys.spec_sessions.stores import (
    AsyncInMemorySessionStore,
    AsyncSQLiteSessionStore,
    InMemorySessionStore,
    SQLiteSessionStore,
)

__all__ = [
    "AsyncInMemorySessionStore",
    "AsyncSQLiteSessionStore",
    "AsyncSessionStore",
    "HistoryRewriteError",
    "HoleResolution",
    "IRDraft",
    "IdempotencyKeyReusedError",
    "InMemorySessionStore",
    "InvalidSessionError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "PromptRevision",
    "PromptSession",
    "SQLiteSessionStore",
    "SchemaOutdatedError",
    "SessionConflictError",
    "SessionExistsError",
    "SessionNotFoundError",
    "SessionPage",
    "SessionStore",
    "SessionStoreError",
    "SessionSummary",
    "StoreClosedError",
    "StoreUnavailableError",
    "UserRequiredError",
    "open_async_store",
    "open_store",
]
