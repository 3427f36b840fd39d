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
from lift_sys.spec_sessions.changing import change, change_async, process, process_async
from lift_sys.spec_sessions.models import (
    HoleResolution,
    IRDraft,
    PromptRevision,
    PromptSession,
    SessionPage,
    SessionSummary,
)
from lift_sys.spec_sessions.opening import open_async_store, open_store
from lift_sys.spec_sessions.refine import Refinement, refine
from lift_sys.spec_sessions.store import AsyncSessionStore, SessionStore
from lift_sys.spec_sessions.stores import (
    AsyncInMemorySessionStore,
    AsyncPostgresSessionStore,
    AsyncSQLiteSessionStore,
    AsyncSupabaseSessionStore,
    InMemorySessionStore,
    PostgresSessionStore,
    SQLiteSessionStore,
    SupabaseSessionStore,
)

__all__ = [
    "AsyncInMemorySessionStore",
    "AsyncPostgresSessionStore",
    "AsyncSQLiteSessionStore",
    "AsyncSessionStore",
    "AsyncSupabaseSessionStore",
    "HistoryRewriteError",
    "HoleResolution",
    "IRDraft",
    "IdempotencyKeyReusedError",
    "InMemorySessionStore",
    "InvalidSessionError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "PostgresSessionStore",
    "PromptRevision",
    "PromptSession",
    "Refinement",
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
    "SupabaseSessionStore",
    "UserRequiredError",
    "change",
    "change_async",
    "open_async_store",
    "open_store",
    "process",
    "process_async",
    "refine",
]
