"""The contract that every store keeps.

A program written against one store works on every other: same answers, same errors, same order,
same types. The guarantees are numbered, and the contract suite has tests for each number.

What holds for every method:

- **Values (G1, G2).** What ``get`` returns equals what was stored: JSON values are equal and of
  the same type, text is unchanged, instants are equal to the microsecond and come back in UTC,
  order is kept. Changing an object after storing it, or after getting it, changes nothing stored.
- **Bad values (G12, G13).** U+0000, lone surrogates, NaN, infinities, values that JSON lacks and
  sizes past the limits (ids and keys 255 characters, one item or metadata 16 MiB as JSON, one
  write 64 MiB, 100 levels of nesting, integers of 4,300 digits) raise ``InvalidSessionError``
  before any I/O, naming the field. Instants without an offset are refused by the models.
- **Atomic (G6).** A write happens whole or not at all, whatever fails.
- **Isolation (G11).** A store acts for exactly one user. Another user's session is, by any
  operation, a session that does not exist.
- **Exactly once (G8).** With an ``idempotency_key`` a write can be repeated for 24 hours, by this
  process or another one, and happens once; a repetition returns the first result. A key belongs
  to its user and to one write: with another payload it raises ``IdempotencyKeyReusedError``.
  Two updates are the same write when they are based on the same version and would leave the same
  header, the same number of items and the same last 64 of each kind.
  A ``WriteKey`` instead of text brings the payload's fingerprint along: for a server, say, that
  makes a new session of each repetition of one request.
- **Errors.** Only ``SessionStoreError`` and its kinds. A driver's exception is the ``__cause__``.
  ``StoreUnavailableError`` says that nothing was written and trying again is safe (G14);
  ``SchemaOutdatedError`` that what is stored there is not this release's layout (G20).
- **Concurrency (G15).** A sync store may be used by many threads, an async one by many tasks. A
  task cancelled during a write is cancelled once the outcome of the write is known.
- **Lifecycle (G16).** Construction does no I/O. After ``close``, which may be repeated, each method
  raises ``StoreClosedError``. A view made by ``for_user`` closes only itself.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from lift_sys.backends.call import WriteKey
from lift_sys.spec_sessions.models import PromptSession, SessionPage, Source, Status


@runtime_checkable
class SessionStore(Protocol):
    """Keeps the sessions of one user, blocking the calling thread."""

    @property
    def user_id(self) -> str:
        """The user this store acts for.

        Raises:
            UserRequiredError: none was given; a networked store has no default.
        """

    def create(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> str:
        """Store a new session. Atomic (G6); one round trip (G17).

        Args:
            session: what to store. On success its ``version`` is 1, whatever it was before.
            idempotency_key: text of 1 to 255 characters that tells a repetition of this write.

        Returns:
            The session's id.

        Raises:
            SessionExistsError: this user has a session with that id (G4).
            InvalidSessionError: a value cannot be stored (G13).
            IdempotencyKeyReusedError: the key belongs to another write (G8).
        """

    def create_many(
        self, sessions: Iterable[PromptSession], *, idempotency_key: str | WriteKey | None = None
    ) -> list[str]:
        """Store new sessions, all or none. Atomic (G6); one round trip (G17).

        Args:
            sessions: what to store, up to 64 MiB as JSON in all; some hundred are a good number.
            idempotency_key: as in ``create``, for all of them together.

        Returns:
            The ids, in the order of `sessions`.

        Raises:
            SessionExistsError: one of the ids is taken, or given twice (G4).
            InvalidSessionError: a value cannot be stored, or all are too large together (G13).
            IdempotencyKeyReusedError: the key belongs to another write (G8).
        """

    def get(self, session_id: str) -> PromptSession | None:
        """Return the session with that id, whole (G1, G10), or None where there is none (G3).

        The items are in the order they were added (G9). An id that no session can have (empty,
        too long, not text) is an id that none has. One round trip (G17).
        """

    def update(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> None:
        """Store what is new in `session`: its header and the items after the stored ones.

        Atomic (G6); one round trip (G17), which neither sends nor reads the history (G18). A
        session that does not come from this store's data (``from_dict``, another store) is sent
        whole and compared with what is stored instead.

        Args:
            session: its ``version`` is the one the change is based on; on success it becomes the
                new version. Its items must begin with the stored ones, unchanged, except that
                ``applied`` of a resolution may have become true.
            idempotency_key: text of 1 to 255 characters that tells a repetition of this write.

        Raises:
            SessionNotFoundError: this user has no session with that id (G3, G19).
            SessionConflictError: another write came first (G7): of N writers on one version one
                wins. Nothing was stored; ``refresh``, change again, update.
            HistoryRewriteError: a stored item is missing or changed (G5). Nothing was stored.
            InvalidSessionError: a value cannot be stored (G13).
            IdempotencyKeyReusedError: the key belongs to another write (G8).
        """

    def refresh(self, session: PromptSession) -> PromptSession:
        """Return `session` as it is stored now. One round trip that moves only the tail (G17).

        Args:
            session: stays as it is. Its changes that were not stored are not in the result.

        Raises:
            SessionNotFoundError: this user has no session with that id any more.
        """

    def delete(self, session_id: str) -> None:
        """Remove the session and everything of it (G19). Silent where there is none (G3).

        Atomic (G6); one round trip (G17).
        """

    def list_active(self) -> list[PromptSession]:
        """Return the active sessions, whole: updated_at descending, then id descending (G9).

        Complete at any number (G10): a session that is changed meanwhile is neither missed nor
        given twice. One round trip a page (G17).
        """

    def list_all(self) -> list[PromptSession]:
        """Return all sessions, whole, in the order and completeness of ``list_active``."""

    def list_page(
        self,
        *,
        status: Status | None = None,
        source: Source | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SessionPage:
        """Return one page of summaries: updated_at descending, then id descending (G9).

        Pages neither repeat nor skip a session that nobody touched meanwhile. One round trip.

        Args:
            status: only sessions of this status.
            source: only sessions of this source.
            limit: how many at most, 1 to 1,000.
            cursor: the ``next_cursor`` of the page before; None for the first.

        Raises:
            InvalidSessionError: an argument is none of these; names it.
        """

    def for_user(self, user_id: str, *, access_token: str | None = None) -> Self:
        """Return a store for another user, on the same connections. No I/O.

        Args:
            user_id: text of 1 to 255 characters.
            access_token: the user's token, for a backend that checks it.

        Raises:
            UserRequiredError: the id is empty.
            InvalidSessionError: it is no text of 1 to 255 characters.
        """

    def close(self) -> None:
        """Release what this store opened; may be repeated (G16)."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class AsyncSessionStore(Protocol):
    """Keeps the sessions of one user, for asyncio: ``SessionStore`` with coroutines.

    Each method does, returns and raises what its namesake in ``SessionStore`` does.
    """

    @property
    def user_id(self) -> str:
        """As in ``SessionStore``."""

    async def create(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> str:
        """As in ``SessionStore``."""

    async def create_many(
        self, sessions: Iterable[PromptSession], *, idempotency_key: str | WriteKey | None = None
    ) -> list[str]:
        """As in ``SessionStore``."""

    async def get(self, session_id: str) -> PromptSession | None:
        """As in ``SessionStore``."""

    async def update(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> None:
        """As in ``SessionStore``."""

    async def refresh(self, session: PromptSession) -> PromptSession:
        """As in ``SessionStore``."""

    async def delete(self, session_id: str) -> None:
        """As in ``SessionStore``."""

    async def list_active(self) -> list[PromptSession]:
        """As in ``SessionStore``."""

    async def list_all(self) -> list[PromptSession]:
        """As in ``SessionStore``."""

    async def list_page(
        self,
        *,
        status: Status | None = None,
        source: Source | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SessionPage:
        """As in ``SessionStore``."""

    def for_user(self, user_id: str, *, access_token: str | None = None) -> Self:
        """As in ``SessionStore``; no coroutine, because it does no I/O."""

    async def close(self) -> None:
        """As in ``SessionStore``."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
