"""Every error a store may raise, whatever it is built on.

A driver's exception never reaches the caller: it is always the ``__cause__`` of one of these.
"""


class SessionStoreError(Exception):
    """The base of every error here: catch it to catch anything a store may raise."""


class InvalidSessionError(SessionStoreError, ValueError):
    """A value cannot be stored; the message names the field and the remedy.

    Raised before any I/O, alike on every backend (G13).
    """


class UserRequiredError(SessionStoreError, ValueError):
    """The store was used without saying for whom: pass ``user_id`` or take ``for_user``."""


class SessionNotFoundError(SessionStoreError, KeyError):
    """This user has no session with that id (G3, G11, G19)."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which is no sentence to show a person.
        return Exception.__str__(self)


class SessionExistsError(SessionStoreError):
    """This user already has a session with that id (G4)."""


class SessionConflictError(SessionStoreError):
    """Another write came first, so nothing of this one was stored (G7).

    ``refresh`` the session, apply the change again, and update.

    Attributes:
        expected_version: the version the refused write was based on.
        current_version: the version the store holds.
    """

    def __init__(self, message: str, *, expected_version: int, current_version: int) -> None:
        super().__init__(message)
        self.expected_version = expected_version
        self.current_version = current_version


class HistoryRewriteError(SessionStoreError):
    """The write would change or drop an item that is already stored (G5); nothing was stored."""


class IdempotencyKeyReusedError(SessionStoreError):
    """The idempotency key already belongs to a write with another payload (G8)."""


class PermissionDeniedError(SessionStoreError):
    """The backend refuses this caller: a bad token, a missing grant, a read-only file."""


class StoreUnavailableError(SessionStoreError):
    """The backend cannot be used now. Nothing was written, so trying again is safe (G14)."""


class OutcomeUnknownError(SessionStoreError):
    """A write was sent and its answer never came: it may or may not have happened (G14).

    Repeating it with the same ``idempotency_key`` is safe (G8).
    """


class SchemaOutdatedError(SessionStoreError):
    """What is stored there is not the layout this release works on (G20)."""


class StoreClosedError(SessionStoreError):
    """The store was used after ``close`` (G16)."""
